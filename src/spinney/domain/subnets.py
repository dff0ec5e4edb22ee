"""Subnets of the projects' own bridges."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network

from spinney.config import NetworkSettings


def count(settings: NetworkSettings) -> int:
    """How many projects one host can hold."""
    return 1 << (settings.prefix - ip_network(settings.pool).prefixlen)


@lru_cache(maxsize=4096)
def subnet(settings: NetworkSettings, index: int) -> str:
    """The ``index``-th subnet of the pool, in CIDR notation."""
    pool = ip_network(settings.pool)
    if not 0 <= index < count(settings):
        raise ValueError(f"subnet index {index} is outside of the pool {settings.pool} cut at /{settings.prefix}")
    base = int(pool.network_address) + (index << (pool.max_prefixlen - settings.prefix))
    return f"{pool.network_address.__class__(base)}/{settings.prefix}"


def network_name(deployment: str, project: str) -> str:
    """Two deployments that share a Docker engine do not share a project's bridge."""
    return f"spinney-{deployment[:8]}-{project}"
