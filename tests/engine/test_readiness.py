"""Whether members may be given work, as their rows say, while containers start, fail and end on simulated hosts."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.weather import check_whole, clear_up, storm
from engine.world import FAST, World
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.container import LABEL_GENERATION
from spinney.domain.host import HostState
from spinney.domain.node import Node, NodeStatus
from spinney.drivers.simulated.faults import FaultPlan, parse_faults
from spinney.drivers.simulated.services import Service
from virtual_time import run_virtually

READY = {"ready": {"http": {"port": 80}, "interval": 1}}
ALIVE = {"alive": {"tcp": 80, "interval": 1}}


def play(
    story: Callable[[World, str], Awaitable[None]],
    *,
    size: int = 1,
    hosts: int = 1,
    listing: float = FAST.listing_interval,
    **properties: Any,
) -> World:
    """A cluster of that profile, just made, and an engine at work."""

    async def whole() -> World:
        world = World(host_count=hosts, health=replace(FAST, ready_within=6.0, listing_interval=listing))
        async with world.engine():
            cluster_id = world.create(size, profile_id=world.profile(**properties))
            await world.settle()
            await story(world, cluster_id)
            world.check_invariants()
            world.check_readiness()
        return world

    return run_virtually(whole())


def member(world: World, cluster_id: str) -> Node:
    (node,) = world.members(cluster_id)
    return node


async def become(world: World, cluster_id: str, ready: bool, seconds: float = 30.0) -> Node:
    deadline = world.clock.now() + seconds
    while (node := member(world, cluster_id)).ready != ready:
        assert world.clock.now() < deadline, f"not within {seconds} virtual seconds: {node.ready_reason}"
        await world.clock.sleep(0.2)
        world.check_readiness()
    return node


def put(world: World, service: Service) -> None:
    (container,) = world.running()
    world.connector.services.put(container.id, service)


def repairs(world: World) -> list[Action]:
    return [action for action in world.actions() if action.cause is Cause.HEALING]


def told(world: World, kind: str) -> list[str]:
    return [event.status_reason for event in world.events() if event.action == kind]


def test_without_probes_it_is_ready_when_it_runs() -> None:
    async def story(world: World, cluster_id: str) -> None:
        node = member(world, cluster_id)
        assert (node.ready, node.ready_reason) == (True, "")
        assert node.ready_at == node.created_at

    play(story)


def test_it_is_ready_soon_after_its_probe_would_pass_and_not_before() -> None:
    async def story(world: World, cluster_id: str) -> None:
        node = member(world, cluster_id)
        assert node.status is NodeStatus.ACTIVE
        assert not node.ready and node.ready_reason.startswith("its ready probe has not passed yet")
        node = await become(world, cluster_id, True)
        assert node.created_at is not None and node.ready_at is not None
        assert 2.7 <= node.ready_at - node.created_at < 3.6
        assert (node.ready_reason, repairs(world)) == ("", [])
        assert told(world, "CONTAINER_READY") == ["It may be given work."]

    play(story, image="sim/web_after-3", probes=READY)


def test_probes_that_an_update_in_place_brings_count_at_once() -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = await become(world, cluster_id, True)
        await world.clock.sleep(5.0)  # its host is listed a second time
        put(world, Service(status=503))
        inputs = {"new_profile_id": world.profile(image="sim/web", probes=READY)}
        action_id = world.submit(ActionKind.NODE_UPDATE, before.id, inputs)
        await world.until(lambda: world.action(action_id).final)
        node = await become(world, cluster_id, False, seconds=6.0)
        assert node.physical_id == before.physical_id

    play(story, image="sim/web", listing=600.0)


def test_a_ready_probe_that_fails_takes_readiness_away_and_nothing_else() -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = await become(world, cluster_id, True)
        put(world, Service(status=503))
        moment = world.clock.now()
        node = await become(world, cluster_id, False)
        assert 2.0 <= world.clock.now() - moment <= 4.0, "three failures, a second apart"
        assert node.ready_reason == "its ready probe failed: GET / at port 80 answered 503, wanted is 200-399"
        assert (node.status, node.physical_id) == (NodeStatus.ACTIVE, before.physical_id)
        assert told(world, "CONTAINER_NOT_READY") == [node.ready_reason]
        put(world, Service())
        node = await become(world, cluster_id, True)
        assert node.ready_at != before.ready_at and node.ready_reason == ""
        assert repairs(world) == []

    play(story, image="sim/web", probes=READY)


def test_one_failure_now_and_then_changes_nothing() -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = await become(world, cluster_id, True)
        for _ in range(3):
            put(world, Service(status=503))
            await world.clock.sleep(2.0)
            put(world, Service())
            await world.clock.sleep(1.0)
        assert member(world, cluster_id).ready_at == before.ready_at

    play(story, image="sim/web", probes=READY)


def test_one_that_does_not_live_is_started_again() -> None:
    async def story(world: World, cluster_id: str) -> None:
        await become(world, cluster_id, True)
        (container,) = world.running()
        put(world, Service(81))
        await world.until(lambda: bool(repairs(world)), 15.0)
        world.connector.services.forget(container.id)
        (reason,) = told(world, "CONTAINER_UNHEALTHY")
        assert reason.startswith("its alive probe failed: TCP port 80 takes no connection: ")
        node = await become(world, cluster_id, True)
        assert (node.status, node.physical_id) == (NodeStatus.ACTIVE, container.id)
        await world.clock.sleep(5.0)
        assert len(repairs(world)) == 1

    play(story, image="sim/web", probes=ALIVE)


def test_one_that_never_lives_is_started_again_ever_more_slowly_and_then_made_anew() -> None:
    async def story(world: World, cluster_id: str) -> None:
        await become(world, cluster_id, True)
        first = member(world, cluster_id).physical_id
        world.connector.services.choose = lambda request: (Service(81),)
        await world.clock.sleep(32.0)
        asked = [action.inputs["operation"] for action in repairs(world)]
        assert asked[:4] == ["REBOOT", "REBOOT", "REBOOT", "RECREATE"]
        assert member(world, cluster_id).physical_id != first

    play(story, image="sim/web", probes=ALIVE)


def test_where_nothing_is_healed_it_is_in_error_until_it_lives_again() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            profile_id = world.profile(image="sim/web", probes=ALIVE)
            cluster_id = world.create(1, profile_id=profile_id, config={"spinney.self_healing": False})
            await world.settle()
            before = await become(world, cluster_id, True)
            put(world, Service(81))
            node = await become(world, cluster_id, False)
            await world.clock.sleep(8.0)
            node = member(world, cluster_id)
            assert (node.status, node.ready, node.physical_id) == (NodeStatus.ERROR, False, before.physical_id)
            assert node.status_reason.startswith("its alive probe failed: ")
            assert len(told(world, "CONTAINER_UNHEALTHY")) == 1
            put(world, Service())
            assert (await become(world, cluster_id, True)).status is NodeStatus.ACTIVE
            assert repairs(world) == []

    run_virtually(story())


def test_whatever_befalls_its_host_it_is_ready_in_the_end() -> None:
    async def story() -> None:
        world = World(host_count=2)
        storm(world, "probe:before:0.3,inspect:before=connection:0.1,exec:hang:0.1,*:latency=0.01-0.4,start:reboot:1:1")
        async with world.engine():
            probes = {**READY, **ALIVE, "started": {"exec": "true", "interval": 1, "failures": 50}}
            cluster_id = world.create(4, profile_id=world.profile(image="sim/web_after-1", probes=probes))
            await world.clock.sleep(40.0)
            clear_up(world)
            await world.settle(600.0)
            await world.until(lambda: all(node.ready for node in world.members(cluster_id)), 60.0)
            check_whole(world, cluster_id, 4)

    run_virtually(story())


def test_until_it_has_started_it_is_asked_nothing_else() -> None:
    """It needs 8 seconds, and its alive probe alone would have given up after 3."""

    async def story(world: World, cluster_id: str) -> None:
        assert member(world, cluster_id).ready_reason.startswith("its started probe has not passed yet")
        node = await become(world, cluster_id, True)
        assert node.created_at is not None and node.ready_at is not None
        assert 7.7 <= node.ready_at - node.created_at <= 9.2
        await world.clock.sleep(5.0)
        assert repairs(world) == []

    started = {"started": {"tcp": 80, "interval": 3, "failures": 10}}
    play(story, image="sim/web_after-8", probes={**READY, **ALIVE, **started})


def test_one_that_does_not_start_in_time_is_started_again() -> None:
    async def story(world: World, cluster_id: str) -> None:
        made = world.clock.now()
        await world.until(lambda: bool(repairs(world)))
        assert 6.0 <= world.clock.now() - made <= 7.5, "a delay of 2 seconds and two intervals of 2 seconds"
        assert told(world, "CONTAINER_UNHEALTHY")[0].startswith("its started probe did not pass in time: TCP port 80")

    play(story, image="busybox", probes={"started": {"tcp": 80, "interval": 2, "failures": 2, "delay": 2}})


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("sh -c 'echo not yet; exit 3'", "sh ended with exit code 3, wanted is 0; it said: not yet"),
        ("sleep 30", "sleep did not end within 1 s"),
        ("nonexistent", "nonexistent ended with exit code 127, wanted is 0; it said: "),
    ],
)
def test_a_command_that_does_not_pass(command: str, reason: str) -> None:
    async def story(world: World, cluster_id: str) -> None:
        await world.until(lambda: reason in "".join(n.ready_reason for n in world.members(cluster_id)))
        assert not member(world, cluster_id).ready

    play(story, probes={"ready": {"exec": command}})


def test_a_command_that_passes() -> None:
    async def story(world: World, cluster_id: str) -> None:
        await become(world, cluster_id, True, 2.0)

    play(story, probes={"ready": {"exec": "true"}, "alive": {"exec": "true"}})


def test_what_a_container_prints_that_knows_secrets_is_not_told() -> None:
    async def story(world: World, cluster_id: str) -> None:
        await world.clock.sleep(3.0)
        assert "not yet" not in member(world, cluster_id).ready_reason

    play(story, probes={"ready": {"exec": "sh -c 'echo not yet; exit 3'"}}, secrets=[{"secret": "s", "env": "S"}])


def test_what_cannot_be_asked_changes_nothing_and_is_told_after_a_while() -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = await become(world, cluster_id, True)
        world.host_engine(0).plan = FaultPlan(parse_faults("probe:before"), random.Random(1))
        await world.clock.sleep(20.0)
        assert member(world, cluster_id) == before
        await world.clock.sleep(12.0)
        node = member(world, cluster_id)
        assert (node.ready, node.ready_at) == (True, before.ready_at)
        assert node.ready_reason.startswith("its ready probe could not be asked for a while: ")
        assert (node.status, repairs(world)) == (NodeStatus.ACTIVE, [])

    play(story, image="sim/web", probes={**READY, **ALIVE})


def test_a_health_check_of_docker_counts_too() -> None:
    async def story(world: World, cluster_id: str) -> None:
        node = member(world, cluster_id)
        assert (node.ready, node.ready_reason) == (False, "its health check has not passed yet")
        node = await become(world, cluster_id, True)
        world.host_engine(0).core.set_health(world.running()[0].id, "unhealthy", world.clock.now())
        await become(world, cluster_id, False, 1.0)
        await world.until(lambda: bool(repairs(world)), 2.0)
        await become(world, cluster_id, True)

    play(story, healthcheck={"test": ["CMD", "true"], "interval": 5})


def test_probes_and_a_health_check_both_have_to_be_content() -> None:
    async def story(world: World, cluster_id: str) -> None:
        await world.clock.sleep(3.0)
        assert member(world, cluster_id).ready_reason == "its health check has not passed yet"
        await become(world, cluster_id, True)

    check = {"test": ["CMD", "true"], "interval": 5}
    play(story, image="sim/web", probes=READY, healthcheck=check)


@pytest.mark.parametrize("probes", [None, READY])
@pytest.mark.parametrize(
    ("out", "back", "reason"),
    [
        ("stop", "start", "its user has it stopped"),
        ("pause", "unpause", "its user has it paused"),
    ],
)
def test_what_its_user_stops_or_pauses_is_not_ready(
    out: str, back: str, reason: str, probes: dict[str, Any] | None
) -> None:
    async def operate(world: World, node: Node, operation: str) -> None:
        world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": operation, "params": {}})
        await world.settle()

    async def story(world: World, cluster_id: str) -> None:
        node = await become(world, cluster_id, True)
        await operate(world, node, out)
        node = member(world, cluster_id)
        assert (node.ready, node.ready_reason, node.status) == (False, reason, NodeStatus.ACTIVE)
        await world.clock.sleep(3.0)
        assert not member(world, cluster_id).ready
        await operate(world, node, back)
        await become(world, cluster_id, True, 2.0)

    more = {} if probes is None else {"probes": probes}
    play(story, image="sim/web", **more)


@pytest.mark.parametrize("probes", [None, READY])
def test_one_that_dies_is_not_ready_and_is_again_when_it_runs(probes: dict[str, Any] | None) -> None:
    async def story(world: World, cluster_id: str) -> None:
        await become(world, cluster_id, True)
        await world.clock.sleep(1.0)
        world.host_engine(0).core.kill(world.running()[0].id, "SIGKILL", world.clock.now())
        await world.until(lambda: bool(repairs(world)), 1.0)
        await world.settle()
        node = await become(world, cluster_id, True, 5.0)
        assert node.ready_at is not None and node.ready_at > world.clock.now() - 5.0

    more = {} if probes is None else {"probes": probes}
    play(story, image="sim/web", **more)


def test_one_that_docker_starts_again_has_to_pass_its_probes_anew() -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = await become(world, cluster_id, True)
        await become(world, cluster_id, False, 15.0)
        node = await become(world, cluster_id, True, 10.0)
        assert (node.physical_id, repairs(world)) == (before.physical_id, [])

    play(story, image="sim/web_after-2_dies-6", probes=READY, restart_policy="on-failure:3")


def test_a_member_is_not_ready_while_it_stops_for_good() -> None:
    async def story(world: World, cluster_id: str) -> None:
        node = await become(world, cluster_id, True)
        world.submit(ActionKind.NODE_DELETE, node.id)
        await world.until(lambda: not member(world, cluster_id).ready, 1.0)
        assert world.running(), "it has its stop timeout"
        assert member(world, cluster_id).ready_reason == "its container is being removed"
        await world.settle()

    play(story, image="sim/stubborn")


def test_another_engine_that_takes_over_takes_nothing_away() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1, profile_id=world.profile(image="sim/web", probes={**READY, **ALIVE}))
            await world.settle()
            before = await become(world, cluster_id, True)
        async with world.engine():
            await world.clock.sleep(10.0)
            assert member(world, cluster_id) == before
            put(world, Service(status=503))
            await become(world, cluster_id, False)
            assert not repairs(world)

    run_virtually(story())


def test_while_its_host_is_silent_it_stays_what_it_was() -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = await become(world, cluster_id, True)
        world.host_engine(0).cut()
        await world.clock.sleep(30.0)
        assert world.hosts()[0].state is HostState.SUSPECT
        assert member(world, cluster_id).ready_at == before.ready_at and member(world, cluster_id).ready
        world.host_engine(0).heal()
        while world.hosts()[0].state is not HostState.READY:
            assert world.clock.monotonic() < 200.0
            await world.clock.sleep(2.0)
        await world.clock.sleep(5.0)
        assert member(world, cluster_id).ready_at == before.ready_at and member(world, cluster_id).ready

    play(story, image="sim/web", probes=READY)


def test_many_members_are_asked_and_those_without_probes_are_not() -> None:
    asked: list[str] = []

    async def story(world: World, cluster_id: str) -> None:
        probe = world.host_engine(0).core.probe

        def counted(reference: str, *rest: Any) -> Any:
            asked.append(reference)
            return probe(reference, *rest)

        world.host_engine(0).core.probe = counted  # type: ignore[method-assign]  # to count
        other = world.create(3)
        await world.until(
            lambda: len(world.members(cluster_id)) == 20 and all(n.ready for n in world.members(cluster_id))
        )
        await world.until(lambda: all(n.ready for n in world.members(other)))
        asked.clear()
        await world.clock.sleep(10.0)
        ids = {n.physical_id for n in world.members(cluster_id)}
        assert set(asked) == ids
        assert 180 <= len(asked) <= 220, "each every second"

    play(story, size=20, image="sim/web", probes=READY)


def test_a_move_waits_until_the_new_container_is_ready() -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = await become(world, cluster_id, True)
        action_id = world.submit(ActionKind.NODE_MOVE, before.id)
        await world.until(lambda: len(world.running()) == 2)
        begun = world.clock.now()
        while not world.action(action_id).final:
            assert member(world, cluster_id).ready
            await world.clock.sleep(0.1)
        assert world.action(action_id).status is ActionStatus.SUCCEEDED
        assert world.clock.now() - begun >= 3.0
        node = member(world, cluster_id)
        assert node.ready and node.physical_id != before.physical_id
        await world.clock.sleep(7.0)
        assert member(world, cluster_id).ready_at == node.ready_at, "and nothing is found out anew"
        put(world, Service(status=503))
        await become(world, cluster_id, False)

    play(story, hosts=2, image="sim/web_after-3", probes=READY)


def test_where_nothing_is_ready_a_move_need_not_wait() -> None:
    """Else nobody could drain a host on which something never becomes ready."""

    async def story(world: World, cluster_id: str) -> None:
        before = member(world, cluster_id)
        action_id = world.submit(ActionKind.NODE_MOVE, before.id)
        await world.settle(5.0)
        assert world.action(action_id).status is ActionStatus.SUCCEEDED
        node = member(world, cluster_id)
        assert not node.ready and node.host_id != before.host_id
        await world.clock.sleep(1.0)
        assert member(world, cluster_id).ready_reason.startswith("its ready probe has not passed yet: GET / at port 80")

    play(story, hosts=2, image="sim/web_status-500", probes=READY)


def test_other_probes_are_asked_of_the_container_that_is_there() -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = await become(world, cluster_id, True)
        other = world.profile(image="sim/web", probes={"ready": {"http": {"port": 81}, "interval": 1}})
        world.submit(ActionKind.NODE_UPDATE, before.id, {"new_profile_id": other})
        await world.settle()
        assert member(world, cluster_id).ready_at == before.ready_at
        node = await become(world, cluster_id, False)
        assert (node.physical_id, node.ready_reason[:46]) == (
            before.physical_id, "its ready probe failed: GET / at port 81 got n",
        )  # fmt: skip

    play(story, image="sim/web", probes=READY)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (
            Service(status=500),
            "was not ready within 6 s: its ready probe has not passed yet: GET / at port 80 answered 500",
        ),
        (
            Service(81),
            "is not fit to take over: its started probe did not pass in time: TCP port 80 takes no connection",
        ),
    ],
)
def test_a_move_to_a_container_that_does_not_become_ready_is_given_up(broken: Service, reason: str) -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = await become(world, cluster_id, True)
        world.connector.services.choose = lambda request: (broken,) if request.labels[LABEL_GENERATION] == "2" else None
        action_id = world.submit(ActionKind.NODE_MOVE, before.id)
        await world.settle()
        action = world.action(action_id)
        assert action.status is ActionStatus.FAILED and reason in action.status_reason
        node = member(world, cluster_id)
        assert (node.physical_id, node.ready, node.ready_at) == (before.physical_id, True, before.ready_at)
        await world.clock.sleep(5.0)
        assert [c.id for c in world.containers()] == [node.physical_id]

    started = {"started": {"tcp": 80, "interval": 2, "failures": 2}}
    play(story, hosts=2, image="sim/web", probes={**READY, **started})
