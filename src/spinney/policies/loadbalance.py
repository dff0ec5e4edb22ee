"""Policy types ``senlin.policy.loadbalance-1.0`` to ``-1.3``: members of a cluster as members of a load balancer's pool.

``service`` says what that comes to where the load balancer is a container of the service's own, ``policies.octavia`` where it
is Octavia's. Guaranteed: its texts are such that they mean nothing but themselves wherever they are written. Nothing that a
policy names is looked up before its load balancer is made.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from pydantic import Field, model_validator

from spinney.domain.balancing.model import Check, Method, Mode, Persistence, Service
from spinney.domain.schema import (
    Boolean,
    Contradiction,
    Integer,
    Line,
    Since,
    SpecModel,
    Text,
    between,
    matching,
    one_of,
)
from spinney.domain.support import Support
from spinney.policies.base import Members, PolicyType

NAME = "senlin.policy.loadbalance"

_Protocol = Annotated[Text, one_of("HTTP", "HTTPS", "TCP")]
_Port = Annotated[Integer, between(1, 65535, "a port")]
_Seconds = Annotated[Integer, between(0, 86400, "a number of seconds")]
_Cookie = Annotated[Text, matching(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits and _.-")]
_Path = Annotated[
    Text, matching(r"/[A-Za-z0-9._~!$&()*+,;=:@%/?-]{0,254}", "a path and perhaps a query, as in /health?deep=1")
]
_Codes = Annotated[Text, matching(r"[1-5][0-9]{2}([,-][1-5][0-9]{2}){0,20}", "statuses as in 200, 200,202 or 200-204")]


class SessionPersistence(SpecModel):
    """How a client comes back to the same member."""

    type: Annotated[Text, one_of("SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE", "NONE")] | None = Field(
        None, description="By what it is known."
    )
    cookie_name: _Cookie | None = Field(
        None, description="For APP_COOKIE: the members' own cookie; for HTTP_COOKIE: the name of the one that is set."
    )


class Pool(SpecModel):
    """The members' side."""

    protocol: _Protocol = Field("HTTP", description="What is spoken with members.")
    protocol_port: _Port = Field(80, description="At which port of theirs.")
    subnet: Line = Field(description="Name or id of the subnet that members are in.")
    lb_method: Annotated[Text, one_of("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP")] = Field(
        "ROUND_ROBIN", description="Which member is next."
    )
    admin_state_up: Boolean = Field(True, description="Whether it is in use.")
    session_persistence: SessionPersistence = Field(
        default_factory=SessionPersistence, description="How a client comes back to the same member."
    )
    id: Line | None = Field(None, description="A pool that is there already.")


class Vip(SpecModel):
    """The clients' side; subnet or network is needed."""

    subnet: Line | None = Field(None, description="Name or id of the subnet of its address.")
    network: Line | None = Field(None, description="Name or id of the network of its address.")
    address: Line | None = Field(None, description="The address itself.")
    connection_limit: Annotated[Integer, between(-1, 2**31 - 1, "a whole number")] = Field(
        -1, description="Connections at a time; -1: no limit."
    )
    protocol: _Protocol = Field("HTTP", description="What is spoken with clients.")
    protocol_port: _Port = Field(80, description="At which port.")
    admin_state_up: Boolean = Field(True, description="Whether it is in use.")

    @model_validator(mode="after")
    def _somewhere(self) -> Vip:
        if self.subnet is None and self.network is None:
            raise Contradiction("neither subnet nor network is given: give at least one of them")
        return self


class HealthMonitor(SpecModel):
    """How the load balancer watches members."""

    type: Annotated[Text, one_of("PING", "TCP", "HTTP", "HTTPS")] = Field("PING", description="How it asks.")
    delay: _Seconds = Field(10, description="Seconds between two looks.")
    timeout: _Seconds = Field(5, description="Seconds to wait for an answer.")
    max_retries: Annotated[Integer, between(0, 1000, "a whole number")] = Field(3, description="Attempts.")
    admin_state_up: Boolean = Field(True, description="Whether it is in use.")
    http_method: Annotated[Text, one_of("GET", "POST", "PUT", "DELETE")] | None = Field(
        None, description="For HTTP and HTTPS."
    )
    url_path: _Path | None = Field(None, description="For HTTP and HTTPS: what is asked for.")
    expected_codes: _Codes | None = Field(
        None, description="For HTTP and HTTPS: which answers are good; 200 unless given."
    )
    id: Line | None = Field(None, description="A monitor that is there already.")


