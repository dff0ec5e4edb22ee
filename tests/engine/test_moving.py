"""Moving a node to another host: the new container first, and where it cannot be, the node is as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.weather import check_whole
from engine.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.container import ContainerState
from spinney.domain.host import Duty, Host, HostState
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.rules import PlacementRules, Quota, Share
from spinney.domain.placement.scheduler import Fleet
from spinney.drivers.simulated.faults import Operation
from spinney.store import duties
from spinney.store.rows import NODES
from virtual_time import run_virtually

_CHECKED = {"test": ["CMD", "true"], "interval": 5}


def _play(
    story: Callable[[World, Node], Awaitable[None]], *, host_count: int = 2, config: dict[str, Any] | None = None,
    **properties: Any,
) -> World:  # fmt: skip
    """One node on h0 and an engine at work."""

    async def play() -> World:
        world = World(host_count=host_count)
        async with world.engine():
            cluster_id = world.create(1, profile_id=world.profile(**properties), config=config or {})
            await world.settle()
            (node,) = world.members(cluster_id)
            assert node.host_id == world.host_ids[0]
            await story(world, node)
            await world.clock.sleep(1)  # whatever else is under way
        world.check_invariants()
        assert world.holds() == []
        return world

    return run_virtually(play())


async def _move(world: World, node: Node, **inputs: Any) -> Action:
    action_id = world.submit(ActionKind.NODE_MOVE, node.id, inputs)
    await world.settle()
    return world.action(action_id)


def _now(world: World, node: Node) -> Node:
    found = world.node(node.id)
    assert found is not None
    return found


def test_a_moved_node_has_one_container_and_it_is_on_the_other_host() -> None:
    async def story(world: World, node: Node) -> None:
        action = await _move(world, node)
        assert (action.status, action.status_reason) == (ActionStatus.SUCCEEDED, "Moved from h0 to h1.")
        moved = _now(world, node)
        assert (moved.host_id, moved.generation, moved.status) == (world.host_ids[1], 2, NodeStatus.ACTIVE)
        check_whole(world, node.cluster_id, 1)
        assert moved.decision_id not in (None, node.decision_id), "and why it is there can be told"

    _play(story)


def test_the_old_container_serves_until_the_new_one_is_healthy() -> None:
    async def story(world: World, node: Node) -> None:
        await world.until(lambda: _now(world, node).ready)
        world.submit(ActionKind.NODE_MOVE, node.id)
        await world.until(lambda: len(world.running()) == 2)
        both = world.clock.monotonic()
        await world.until(lambda: len(world.containers()) == 1)
        assert world.clock.monotonic() - both >= 4.0, "the health check needed that long"
        await world.settle()
        assert _now(world, node).host_id == world.host_ids[1]

    _play(story, healthcheck=_CHECKED)


def test_two_never_run_at_once_where_at_most_one_may() -> None:
    async def story(world: World, node: Node) -> None:
        most = 0

        def count(*_: object) -> None:
            nonlocal most
            most = max(most, len(world.running()))

        world.hooks.after = count
        action = await _move(world, node)
        assert (action.status, most) == (ActionStatus.SUCCEEDED, 1)
        check_whole(world, node.cluster_id, 1)

    _play(story, config={"spinney.overlap": "at-most-one"})


def test_without_room_elsewhere_nothing_changes() -> None:
    async def story(world: World, node: Node) -> None:
        action = await _move(world, node)
        assert action.status is ActionStatus.FAILED
        assert "0 of 1 hosts fit" in action.status_reason, action.status_reason
        after = _now(world, node)
        assert (after.host_id, after.generation, after.physical_id, after.status) == (
            node.host_id, node.generation, node.physical_id, NodeStatus.ACTIVE,
        )  # fmt: skip

    _play(story, host_count=1)


@pytest.mark.parametrize("overlap", ["at-least-one", "at-most-one"])
def test_a_new_container_that_cannot_be_made_leaves_the_old_one_serving(overlap: str) -> None:
    async def story(world: World, node: Node) -> None:
        def refuse(operation: Operation, host: str) -> None:
            if operation is Operation.CREATE and host == "h1":
                raise RuntimeError("no")

        world.hooks.before = refuse
        action = await _move(world, node)
        world.hooks.before = None
        assert action.status is ActionStatus.FAILED
        await world.clock.sleep(20)
        after = _now(world, node)
        assert (after.host_id, after.physical_id) == (node.host_id, node.physical_id)
        check_whole(world, node.cluster_id, 1)

    _play(story, config={"spinney.overlap": overlap})


def test_a_node_keeps_the_state_its_user_wants() -> None:
    async def story(world: World, node: Node) -> None:
        world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": "stop"})
        await world.settle()
        await _move(world, node)
        moved = _now(world, node)
        (container,) = world.containers()
        assert (moved.host_id, moved.power) == (world.host_ids[1], PowerState.STOPPED)
        assert container.state is ContainerState.CREATED and container.id == moved.physical_id

    _play(story)


def test_cancelling_in_the_middle_leaves_the_node_where_it_was() -> None:
    async def story(world: World, node: Node) -> None:
        action_id = world.submit(ActionKind.NODE_MOVE, node.id)
        await world.until(lambda: len(world.running()) == 2)
        world.cancel(action_id)
        await world.settle()
        assert world.action(action_id).status is ActionStatus.CANCELLED
        await world.until(lambda: len(world.containers()) == 1, 60)
        assert (_now(world, node).host_id, _now(world, node).physical_id) == (node.host_id, node.physical_id)

    _play(story, healthcheck={"test": ["CMD", "true"], "interval": 30})


def test_from_a_lost_host_nothing_is_waited_for_and_nothing_stays_when_it_returns() -> None:
    async def story(world: World, node: Node) -> None:
        world.host_engine(0).cut()
        await world.until(lambda: world.hosts()[0].state is HostState.SUSPECT)
        began = world.clock.monotonic()
        action = await _move(world, node)
        assert action.status is ActionStatus.SUCCEEDED
        assert world.clock.monotonic() - began < 5.0
        world.host_engine(0).heal()
        await world.until(lambda: len(world.containers()) == 1, 200)
        check_whole(world, node.cluster_id, 1)

    _play(story, config={"spinney.self_healing": False})


def test_to_a_host_of_the_users_choice_or_not_at_all() -> None:
    async def story(world: World, node: Node) -> None:
        assert (await _move(world, node, to=world.host_ids[2])).status is ActionStatus.SUCCEEDED
        assert _now(world, node).host_id == world.host_ids[2]
        refused = await _move(world, node, exclude=world.host_ids)
        assert refused.status is ActionStatus.FAILED
        assert _now(world, node).host_id == world.host_ids[2]

    _play(story, host_count=3)


def test_a_zone_that_has_its_part_takes_a_member_that_moves_within_it() -> None:
    """The member counts once, though for a while it has two containers."""
    zones = ("a", "a", "b", "b")
    found = [
        Host(node_id=f"h{i}", endpoint=f"e{i}", name=f"h{i}", cluster_id="c", project="p", zone=zone,
             state=HostState.READY, cpu=4.0, memory=2**30)
        for i, zone in enumerate(zones)
    ]  # fmt: skip
    rules = PlacementRules(quotas=(Quota("zone", (Share("a"), Share("b")), hard=True),))
    request = PlacementRequest("n", 1.0, 1, host_cluster="c", workload="w", members=2, rules=rules)
    residents = {"h0": {"w": 1}, "h2": {"w": 1}}
    (moved,) = Fleet(found, Surroundings(residents=residents)).place([request.leaving("h0")])
    assert isinstance(moved, Placed) and moved.host_id == "h1"
    (third,) = Fleet(found, Surroundings(residents=residents)).place([request])
    assert isinstance(third, Waiting)


def test_a_node_that_is_nowhere_cannot_move_and_goes_on_waiting() -> None:
    async def play() -> None:
        world = World(host_count=1, cpu=0.01)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            (node,) = world.members(cluster_id)
            assert (await _move(world, node)).status is ActionStatus.FAILED
            after = _now(world, node)
            assert after.waiting_since is not None and after.status is NodeStatus.INIT

    run_virtually(play())


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_room_is_used_at_once_when_it_appears() -> None:
    async def play() -> None:
        world = World(host_count=1, cpu=2.0)
        large = world.profile(cpu={"reservation": 1.0, "limit": 1.0})
        async with world.engine():
            first, second = world.create(1, profile_id=large), world.create(2, profile_id=large)
            await world.settle()
            assert [n.waiting_since is None for c in (first, second) for n in world.members(c)].count(True) == 2
            placed = next(n for n in world.store.run(NODES.all) if n.host_id is not None)
            world.submit(ActionKind.NODE_DELETE, placed.id)
            await world.until(lambda: _now_or_none(world, placed) is None)
            gone = world.clock.monotonic()
            await world.until(lambda: len(world.running()) == 2)
            assert world.clock.monotonic() - gone < 0.5
        world.check_invariants()

    run_virtually(play())


def _now_or_none(world: World, node: Node) -> Node | None:
    return world.node(node.id)


def test_what_a_waiting_node_says_follows_the_hosts() -> None:
    async def play() -> None:
        world = World(host_count=1, cpu=0.01)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            (node,) = world.members(cluster_id)
            assert "cpu short" in node.status_reason
            world.store.run(duties.set_duty, world.host_ids[0], Duty.CORDONED, "", world.clock.now())
            await world.until(lambda: "cpu short" not in _now(world, node).status_reason, 10)
            assert _now(world, node).decision_id != node.decision_id

    run_virtually(play())


def test_a_host_that_keeps_failing_a_workload_is_left_for_another() -> None:
    async def play() -> None:
        world = World(host_count=2)

        def refuse(operation: Operation, host: str) -> None:
            if operation is Operation.START and host == "h0":
                raise RuntimeError("this host cannot start anything")

        world.hooks.before = refuse
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            for _ in range(6):
                if _now(world, world.members(cluster_id)[0]).status is NodeStatus.ACTIVE:
                    break
                world.submit(ActionKind.NODE_RECOVER, world.members(cluster_id)[0].id)
                await world.settle()
            (node,) = world.members(cluster_id)
            assert (node.status, node.host_id) == (NodeStatus.ACTIVE, world.host_ids[1])

    run_virtually(play())
