"""Load balancing as values: what is balanced, who is in a pool, what is wanted of a load balancer and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: What the nodes are called (``role``) that are load balancers of ours.
ROLE = "balancer"
#: Of which kinds load balancers are; one that is of none yet is of the first that an engine can make.
HAPROXY, OCTAVIA = "haproxy", "octavia"


class Mode(StrEnum):
    """What is understood of what goes through."""

    HTTP = "http"
    TCP = "tcp"


class Method(StrEnum):
    """Which member is next."""

    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_CONNECTIONS = "LEAST_CONNECTIONS"
    SOURCE_IP = "SOURCE_IP"


class Persistence(StrEnum):
    """By what a client is known that comes back to the same member."""

    SOURCE_IP = "SOURCE_IP"
    HTTP_COOKIE = "HTTP_COOKIE"
    APP_COOKIE = "APP_COOKIE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How the load balancer itself asks members how they are. ``path`` None: whether they take connections. Seconds."""

    delay: int
    timeout: int
    retries: int
    tls: bool = False
    method: str = "GET"
    path: str | None = None
    #: As in ``200,202`` or ``200-204``.
    codes: str = "200"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a policy wants of a load balancer. No text in it can be taken for anything but what it is: see
    ``policies.loadbalance``."""

    mode: Mode
    #: Where clients come, and at which address of the load balancer's host; empty: at all of them.
    port: int
    address: str = ""
    #: Of the members.
    member_port: int
    method: Method = Method.ROUND_ROBIN
    persistence: Persistence | None = None
    cookie: str = ""
    #: Connections at a time; None: no limit.
    limit: int | None = None
    check: Check | None = None
    #: Whether clients are served; whether members are given anything.
    open: bool = True
    pool_open: bool = True


class BalancerState(StrEnum):
    #: It is not there yet, or has not been told what to do.
    MAKING = "making"
    ACTIVE = "active"
    #: It serves, and somebody should know about something.
    WARNING = "warning"
    ERROR = "error"
    #: Its policy is detached or its cluster deleted.
    GOING = "going"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer:
    """The load balancer of one attached policy."""

    id: str
    cluster_id: str
    policy_id: str
    kind: str
    node_id: str | None = None
    state: BalancerState = BalancerState.MAKING
    state_reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    created_at: float = 0.0
    updated_at: float | None = None


class MemberState(StrEnum):
    #: It is to be in, and is not yet.
    JOINING = "joining"
    IN = "in"
    #: It finishes what it has begun, and is given nothing new.
    DRAINING = "draining"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One container of one node in one pool."""

    balancer_id: str
    node_id: str
    physical_id: str
    cluster_id: str
    slot: int | None = None
    address: str | None = None
    port: int | None = None
    state: MemberState = MemberState.JOINING
    state_reason: str = ""
    since: float = 0.0
    leave_by: float | None = None
    #: ``asked_by``: the action that wants it out. ``former_since``: when its node was first seen with another container.
    #: ``fault``: what the load balancer could not do with it.
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unreached(self) -> bool:
        """Whether it could be given work, were it within reach; ``state_reason`` says why it is not."""
        return self.state is MemberState.OUT and self.address is None and self.leave_by is None

    @property
    def fault(self) -> str:
        return str(self.data.get("fault", ""))

    @property
    def complaint(self) -> str:
        """What its owner should know; empty: nothing."""
        return self.state_reason if self.unreached else self.fault


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member of the cluster. ``address`` None: the load balancer cannot reach it, and ``problem`` says why."""

    node_id: str
    physical_id: str
    ready: bool
    address: str | None
    port: int
    problem: str = ""


class Stands(StrEnum):
    """How a container is to stand in a pool."""

    IN = "in"
    DRAINING = "draining"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Wish:
    node_id: str
    physical_id: str
    address: str
    port: int
    slot: int
    stands: Stands


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that a load balancer is to do: whoever is not named is out. ``slots``: at least so many places for members."""

    service: Service
    slots: int
    members: tuple[Wish, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """A container as the load balancer has it. ``sessions``: what it has begun and not finished; None: unknown."""

    stands: Stands
    sessions: int | None = None
    #: Whether the load balancer's own check finds it well; True where it makes none.
    well: bool = True
    #: What the load balancer could not do with it, for people.
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counted since the load balancer began anew: requests, or connections where these are not understood."""

    requests: int
    sessions: int
    by_member: Mapping[str, int] = field(default_factory=dict)  # by physical id


@dataclass(frozen=True, slots=True)
class Applied:
    """What a load balancer does, by physical id; ``totals`` None: unknown. ``fault``: what it refused, for people. ``missing``:
    why there is none yet that could have members. ``address``: where clients find it, where it has one of its own; ``facts``:
    what else is to be kept of it."""

    members: Mapping[str, Seen] = field(default_factory=dict)
    totals: Totals | None = None
    fault: str = ""
    missing: str = ""
    address: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
