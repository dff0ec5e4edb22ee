"""What a policy of type ``senlin.policy.loadbalance`` comes to where load balancers are Octavia's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spinney.domain.balancing.octavia import Kind, Target
from spinney.policies.loadbalance import HealthMonitor, LoadBalanceProperties


@dataclass(frozen=True, slots=True)
class Ids:
    """Of what the policy may name by name."""

    pool_subnet: str
    vip_subnet: str | None = None
    vip_network: str | None = None


def target(properties: LoadBalanceProperties, ids: Ids, name: str, tags: tuple[str, ...], says: str) -> Target:
    """``says``: what people read beside each object; the last one of ``tags`` is this load balancer's alone."""
    common = {"name": name, "description": says, "tags": list(tags)}
    kept = _kept(properties)
    fixed: dict[Kind, Mapping[str, Any]] = {}
    if properties.pool.id is None:
        if properties.loadbalancer is None:
            fixed[Kind.LOAD_BALANCER] = _load_balancer(properties, ids)
        fixed[Kind.POOL] = {"protocol": properties.pool.protocol}
        vip = properties.vip
        fixed[Kind.LISTENER] = {"protocol": vip.protocol, "protocol_port": vip.protocol_port}
        if properties.health_monitor is not None and properties.health_monitor.id is None:
            fixed[Kind.MONITOR] = {"type": properties.health_monitor.type}
    made = {kind: {**common, **kept[kind], **of} for kind, of in fixed.items()}
    if Kind.MONITOR in made:
        del made[Kind.MONITOR]["description"]  # these have none
    return Target(
        name=name,
        tags=tags,
        made=made,
        kept={kind: kept[kind] for kind in made},
        subnet=ids.pool_subnet,
        pool=properties.pool.id,
    )


def _load_balancer(properties: LoadBalanceProperties, ids: Ids) -> dict[str, Any]:
    given = {
        "vip_subnet_id": ids.vip_subnet,
        "vip_network_id": ids.vip_network,
        "vip_address": properties.vip.address,
        "availability_zone": properties.availability_zone,
        "flavor_id": properties.flavor_id,
    }
    return {key: value for key, value in given.items() if value is not None}


def _kept(properties: LoadBalanceProperties) -> dict[Kind, dict[str, Any]]:
    vip, pool, monitor = properties.vip, properties.pool, properties.health_monitor
    return {
        Kind.LOAD_BALANCER: {"admin_state_up": vip.admin_state_up},
        Kind.POOL: {
            "admin_state_up": pool.admin_state_up,
            "lb_algorithm": pool.lb_method,
            "session_persistence": _persistence(properties),
        },
        Kind.LISTENER: {
            "admin_state_up": vip.admin_state_up,
            "connection_limit": vip.connection_limit if vip.connection_limit > 0 else -1,
        },
        Kind.MONITOR: {} if monitor is None else _monitor(monitor),
    }


def _persistence(properties: LoadBalanceProperties) -> dict[str, Any] | None:
    given = properties.pool.session_persistence
    if given.type in (None, "NONE"):
        return None
    # To the two others a name of a cookie means nothing, and Octavia refuses it.
    return {"type": given.type} | ({"cookie_name": given.cookie_name} if given.type == "APP_COOKIE" else {})


def _monitor(monitor: HealthMonitor) -> dict[str, Any]:
    found: dict[str, Any] = {
        "admin_state_up": monitor.admin_state_up,
        "delay": monitor.delay,
        "timeout": monitor.timeout,
        "max_retries": monitor.max_retries,
    }
    if monitor.type in ("HTTP", "HTTPS"):
        found |= {
            "http_method": monitor.http_method or "GET",
            "url_path": monitor.url_path or "/",
            "expected_codes": monitor.expected_codes or "200",
        }
    return found
