"""What one project has queued does not keep another waiting."""

from __future__ import annotations

import random

import pytest

from engine.world import HOSTS, World
from spinney.config import EngineSettings
from spinney.domain.action import ActionKind
from spinney.domain.node import NodeStatus
from spinney.drivers.simulated.faults import FaultPlan, parse_faults
from spinney.engine.cycle import Shares
from spinney.store import engines, shares, tables, work
from virtual_time import run_virtually

THEIRS = "theirs"


def give_away(world: World, cluster_id: str) -> None:
    """A cluster, its nodes and its actions become another project's, who may use the hosts."""
    world.store.run(shares.add, HOSTS, "*", world.clock.now())
    for table, mine in (
        (tables.cluster, tables.cluster.c.id == cluster_id),
        (tables.node, tables.node.c.cluster_id == cluster_id),
        (tables.action, tables.action.c.cluster_id == cluster_id),
    ):
        world.store.run(lambda c, t=table, m=mine: c.execute(t.update().where(m).values(project=THEIRS)))


def all_active(world: World, cluster_id: str, size: int) -> bool:
    members = world.members(cluster_id)
    return len(members) == size and all(node.status is NodeStatus.ACTIVE for node in members)


def slow_images(world: World) -> str:
    """A profile whose image takes an hour to come."""
    for number in range(len(world.host_ids)):
        world.host_engine(number).core.images.remote["remote/app:latest"] = 3600.0
    return world.profile(image="remote/app", pull_policy="missing")


@pytest.mark.parametrize("hosts", [1, 3])
def test_pulls_of_one_project_leave_room_for_another(hosts: int) -> None:
    """However many there are: neither the engine's places nor those on a host are all taken up."""

    async def story() -> None:
        world = World(host_count=hosts, settings=EngineSettings(lease=4.0, concurrency=16))
        many = world.create(40, profile_id=slow_images(world))
        async with world.engine():
            await world.clock.sleep(5)
            assert not any(node.status is NodeStatus.ACTIVE for node in world.members(many))
            asked = world.clock.monotonic()
            few = world.create(2)
            give_away(world, few)
            world.bell.ring()
            await world.until(lambda: all_active(world, few, 2))
            assert world.clock.monotonic() - asked < 10

    run_virtually(story())


def test_what_a_host_is_slow_at_for_one_project_leaves_room_for_another() -> None:
    async def story() -> None:
        world = World(host_count=1)
        world.host_engine(0).plan = FaultPlan(parse_faults("create:hang:1:6"), random.Random(1))
        many = world.create(20)
        async with world.engine():
            await world.clock.sleep(5)
            assert not any(node.status is NodeStatus.ACTIVE for node in world.members(many))
            few = world.create(1)
            give_away(world, few)
            world.bell.ring()
            await world.until(lambda: all_active(world, few, 1), seconds=10)

    run_virtually(story())


def test_a_project_has_at_most_its_share_of_an_engine() -> None:
    world = World()
    for _ in range(10):
        world.submit(ActionKind.NODE_CHECK, world.ids.new())
    others = world.submit(ActionKind.NODE_CHECK, world.ids.new())
    owned = tables.action.c.id == others
    world.store.run(lambda c: c.execute(tables.action.update().where(owned).values(project=THEIRS)))
    world.store.run(engines.begin, "e1", "here", 20.0, None)
    mine = world.action(world.actions()[0].id).project
    held = Shares({mine: 5}, most=8)
    claimed = world.store.run(work.claim, "e1", 100, "", held.left)
    assert sorted(action.project for action in claimed) == sorted([mine] * 3 + [THEIRS])
    assert len(world.store.run(work.claim, "e1", 100, "", Shares({mine: 8}, most=8).left)) == 0


def test_what_is_given_back_is_claimed_again() -> None:
    world = World()
    asked = world.submit(ActionKind.NODE_CHECK, world.ids.new())
    world.store.run(engines.begin, "e1", "here", 20.0, None)
    claimed = world.store.run(work.claim, "e1", 10)
    assert [action.id for action in claimed] == [asked]
    assert world.store.run(work.claim, "e1", 10) == []
    world.store.run(work.give_back, claimed)
    assert [action.id for action in world.store.run(work.claim, "e1", 10)] == [asked]
