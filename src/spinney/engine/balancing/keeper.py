"""One load balancer, kept as its cluster wants it: from rows to what it does, and back into rows.

Guaranteed: what is decided is stored before it is done, and that somebody is out is stored after it was seen; a container that
is asked to leave meanwhile is looked at again at once. A load balancer that is not there has nobody in its pool, so that nobody
waits for it. While its host does not answer, members stay as they were last known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from spinney.domain.balancing.haproxy import slots_for
from spinney.domain.balancing.model import OCTAVIA, Applied, BalancerState, Member, MemberState, Seen, Service, Wanted
from spinney.domain.balancing.reaching import host_name
from spinney.domain.balancing.standing import MARGIN, Pool, applied, decide, in_motion, wishes
from spinney.engine.balancing import making
from spinney.engine.balancing.base import LoadBalancer
from spinney.engine.balancing.console import Console
from spinney.engine.balancing.elsewhere import Elsewhere
from spinney.engine.balancing.haproxy import HaproxyBalancer
from spinney.engine.balancing.octavia import OctaviaBalancer
from spinney.engine.balancing.places import Places
from spinney.engine.balancing.rates import Rates
from spinney.engine.worker import Session
from spinney.errors import ContainerGone, ContainerRefused, HostError, LeaseLost, OctaviaFailed, OctaviaRefused
from spinney.policies.loadbalance import service
from spinney.profiles.balancer import size
from spinney.store import balancing, pools
from spinney.store.pools import Condition, Situation

log = logging.getLogger(__name__)

#: Seconds between turns while somebody comes or goes, while it is being made, and after a failure.
_SOON = 0.13
_MAKING = 1.0
_LATER = 2.0
_MUCH_LATER = 30.0
#: Members for which places are kept although they are not there yet, at most.
_EXPECTED = 512


class Keeper:
    """``wake`` is set when something about it may have changed."""

    def __init__(self, session: Session, balancer_id: str) -> None:
        self.wake = asyncio.Event()
        self._session = session
        self._context = session.context
        self._id = balancer_id
        self._balancer: LoadBalancer | None = None
        self._of: tuple[str, str] | None = None  # host and container
        self._seen: Mapping[str, Seen] = {}
        self._rates = Rates()
        self._places = Places(session)
        self._elsewhere = Elsewhere(session.context)

    async def run(self) -> None:
        """Runs until cancelled. Raises: LeaseLost."""
        try:
            while True:
                self.wake.clear()
                pause = await self._turn()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self.wake.wait()
        finally:
            await self._let_go()

    async def _turn(self) -> float:
        """Seconds until the next."""
        try:
            return await self._look_after()
        except LeaseLost:
            raise
        except (HostError, OctaviaFailed) as error:
            await self._failed(str(error))
            return _MUCH_LATER if isinstance(error, OctaviaRefused) else _LATER
        except Exception:
            log.exception("load balancer %s could not be looked after", self._id)
        return _LATER

    async def _look_after(self) -> float:
        store = self._context.store
        found = await store.read(pools.situation, self._id)
        if found is None:
            return _MAKING
        if found.policy is None or found.cluster is None:
            await self._let_go()
            if found.balancer.kind == OCTAVIA:
                await self._elsewhere.take_away(found)
                return _MAKING
            await store.transact(making.give_up, self._context, found)
            self._session.wake_at(self._context.clock.now())
            return _MAKING
        if not found.balancer.kind:
            await self._elsewhere.settle(found.balancer, found.cluster)
            return 0.0
        wanted = service(found.policy)
        if found.balancer.kind == OCTAVIA:
            return max(_MAKING, await self._serve(found, wanted))
        if found.node is None or found.node.physical_id is None or found.host is None:
            await store.transact(self._make, found, wanted)
            if found.node is None:
                self._session.wake_at(self._context.clock.now())
            return _MAKING
        try:
            return await self._serve(found, wanted)
        except (ContainerGone, ContainerRefused) as error:
            await self._let_go()
            missing = BalancerState.MAKING, str(error)
            await store.transact(_nobody, found, missing, self._context.clock.now())
            return _MAKING

    def _make(self, connection: Connection, found: Situation, wanted: Service) -> None:
        missing = making.make(connection, self._context, found, wanted)
        _nobody(connection, found, missing, self._context.clock.now())

    async def _serve(self, found: Situation, wanted: Service) -> float:
        store, clock = self._context.store, self._context.clock
        pool = Pool(
            balancer_id=found.balancer.id,
            cluster_id=found.balancer.cluster_id,
            members=found.members,
            candidates=await self._places.candidates(found, wanted.member_port),
            busy=found.busy,
            seen=self._seen,
            admits=found.enabled,
            drain_time=self._context.balancer.drain_time,
            margin=self._elsewhere.margin if found.balancer.kind == OCTAVIA else MARGIN,
            now=clock.now(),
        )
        members = decide(pool)
        if members != tuple(found.members):
            await store.transact(balancing.keep, found.members, members)
        slots = self._slots(found, members)
        said = await self._load_balancer(found).apply(Wanted(wanted, slots, wishes(pool, members)))
        self._seen = said.members
        if said.missing:
            missing = BalancerState.MAKING, said.missing
            await store.transact(_nobody, found, missing, clock.now(), said.facts)
            return _MAKING
        after = applied(members, said, clock.now()) if not said.fault else members
        await store.transact(self._record, found, wanted, members, after, said, slots)
        return _SOON if in_motion(after) else self._context.balancer.stats_interval

    def _record(
        self,
        connection: Connection,
        found: Situation,
        wanted: Service,
        before: Sequence[Member],
        after: Sequence[Member],
        said: Applied,
        slots: int,
    ) -> None:
        balancing.keep(connection, before, after)
        now = self._context.clock.now()
        place = said.address or wanted.address or _place(found)
        told: dict[str, Any] = {"addresses": [{"address": place, "port": wanted.port}], "slots": slots}
        told |= _told(connection, found, said.facts)
        if said.totals is not None:
            stats = self._rates.counted(now, said, after, found.balancer.data.get("stats"), self._context.balancer)
            told["stats"] = stats
        pools.say(connection, found.balancer, _condition(after, said), now, told)
        pools.show(connection, found.balancer, place)

    def _slots(self, found: Situation, members: Sequence[Member]) -> int:
        """Only ever more: fewer would mean to begin anew for nothing."""
        highest = max((member.slot or 0 for member in members), default=0)
        known = int(found.balancer.data.get("slots", 0))
        if known > 0 and highest <= known:
            return known
        assert found.cluster is not None
        expected = max(found.cluster.max_size, found.cluster.desired_capacity, len(found.nodes))
        return slots_for(self._context.balancer.slots, min(expected, _EXPECTED), highest)

    def _load_balancer(self, found: Situation) -> LoadBalancer:
        """The one in the container that there is now, or Octavia's."""
        if found.balancer.kind == OCTAVIA:
            assert found.policy is not None
            if not isinstance(self._balancer, OctaviaBalancer):
                self._balancer = self._elsewhere.balancer(found)
            return self._balancer.of(found.policy)
        assert found.host is not None and found.node is not None and found.node.physical_id is not None
        of = found.host.node_id, found.node.physical_id
        if self._balancer is None or self._of != of:
            host = self._session.pool.get(found.host)
            console = Console(host, found.node.physical_id)
            self._balancer = HaproxyBalancer(console, self._context.clock, size(self._context.balancer))
            self._of, self._seen, self._rates = of, {}, Rates()
        return self._balancer

    async def _failed(self, reason: str) -> None:
        await self._let_go()
        self._places.forget()
        log.warning("load balancer %s: %s", self._id, reason)
        found = await self._context.store.read(pools.situation, self._id)
        if found is not None:
            failed = BalancerState.ERROR, reason
            await self._context.store.transact(pools.say, found.balancer, failed, self._context.clock.now(), {})

    async def _let_go(self) -> None:
        balancer, self._balancer, self._of = self._balancer, None, None
        if balancer is not None:
            await balancer.close()


