"""What clusters, nodes and events show while actions are carried out and after them, as the contract has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.weather import storm
from engine.world import OWNER, World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import Cluster, ClusterStatus
from spinney.domain.node import Node, NodeStatus
from spinney.store import actions, tables
from spinney.store.rows import NODES
from virtual_time import run_virtually

ALONE = {"spinney.self_healing": False}


def lone(world: World, profile_id: str, **fields: Any) -> str:
    """A node that its user makes."""
    given = {"name": "lone", "init_at": world.clock.now(), **OWNER, **fields}
    node = Node(id=world.ids.new(), profile_id=profile_id, **given)
    world.store.run(NODES.insert, [node])
    return node.id


def cluster_of(world: World, cluster_id: str) -> Cluster:
    found = world.cluster(cluster_id)
    assert found is not None
    return found


def node_of(world: World, node_id: str) -> Node:
    found = world.node(node_id)
    assert found is not None
    return found


async def done(world: World, kind: ActionKind, target: str, inputs: Mapping[str, Any] | None = None) -> Action:
    action_id = world.submit(kind, target, inputs)
    await world.settle()
    return world.action(action_id)


async def watched(world: World, look: Callable[[], str | None], until: Callable[[], bool]) -> list[str]:
    """What was to be seen, in the order in which it changed."""
    seen: list[str] = []
    while True:
        shown = look()
        if shown is not None and shown not in seen[-1:]:
            seen.append(shown)
        if until():
            return seen
        await asyncio.sleep(0.01)


def status_of_cluster(world: World, cluster_id: str) -> str | None:
    found = world.cluster(cluster_id)
    return None if found is None else found.status.value


#: What is asked of a cluster with two members; what it shows while that is done, and then; its size; how many members.
CLUSTER_ACTIONS: Mapping[str, tuple[ActionKind, dict[str, Any], list[str], int, int]] = {
    "growing": (ActionKind.CLUSTER_SCALE_OUT, {"count": 1}, ["RESIZING", "ACTIVE"], 3, 3),
    "shrinking": (ActionKind.CLUSTER_SCALE_IN, {}, ["RESIZING", "ACTIVE"], 1, 1),
    "resizing": (
        ActionKind.CLUSTER_RESIZE,
        {"adjustment_type": "EXACT_CAPACITY", "number": 4},
        ["RESIZING", "ACTIVE"],
        4,
        4,
    ),
    "updating": (ActionKind.CLUSTER_UPDATE, {"new_profile_id": "another"}, ["UPDATING", "ACTIVE"], 2, 2),
    "checking": (ActionKind.CLUSTER_CHECK, {}, ["CHECKING", "ACTIVE"], 2, 2),
    "recovering": (ActionKind.CLUSTER_RECOVER, {"operation": "REBOOT", "check": True}, ["RECOVERING", "ACTIVE"], 2, 2),
    "operating": (
        ActionKind.CLUSTER_OPERATION,
        {"operation": "restart", "params": {}, "nodes": "all"},
        ["OPERATING", "ACTIVE"],
        2,
        2,
    ),
    "removing": (ActionKind.CLUSTER_DEL_NODES, {"candidates": "one"}, ["ACTIVE"], 1, 1),
    "adding": (ActionKind.CLUSTER_ADD_NODES, {"nodes": "lone"}, ["ACTIVE"], 3, 3),
    "replacing": (ActionKind.CLUSTER_REPLACE_NODES, {"candidates": "pair"}, ["ACTIVE"], 2, 2),
}


@pytest.mark.parametrize("what", CLUSTER_ACTIONS)
def test_what_a_cluster_shows(what: str) -> None:
    kind, asked, expected, desired, size = CLUSTER_ACTIONS[what]

    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(2, max_size=9, config=ALONE)
            await world.settle()
            ids = [node.id for node in world.members(cluster_id)]
            single = lone(world, cluster_of(world, cluster_id).profile_id)
            await done(world, ActionKind.NODE_CREATE, single)
            words: dict[Any, Any] = {
                "another": world.profile(image="alpine"), "all": ids, "one": ids[:1], "lone": [single],
                "pair": {ids[0]: single},
            }  # fmt: skip
            inputs = {key: words.get(value, value) if isinstance(value, str) else value for key, value in asked.items()}
            storm(world, "create:latency=0.5,start:latency=0.5,remove:latency=0.5,inspect:latency=0.5")
            started = world.clock.now()
            action_id = world.submit(kind, cluster_id, inputs)
            await world.until(lambda: world.action(action_id).status is not ActionStatus.READY)
            shown = await watched(world, lambda: status_of_cluster(world, cluster_id), world.idle)
            action = world.action(action_id)
            assert action.status is ActionStatus.SUCCEEDED, action.status_reason
            assert shown == expected
            found = cluster_of(world, cluster_id)
            assert (found.desired_capacity, len(world.members(cluster_id))) == (desired, size)
            assert kind.value in found.status_reason and str(desired) in found.status_reason
            assert action.start_time is not None and action.end_time is not None
            assert started <= action.start_time <= action.end_time <= world.clock.now()
            changing = kind not in (ActionKind.CLUSTER_CHECK, ActionKind.CLUSTER_RECOVER, ActionKind.CLUSTER_OPERATION)
            assert (found.updated_at is not None) == changing

    run_virtually(story())


def test_a_cluster_that_is_made_and_deleted() -> None:
    async def story() -> None:
        world = World()
        storm(world, "create:latency=0.5,start:latency=0.5,remove:latency=0.5,stop:latency=0.5")
        async with world.engine():
            cluster_id = world.create(2)
            made = await watched(world, lambda: status_of_cluster(world, cluster_id), world.idle)
            assert made == ["INIT", "CREATING", "ACTIVE"]
            found = cluster_of(world, cluster_id)
            assert found.created_at is not None and found.updated_at is None
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            gone = await watched(world, lambda: status_of_cluster(world, cluster_id), world.idle)
            assert gone == ["ACTIVE", "DELETING"]
            assert world.cluster(cluster_id) is None

    run_virtually(story())


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (ActionKind.CLUSTER_SCALE_OUT, {"count": 9}),
        (ActionKind.CLUSTER_SCALE_IN, {"count": 2}),
        (ActionKind.CLUSTER_RESIZE, {"adjustment_type": "EXACT_CAPACITY", "number": 9, "min_size": 2}),
        (ActionKind.CLUSTER_RESIZE, {"max_size": 1}),
    ],
)
def test_a_size_that_cannot_be_leaves_sizes_and_status_untouched(kind: ActionKind, inputs: dict[str, Any]) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(2, min_size=1, max_size=4, config=ALONE)
            await world.settle()
            before = cluster_of(world, cluster_id)
            action = await done(world, kind, cluster_id, inputs)
            assert action.status is ActionStatus.FAILED and "size (" in action.status_reason
            after = cluster_of(world, cluster_id)
            same = ("min_size", "max_size", "desired_capacity", "status", "updated_at")
            assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
            assert len(world.members(cluster_id)) == 2

    run_virtually(story())


def test_scaling_by_nothing_said_is_by_one_and_not_below_nothing() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(2, config=ALONE)
            await world.settle()
            out = await done(world, ActionKind.CLUSTER_SCALE_OUT, cluster_id)
            assert len(out.outputs["nodes_added"]) == 1 and len(world.members(cluster_id)) == 3
            into = await done(world, ActionKind.CLUSTER_SCALE_IN, cluster_id, {"count": 9})
            assert len(into.outputs["nodes_removed"]) == 3 and world.members(cluster_id) == []
            same = await done(
                world, ActionKind.CLUSTER_RESIZE, cluster_id, {"adjustment_type": "EXACT_CAPACITY", "number": 0}
            )
            assert same.status is ActionStatus.SUCCEEDED, "a resize to the same size"

    run_virtually(story())


class TestMembers:
    def test_the_size_a_cluster_wants_follows_members_that_are_made_and_deleted_alone(self) -> None:
        async def story() -> None:
            world = World()
            async with world.engine():
                cluster_id = world.create(2, max_size=3, config=ALONE)
                await world.settle()
                profile_id = cluster_of(world, cluster_id).profile_id
                third = lone(world, profile_id, cluster_id=cluster_id, index=3)
                assert (await done(world, ActionKind.NODE_CREATE, third)).status is ActionStatus.SUCCEEDED
                assert cluster_of(world, cluster_id).desired_capacity == 3
                await done(world, ActionKind.NODE_DELETE, third)
                assert cluster_of(world, cluster_id).desired_capacity == 2
                assert cluster_of(world, cluster_id).status is ClusterStatus.ACTIVE

        run_virtually(story())

    @pytest.mark.parametrize("late", [1, 2])
    def test_one_too_many_becomes_a_member_of_none(self, late: int) -> None:
        async def story() -> None:
            world = World()
            async with world.engine():
                cluster_id = world.create(2, max_size=3, config=ALONE)
                await world.settle()
                profile_id = cluster_of(world, cluster_id).profile_id
                asked = [lone(world, profile_id, cluster_id=cluster_id, index=3 + n) for n in range(1 + late)]
                tokens = [world.submit(ActionKind.NODE_CREATE, node_id) for node_id in asked]
                await world.settle()
                ended = [world.action(token) for token in tokens]
                assert [one.status for one in ended] == [ActionStatus.SUCCEEDED, *[ActionStatus.FAILED] * late]
                for node_id, action in zip(asked[1:], ended[1:], strict=True):
                    orphan = node_of(world, node_id)
                    assert (orphan.cluster_id, orphan.index, orphan.status) == ("", -1, NodeStatus.ERROR)
                    assert "max_size (3)" in orphan.status_reason and "max_size (3)" in action.status_reason
                    assert orphan.physical_id is None and orphan.host_id is None
                found = cluster_of(world, cluster_id)
                assert (found.desired_capacity, found.status) == (3, ClusterStatus.ACTIVE)
                assert len(world.containers()) == 3
                world.check_invariants()

        run_virtually(story())

    def test_joining_and_leaving_changes_membership_and_not_the_status(self) -> None:
        async def story() -> None:
            world = World()
            async with world.engine():
                cluster_id = world.create(2, config=ALONE)
                await world.settle()
                first, second = world.members(cluster_id)
                await done(world, ActionKind.CLUSTER_DEL_NODES, cluster_id, {"candidates": [first.id]})
                left = node_of(world, first.id)
                assert (left.cluster_id, left.index, left.status) == ("", -1, NodeStatus.ACTIVE)
                assert left.physical_id == first.physical_id and left.updated_at is not None
                await done(world, ActionKind.CLUSTER_REPLACE_NODES, cluster_id, {"candidates": {second.id: first.id}})
                assert [(node.id, node.index) for node in world.members(cluster_id)] == [(first.id, 3)]
                assert node_of(world, second.id).cluster_id == "", "the old one survives"

        run_virtually(story())


#: What is asked of a node, and what it shows while that is done, and then.
NODE_ACTIONS: Mapping[str, tuple[ActionKind, dict[str, Any], list[str]]] = {
    "updating": (ActionKind.NODE_UPDATE, {"new_profile_id": "another"}, ["UPDATING", "ACTIVE"]),
    "recovering": (ActionKind.NODE_RECOVER, {}, ["RECOVERING", "ACTIVE"]),
    "rebooting": (ActionKind.NODE_RECOVER, {"operation": "REBOOT"}, ["RECOVERING", "ACTIVE"]),
    "operating": (ActionKind.NODE_OPERATION, {"operation": "restart", "params": {}}, ["OPERATING", "ACTIVE"]),
    "checking": (ActionKind.NODE_CHECK, {}, ["ACTIVE"]),
    "deleting": (ActionKind.NODE_DELETE, {}, ["DELETING"]),
}


@pytest.mark.parametrize("what", NODE_ACTIONS)
def test_what_a_node_shows(what: str) -> None:
    kind, asked, expected = NODE_ACTIONS[what]

    async def story() -> None:
        world = World()
        async with world.engine():
            node_id = lone(world, world.profile())
            storm(
                world, "create:latency=0.5,start:latency=0.5,stop:latency=0.5,restart:latency=0.5,inspect:latency=0.5"
            )

            def status() -> str | None:
                found = world.node(node_id)
                return None if found is None else found.status.value

            world.submit(ActionKind.NODE_CREATE, node_id)
            assert await watched(world, status, world.idle) == ["INIT", "CREATING", "ACTIVE"]
            before = node_of(world, node_id)
            assert before.created_at is not None and before.updated_at is None
            inputs = {
                key: world.profile(image="alpine") if value == "another" else value for key, value in asked.items()
            }
            action_id = world.submit(kind, node_id, inputs)
            await world.until(lambda: world.action(action_id).status is not ActionStatus.READY)
            assert await watched(world, status, world.idle) == expected
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            after = world.node(node_id)
            if kind is ActionKind.NODE_DELETE:
                assert after is None and world.containers() == []
                return
            assert after is not None and after.updated_at is not None and after.created_at == before.created_at
            made_anew = what in ("updating", "recovering")
            assert (after.physical_id != before.physical_id) == made_anew
            assert after.data.get("recovery") == ("RECREATE" if what == "recovering" else None)

    run_virtually(story())


class TestFailures:
    def test_a_node_that_was_never_well_was_never_created(self) -> None:
        async def story() -> None:
            world = World()
            async with world.engine():
                node_id = lone(world, world.profile(command="sh -c 'exit 3'"))
                action = await done(world, ActionKind.NODE_CREATE, node_id)
                failed = node_of(world, node_id)
                assert (action.status, failed.status) == (ActionStatus.FAILED, NodeStatus.ERROR)
                assert failed.created_at is None and failed.updated_at is not None
                assert failed.physical_id is not None, "the container is there and can be looked at"

        run_virtually(story())

    def test_a_check_succeeds_whatever_it_finds_and_needs_a_physical_object(self) -> None:
        async def story() -> None:
            world = World()
            async with world.engine():
                node_id = lone(world, world.profile())
                await done(world, ActionKind.NODE_CREATE, node_id)
                lost = tables.node.update().where(tables.node.c.id == node_id).values(physical_id="f" * 64)
                world.store.run(lambda connection: connection.execute(lost))
                seen = await done(world, ActionKind.NODE_CHECK, node_id)
                found = node_of(world, node_id)
                assert seen.status is ActionStatus.SUCCEEDED
                assert (found.status, found.physical_id) == (NodeStatus.ERROR, None)
                nothing = await done(world, ActionKind.NODE_CHECK, node_id)
                assert nothing.status is ActionStatus.FAILED
                mended = await done(world, ActionKind.NODE_RECOVER, node_id, {"check": True})
                found = node_of(world, node_id)
                assert (mended.status, found.status) == (ActionStatus.SUCCEEDED, NodeStatus.ACTIVE)
                assert found.physical_id is not None and found.data["recovery"] == "RECREATE"

        run_virtually(story())

    def test_a_recovery_that_looks_first_leaves_the_healthy_alone(self) -> None:
        async def story() -> None:
            world = World()
            async with world.engine():
                node_id = lone(world, world.profile())
                await done(world, ActionKind.NODE_CREATE, node_id)
                before = node_of(world, node_id).physical_id
                action = await done(world, ActionKind.NODE_RECOVER, node_id, {"check": True})
                after = node_of(world, node_id)
                assert action.status is ActionStatus.SUCCEEDED
                assert (after.status, after.physical_id) == (NodeStatus.ACTIVE, before)
                assert "recovery" not in after.data

        run_virtually(story())


class TestEvents:
    def told(self, world: World, target: str) -> list[tuple[str, str, str, str]]:
        found = [event for event in world.events() if event.oid == target]
        return [(event.otype, event.action, event.level.name, event.status) for event in found]

    def test_of_what_users_asked_for_and_not_of_its_parts(self) -> None:
        async def story() -> None:
            world = World()
            async with world.engine():
                cluster_id = world.create(2, max_size=2, config=ALONE)
                await world.settle()
                (member, _) = world.members(cluster_id)
                scaled = await done(world, ActionKind.CLUSTER_SCALE_OUT, cluster_id)
                restarted = await done(world, ActionKind.NODE_OPERATION, member.id, {"operation": "restart"})
                assert self.told(world, cluster_id) == [
                    ("CLUSTER", "CLUSTER_CREATE", "INFO", "start"),
                    ("CLUSTER", "CLUSTER_CREATE", "INFO", "end"),
                    ("CLUSTER", "CLUSTER_SCALE_OUT", "INFO", "start"),
                    ("CLUSTER", "CLUSTER_SCALE_OUT", "ERROR", "error"),
                ]
                assert self.told(world, member.id) == [
                    ("NODE", "restart", "INFO", "start"),
                    ("NODE", "restart", "INFO", "end"),
                ]
                reasons = {event.meta_data["action_id"]: event.status_reason for event in world.events()}
                assert reasons[scaled.id] == scaled.status_reason
                starts = [event.status_reason for event in world.events() if event.status == "start"]
                assert restarted.id[:8] in starts and scaled.id[:8] in starts
                assert all(event.cluster_id == cluster_id for event in world.events())

        run_virtually(story())

    def test_of_what_was_put_off_and_of_what_was_cancelled(self) -> None:
        async def story() -> None:
            world = World(host_count=1)
            async with world.engine():
                world.host_engine(0).core.images.remote["remote/app:latest"] = 500.0
                node_id = lone(world, world.profile(image="remote/app", pull_policy="missing"))
                action_id = world.submit(ActionKind.NODE_CREATE, node_id)
                await world.clock.sleep(3.0)
                world.store.run(actions.cancel, action_id)
                world.bell.ring()
                await world.settle(10.0)
                assert world.action(action_id).status is ActionStatus.CANCELLED
                assert self.told(world, node_id) == [
                    ("NODE", "NODE_CREATE", "INFO", "start"),
                    ("NODE", "NODE_CREATE", "ERROR", "error"),
                ]
                other = lone(world, world.profile())
                storm(world, "create:before=500:1:1")
                assert (await done(world, ActionKind.NODE_CREATE, other)).status is ActionStatus.SUCCEEDED
                assert [one[2:] for one in self.told(world, other)] == [
                    ("INFO", "start"),
                    ("WARN", "error"),
                    ("INFO", "end"),
                ]

        run_virtually(story())
