"""A load balancer that is Octavia's: looked at, and led one step further each time.

Nothing is remembered of what was asked for: everything of ours bears one name and is found again by it, after a crash too. What
Octavia is changing just now is waited for. Guaranteed: what is not ours stays as it is. Not guaranteed: that two engines which
do not agree for a moment make nothing twice; the younger one of two alike is removed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from spinney.clock import Clock
from spinney.domain.balancing.model import HAPROXY, OCTAVIA, Applied, Wanted
from spinney.domain.balancing.octavia import (
    TAG,
    Change,
    Create,
    Kind,
    Look,
    PutMembers,
    Remove,
    RemoveMember,
    Status,
    Step,
    Target,
    Thing,
    ill,
    in_order,
    is_left,
    makes,
    seen,
    step,
    stillborn,
    undo,
)
from spinney.domain.identity import Owner
from spinney.errors import OctaviaBusy, OctaviaGone, OctaviaRefused
from spinney.policies.loadbalance import LoadBalanceProperties
from spinney.policies.octavia import Ids, target

#: Seconds until a member with which something went wrong, or a load balancer that could not be made, is tried again.
_AGAIN = 30.0


class Api(Protocol):
    """Octavia. All raise OctaviaFailed."""

    async def offered(self) -> bool:
        """Whether the cloud has one."""

    async def ask(self, owner: Owner, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What it answers of what is below /v2/lbaas."""

    async def network_id(self, owner: Owner, kind: str, word: str) -> str:
        """Of the subnet or network that is called so."""


