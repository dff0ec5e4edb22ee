"""Images that nobody needs leave a host whose disk fills up."""

from __future__ import annotations

from engine.world import World
from spinney.config import HostSettings
from spinney.domain.action import ActionKind
from spinney.domain.container import ContainerRequest, ImageRequest
from spinney.store import images, profiles, tables
from virtual_time import run_virtually

_OFTEN = HostSettings(helper="none", image_interval=10.0)
_GB = 10**9


def _measured(world: World, used: int) -> None:
    """The host helper says how full the disk of the first host is, in percent."""
    values = {"disk": 100 * _GB, "used_disk": used * _GB, "sampled_at": world.clock.now()}
    of_host = tables.host.c.node_id == world.host_ids[0]
    world.store.run(lambda c: c.execute(tables.host.update().where(of_host).values(values)))


def _there(world: World) -> set[str]:
    return set(world.host_engine(0).core.images.local)


async def _deleted(world: World, image: str, *, keep_profile: bool = False) -> None:
    """A cluster of that image comes and goes, and with it its profile."""
    profile_id = world.profile(image=image)
    cluster_id = world.create(1, profile_id=profile_id)
    await world.settle()
    assert len(world.running()) == 1
    world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
    await world.settle()
    if not keep_profile:
        world.store.run(profiles.remove, profile_id)


def test_only_what_nobody_needs_any_more_is_removed_and_only_from_a_full_disk() -> None:
    async def story() -> None:
        world = World(host_count=1)
        world.host_engine(0).core.images.add("operator/own:1")
        async with world.engine(hosts=_OFTEN):
            for image in ("team/old:1", "team/older:1"):
                await _deleted(world, image)
            await _deleted(world, "team/next:1", keep_profile=True)
            world.create(1, profile_id=world.profile(image="team/runs:1"))
            await world.settle()
            before = _there(world)
            await world.clock.sleep(30.0)
            assert _there(world) == before, "nothing is known of the disk"
            _measured(world, 80)
            await world.clock.sleep(30.0)
            assert _there(world) == before, "it is not full"
            _measured(world, 86)
            await world.clock.sleep(30.0)
            gone = {"team/old:1", "team/older:1"}
            assert _there(world) == before - gone
            (told,) = [event for event in world.events() if event.action == "IMAGES_REMOVED"]
            assert set(told.meta_data["images"]) == gone and "86% full" in told.status_reason
            assert set(world.store.run(images.of_host, world.host_ids[0])) == {"team/next:1", "team/runs:1"}

    run_virtually(story())


def test_the_least_recently_used_goes_first_and_no_more_than_it_takes() -> None:
    async def story() -> None:
        world = World(host_count=1)
        for image in ("team/a:1", "team/b:1", "team/c:1"):
            world.host_engine(0).core.images.sizes[image] = 8 * _GB
        async with world.engine(hosts=_OFTEN):
            for image in ("team/b:1", "team/a:1", "team/c:1"):
                await _deleted(world, image)
                await world.clock.sleep(5.0)
            _measured(world, 89)
            await world.clock.sleep(200.0)
            assert "team/c:1" in _there(world), "a measurement from before a removal removes nothing more"
            assert _there(world).isdisjoint({"team/a:1", "team/b:1"})

    run_virtually(story())


def test_what_was_there_before_is_not_ours() -> None:
    async def story() -> None:
        world = World(host_count=1)
        world.host_engine(0).core.images.add("operator/own:1")
        async with world.engine(hosts=_OFTEN):
            profile_id = world.profile(image="operator/own:1", pull_policy="always")
            cluster_id = world.create(1, profile_id=profile_id)
            await world.settle()
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            world.store.run(profiles.remove, profile_id)
            _measured(world, 99)
            await world.clock.sleep(60.0)
            assert "operator/own:1" in _there(world)

    run_virtually(story())


def test_what_another_container_uses_stays() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine(hosts=_OFTEN):
            await _deleted(world, "team/shared:1")
            theirs = ContainerRequest("theirs", {}, ImageRequest("team/shared:1"))
            world.host_engine(0).core.create(theirs, world.clock.now())
            _measured(world, 99)
            await world.clock.sleep(60.0)
            assert "team/shared:1" in _there(world)

    run_virtually(story())
