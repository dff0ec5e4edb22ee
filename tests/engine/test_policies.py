"""Policies attached to clusters by the engine, and what that does to clusters and to what is placed from then on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import sqlalchemy as sa

from engine.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.domain.event import Level
from spinney.domain.policy import Policy
from spinney.store import bindings, policies, tables
from virtual_time import run_virtually

PLACEMENT, AFFINITY = "spinney.policy.placement", "senlin.policy.affinity"
ATTACH, DETACH, UPDATE = (
    ActionKind.CLUSTER_ATTACH_POLICY,
    ActionKind.CLUSTER_DETACH_POLICY,
    ActionKind.CLUSTER_UPDATE_POLICY,
)


def a_policy(world: World, type: str = PLACEMENT, **properties: Any) -> str:
    made = Policy(
        id=world.ids.new(),
        name="rule",
        type=f"{type}-1.0",
        spec={"type": type, "version": "1.0", "properties": properties},
        user="u",
        project="p",
        domain=None,
        created_at=0.0,
    )
    world.store.run(policies.insert, made)
    return made.id


async def ended(world: World, kind: ActionKind, cluster_id: str, policy_id: str, **inputs: Any) -> Action:
    action_id = world.submit(kind, cluster_id, {"policy_id": policy_id, **inputs})
    await world.until(lambda: world.action(action_id).final)
    return world.action(action_id)


def attached(world: World, cluster_id: str) -> dict[str, bool]:
    """Whether each of the cluster's policies is enabled."""
    return {one.policy_id: one.enabled for one in world.store.run(bindings.attached, cluster_id)}


def test_a_policy_is_attached_changed_and_detached() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            before = world.cluster(cluster_id)
            rule = a_policy(world, max_per_host=1)
            done = await ended(world, ATTACH, cluster_id, rule, enabled=True)
            assert (done.status, done.status_reason) == (ActionStatus.SUCCEEDED, "CLUSTER_ATTACH_POLICY is done.")
            assert attached(world, cluster_id) == {rule: True}
            assert (await ended(world, ATTACH, cluster_id, rule, enabled=False)).status is ActionStatus.SUCCEEDED
            assert attached(world, cluster_id) == {rule: True}, "what is attached already is left as it is"
            assert (await ended(world, UPDATE, cluster_id, rule)).status is ActionStatus.SUCCEEDED
            assert (await ended(world, UPDATE, cluster_id, rule, enabled=False)).status is ActionStatus.SUCCEEDED
            assert attached(world, cluster_id) == {rule: False}
            assert world.store.run(bindings.rules_for, [cluster_id]) == {}
            assert (await ended(world, UPDATE, cluster_id, rule, enabled=True)).status is ActionStatus.SUCCEEDED
            assert attached(world, cluster_id) == {rule: True}
            assert (await ended(world, DETACH, cluster_id, rule)).status is ActionStatus.SUCCEEDED
            assert attached(world, cluster_id) == {}
            assert world.cluster(cluster_id) == before, "neither status nor anything else of the cluster changes"
            seen = [(e.action, e.status, e.level) for e in world.events() if e.action == ATTACH]
            assert seen == [(ATTACH, "start", Level.INFO), (ATTACH, "end", Level.INFO)] * 2

    run_virtually(story())


def test_attachments_that_fail_say_why_and_change_nothing() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            rule = a_policy(world, zones=["a"])
            assert (await ended(world, ATTACH, cluster_id, rule)).status is ActionStatus.SUCCEEDED
            twin, hosts = a_policy(world), a_policy(world, "spinney.policy.host_scaling", maximum=2)
            far = a_policy(world, AFFINITY, availability_zone="b")
            for policy_id, words in (
                (twin, "at most one policy of type spinney.policy.placement-1.0"),
                (hosts, "this cluster's profile type is container.dockerinc.docker-1.0"),
                (far, "no host could be in the zones of all enabled policies (a and b)"),
                (world.ids.new(), "no longer exists"),
            ):
                failed = await ended(world, ATTACH, cluster_id, policy_id)
                assert failed.status is ActionStatus.FAILED
                assert words in failed.status_reason and failed.status_reason.startswith("CLUSTER_ATTACH_POLICY: ")
                assert attached(world, cluster_id) == {rule: True}
            for kind in (UPDATE, DETACH):
                failed = await ended(world, kind, cluster_id, twin, enabled=True)
                assert failed.status is ActionStatus.FAILED and "is not attached" in failed.status_reason
            errors = [e for e in world.events() if e.level is Level.ERROR]
            assert len(errors) == 6 and all(e.status == "error" for e in errors)
            found = world.cluster(cluster_id)
            assert found is not None and found.status is ClusterStatus.ACTIVE

            assert (await ended(world, ATTACH, cluster_id, far, enabled=False)).status is ActionStatus.SUCCEEDED
            failed = await ended(world, UPDATE, cluster_id, far, enabled=True)
            assert failed.status is ActionStatus.FAILED and "cannot be enabled" in failed.status_reason
            assert attached(world, cluster_id) == {rule: True, far: False}

    run_virtually(story())


