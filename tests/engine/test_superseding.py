"""Two updates of one cluster: the second begins when the first has stopped, from what is there then."""

from __future__ import annotations

import pytest

from engine.policed import attach, cluster_of
from engine.world import World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.errors import ResourceIsLocked
from spinney.store import revisions, updates
from virtual_time import run_virtually

UPDATE = ActionKind.CLUSTER_UPDATE


@pytest.mark.parametrize("begun", [False, True])
def test_the_second_begins_when_the_first_has_stopped(begun: bool) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 4)
            old = {member.profile_id for member in world.members(cluster_id)}
            await attach(world, cluster_id, "batch", max_batch_size=1, pause_time=30)
            second, third = world.profile(image="alpine"), world.profile(image="debian")
            first = world.submit(UPDATE, cluster_id, {"new_profile_id": second})
            if begun:
                await world.until(lambda: bool(world.action(first).outputs.get("done")))
            with pytest.raises(
                ResourceIsLocked, match=rf"on the cluster '.+' is refused: CLUSTER_UPDATE {first[:8]} \("
            ):
                world.submit(UPDATE, cluster_id, {"new_profile_id": third})
            then = world.submit(UPDATE, cluster_id, {"new_profile_id": third, "supersede": True})
            await world.until(lambda: world.action(then).data.get("begun") is True)
            assert world.action(first).status is ActionStatus.CANCELLED, "they never work side by side"
            present = {member.profile_id for member in world.members(cluster_id)}
            assert present <= old | {second} and (second in present) is begun
            await world.settle(600)
            assert world.action(then).status is ActionStatus.SUCCEEDED
            assert {member.profile_id for member in world.members(cluster_id)} == {third}
        assert [one.profile_id for one in world.store.run(revisions.of_cluster, cluster_id)] == [third]
        assert len(world.running()) == 4 and world.store.run(updates.under_way, cluster_id) == []

    run_virtually(story())


def test_one_that_pauses_is_superseded_too() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 3)
            await attach(world, cluster_id, "batch", max_batch_size=1, pause_time=5)
            wrong, right = world.profile(image="alpine"), world.profile(image="debian")
            first = world.submit(UPDATE, cluster_id, {"new_profile_id": wrong})
            await world.until(lambda: bool(world.action(first).outputs.get("done")))
            world.store.run(lambda c: updates.say(c, updates.under_way(c, cluster_id)[0], "pause", world.clock.now()))
            await world.until(lambda: world.action(first).outputs.get("state") == "paused")
            then = world.submit(UPDATE, cluster_id, {"new_profile_id": right, "supersede": True})
            await world.until(lambda: world.action(then).final, 120)
            assert world.action(first).status is ActionStatus.CANCELLED
            assert {member.profile_id for member in world.members(cluster_id)} == {right}

    run_virtually(story())


def test_scaling_goes_on_while_one_waits_for_the_other() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 3)
            await attach(world, cluster_id, "batch", max_batch_size=1, pause_time=20)
            first = world.submit(UPDATE, cluster_id, {"new_profile_id": world.profile(image="alpine")})
            await world.until(lambda: bool(world.action(first).outputs.get("done")))
            world.submit(UPDATE, cluster_id, {"new_profile_id": world.profile(image="debian"), "supersede": True})
            grown = world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 1})
            await world.until(lambda: world.action(grown).final, 30)
            assert world.action(grown).status is ActionStatus.SUCCEEDED
            await world.settle(600)
            assert len(world.members(cluster_id)) == 4

    run_virtually(story())
