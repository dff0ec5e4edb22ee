"""What happens to containers behind our back, and what comes of it."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from engine.world import DEPLOYMENT, World
from spinney.domain.action import ActionKind, ActionStatus, Cause
from spinney.domain.cluster import ClusterStatus
from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_GENERATION,
    LABEL_NODE,
    ContainerRequest,
    ContainerState,
    ImageRequest,
)
from spinney.domain.host import HostState
from spinney.domain.node import NodeStatus, PowerState
from virtual_time import run_virtually


@pytest.mark.parametrize("how", ["kill", "remove"])
def test_a_member_that_ends_is_back_within_a_second(how: str) -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(3)
            await world.settle()
            await world.clock.sleep(1.0)
            victim = world.running()[0]
            engine = world.host_engine(0)
            if how == "kill":
                engine.core.kill(victim.id, "SIGKILL", world.clock.now())
            else:
                engine.core.remove(victim.id, world.clock.now())
            await world.until(lambda: len(world.running()) == 2, 1.0)
            await world.until(lambda: len(world.running()) == 3, 1.0)
            await world.settle()
            assert len(world.containers()) == 3
            found = world.cluster(cluster_id)
            assert found is not None and found.status is ClusterStatus.ACTIVE
            ids = {n.physical_id for n in world.members(cluster_id)}
            assert (victim.id in ids) == (how == "kill")
            assert any(str(e.action).startswith("CONTAINER_") for e in world.events())
            world.check_invariants()

    run_virtually(story())


def test_a_member_that_keeps_failing_is_repaired_ever_more_slowly() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            world.create(1, profile_id=world.profile(command="sh -c 'sleep 1; exit 1'"))
            await world.clock.sleep(200.0)
            repairs = [a.ready_at for a in world.actions() if a.cause is Cause.HEALING]
            gaps = [b - a for a, b in pairwise(repairs)]
            assert 5 <= len(repairs) <= 9, "the first repair is at once, then 1, 2, 4 … seconds are added"
            assert gaps == sorted(gaps)

    run_virtually(story())


@pytest.mark.parametrize(
    ("operation", "by_others", "state"),
    [
        (None, "pause", ContainerState.RUNNING),
        ("pause", "unpause", ContainerState.PAUSED),
        ("pause", "kill", ContainerState.PAUSED),
        ("pause", "remove", ContainerState.PAUSED),
        ("stop", "remove", ContainerState.CREATED),
    ],
)
def test_healing_brings_a_member_into_the_power_state_its_user_wants(
    operation: str | None, by_others: str, state: ContainerState
) -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            (node,) = world.members(cluster_id)
            if operation is not None:
                world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": operation, "params": {}})
                await world.settle()
            await world.clock.sleep(1.0)
            wanted = world.node(node.id)
            core, (container,) = world.host_engine(0).core, world.containers()
            how: dict[str, Any] = {"pause": core.pause, "unpause": core.unpause, "remove": core.remove}
            how["kill"] = partial(core.kill, signal="SIGKILL")
            how[by_others](container.id, now=world.clock.now())
            assert [c.state for c in world.containers()] != [state]
            await world.clock.sleep(2.0)
            await world.settle()
            healed = world.node(node.id)
            assert [c.state for c in world.containers()] == [state]
            assert healed is not None and wanted is not None
            assert (healed.status, healed.power) == (NodeStatus.ACTIVE, wanted.power)
            assert (world.containers()[0].id == container.id) == (by_others != "remove")

    run_virtually(story())


def test_without_self_healing_the_member_is_only_marked() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(2, config={"spinney.self_healing": False})
            await world.settle()
            await world.clock.sleep(1.0)
            world.host_engine(0).core.kill(world.running()[0].id, "SIGKILL", world.clock.now())
            await world.clock.sleep(10.0)
            assert sorted(n.status for n in world.members(cluster_id)) == [NodeStatus.ACTIVE, NodeStatus.ERROR]
            found = world.cluster(cluster_id)
            assert found is not None and found.status is ClusterStatus.WARNING
            world.submit(ActionKind.CLUSTER_RECOVER, cluster_id)
            await world.settle()
            assert len(world.running()) == 2

    run_virtually(story())


def test_what_happens_during_a_gap_in_the_events_is_found_by_listing() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            world.create(3)
            await world.settle()
            await world.clock.sleep(1.0)
            engine = world.host_engine(0)
            engine.reboot()
            assert world.running() == []
            await world.until(lambda: len(world.running()) == 3, 10.0)

    run_virtually(story())


def test_a_silent_host_is_suspect_and_ready_again_when_it_answers() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            world.create(1)
            await world.settle()
            engine = world.host_engine(0)
            engine.cut()
            await world.until(lambda: world.hosts()[0].state is HostState.SUSPECT, 120.0)
            engine.heal()
            await world.until(lambda: world.hosts()[0].state is HostState.READY, 120.0)
            assert len(world.running()) == 1

    run_virtually(story())


def test_what_no_row_owns_is_removed_and_what_is_not_ours_is_not_touched() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            core = world.host_engine(0).core
            labels = {LABEL_DEPLOYMENT: DEPLOYMENT, LABEL_NODE: world.ids.new(), LABEL_GENERATION: "1"}
            for name, marks in (("stray", labels), ("foreign", {"app": "db"}), ("theirs", {LABEL_DEPLOYMENT: "other"})):
                request = ContainerRequest(
                    name=name, labels=marks, image=ImageRequest("busybox"), command=("sleep", "1000000")
                )
                made = core.create(request, world.clock.now())
                core.start(made.id if hasattr(made, "id") else made, world.clock.now())
            await world.clock.sleep(30.0)
            names = {c.name for c in world.containers()}
            assert "stray" not in names and {"foreign", "theirs"} <= names
            assert len(world.members(cluster_id)) == 1 and len(names) == 3

    run_virtually(story())


def test_what_vanishes_between_the_order_and_the_repair_is_made_anew_at_once() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            core = world.host_engine(0).core
            (victim,) = world.running()
            core.remove(victim.id, world.clock.now())
            action = world.submit(ActionKind.NODE_RECOVER, world.members(cluster_id)[0].id, {"operation": "REBOOT"})
            await world.settle()
            assert world.action(action).status is ActionStatus.SUCCEEDED
            assert len(world.running()) == 1 and world.running()[0].id != victim.id

    run_virtually(story())


def test_what_its_user_stopped_is_stopped_again_when_others_start_it() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            (node,) = world.members(cluster_id)
            world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": "stop", "params": {}})
            await world.settle()
            world.host_engine(0).core.start(world.containers()[0].id, world.clock.now())
            assert len(world.running()) == 1
            await world.until(lambda: not world.running() and world.idle(), 20.0)
            now = world.node(node.id)
            assert now is not None and now.power is PowerState.STOPPED

    run_virtually(story())
