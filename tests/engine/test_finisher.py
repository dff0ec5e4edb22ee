"""Recording outcomes: one that the database refuses must not hold up the others."""

from __future__ import annotations

from typing import Any

from engine.world import World
from spinney.domain.action import ActionStatus
from spinney.domain.node import NodeStatus
from spinney.store import work
from virtual_time import run_virtually


class RefusesOne:
    """A store that cannot record the outcome of one node's action as it is."""

    def __init__(self, store: Any, poisoned: int) -> None:
        self._store = store
        self._poisoned = poisoned

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def transact(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if fn is work.finish and any(
            outcome.node is not None and outcome.node.index == self._poisoned and "physical_id" in outcome.changes
            for outcome in args[1]
        ):
            raise ValueError("not a value this database can hold")
        return await self._store.transact(fn, *args, **kwargs)


def test_an_outcome_that_cannot_be_stored_fails_its_own_action_only() -> None:
    async def story() -> None:
        world = World(host_count=1)
        store: Any = RefusesOne(world.store, poisoned=2)
        async with world.engine(store=store):
            cluster_id = world.create(3, config={"spinney.self_healing": False})
            await world.settle()
            members = world.members(cluster_id)
            assert [m.status for m in members] == [NodeStatus.ACTIVE, NodeStatus.ERROR, NodeStatus.ACTIVE]
            assert "could not be recorded" in members[1].status_reason
            assert sum(a.status is ActionStatus.FAILED for a in world.actions()) == 2  # the node's, and the cluster's

    run_virtually(story())