def test_names_that_nobody_bears_yet_are_told() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(0)  # it is called web
            await world.settle()
            rule = a_policy(
                world, anti_affinity=["db", "web", cluster_id], affinity=[{"cluster": "cache", "hard": False}]
            )
            done = await ended(world, ATTACH, cluster_id, rule)
            assert done.status is ActionStatus.SUCCEEDED
            assert "No cluster of the project is called 'cache', 'db' yet" in done.status_reason

    run_virtually(story())


def test_a_cluster_that_is_deleted_leaves_its_policies() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            rule = a_policy(world)
            await ended(world, ATTACH, cluster_id, rule)
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            assert world.cluster(cluster_id) is None
            assert world.store.run(lambda c: c.execute(sa.select(tables.binding)).all()) == []
            world.store.run(policies.remove, rule, rule)

    run_virtually(story())


# --- what is placed from then on --------------------------------------------------------------------------------------


def per_host(world: World, cluster_id: str) -> list[int]:
    """How many members are on each host, in the order of the hosts."""
    found = Counter(node.host_id for node in world.members(cluster_id))
    return [found[host_id] for host_id in world.host_ids]


def test_what_is_placed_stays_and_the_next_obey() -> None:
    async def story() -> None:
        world = World(host_count=3)
        async with world.engine():
            cluster_id = world.create(2)
            await world.settle()
            assert per_host(world, cluster_id) == [1, 1, 0]
            await ended(world, ATTACH, cluster_id, a_policy(world, hosts=["h1", world.host_ids[0]], strategy="binpack"))
            assert per_host(world, cluster_id) == [1, 1, 0]
            world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 3})
            await world.settle()
            assert per_host(world, cluster_id)[2] == 0, "the third host is not among those named"
            world.check_invariants()

    run_virtually(story())


def test_nodes_that_wait_are_placed_when_a_policy_goes() -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            cluster_id = world.create(0)
            await world.settle()
            rule = a_policy(world, max_per_host=1)
            await ended(world, ATTACH, cluster_id, rule)
            world.submit(ActionKind.CLUSTER_RESIZE, cluster_id, {"adjustment_type": "EXACT_CAPACITY", "number": 3})
            await world.settle()
            assert per_host(world, cluster_id) == [1, 1]
            found = world.cluster(cluster_id)
            assert found is not None and found.status is ClusterStatus.WARNING
            await ended(world, UPDATE, cluster_id, rule, enabled=False)
            await world.until(lambda: sum(per_host(world, cluster_id)) == 3 and world.idle(), 3.0)
            found = world.cluster(cluster_id)
            assert found is not None and found.status is ClusterStatus.ACTIVE

    run_virtually(story())


def test_clusters_of_one_group_share_its_rule() -> None:
    async def story() -> None:
        world = World(host_count=4)
        async with world.engine():
            clusters = [world.create(0), world.create(0)]
            await world.settle()
            rule = a_policy(world, AFFINITY, servergroup={"name": "databases"})
            for cluster_id in clusters:
                await ended(world, ATTACH, cluster_id, rule)
                world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 2})
                await world.settle()
            first, second = (per_host(world, cluster_id) for cluster_id in clusters)
            assert [a + b for a, b in zip(first, second, strict=True)] == [1, 1, 1, 1]
            world.submit(ActionKind.CLUSTER_SCALE_OUT, clusters[0], {"count": 1})
            await world.settle()
            (stuck,) = [node for node in world.members(clusters[0]) if node.host_id is None]
            assert "0 of 4 hosts fit" in stuck.status_reason

    run_virtually(story())


def test_a_group_is_kept_together_from_its_first_member_on() -> None:
    async def story() -> None:
        world = World(host_count=3)
        async with world.engine():
            clusters = [world.create(0), world.create(0)]
            await world.settle()
            rule = a_policy(world, AFFINITY, servergroup={"name": "pair", "policies": "affinity"})
            for cluster_id in clusters:
                await ended(world, ATTACH, cluster_id, rule)
            for cluster_id in clusters:
                world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 2})
                await world.settle()
            both = Counter(node.host_id for cluster_id in clusters for node in world.members(cluster_id))
            assert list(both.values()) == [4]

    run_virtually(story())


def test_members_are_divided_among_zones_by_weight() -> None:
    async def story() -> None:
        world = World(host_count=3)
        for host_id, zone in zip(world.host_ids, ("a", "b", "b"), strict=True):
            in_zone = tables.host.update().where(tables.host.c.node_id == host_id).values(zone=zone)
            world.store.run(lambda c, statement=in_zone: c.execute(statement))
        async with world.engine():
            cluster_id = world.create(0)
            await world.settle()
            zones = [{"name": "a", "weight": 200}, {"name": "b", "weight": 100}]
            rule = a_policy(world, "senlin.policy.zone_placement", zones=zones)
            await ended(world, ATTACH, cluster_id, rule)
            world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 6})
            await world.settle()
            assert per_host(world, cluster_id) == [4, 1, 1]

    run_virtually(story())
