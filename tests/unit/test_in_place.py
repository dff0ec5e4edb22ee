"""What can be changed on a living container, and what takes a new one."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.container import ContainerLimits, NetworkRequest
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_request import ContainerDefaults, NodeIdentity, container_request, limits
from spinney.profiles.docker_host import DockerHostProperties
from spinney.profiles.in_place import different, in_place

BASE = {"image": "web:1", "host_cluster": "metal"}


def properties(**changes: Any) -> ContainerProperties:
    return ContainerProperties.model_validate({**BASE, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cpu": 0.5}, True),
        ({"memory": "64m", "pids_limit": 20}, True),
        ({"restart_policy": "on-failure:2"}, True),
        ({"pull_policy": "always", "registry_credential": "mine"}, True),
        ({"port": 2376, "cpu": 0.5}, True),  # accepted for old specifications, and without effect
        ({"image": "web:2"}, False),
        ({"image": "web:2", "cpu": 0.5}, False),
        ({"environment": {"A": "b"}}, False),
        ({"healthcheck": {"test": "true"}}, False),
        ({"stop_timeout": 3}, False),
        ({"host_node": "h1"}, False),
        ({}, False),  # made anew, so that a tag is asked for again
    ],
)
def test_what_differs_decides(changes: dict[str, Any], expected: bool) -> None:
    before, after = properties(), properties(**changes)
    assert in_place(before, after) is in_place(after, before) is expected
    assert set(different(before, after)) == changes.keys() - {"port"}


def test_other_types_are_never_changed_in_place() -> None:
    host = DockerHostProperties.model_validate({"endpoint": "unix:///var/run/docker.sock"})
    assert not in_place(host, host) and not in_place(properties(), host)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cpu": 0.5, "memory": "64m", "pids_limit": 7},
        {"restart_policy": "on-failure:2"},
        {"restart_policy": "none", "memory": {"limit": "8g"}},
    ],
)
def test_a_changed_container_has_what_a_new_one_would_have(changes: dict[str, Any]) -> None:
    defaults = ContainerDefaults()
    wanted, node = properties(**changes), NodeIdentity("n", "web-1", "c", "p", 1)
    network = NetworkRequest("net", "10.0.0.0/24", {})
    made = container_request(wanted, node=node, deployment="d", network=network, defaults=defaults)
    assert limits(wanted, defaults) == made.limits != ContainerLimits()
