"""Clusters that are scaled by what their members do: a load that is shared among those that run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from engine.policed import attach
from engine.world import World
from spinney.domain.action import Action, ActionKind, Cause
from spinney.store.tables import scaling_decision

SCALING = "spinney.policy.autoscaling"
CPU = {"metric": "cpu", "target": 50}
#: One core at most each.
CORE = {"cpu": {"limit": 1.0, "reservation": 0.1}}
#: Of the load's own clock.
_TICK = 1.0


async def _demand(world: World, cores: Callable[[float], float]) -> None:
    began = world.clock.monotonic()
    while True:
        running = {container.id for container in world.running() if container.node_id is not None}
        share = min(1.0, cores(world.clock.monotonic() - began) / max(1, len(running)))
        for engine in world.connector.engines.values():
            for one in engine.core.containers({}, world.clock.now()):
                if one.id in running:
                    engine.core.set_load(one.id, share, 64 * 2**20)
        await world.clock.sleep(_TICK)


@asynccontextmanager
async def demanding(world: World, cores: Callable[[float], float]) -> AsyncIterator[None]:
    """Cores by the seconds since it began, that all members of the world have to do together: divided among those that run;
    each does one core at most."""
    task = asyncio.create_task(_demand(world, cores))
    try:
        yield
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
