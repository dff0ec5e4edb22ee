"""Policies at work: how many come and go, who goes, and what is noted of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from engine.policed import a_policy, attach, cluster_of, ended, seen
from engine.world import OWNER, World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.domain.host import Duty
from spinney.domain.node import Node
from spinney.store import bindings, duties, tables
from spinney.store.rows import BINDINGS, NODES
from virtual_time import run_virtually

IN, OUT, RESIZE = ActionKind.CLUSTER_SCALE_IN, ActionKind.CLUSTER_SCALE_OUT, ActionKind.CLUSTER_RESIZE


def last_ops(world: World) -> dict[str, float | None]:
    return {one.policy_id: one.last_op for one in world.store.run(BINDINGS.all)}


def indexes(world: World, cluster_id: str) -> list[int]:
    return [member.index for member in world.members(cluster_id)]


# --- scaling ----------------------------------------------------------------------------------------------------------


def test_a_scaling_policy_says_by_how_many_and_its_cooldown_begins_for_both_directions() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 2)
            out = await attach(world, cluster_id, "scaling", event="CLUSTER_SCALE_OUT", adjustment={"number": 3})
            less = {"number": 2, "cooldown": 60}
            back = await attach(world, cluster_id, "scaling", event="CLUSTER_SCALE_IN", adjustment=less)
            grown = await ended(world, OUT, cluster_id)
            assert grown.status is ActionStatus.SUCCEEDED and len(world.running()) == 5
            assert grown.data["creation"] == {"count": 3}
            assert grown.inputs == {"last_op": None, "action_result": "SUCCEEDED"}
            stamps = last_ops(world)
            assert stamps[out] == stamps[back] and stamps[out] is not None
            refused = await ended(world, IN, cluster_id)
            assert refused.status is ActionStatus.FAILED and "'my scaling'" in refused.status_reason
            assert "cooldown ends in" in refused.status_reason and refused.data["status"] == "ERROR"
            assert len(world.running()) == 5 and last_ops(world) == stamps, "a check that fails is no operation"
            assert seen(world, cluster_id).desired_capacity == 5
            await world.clock.sleep(61)
            assert (await ended(world, IN, cluster_id)).status is ActionStatus.SUCCEEDED
            assert len(world.running()) == 3 == seen(world, cluster_id).desired_capacity

    run_virtually(story())


def test_a_step_that_leaves_the_sizes_fails_or_goes_as_far_as_it_may() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 2, max_size=3)
            strict = await attach(world, cluster_id, "scaling", event="CLUSTER_SCALE_OUT", adjustment={"number": 5})
            refused = await ended(world, OUT, cluster_id)
            assert refused.status is ActionStatus.FAILED and "max_size (3)" in refused.status_reason
            assert (seen(world, cluster_id).status, len(world.members(cluster_id))) == (ClusterStatus.ACTIVE, 2)
            await ended(world, ActionKind.CLUSTER_DETACH_POLICY, cluster_id, policy_id=strict)
            most = {"number": 5, "best_effort": True}
            await attach(world, cluster_id, "scaling", event="CLUSTER_SCALE_OUT", adjustment=most)
            for _ in range(2):  # the second time nothing is left to do, which is no failure
                assert (await ended(world, OUT, cluster_id)).status is ActionStatus.SUCCEEDED
                assert len(world.running()) == 3 == seen(world, cluster_id).desired_capacity

    run_virtually(story())


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_victims_are_chosen_as_the_policy_says_and_the_choice_is_stored() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 2)
            await world.clock.sleep(10)
            await ended(world, OUT, cluster_id, count=2)
            oldest = {member.id for member in world.members(cluster_id)[:2]}
            await attach(world, cluster_id, "deletion", criteria="OLDEST_FIRST")
            done = await ended(world, IN, cluster_id, count=2)
            assert set(done.data["deletion"]["candidates"]) == oldest == set(done.outputs["nodes_removed"])
            assert indexes(world, cluster_id) == [3, 4]

    run_virtually(story())


def test_who_leaves_may_live_on_and_named_nodes_need_not_lower_the_size() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 3)
            await attach(
                world, cluster_id, "deletion", destroy_after_deletion=False, reduce_desired_capacity=False
            )  # fmt: skip
            named = world.members(cluster_id)[0].id
            done = await ended(
                world, ActionKind.CLUSTER_DEL_NODES, cluster_id, candidates=[named], destroy_after_deletion=True
            )
            assert done.status is ActionStatus.SUCCEEDED
            found = world.node(named)
            assert found is not None and found.cluster_id == "" and len(world.running()) == 3
            left = seen(world, cluster_id)
            assert (left.desired_capacity, left.status) == (3, ClusterStatus.WARNING), "one is missing and may be made"
            await ended(world, IN, cluster_id)
            assert seen(world, cluster_id).desired_capacity == 1 == len(world.members(cluster_id))
            assert len(world.running()) == 3, "who leaves by scaling lives on too"
            alone = world.members(cluster_id)[0].id
            gone = await ended(world, ActionKind.NODE_DELETE, alone)
            assert gone.status is ActionStatus.SUCCEEDED and gone.data["deletion"]["candidates"] == [alone]
            assert (seen(world, cluster_id).desired_capacity, world.members(cluster_id)) == (1, [])

    run_virtually(story())


@pytest.mark.parametrize("kind", [IN, ActionKind.NODE_DELETE])
def test_the_grace_period_is_what_each_container_gets_to_stop(kind: ActionKind) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            stubborn = world.profile(command="sh -c \"trap '' TERM; sleep 1000000\"", stop_timeout=40)
            cluster_id = await cluster_of(world, 1, profile_id=stubborn)
            await attach(world, cluster_id, "deletion", grace_period=7)
            target = cluster_id if kind is IN else world.members(cluster_id)[0].id
            begun = world.clock.monotonic()
            assert (await ended(world, kind, target)).status is ActionStatus.SUCCEEDED
            assert 7 <= world.clock.monotonic() - begun < 12

    run_virtually(story())


# --- zones and regions ------------------------------------------------------------------------------------------------


def in_zones(world: World, *zones: str) -> None:
    for host_id, zone in zip(world.host_ids, zones, strict=True):
        world.store.run(
            lambda c, host_id=host_id, zone=zone: c.execute(
                sa.update(tables.host).where(tables.host.c.node_id == host_id).values(zone=zone, region=zone.upper())
            )
        )


def spread(world: World, cluster_id: str, key: str = "zone") -> Counter[str]:
    of = {host.node_id: getattr(host, key) for host in world.hosts()}
    return Counter(of[member.host_id] for member in world.members(cluster_id) if member.host_id is not None)


@pytest.mark.parametrize(
    ("type_", "key", "names"), [("zone_placement", "zone", "ab"), ("region_placement", "region", "AB")]
)
def test_members_keep_their_shares_at_create_scale_and_resize(type_: str, key: str, names: str) -> None:
    async def story() -> None:
        world = World(host_count=3)
        in_zones(world, "a", "a", "b")
        a, b = names[0], names[1]
        async with world.engine():
            cluster_id = world.create(0)
            await world.settle()
            shares: dict[str, Any] = {f"{key}s": [{"name": a, "weight": 200}, {"name": b}]}
            await attach(world, cluster_id, type_, **shares)
            grown = await ended(world, RESIZE, cluster_id, adjustment_type="EXACT_CAPACITY", number=6)
            assert spread(world, cluster_id, key) == {a: 4, b: 2}
            assert grown.data["creation"] == {"count": 6, f"{key}s": {a: 4, b: 2}}
            await ended(world, OUT, cluster_id, count=3)
            assert spread(world, cluster_id, key) == {a: 6, b: 3}
            shrunk = await ended(world, IN, cluster_id, count=3)
            assert shrunk.data["deletion"][f"{key}s"] == {a: 2, b: 1}
            assert spread(world, cluster_id, key) == {a: 4, b: 2}, "without a deletion policy too"
            await attach(world, cluster_id, "deletion", criteria="YOUNGEST_FIRST")
            await ended(world, RESIZE, cluster_id, adjustment_type="EXACT_CAPACITY", number=3)
            assert spread(world, cluster_id, key) == {a: 2, b: 1}

    run_virtually(story())


def test_a_recovered_member_and_one_made_by_itself_keep_the_shares() -> None:
    async def story() -> None:
        world = World(host_count=2)
        in_zones(world, "a", "b")
        async with world.engine():
            cluster_id = world.create(0)
            await world.settle()
            await attach(world, cluster_id, "zone_placement", zones=[{"name": "a"}, {"name": "b"}])
            await ended(world, OUT, cluster_id, count=4)
            lost = next(member for member in world.members(cluster_id) if member.host_id == world.host_ids[0])
            await ended(world, ActionKind.NODE_RECOVER, lost.id, operation="RECREATE")
            assert spread(world, cluster_id) == {"a": 2, "b": 2}
            await ended(world, ActionKind.NODE_DELETE, lost.id)
            await ended(world, ActionKind.CLUSTER_RESIZE, cluster_id, adjustment_type="EXACT_CAPACITY", number=4)
            assert spread(world, cluster_id) == {"a": 2, "b": 2}

    run_virtually(story())


def one_more(world: World, cluster_id: str) -> str:
    """A member that its user makes by itself."""
    cluster = seen(world, cluster_id)
    index = cluster.next_index
    made = Node(
        id=world.ids.new(), name="own", profile_id=cluster.profile_id, cluster_id=cluster_id, index=index, **OWNER
    )  # fmt: skip
    world.store.run(NODES.insert, [made])
    world.submit(ActionKind.NODE_CREATE, made.id)
    return made.id


@pytest.mark.parametrize(
    ("type_", "properties"),
    [
        ("zone_placement", {"zones": [{"name": "a", "weight": 200}, {"name": "b"}]}),
        ("affinity", {"servergroup": {"policies": "soft-anti-affinity"}}),
    ],
)
def test_a_member_made_by_itself_obeys_too(type_: str, properties: dict[str, Any]) -> None:
    async def story() -> None:
        world = World(host_count=3)
        in_zones(world, "a", "a", "b")
        async with world.engine():
            cluster_id = world.create(0)
            await world.settle()
            await attach(world, cluster_id, type_, **properties)
            await ended(world, OUT, cluster_id, count=2)
            node_id = one_more(world, cluster_id)
            await world.settle()
            assert spread(world, cluster_id) == {"a": 2, "b": 1}
            assert len({member.host_id for member in world.members(cluster_id)}) == 3
            assert seen(world, cluster_id).desired_capacity == 3
            await ended(world, ActionKind.NODE_RECOVER, node_id, operation="RECREATE")
            assert len({member.host_id for member in world.members(cluster_id)}) == 3

    run_virtually(story())


def test_anti_affinity_holds_at_create_scale_and_resize_and_who_has_no_host_waits() -> None:
    async def story() -> None:
        world = World(host_count=3)
        async with world.engine():
            cluster_id = world.create(0)
            await world.settle()
            await attach(world, cluster_id, "affinity")
            await ended(world, OUT, cluster_id, count=2)
            await ended(world, RESIZE, cluster_id, adjustment_type="EXACT_CAPACITY", number=4)
            hosts = [member.host_id for member in world.members(cluster_id)]
            assert sorted(Counter(hosts).values()) == [1] * 4 and hosts.count(None) == 1
            assert seen(world, cluster_id).status is ClusterStatus.WARNING
            await ended(world, IN, cluster_id)
            left = world.members(cluster_id)
            assert None not in [member.host_id for member in left] and len(left) == 3, "who waits goes first"

    run_virtually(story())


def test_a_cap_that_must_be_kept_fails_what_would_exceed_it_before_anything_is_made() -> None:
    async def story() -> None:
        world = World(host_count=2)
        in_zones(world, "a", "b")
        async with world.engine():
            cluster_id = world.create(0)
            await world.settle()
            regions = [{"name": "A", "cap": 1}, {"name": "B", "cap": 2}]
            await attach(world, cluster_id, "region_placement", regions=regions, hard=True)
            assert (await ended(world, OUT, cluster_id, count=3)).status is ActionStatus.SUCCEEDED
            refused = await ended(world, OUT, cluster_id)
            assert refused.status is ActionStatus.FAILED and "1 would find no region" in refused.status_reason
            assert spread(world, cluster_id, "region") == {"A": 1, "B": 2}
            assert seen(world, cluster_id).desired_capacity == 3

    run_virtually(story())


def test_members_on_a_host_that_is_to_be_left_go_first() -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            cluster_id = await cluster_of(world, 4)
            world.store.run(duties.set_duty, world.host_ids[1], Duty.CORDONED, "", 0.0)
            await attach(world, cluster_id, "deletion")
            await ended(world, IN, cluster_id, count=2)
            assert {member.host_id for member in world.members(cluster_id)} == {world.host_ids[0]}

    run_virtually(story())


# --- attaching --------------------------------------------------------------------------------------------------------


def test_what_has_no_effect_is_said_when_it_is_attached() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 0)
            recovery = {"actions": [{"name": "REBOOT"}]}
            health = a_policy(world, "health", "1.1", detection={"interval": 7200}, recovery=recovery)
            balance = a_policy(world, "loadbalance", "1.3", pool={"subnet": "s"}, vip={"network": "n"})
            queue = a_policy(world, "deletion", "1.1", hooks={"timeout": 5, "params": {"queue": "q"}})
            for policy_id, words in (
                (health, "no detection mode"),
                (balance, "have no effect"),
                (queue, "No queue backend"),
            ):
                done = await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy_id=policy_id)
                assert done.status is ActionStatus.SUCCEEDED and words in done.status_reason
            bound = world.store.run(bindings.get, cluster_id, health)
            assert bound is not None
            assert bound.data["HealthPolicy"]["version"] == "1.1"
            assert bound.data["HealthPolicy"]["data"]["interval"] == 3600
            assert bound.data["HealthPolicy"]["data"]["recovery_actions"] == ["REBOOT"]

    run_virtually(story())


def test_one_of_each_type_and_version_but_any_number_for_scaling() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 0)
            await attach(world, cluster_id, "deletion", "1.0")
            await attach(world, cluster_id, "deletion", "1.1")
            for _ in range(2):
                await attach(world, cluster_id, "scaling", event="CLUSTER_SCALE_OUT")
            second = a_policy(world, "deletion", "1.1")
            refused = await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy_id=second)
            assert refused.status is ActionStatus.FAILED
            assert "at most one policy of type senlin.policy.deletion-1.1" in refused.status_reason
            unsigned = {"type": "webhook", "params": {"url": "https://a", "secret": "none/such"}}
            hooked = a_policy(world, "batch")
            assert (
                await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy_id=hooked)
            ).status is ActionStatus.SUCCEEDED
            other = await cluster_of(world, 0)
            signs = a_policy(world, "deletion", hooks=unsigned)
            refused = await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, other, policy_id=signs)
            assert refused.status is ActionStatus.FAILED and "no secret 'none/such'" in refused.status_reason

    run_virtually(story())
