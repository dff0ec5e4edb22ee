"""The profile of a load balancer of the service's own: a container like any other, so that every limit and hardening holds.

Guaranteed: it has no capability, runs as nobody, and publishes the one port that its policy names. It is made where the
cluster's containers may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinney.config import BalancerSettings
from spinney.domain.balancing.haproxy import PORT, Size
from spinney.domain.balancing.model import Service
from spinney.profiles.container import CONTAINER

_MIB = 2**20
#: A connection that is served takes two buffers on either side.
_CONNECTIONS_PER_MIB = 16
_PROCESSES = 64
_NOBODY = "65534:65534"


def balancer_spec(
    image: str, service: Service, settings: BalancerSettings, pins: Mapping[str, str], *, brought: bool
) -> dict[str, Any]:
    """``pins``: the ids of host and host cluster, as profiles name them; ``brought``: the service brings the image itself."""
    port: dict[str, Any] = {"container": PORT, "host": service.port}
    if service.address:
        port["host_ip"] = service.address
    return {
        "type": CONTAINER.name,
        "version": CONTAINER.version,
        "properties": {
            "image": image,
            "pull_policy": "never" if brought else "missing",
            "cpu": {"reservation": settings.cpu_reservation, "limit": settings.cpu_limit},
            "memory": {"reservation": settings.memory, "limit": settings.memory},
            "pids_limit": _PROCESSES,
            "cap_drop": ["ALL"],
            "user": _NOBODY,
            "ports": [port],
            "stop_timeout": max(int(settings.drain_time), 1),
            **pins,
        },
    }


def size(settings: BalancerSettings) -> Size:
    """What one made so can serve."""
    return Size(settings.memory // _MIB * _CONNECTIONS_PER_MIB, max(round(settings.cpu_limit), 1))