def _nobody(
    connection: Connection, found: Situation, missing: Condition, now: float, facts: Mapping[str, Any] | None = None
) -> None:
    """It is not there: nobody is in its pool, and clients have no address."""
    balancing.keep(connection, found.members, ())
    told = {"stats": None, "addresses": None, **_told(connection, found, facts or {})}
    pools.say(connection, found.balancer, missing, now, told)


def _told(connection: Connection, found: Situation, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Of one that is elsewhere, to whoever looks at the binding and to whoever removes it."""
    if not facts:
        return {}
    pools.bind(connection, found.balancer, facts)
    return {"octavia": dict(facts)}


def _place(found: Situation) -> str:
    """Where clients find it. A host that only its own machine knows is this machine."""
    return "" if found.host is None else host_name(found.host.endpoint) or "127.0.0.1"


def _condition(members: Sequence[Member], said: Applied) -> Condition:
    if said.fault:
        return BalancerState.ERROR, said.fault
    complaints = [member.complaint for member in members if member.complaint]
    inside = [member for member in members if member.state is MemberState.IN]
    if complaints:
        more = f"; and {len(complaints) - 1} more" if len(complaints) > 1 else ""
        return BalancerState.WARNING, f"{complaints[0]}{more}"
    if not inside:
        return BalancerState.WARNING, "No member of the cluster is ready."
    ill = [member for member in inside if member.state_reason]
    if ill:
        return BalancerState.WARNING, f"Members that its own check finds ill: {len(ill)} of {len(inside)}."
    return BalancerState.ACTIVE, f"Members in its pool: {len(inside)}."
