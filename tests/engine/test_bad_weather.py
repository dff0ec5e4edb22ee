"""Hosts that fall silent, restart, lie or fill up: every action ends, says why, and leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.weather import check_gone, check_whole, clear_up, storm
from engine.world import FAST, World
from spinney.domain.action import FINAL_STATUSES, ActionKind, ActionStatus
from spinney.domain.host import HostState
from spinney.domain.node import NodeStatus
from virtual_time import run_virtually

#: Past the longest retries and the reaper's patience.
_LONG = 900.0


@pytest.mark.parametrize(
    "faults",
    [
        "create:cut=20:1:1",
        "start:cut=20:1:1",
        "start:reboot:1:1",
        "inspect:reboot:1:1",
        "create:after:1:3",
        "create:after=connection:1:3",
        "start:after=connection:1:3",
        "create:before=connection:1:3",
        "network-create:after:1:1",
        "create:hang:1:1",
        "*:latency=0.05-3",
    ],
)
def test_what_passes_is_sat_out(faults: str) -> None:
    async def story() -> None:
        world = World(host_count=2)
        storm(world, faults)
        async with world.engine():
            cluster_id = world.create(5)
            await world.settle(_LONG)
            await world.clock.sleep(20.0)  # what a reboot killed is healed, what nobody owns is reaped
            await world.settle(_LONG)
            check_whole(world, cluster_id, 5)

    run_virtually(story())


@pytest.mark.parametrize(
    ("faults", "image", "reason"),
    [
        ("pull:full", "remote/app", "no space left"),
        ("create:conflict", "busybox", "is not ours: remove it"),
        ("create:before", "busybox", "gave up after 6 tries"),
        ("", "private/app", "unauthorized"),
        ("", "unreachable.test/app", "gave up after 6 tries"),
    ],
)
def test_what_does_not_pass_fails_with_its_reason_and_holds_nothing(faults: str, image: str, reason: str) -> None:
    async def story() -> None:
        world = World(host_count=1)
        storm(world, faults)
        async with world.engine():
            cluster_id = world.create(2, profile_id=world.profile(image=image, pull_policy="missing"))
            await world.settle(_LONG)
            (creation,) = [a for a in world.actions() if a.action is ActionKind.CLUSTER_CREATE]
            assert creation.status is ActionStatus.FAILED and reason in creation.status_reason
            assert all(n.status is NodeStatus.ERROR and reason in n.status_reason for n in world.members(cluster_id))
            assert world.hosts()[0].containers == 0 and not world.running()
            world.check_invariants()

    run_virtually(story())


def test_a_foreign_container_with_the_name_survives_and_recovery_takes_another_name() -> None:
    async def story() -> None:
        world = World(host_count=1)
        storm(world, "create:conflict:1:1")
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            (foreign,) = world.containers()
            world.submit(ActionKind.CLUSTER_RECOVER, cluster_id)
            await world.settle()
            (node,) = world.members(cluster_id)
            assert node.status is NodeStatus.ACTIVE, node.status_reason
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            assert [c.id for c in world.containers()] == [foreign.id]

    run_virtually(story())


def test_a_host_that_is_down_for_good_fails_the_creation_and_gives_its_room_back() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            world.host_engine(0).go_down()
            cluster_id = world.create(2)
            await world.settle(_LONG)
            assert world.hosts()[0].state is HostState.SUSPECT and world.hosts()[0].containers == 0
            assert all("connection refused" in n.status_reason for n in world.members(cluster_id))
            world.host_engine(0).heal()
            await world.until(lambda: world.hosts()[0].state is HostState.READY)
            world.submit(ActionKind.CLUSTER_RECOVER, cluster_id)
            await world.settle()
            check_whole(world, cluster_id, 2)

    run_virtually(story())


def test_a_short_restart_of_the_docker_engine_does_not_make_its_host_suspect() -> None:
    async def story() -> None:
        world = World(host_count=1, health=replace(FAST, listing_interval=60.0))
        async with world.engine():
            world.create(1)
            await world.clock.sleep(30.0)  # since when nothing was asked of the host
            world.host_engine(0).go_down()
            await world.clock.sleep(0.5)
            world.host_engine(0).heal()
            for _ in range(40):
                assert world.hosts()[0].state is HostState.READY
                await world.clock.sleep(0.1)

    run_virtually(story())


def test_what_a_forced_deletion_forgot_is_removed_when_its_host_is_back() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(2)
            await world.settle()
            world.host_engine(0).go_down()
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id, {"force": True})
            await world.settle(_LONG)
            assert world.cluster(cluster_id) is None and len(world.containers()) == 2
            world.host_engine(0).heal()
            await world.until(lambda: not world.containers())
            check_gone(world, cluster_id)

    run_virtually(story())


@pytest.mark.parametrize("faults", ["*:before", "*:before=connection"])
def test_a_forced_deletion_forgets_whatever_the_host_answers(faults: str) -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            storm(world, faults)
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id, {"force": True})
            await world.settle(_LONG)
            assert world.cluster(cluster_id) is None
            clear_up(world)
            await world.until(lambda: not world.containers())

    run_virtually(story())


def test_a_failed_recovery_leaves_no_container_that_no_row_names() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1, config={"spinney.self_healing": False})
            await world.settle()
            engine = world.host_engine(0)
            engine.do(engine.core.remove, world.containers()[0].id)
            world.submit(ActionKind.CLUSTER_CHECK, cluster_id)
            await world.settle()
            storm(world, "start:after")
            world.submit(ActionKind.CLUSTER_RECOVER, cluster_id)
            await world.settle(_LONG)
            clear_up(world)
            assert world.members(cluster_id)[0].status is NodeStatus.ERROR
            await world.until(lambda: not world.containers())

    run_virtually(story())


_WEATHER = (
    "*:latency=0.001-0.3,create:after:0.1,create:before=connection:0.1,start:after=connection:0.1,start:before:0.05,"
    "remove:after:0.1,stop:before=connection:0.1,inspect:before:0.03,list:gap:0.2,create:reboot:0.02,create:hang:0.02,"
    "start:cut=5:0.02,network-create:after:0.2,network-remove:before:0.2"
)


@pytest.mark.parametrize("seed", range(30))
def test_after_any_weather_everything_converges(seed: int) -> None:
    async def story() -> None:
        world = World(host_count=3, seed=seed + 1)
        storm(world, _WEATHER, seed)
        async with world.engine():
            cluster_id = world.create(6)
            await world.clock.sleep(seed % 5)
            await world.settle(_LONG)
            for kind, count in ((ActionKind.CLUSTER_SCALE_OUT, 3), (ActionKind.CLUSTER_SCALE_IN, 4)):
                world.submit(kind, cluster_id, {"count": count})
                await world.settle(_LONG)
            clear_up(world)
            await world.clock.sleep(30.0)
            await world.settle(_LONG)
            world.submit(ActionKind.CLUSTER_RECOVER, cluster_id, {"check": True, "check_capacity": True})
            await world.settle(_LONG)
            await world.clock.sleep(15.0)
            check_whole(world, cluster_id, 5)
            storm(world, _WEATHER, seed + 100)
            deletion = world.submit(ActionKind.CLUSTER_DELETE, cluster_id, {"force": True})
            await world.settle(_LONG)
            assert world.action(deletion).status in FINAL_STATUSES and world.action(deletion).status_reason
            clear_up(world)
            if world.cluster(cluster_id) is not None:
                world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle(_LONG)
            await world.clock.sleep(30.0)
            check_gone(world, cluster_id)

    run_virtually(story())
