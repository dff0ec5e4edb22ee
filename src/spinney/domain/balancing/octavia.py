"""What leads from what is seen in Octavia to what is wanted there: one step at a time, pure.

Octavia takes one change of a load balancer at a time and answers before it is done, so that each step is decided anew from what
is seen then. Guaranteed: whatever of ours is there already is used, also what was made a moment before a crash; of two alike
the older one stays. What is not ours is neither changed nor removed, except for members in a pool that we made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spinney.domain.balancing.model import Seen, Stands, Wish

#: An object as Octavia shows it.
Thing = Mapping[str, Any]
TAG = "spinney"
#: How a member is weighed that is given work; one of 0 is given nothing new.
_WEIGHT = 1


class Kind(StrEnum):
    """As Octavia calls them."""

    LOAD_BALANCER = "loadbalancer"
    POOL = "pool"
    LISTENER = "listener"
    MONITOR = "healthmonitor"

    @property
    def words(self) -> str:
        return {"loadbalancer": "load balancer", "healthmonitor": "health monitor"}.get(self.value, self.value)


class Status(StrEnum):
    """``provisioning_status``; the others mean that something is under way."""

    ACTIVE = "ACTIVE"
    ERROR = "ERROR"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``name``: that of everything of ours. ``made``: what is to be ours, in the order in which it is made, with what it is
    made of; ``kept``: what of that may be changed and is kept as it is to be. ``pool``: somebody else's, which is used."""

    name: str
    tags: tuple[str, ...]
    made: Mapping[Kind, Mapping[str, Any]]
    kept: Mapping[Kind, Mapping[str, Any]]
    subnet: str | None = None
    pool: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What there is: by kind, ours or those that are used, oldest first; and the members of the pool."""

    things: Mapping[Kind, Sequence[Thing]] = field(default_factory=dict)
    members: Sequence[Thing] = ()

    def the(self, kind: Kind) -> Thing | None:
        found = self.things.get(kind)
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Create:
    kind: Kind
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    kind: Kind
    id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Remove:
    kind: Kind
    id: str


@dataclass(frozen=True, slots=True)
class PutMembers:
    """``whole``: all others go; otherwise they stay. ``changed``: the containers for whose sake it is done."""

    pool: str
    members: tuple[Mapping[str, Any], ...]
    changed: tuple[str, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class RemoveMember:
    pool: str
    id: str


Step = Create | Change | Remove | PutMembers | RemoveMember


def in_order(things: Sequence[Thing]) -> list[Thing]:
    """Those that there are, oldest first: everybody chooses the same."""
    there = [one for one in things if one.get("provisioning_status") != Status.DELETED]
    return sorted(there, key=lambda one: (str(one.get("created_at")), str(one["id"])))


def step(
    target: Target, look: Look, wishes: Sequence[Wish], spared: Collection[str] = (), *, singly: bool = False
) -> Step | None:
    """What is to be done next; None: nothing, or nothing now. ``spared``: containers with which it went wrong lately."""
    balancer = look.the(Kind.LOAD_BALANCER)
    if balancer is None:
        return Create(Kind.LOAD_BALANCER, target.made[Kind.LOAD_BALANCER]) if makes(target) else None
    superfluous = _superfluous(target, look)
    if superfluous is not None:
        return superfluous
    if stillborn(target, look):
        return Remove(Kind.LOAD_BALANCER, balancer["id"])
    if balancer["provisioning_status"] != Status.ACTIVE:
        return None
    for kind in target.made:
        found = look.the(kind)
        if found is None:
            return Create(kind, {**target.made[kind], **_belongs_to(kind, look)})
        if found["provisioning_status"] == Status.ERROR and kind is not Kind.LOAD_BALANCER:
            return Remove(kind, found["id"])
        differing = {key: value for key, value in target.kept.get(kind, {}).items() if not _same(found.get(key), value)}
        if differing:
            return Change(kind, found["id"], differing)
    pool = look.the(Kind.POOL)
    return None if pool is None else _members(target, pool["id"], look, wishes, spared, singly)


def makes(target: Target) -> bool:
    """Whether the load balancer itself is to be ours."""
    return Kind.LOAD_BALANCER in target.made


def stillborn(target: Target, look: Look) -> bool:
    """Whether the load balancer is ours and failed before it ever did anything."""
    balancer = look.the(Kind.LOAD_BALANCER)
    failed = balancer is not None and balancer["provisioning_status"] == Status.ERROR
    return failed and makes(target) and look.the(Kind.POOL) is None


def _superfluous(target: Target, look: Look) -> Remove | None:
    for kind in target.made:
        for thing in look.things.get(kind, ())[1:]:
            if thing["provisioning_status"] in (Status.ACTIVE, Status.ERROR):
                return Remove(kind, thing["id"])
    return None


def _same(seen: Any, wanted: Any) -> bool:
    """Octavia adds keys of its own to what it was given."""
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping):
        return all(seen.get(key) == value for key, value in wanted.items())
    return bool(seen == wanted)


def _belongs_to(kind: Kind, look: Look) -> dict[str, Any]:
    balancer, pool = look.the(Kind.LOAD_BALANCER), look.the(Kind.POOL)
    found: dict[str, Any] = {}
    if kind in (Kind.POOL, Kind.LISTENER) and balancer is not None:
        found["loadbalancer_id"] = balancer["id"]
    if kind in (Kind.LISTENER, Kind.MONITOR) and pool is not None:
        found["default_pool_id" if kind is Kind.LISTENER else "pool_id"] = pool["id"]
    return found


# --- members ----------------------------------------------------------------------------------------------------------

_Place = tuple[str, int]


def _members(
    target: Target, pool: str, look: Look, wishes: Sequence[Wish], spared: Collection[str], singly: bool
) -> Step | None:
    wanted = _by_place(wishes)
    there = {_place(member): member for member in look.members}
    bodies = {place: _body(target, wish) for place, wish in wanted.items()}
    changed = [
        place
        for place, wish in wanted.items()
        if wish.physical_id not in spared
        and _mine(target, there.get(place))
        and _differs(there.get(place), bodies[place])
    ]
    gone = [member for place, member in there.items() if place not in wanted and _mine(target, member)]
    if singly:
        changed = changed[:1]
    if gone and target.pool is None and not spared and not singly:
        return PutMembers(pool, tuple(bodies.values()), _named(wanted, changed), whole=True)
    if changed:
        return PutMembers(pool, tuple(bodies[place] for place in changed), _named(wanted, changed))
    return RemoveMember(pool, gone[0]["id"]) if gone else None


def _by_place(wishes: Sequence[Wish]) -> dict[_Place, Wish]:
    """Where one follows another at the same place, the one that is to be given work counts."""
    ordered = sorted(wishes, key=lambda wish: (wish.stands is Stands.IN, wish.slot))
    return {(wish.address, wish.port): wish for wish in ordered if wish.stands is not Stands.OUT}


def _place(member: Thing) -> _Place:
    return member["address"], member["protocol_port"]


def _body(target: Target, wish: Wish) -> dict[str, Any]:
    subnet = {} if target.subnet is None else {"subnet_id": target.subnet}
    return {
        "name": wish.physical_id,
        "address": wish.address,
        "protocol_port": wish.port,
        "weight": _WEIGHT if wish.stands is Stands.IN else 0,
        "tags": list(target.tags),
        **subnet,
    }


def _differs(member: Thing | None, body: Mapping[str, Any]) -> bool:
    if member is None or member["provisioning_status"] == Status.ERROR:
        return True
    return (member["name"], member["weight"]) != (body["name"], body["weight"])


def _mine(target: Target, member: Thing | None) -> bool:
    """Whether it may be changed: everything in a pool of ours, and in another one what bears our tag."""
    return target.pool is None or member is None or target.tags[-1] in (member.get("tags") or ())


def _named(wanted: Mapping[_Place, Wish], places: Sequence[_Place]) -> tuple[str, ...]:
    return tuple(wanted[place].physical_id for place in places)


def ill(look: Look) -> dict[str, str]:
    """The members with which something went wrong in Octavia after it had taken it on, by container."""
    return {
        member["name"]: f"Octavia could not carry out a change of member {member['id']}: it is in ERROR there"
        for member in look.members
        if member["provisioning_status"] == Status.ERROR
    }


def seen(target: Target, look: Look, wishes: Sequence[Wish], problems: Mapping[str, str]) -> dict[str, Seen]:
    """How they stand, by container. One about which something is under way is neither in nor out, nor is one that is to go and
    is still there."""
    there = {_place(member): member for member in look.members}
    found = {member["name"]: Seen(Stands.DRAINING) for member in look.members if _mine(target, member)}
    for wish in wishes:
        member, problem = there.get((wish.address, wish.port)), problems.get(wish.physical_id, "")
        if member is not None and member["name"] == wish.physical_id:
            done = member["provisioning_status"] == Status.ACTIVE and member["weight"] > 0
            well = member.get("operating_status") != "ERROR"
            found[wish.physical_id] = Seen(Stands.IN if done else Stands.DRAINING, None, well, problem)
        elif member is not None and not _mine(target, member):
            told = (
                f"the pool has a member at {wish.address}:{wish.port} already, which is not this cluster's: remove it"
            )
            found[wish.physical_id] = Seen(Stands.OUT, None, True, told)
        elif problem:
            found[wish.physical_id] = Seen(Stands.OUT, None, True, problem)
    return found


# --- taking away ------------------------------------------------------------------------------------------------------


def undo(look: Look, tag: str, pool: str | None) -> Step | None:
    """The next step on the way to nothing of ours; None: nothing is left, or the load balancer is busy. ``pool``: somebody
    else's, from which our members go."""
    for kind in (Kind.LOAD_BALANCER, Kind.LISTENER, Kind.POOL, Kind.MONITOR):
        for thing in look.things.get(kind, ()):
            if thing["provisioning_status"] in (Status.ACTIVE, Status.ERROR):
                return Remove(kind, thing["id"])
            if kind is Kind.LOAD_BALANCER:
                return None
    ours = [member for member in look.members if tag in (member.get("tags") or ())]
    return RemoveMember(pool, ours[0]["id"]) if ours and pool is not None else None


def is_left(look: Look, tag: str) -> bool:
    return any(look.things.values()) or any(tag in (member.get("tags") or ()) for member in look.members)
