"""Receivers go with their cluster."""

from __future__ import annotations

from engine.world import World
from spinney.domain.action import ActionKind
from spinney.domain.receiver import Receiver
from spinney.store import receivers, tables
from virtual_time import run_virtually


def test_a_deleted_cluster_takes_its_receivers_with_it_and_no_others() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            doomed, spared = world.create(1), world.create(0)
            await world.settle()
            made = [receiver(world, cluster_id) for cluster_id in (doomed, doomed, spared)]
            for one in made:
                world.store.run(receivers.insert, one)
                world.store.run(receivers.use_once, one.id, "s" * 64, 1e12)
            world.submit(ActionKind.CLUSTER_DELETE, doomed)
            await world.settle()
            assert world.store.run(receivers.RECEIVERS.all) == [made[2]]
            used = world.store.run(lambda c: c.execute(tables.webhook_use.select()).all())
            assert [row.receiver_id for row in used] == [made[2].id]

    run_virtually(story())


def receiver(world: World, cluster_id: str) -> Receiver:
    return Receiver(
        id=world.ids.new(), name="r", type="webhook", cluster_id=cluster_id, action="CLUSTER_CHECK", user="u", project="p",
        domain=None, created_at=0.0, rate_limit=1,
    )  # fmt: skip
