"""openstacksdk as programs use it: one connection, and what to wait for."""

from __future__ import annotations

import warnings
from typing import Any

from clients.oracle import FINAL, until
from clients.service import Service

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the SDK says to its own developers
    import openstack


def connect(service: Service, **config: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openstack.connect(
            auth_type="http_basic",
            auth={"endpoint": f"{service.url}/v1", "username": "admin", "password": service.password},
            region_name="",
            **config,
        )


def finished(cloud: Any, answer: Any) -> Any:
    """The action that an answer leads to, once it is final."""
    identifier = answer["action"] if type(answer) is dict else answer.id
    return until(lambda: (found := cloud.get_action(identifier)).status in FINAL and found)


def active(cloud: Any, cluster: Any) -> Any:
    return until(lambda: (found := cloud.get_cluster(cluster)).status == "ACTIVE" and found)
