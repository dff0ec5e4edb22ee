"""Clusters that are scaled by what their members do: a load that is shared among those that run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from engine.policed import a_policy, attach, seen
from engine.world import World
from spinney.domain.action import Action, ActionKind, Cause
from spinney.store import autoscaling
from spinney.store.autoscaling import Scaled
from spinney.store.tables import scaling_decision

SCALING = "spinney.policy.autoscaling"
CPU = {"metric": "cpu", "target": 50}
#: One core at most each.
CORE = {"cpu": {"limit": 1.0, "reservation": 0.1}}
#: Of the load's own clock.
_TICK = 1.0


class Demand:
    """Cores that all members of the world have to do together, divided among those that run; each does one core at most."""

    def __init__(self, world: World, cores: Callable[[float], float]) -> None:
        self._world = world
        self._cores = cores
        #: Moment, cores wanted, members.
        self.course: list[tuple[float, float, int]] = []

    async def run(self) -> None:
        clock, began = self._world.clock, self._world.clock.monotonic()
        while True:
            now = clock.monotonic() - began
            running, cores = self._world.running(), self._cores(now)
            self.course.append((now, cores, len(running)))
            for engine in self._world.connector.engines.values():
                for one in engine.core.containers({}, clock.now()):
                    if one.id in {container.id for container in running}:
                        engine.core.set_load(one.id, min(1.0, cores / len(running)), 64 * 2**20)
            await clock.sleep(_TICK)

    def sizes(self) -> list[int]:
        """Each size once, in the order in which they came."""
        found: list[int] = []
        for _, _, size in self.course:
            found += [] if found and found[-1] == size else [size]
        return found


@asynccontextmanager
async def demanding(world: World, cores: Callable[[float], float]) -> AsyncIterator[Demand]:
    demand = Demand(world, cores)
    task = asyncio.create_task(demand.run())
    try:
        yield demand
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def scaled_cluster(world: World, size: int, sizes: dict[str, int] | None = None, **properties: Any) -> str:
    cluster_id = world.create(size, profile_id=world.profile(**CORE), **(sizes or {}))
    await world.settle()
    await attach(world, cluster_id, SCALING, **{"max": 20, "targets": [CPU], **properties})
    return cluster_id


def orders(world: World) -> list[Action]:
    """What autoscaling has ordered, the latest last."""
    by_it = [a for a in world.actions() if a.cause is Cause.HEALING and a.action.on_cluster]
    return sorted(by_it, key=lambda action: action.created_at)


def directions(world: World) -> list[ActionKind]:
    return [action.action for action in orders(world)]


def decisions(world: World) -> list[Any]:
    query = sa.select(scaling_decision).order_by(scaling_decision.c.at, scaling_decision.c.id)
    return list(world.store.run(lambda c: c.execute(query).all()))


def policy_of(world: World, cluster_id: str) -> Scaled:
    (one,) = world.store.run(autoscaling.scaled, cluster_id)
    return one


__all__ = ["CORE", "CPU", "SCALING", "a_policy", "demanding", "seen"]
