"""Emptying hosts: replacements first, within budgets, stoppable, told; and plans that agree with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.weather import storm
from engine.world import World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.domain.container import LABEL_NODE
from spinney.domain.host import Duty, Host, HostState
from spinney.domain.node import Node, NodeStatus
from spinney.domain.plan import Plan, Question, QuestionKind
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.intent.planning import Planner
from spinney.profiles.container_request import ContainerDefaults
from spinney.store import action_requests, actions, duties, tables
from spinney.store.rows import NODES
from virtual_time import run_virtually

STRICT = {"spinney.overlap": "at-most-one"}


def host(world: World, number: int) -> Host:
    return next(h for h in world.hosts() if h.node_id == world.host_ids[number])


def drain(world: World, number: int = 0, **inputs: Any) -> str:
    return world.submit(ActionKind.HOST_DRAIN, world.host_ids[number], inputs)


def there(world: World, number: int) -> list[Node]:
    return world.store.run(NODES.all, tables.node.c.host_id == world.host_ids[number])


def moving(world: World) -> int:
    return sum(a.action is ActionKind.NODE_MOVE and not a.final for a in world.actions())


def plan(world: World, kind: QuestionKind, target: str, **inputs: Any) -> Plan:
    planner = Planner(ContainerDefaults(), ClusterRules(1000), 256, world.ids)
    return world.store.run(planner, Question(kind, target, inputs=inputs), world.clock.now())


async def watch(world: World, until: Callable[[], bool], check: Callable[[], None], seconds: float = 120.0) -> None:
    """``check`` holds at every moment until then."""

    def looked() -> bool:
        check()
        return until()

    await world.until(looked, seconds)


def test_replacements_come_first_and_the_host_ends_cordoned_and_empty() -> None:
    async def story() -> None:
        world = World(host_count=3)
        async with world.engine():
            cluster_id = world.create(9)
            await world.settle()
            assert len(there(world, 0)) == 3
            expected = plan(world, QuestionKind.DRAIN, world.host_ids[0])
            action_id = drain(world)

            def served() -> None:
                serving = {c.labels[LABEL_NODE] for c in world.running()}
                assert len(serving) == 9, "every member has a container that runs, at every moment"

            await watch(world, world.idle, served)
            done, empty = world.action(action_id), host(world, 0)
            assert done.status is ActionStatus.SUCCEEDED, done.status_reason
            assert (empty.state, empty.duty_reason, empty.containers) == (HostState.CORDONED, "drained", 0)
            names = {h.node_id: h.name for h in world.hosts()}
            deed = {(m.name, names[m.host_id or ""]) for m in world.members(cluster_id)}
            assert {(s.node, s.target) for s in expected.steps} <= deed, "the plan is what came of it"
            assert len(expected.steps) == 3 and not expected.unplaceable
            assert all(m.status is NodeStatus.ACTIVE for m in world.members(cluster_id))
            world.check_invariants()

    run_virtually(story())


def test_what_may_not_overlap_goes_one_by_one() -> None:
    async def story() -> None:
        world = World(host_count=3)
        async with world.engine():
            strict = world.create(6, config=STRICT)
            await world.settle()
            drain(world, max_in_flight=9)

            def within_the_budget() -> None:
                running = [c.labels[LABEL_NODE] for c in world.running()]
                assert len(running) == len(set(running)), "no member runs twice"
                assert len(running) >= 5, "one member at a time"

            await watch(world, world.idle, within_the_budget)
            assert not there(world, 0) and len(world.members(strict)) == 6

    run_virtually(story())


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_moves_at_a_time_than_allowed(most: int) -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            world.create(16)
            await world.settle()
            storm(world, "*:latency=0.2")
            action_id = drain(world, max_in_flight=most)
            seen = set()

            def bounded() -> None:
                seen.add(moving(world))
                assert moving(world) <= most

            await watch(world, world.idle, bounded)
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert max(seen) == most

    run_virtually(story())


def test_past_the_deadline_it_fails_and_says_what_could_not_leave_and_why() -> None:
    async def story() -> None:
        world = World(host_count=2, cpu=1.0)
        async with world.engine():
            world.create(6, profile_id=world.profile(cpu=0.3))
            await world.settle()
            action_id = drain(world, deadline=10)
            await world.settle()
            ended, left = world.action(action_id), host(world, 0)
            assert ended.status is ActionStatus.FAILED
            assert "3 of 3" not in ended.status_reason and "0 of 3 containers have left" in ended.status_reason
            assert "hosts fit" in ended.status_reason
            assert sorted(held["name"] for held in ended.outputs["held"]) == sorted(n.name for n in there(world, 0))
            assert left.state is HostState.CORDONED and "ran out of time with 3" in left.duty_reason
            blocked = [e for e in world.events() if e.status == "blocked"]
            assert len(blocked) == 1 and blocked[0].oid == world.host_ids[0]

    run_virtually(story())


def test_without_a_deadline_it_waits_for_room_and_takes_it() -> None:
    async def story() -> None:
        world = World(host_count=3, cpu=1.0)
        world.store.run(duties.set_duty, world.host_ids[2], Duty.CORDONED, "", 0.0)
        async with world.engine():
            world.create(4, profile_id=world.profile(cpu=0.4))
            await world.settle()
            action_id = drain(world)
            await world.clock.sleep(30.0)
            assert world.action(action_id).status is ActionStatus.WAITING
            assert "2 held up" in world.action(action_id).status_reason
            world.store.run(duties.set_duty, world.host_ids[2], Duty.OPEN, "", world.clock.now())
            await world.settle()
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert len(there(world, 2)) == 2

    run_virtually(story())


def test_it_can_be_stopped_and_taken_up_again() -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            world.create(12)
            await world.settle()
            storm(world, "*:latency=0.2")
            first = drain(world, max_in_flight=1)
            await world.until(lambda: len(there(world, 0)) == 4)
            world.store.run(actions.cancel, first)
            await world.settle()
            stopped = host(world, 0)
            assert world.action(first).status is ActionStatus.CANCELLED
            assert stopped.state is HostState.CORDONED and "stopped" in stopped.duty_reason
            left = len(there(world, 0))
            assert 3 <= left <= 4, "what was moving came to its end"
            await world.clock.sleep(20.0)
            assert len(there(world, 0)) == left, "and no more began"
            again = drain(world)
            await world.settle()
            assert world.action(again).status is ActionStatus.SUCCEEDED and not there(world, 0)

    run_virtually(story())


def test_a_single_node_moves_too_and_one_whose_profile_wants_the_host_is_told() -> None:
    async def story() -> None:
        world = World(host_count=2)
        single = Node(id=world.ids.new(), name="alone", profile_id=world.profile(), init_at=0.0, user="u", project="p")
        world.store.run(NODES.insert, [single])
        async with world.engine():
            world.submit(ActionKind.NODE_CREATE, single.id)
            await world.settle()
            placed = world.node(single.id)
            assert placed is not None
            number = world.host_ids.index(placed.host_id or "")
            action_id = drain(world, number)
            await world.settle()
            assert world.action(action_id).status is ActionStatus.SUCCEEDED and not there(world, number)

    run_virtually(story())


def test_containers_of_a_lost_host_are_replaced_without_waiting_for_it() -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            cluster_id = world.create(4)
            await world.settle()
            world.host_engine(0).cut()
            await world.until(lambda: host(world, 0).state is not HostState.READY)
            action_id = drain(world)
            await world.settle()
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert {m.host_id for m in world.members(cluster_id)} == {world.host_ids[1]}
            assert host(world, 0).duty is Duty.CORDONED
            world.host_engine(0).heal()
            await world.until(lambda: host(world, 0).state is HostState.CORDONED)
            await world.until(lambda: len(world.containers()) == 4)

    run_virtually(story())


def test_members_that_must_not_run_twice_wait_for_a_silent_host() -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            careful = world.create(2, config={"spinney.overlap": "at-most-one", "spinney.disruption_budget": 2})
            await world.settle()
            other = world.create(2)
            await world.settle()
            world.host_engine(0).cut()
            await world.until(lambda: host(world, 0).state is not HostState.READY)
            action_id = drain(world, deadline=20)
            await world.settle()
            told = world.action(action_id)
            assert told.status is ActionStatus.FAILED and "must not run twice" in told.status_reason
            assert {m.host_id for m in world.members(careful)} == set(world.host_ids), "where they were"
            assert {m.host_id for m in world.members(other)} == {world.host_ids[1]}
            moved = next(m for m in world.members(careful) if m.host_id == world.host_ids[0])
            move = world.submit(ActionKind.NODE_MOVE, moved.id)
            await world.settle()
            assert world.action(move).status is ActionStatus.FAILED
            assert len([c for c in world.running() if c.labels[LABEL_NODE] == moved.id]) == 1

    run_virtually(story())


def test_a_drain_past_a_silent_host_says_what_may_still_run_and_its_silence_is_an_event() -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            cluster_id = world.create(4)
            await world.settle()
            world.host_engine(0).cut()
            await world.until(lambda: host(world, 0).state is not HostState.READY)
            action_id = drain(world)
            await world.settle()
            assert "still runs there" in world.action(action_id).status_reason
            assert "still runs there" in host(world, 0).duty_reason
            found = world.cluster(cluster_id)
            assert found is not None and found.status is ClusterStatus.ACTIVE
            world.host_engine(0).heal()
            await world.until(lambda: host(world, 0).state is HostState.CORDONED)
            told = [event.action for event in world.events() if event.oid == world.host_ids[0]]
            assert [kind for kind in told if kind in ("HOST_SUSPECT", "HOST_BACK")] == ["HOST_SUSPECT", "HOST_BACK"]

    run_virtually(story())


def test_a_user_comes_first() -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            cluster_id = world.create(4)
            await world.settle()
            action_id = drain(world, max_in_flight=1)
            deletion = world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            assert world.action(deletion).status is ActionStatus.SUCCEEDED
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert not world.containers()

    run_virtually(story())


def test_a_drain_that_is_cancelled_by_force_leaves_the_host_cordoned() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            world.create(2)
            await world.settle()
            action_id = drain(world)
            await world.until(lambda: host(world, 0).state is HostState.DRAINING)
            world.store.run(action_requests.cancel_by_force, action_id, world.clock.now())
            ended = host(world, 0)
            assert (ended.state, ended.duty_reason) == (HostState.CORDONED, "its drain was cancelled by force")

    run_virtually(story())