class OctaviaBalancer:
    """``LoadBalancer``. ``says``: what people read beside what is made; ``tags``: what it bears besides its own."""

    def __init__(
        self, api: Api, owner: Owner, clock: Clock, balancer_id: str, tags: tuple[str, ...] = (), says: str = ""
    ):
        self._api = api
        self._owner = owner
        self._clock = clock
        self._name = f"{TAG}-{balancer_id}"
        self._tags = (TAG, *tags, self._name)
        self._says = says
        self._properties: LoadBalanceProperties | None = None
        self._target: Target | None = None
        self._used: str | None = None  # the load balancer that was there already
        self._problems: dict[str, tuple[str, float]] = {}  # by container, and when it is tried again
        self._singly = False
        self._pending_since: float | None = None
        self._not_before = 0.0

    async def close(self) -> None: ...

    def of(self, properties: LoadBalanceProperties) -> OctaviaBalancer:
        """Led towards that from now on."""
        if properties != self._properties:
            self._properties, self._target = properties, None
        return self

    async def apply(self, wanted: Wanted) -> Applied:
        """Raises: OctaviaFailed."""
        aim, now = await self._aim(), self._clock.now()
        look = await self._look(aim)
        tried_again = self._forget_old(now)
        for container, told in ill(look).items():
            if container not in tried_again:
                self._problems.setdefault(container, (told, now + _AGAIN))
        hindrance = self._hindrance(aim, look, now)
        if not hindrance.fault:
            todo = step(aim, look, wanted.members, self._problems, singly=self._singly)
            if todo is None:
                self._singly = False
            else:
                await self._do(todo, aim, now)
        problems = {container: told for container, (told, _) in self._problems.items()}
        said = replace(hindrance, members=seen(aim, look, wanted.members, problems))
        balancer = look.the(Kind.LOAD_BALANCER)
        if balancer is None:
            return said
        return replace(said, address=str(balancer.get("vip_address") or ""), facts=_facts(aim, look))

    def _forget_old(self, now: float) -> set[str]:
        over = {container for container, (_, until) in self._problems.items() if now >= until}
        for container in over:
            del self._problems[container]
        return over

    # -- what there is -------------------------------------------------------------------------------------------------

    async def _aim(self) -> Target:
        assert self._properties is not None
        if self._target is None:
            properties = self._properties
            vip = properties.vip
            ids = Ids(
                await self._id("subnet", properties.pool.subnet) or "",
                await self._id("subnet", vip.subnet),
                await self._id("network", vip.network),
            )
            self._used = await self._named_balancer(properties.loadbalancer)
            self._target = target(properties, ids, self._name, self._tags, self._says)
        return self._target

    async def _id(self, kind: str, word: str | None) -> str | None:
        return word if word is None or _is_id(word) else await self._api.network_id(self._owner, kind, word)

    async def _named_balancer(self, word: str | None) -> str | None:
        if word is None or _is_id(word):
            return word
        found = await self._all(Kind.LOAD_BALANCER, f"name={word}")
        if len(found) != 1:
            raise OctaviaRefused(
                f"loadbalancer: Octavia has {len(found)} called {word} for the project: give the id of one"
            )
        return str(found[0]["id"])

    async def _look(self, aim: Target) -> Look:
        things = {kind: await self._all(kind, f"name={self._name}") for kind in aim.made}
        if aim.pool is not None:
            things[Kind.POOL] = [await self._one(Kind.POOL, aim.pool)]
            above = things[Kind.POOL][0]["loadbalancers"]
            things[Kind.LOAD_BALANCER] = [await self._one(Kind.LOAD_BALANCER, above[0]["id"])] if above else []
        elif self._used is not None:
            things[Kind.LOAD_BALANCER] = [await self._one(Kind.LOAD_BALANCER, self._used)]
        pools = things.get(Kind.POOL)
        return Look(things, await self._members(pools[0]["id"]) if pools else ())

    async def _all(self, kind: Kind, query: str) -> list[Thing]:
        found = await self._pages(f"{kind}s", query)
        return in_order(found)

    async def _one(self, kind: Kind, thing_id: str) -> Thing:
        found: Thing = (await self._api.ask(self._owner, "GET", f"{kind}s/{thing_id}"))[kind.value]
        return found

    async def _members(self, pool: str) -> list[Thing]:
        return await self._pages(f"pools/{pool}/members", "")

    async def _pages(self, path: str, query: str) -> list[Thing]:
        found: list[Thing] = []
        asked = query
        while True:
            told = await self._api.ask(self._owner, "GET", f"{path}?{asked}" if asked else path)
            name = path.rpartition("/")[2]
            found += told[name]
            more = any(link.get("rel") == "next" for link in told.get(f"{name}_links") or ())
            if not more or not told[name]:
                return found
            asked = f"{query}&marker={found[-1]['id']}".lstrip("&")

    def _hindrance(self, aim: Target, look: Look, now: float) -> Applied:
        """Why nothing can be done now, or nobody can be in a pool."""
        balancer = look.the(Kind.LOAD_BALANCER)
        assert self._properties is not None
        if balancer is None:
            if now < self._not_before:
                return Applied(fault="Octavia could not make the load balancer; it is tried again soon.")
            return Applied(missing="The load balancer is being made in Octavia.")
        status = balancer["provisioning_status"]
        if status in (Status.ACTIVE, Status.ERROR):
            self._pending_since = None
        elif self._pending_since is None:
            self._pending_since = now
        waited = 0.0 if self._pending_since is None else now - self._pending_since
        if waited > self._properties.lb_status_timeout:
            return Applied(
                fault=f"Octavia's load balancer {balancer['id']} is not ready after lb_status_timeout "
                f"{self._properties.lb_status_timeout} s: it is still in {status}; have the cloud's operator look at it."
            )
        if stillborn(aim, look):
            self._not_before = now + _AGAIN
            return Applied(
                missing=f"Octavia could not make load balancer {balancer['id']}; it is removed and made anew."
            )
        if status == Status.ERROR:
            return Applied(
                fault=f"Octavia's load balancer {balancer['id']} is in ERROR: have it fail over (openstack loadbalancer "
                f"failover), or detach the policy and attach it anew."
            )
        if look.the(Kind.POOL) is None or (Kind.LISTENER in aim.made and look.the(Kind.LISTENER) is None):
            return Applied(missing=f"Octavia's load balancer {balancer['id']} is being set up; it is in {status}.")
        return Applied()

    # -- what is done --------------------------------------------------------------------------------------------------

    async def _do(self, todo: Step, aim: Target, now: float) -> None:
        try:
            await self._ask_for(todo)
        except OctaviaBusy:
            return  # the next look shows when it is ready
        except OctaviaGone:
            if isinstance(todo, Create | PutMembers):
                raise
        except OctaviaRefused as error:
            if not isinstance(todo, PutMembers):
                self._not_before = now + _AGAIN
                raise
            if len(todo.changed) <= 1:
                self._problems |= dict.fromkeys(todo.changed, (error.message, now + _AGAIN))
            self._singly = len(todo.changed) != 1 or self._singly

    async def _ask_for(self, todo: Step) -> None:
        ask, owner = self._api.ask, self._owner
        match todo:
            case Create(kind, body):
                await ask(owner, "POST", f"{kind}s", {kind.value: body})
            case Change(kind, thing_id, body):
                await ask(owner, "PUT", f"{kind}s/{thing_id}", {kind.value: body})
            case Remove(kind, thing_id):
                with_all = "?cascade=true" if kind is Kind.LOAD_BALANCER else ""
                await ask(owner, "DELETE", f"{kind}s/{thing_id}{with_all}")
            case PutMembers(pool, members, _, whole):
                others = "" if whole else "?additive_only=true"
                await ask(owner, "PUT", f"pools/{pool}/members{others}", {"members": list(members)})
            case RemoveMember(pool, member_id):
                await ask(owner, "DELETE", f"pools/{pool}/members/{member_id}")

    async def remove(self, pool: str | None) -> bool:
        """Whether nothing of ours is left; a step on the way there otherwise. ``pool``: the one that was there already.

        Raises: OctaviaFailed."""
        members: list[Thing] = []
        if pool is not None:
            try:
                members = await self._members(pool)
            except OctaviaGone:
                pool = None
        look = Look({kind: await self._all(kind, f"name={self._name}") for kind in Kind}, members)
        todo = undo(look, self._name, pool)
        if todo is not None:
            try:
                await self._ask_for(todo)
            except (OctaviaBusy, OctaviaGone):
                return False
        return not is_left(look, self._name)


def _facts(aim: Target, look: Look) -> dict[str, Any]:
    """As bindings show it."""
    ids = {kind.value: thing["id"] for kind in Kind if (thing := look.the(kind)) is not None}
    balancer = look.the(Kind.LOAD_BALANCER) or {}
    used = {"pool_used": aim.pool} if aim.pool else {}
    return {"preexisting": not makes(aim), "vip_address": balancer.get("vip_address"), **ids, **used}


def _is_id(word: str) -> bool:
    try:
        return str(uuid.UUID(word)) == word.lower()
    except ValueError:
        return False


async def choose(api: Api | None, wanted: str) -> str:
    """haproxy or octavia, of what the operator wants. Raises: OctaviaFailed: nobody knows yet."""
    if wanted != "auto":
        return wanted
    return OCTAVIA if api is not None and await api.offered() else HAPROXY
