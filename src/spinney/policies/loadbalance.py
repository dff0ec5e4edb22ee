"""Policy types ``senlin.policy.loadbalance-1.0`` to ``-1.3``: members of a cluster as members of a load balancer's pool.

Stored, attached and shown; it does nothing yet, and nothing it names is looked up.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

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

_Protocol = Annotated[Text, one_of("HTTP", "HTTPS", "TCP")]
_Port = Annotated[Integer, between(1, 65535, "a port")]
_Seconds = Annotated[Integer, between(0, 86400, "a number of seconds")]
_Line = Annotated[Text, matching(r"[^\n\r\t]*", "at most 255 characters on one line")]


class SessionPersistence(SpecModel):
    """How a client comes back to the same member."""

    type: Annotated[Text, one_of("SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE", "NONE")] | None = Field(
        None, description="By what it is known."
    )
    cookie_name: _Line | None = Field(None, description="For APP_COOKIE.")


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
    url_path: _Line | None = Field(None, description="For HTTP and HTTPS: what is asked for.")
    expected_codes: _Line | None = Field(None, description="For HTTP and HTTPS: which answers are good.")
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


def remark(properties: LoadBalanceProperties) -> str:
    return (
        "Load-balancing policies are stored and shown, and have no effect yet: no load balancer is made, and no member is put "
        "into a pool."
    )


def _version(version: str, since: str) -> PolicyType:
    return PolicyType(
        name="senlin.policy.loadbalance",
        version=version,
        summary="Members as members of a load balancer's pool. It has no effect yet.",
        properties=LoadBalanceProperties,
        support_status=(Support("SUPPORTED", since),),
        priority=500,
        members=Members.CONTAINERS,
        remark=remark,
    )


LOADBALANCE = tuple(
    _version(version, since)
    for version, since in (("1.0", "2016.04"), ("1.1", "2018.01"), ("1.2", "2020.02"), ("1.3", "2020.03"))
)
