"""One specification through everything that stands between a tenant and the Docker engine."""

from __future__ import annotations

from typing import Any

from oracle.docker_request import faults
from spinney.domain.container import NetworkRequest
from spinney.drivers.docker.request import create_body
from spinney.errors import SpinneyError
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_request import ContainerDefaults, NodeIdentity, check_ceilings, container_request
from spinney.profiles.registry import validate_spec

_DEFAULTS = ContainerDefaults()
_NODE = NodeIdentity("0b6c2fd1-8a36-4c8e-9a54-2b0f8c3a7d11", "web-1", "c1", "p1", 1)
_BRIDGE = NetworkRequest("spinney-p1", "10.7.0.0/24", {})


def body_of(properties: Any) -> dict[str, Any] | None:
    """What Docker would be asked for; None: the specification is refused."""
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}
    try:
        found = validate_spec(spec).properties
        assert isinstance(found, ContainerProperties)
        check_ceilings(found, _DEFAULTS)
        request = container_request(found, node=_NODE, deployment="d1", network=_BRIDGE, defaults=_DEFAULTS)
        return create_body(request)
    except SpinneyError:
        return None


def tried(properties: Any) -> tuple[bool, list[str]]:
    """Whether the specification is taken, and what is bad about the request it leads to."""
    body = body_of(properties)
    return body is not None, [] if body is None else list(faults(body))