class LoadBalanceProperties(SpecModel):
    pool: Pool = Field(description="The members' side.")
    vip: Vip = Field(description="The clients' side.")
    health_monitor: HealthMonitor | None = Field(None, description="How the load balancer watches members.")
    lb_status_timeout: _Seconds = Field(300, description="Seconds to wait for the load balancer to be ready.")
    loadbalancer: Annotated[Line | None, Since("1.1")] = Field(
        None, description="A load balancer that is there already."
    )
    availability_zone: Annotated[Line | None, Since("1.2")] = Field(None, description="Where a new one is made.")
    flavor_id: Annotated[Line | None, Since("1.3")] = Field(None, description="As which flavor a new one is made.")


_TCP = frozenset({("TCP", "TCP"), ("TCP", "HTTP"), ("TCP", "HTTPS"), ("HTTPS", "HTTPS"), ("HTTPS", "TCP")})
_BY_COOKIE = (Persistence.HTTP_COOKIE, Persistence.APP_COOKIE)


def unfit(properties: LoadBalanceProperties, min_size: int, max_size: int) -> str | None:
    """Why no load balancer of the service's own can do that; None: one can."""
    vip, pool = properties.vip.protocol, properties.pool.protocol
    if (vip, pool) != ("HTTP", "HTTP") and (vip, pool) not in _TCP:
        return (
            f"vip.protocol {vip} and pool.protocol {pool} do not go together: what is encrypted is passed on as it is; use "
            f"HTTP for both, HTTPS for both, or TCP as vip.protocol"
        )
    kept = _persistence(properties.pool)
    if kept in _BY_COOKIE and vip != "HTTP":
        return (
            f"pool.session_persistence.type {kept}: cookies are seen with protocol HTTP alone, and vip.protocol is {vip}; use "
            f"SOURCE_IP, or protocol HTTP"
        )
    if kept is Persistence.APP_COOKIE and properties.pool.session_persistence.cookie_name is None:
        return (
            "pool.session_persistence.cookie_name: it is needed for type APP_COOKIE; name the cookie that members set"
        )
    if properties.vip.address is not None and not _is_address(properties.vip.address):
        return (
            f"vip.address: {properties.vip.address} is no address; give one of the hosts that the cluster may be on, or leave "
            f"it out for all addresses of whichever host the load balancer is on"
        )
    return None


def _is_address(text: str) -> bool:
    try:
        return ip_address(text).version == 4
    except ValueError:
        return False


def _persistence(pool: Pool) -> Persistence | None:
    kept = pool.session_persistence.type
    return None if kept in (None, "NONE") else Persistence(kept)


def service(properties: LoadBalanceProperties) -> Service:
    """Of a policy that is not ``unfit``."""
    vip, pool = properties.vip, properties.pool
    return Service(
        mode=Mode.HTTP if vip.protocol == "HTTP" else Mode.TCP,
        port=vip.protocol_port,
        address=vip.address or "",
        member_port=pool.protocol_port,
        method=Method(pool.lb_method),
        persistence=_persistence(pool),
        cookie=pool.session_persistence.cookie_name or "",
        limit=None if vip.connection_limit < 1 else vip.connection_limit,
        check=_check(properties.health_monitor),
        open=vip.admin_state_up,
        pool_open=pool.admin_state_up,
    )


def _check(monitor: HealthMonitor | None) -> Check | None:
    if monitor is None or not monitor.admin_state_up:
        return None
    speaks = monitor.type in ("HTTP", "HTTPS")
    return Check(
        delay=monitor.delay,
        timeout=monitor.timeout,
        retries=monitor.max_retries,
        tls=monitor.type == "HTTPS",
        method=monitor.http_method or "GET",
        path=(monitor.url_path or "/") if speaks else None,
        codes=monitor.expected_codes or "200",
    )


def remark(properties: LoadBalanceProperties) -> str:
    told = [
        "Where it is not Octavia's, the load balancer is a container beside the members: subnets and networks that the policy "
        "names have no effect."
    ]
    if properties.loadbalancer or properties.pool.id:
        told.append("One that is there already is not used.")
    if properties.health_monitor is not None and properties.health_monitor.type == "PING":
        told.append("Instead of a PING, a connection is tried.")
    return " ".join(told)


def _version(version: str, since: str) -> PolicyType:
    return PolicyType(
        name=NAME,
        version=version,
        summary="Members as members of a load balancer's pool: a container of the service's own, or Octavia's.",
        properties=LoadBalanceProperties,
        support_status=(Support("SUPPORTED", since),),
        priority=500,
        members=Members.CONTAINERS,
        remark=remark,
        unfit=unfit,
        binding_data=("LoadBalancingPolicy", lambda properties: {"preexisting": False}),
    )


LOADBALANCE = tuple(
    _version(version, since)
    for version, since in (("1.0", "2016.04"), ("1.1", "2018.01"), ("1.2", "2020.02"), ("1.3", "2020.03"))
)
