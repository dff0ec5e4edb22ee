"""Quotas, image rules and grants where an engine acts: they are asked again, and what they refuse changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from engine.world import World
from spinney.config import NetworkSettings, RetentionSettings
from spinney.domain import subnets
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.container import ContainerRequest
from spinney.domain.grant import Device, HostPath, load
from spinney.domain.image_rule import ImageRule
from spinney.domain.images import familiar
from spinney.domain.node import NodeStatus
from spinney.domain.quota import unlimited
from spinney.engine.catalog import Catalog
from spinney.engine.cycle import Rules
from spinney.engine.intent.clusters import ClusterRules
from spinney.profiles.allowances import Allowances
from spinney.profiles.container_request import ContainerDefaults
from spinney.store import image_rules, quotas, retention, tables
from spinney.store.quotas import Change
from virtual_time import run_virtually

GRANTS = load(
    {
        "grants": {
            "tunnels": {"capability": "NET_ADMIN", "roles": ["member"]},
            "serial": {"device": {"path": "/dev/ttyUSB0", "permissions": "r"}, "roles": ["member"]},
            "models": {"host_path": {"path": "/srv/models", "container_path": "/models"}, "roles": ["member"]},
        }
    }
)


def rules(**allowed: Any) -> Rules:
    made = Allowances(**allowed)
    catalog = Catalog(ContainerDefaults(), made.grants)
    return Rules(catalog, ClusterRules(1000, made.limits), subnets.count(NetworkSettings()), made)


def profile(world: World, cpu: float = 0.5, **properties: Any) -> str:
    """With what its nodes set aside, as the API writes it."""
    profile_id = world.profile(**properties)
    values = {"cpu": cpu, "memory": 64 * 2**20}
    of_it = tables.profile.c.id == profile_id
    world.store.run(lambda c: c.execute(tables.profile.update().where(of_it).values(values)))
    return profile_id


def reason(world: World, action_id: str) -> str:
    found = world.action(action_id)
    assert found.status is ActionStatus.FAILED, (found.status, found.status_reason)
    return found.status_reason


def made_of(world: World) -> set[str]:
    return {familiar(container.image) for container in world.running()}


# -- quotas --------------------------------------------------------------------------------------------------------------


def test_growth_beyond_the_quota_fails_and_changes_nothing() -> None:
    async def story() -> None:
        world = World()
        cluster_id = world.create(2, profile_id=profile(world))
        async with world.engine(rules=rules(limits={**unlimited(), "nodes": 3})):
            await world.settle()
            for kind, inputs in (
                (ActionKind.CLUSTER_SCALE_OUT, {"count": 2}),
                (ActionKind.CLUSTER_RESIZE, {"adjustment_type": "EXACT_CAPACITY", "number": 4}),
            ):
                refused = world.submit(kind, cluster_id, inputs)
                await world.settle()
                told = reason(world, refused)
                assert f"{kind.value}: the quota of nodes is used up: 3 allowed, 2 in use or promised, 2 more" in told
                cluster = world.cluster(cluster_id)
                assert cluster is not None and cluster.desired_capacity == 2 and len(world.members(cluster_id)) == 2
            world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 1})
            await world.settle()
            assert len(world.members(cluster_id)) == len(world.running()) == 3

    run_virtually(story())


def test_actions_of_many_clusters_at_once_stay_within_the_quota() -> None:
    async def story() -> None:
        world = World()
        mould = profile(world)
        clusters = [world.create(1, profile_id=mould) for _ in range(6)]
        limits = {**unlimited(), "nodes": 10}
        async with world.engine(rules=rules(limits=limits)), world.engine(rules=rules(limits=limits)):
            await world.settle()
            for cluster_id in clusters:
                world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 1})
            await world.settle()
            assert len(world.running()) == 10
            ended = [one.status for one in world.actions() if one.action is ActionKind.CLUSTER_SCALE_OUT]
            assert ended.count(ActionStatus.FAILED) == 2

    run_virtually(story())


def test_an_update_to_a_dearer_profile_is_paid_for_before_it_begins() -> None:
    async def story() -> None:
        world = World()
        cheap, dear = profile(world, 0.5), profile(world, 1.5)
        cluster_id = world.create(2, profile_id=cheap)
        limits = {**unlimited(), "cpu": 2.0}
        async with world.engine(rules=rules(limits=limits)):
            await world.settle()
            refused = world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": dear})
            await world.settle()
            assert "cpu is used up: 2 cores allowed, 1 cores in use or promised, 2 cores more" in reason(world, refused)
            assert {node.profile_id for node in world.members(cluster_id)} == {cheap}
            node = world.members(cluster_id)[0]
            world.submit(ActionKind.NODE_UPDATE, node.id, {"new_profile_id": dear})
            await world.settle()
            other = world.submit(ActionKind.NODE_UPDATE, world.members(cluster_id)[1].id, {"new_profile_id": dear})
            await world.settle()
            assert "2 cores allowed, 2 cores in use" in reason(world, other)
            assert {node.status for node in world.members(cluster_id)} == {NodeStatus.ACTIVE}
            assert len(world.running()) == 2

    run_virtually(story())


def test_a_cluster_counts_with_its_new_profile_while_it_is_updated() -> None:
    async def story() -> None:
        world = World()
        cheap, dear = profile(world, 0.5), profile(world, 1.0)
        cluster_id, other = world.create(2, profile_id=cheap), world.create(0, profile_id=cheap)
        async with world.engine(rules=rules()):
            await world.settle()
            world.hooks.before = _hold_creations(world)
            update = world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": dear})
            await world.until(lambda: world.action(update).status is ActionStatus.WAITING)
            assert world.store.run(quotas.used, "p")["cpu"] == 2.0
            limits = {**unlimited(), "cpu": 2.0}
            assert world.store.run(quotas.growth_fault, "p", other, Change(desired=1), limits) is not None

    run_virtually(story())


def _hold_creations(world: World) -> Any:
    async def before(*_: Any) -> None:
        await world.clock.sleep(20.0)

    return before


# -- image rules ---------------------------------------------------------------------------------------------------------


def test_a_rule_that_came_later_is_asked_before_each_creation() -> None:
    async def story() -> None:
        world = World()
        cluster_id = world.create(1, profile_id=world.profile(image="team/app:1"))
        async with world.engine():
            await world.settle()
            world.store.run(image_rules.put, "*", {"allow": ["docker.io/library/*"]}, 1.0)
            out = world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 1})
            await world.settle()
            assert "images of docker.io/team/app are not allowed here" in reason(world, out)
            old, new = world.members(cluster_id)
            assert (old.status, new.status) == (NodeStatus.ACTIVE, NodeStatus.ERROR)
            assert "image rules: images of docker.io/team/app" in new.status_reason and new.host_id is None
            moved = world.submit(ActionKind.NODE_MOVE, old.id, {})
            await world.settle()
            assert "image rules" in reason(world, moved)
            assert len(world.running()) == 1
            world.store.run(image_rules.forget, "*")
            world.submit(ActionKind.NODE_RECOVER, new.id)
            await world.settle()
            assert len(world.running()) == 2

    run_virtually(story())


def test_a_tag_is_resolved_once_for_a_cluster_and_anew_for_another_profile() -> None:
    async def story() -> None:
        world = World()
        old = world.profile(image="team/app:1")
        cluster_id = world.create(3, profile_id=old)
        async with world.engine(rules=rules(images=ImageRule(pin=True))):
            await world.settle()
            (first,) = made_of(world)
            assert first.startswith("team/app@sha256:")
            assert {node.data["image"] for node in world.members(cluster_id)} == {first}
            for number in range(2):
                world.host_engine(number).core.images.publish("team/app:1")
            world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 3})
            await world.settle()
            assert made_of(world) == {first} and len(world.running()) == 6
            other = world.create(1, profile_id=world.profile(image="team/app:1", pull_policy="always"))
            await world.settle()
            assert {node.status for node in world.members(other)} == {NodeStatus.ACTIVE}
            assert len(made_of(world)) == 2
            fresh = world.profile(image="team/app:1", pull_policy="always", environment={"WHAT": "else"})
            world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": fresh})
            await world.settle()
            assert first not in made_of(world) and len(made_of(world)) == 1

    run_virtually(story())


def test_an_engine_that_comes_later_uses_what_was_resolved() -> None:
    async def story() -> None:
        world = World()
        cluster_id = world.create(1, profile_id=world.profile(image="team/app:1", pull_policy="always"))
        async with world.engine(rules=rules(images=ImageRule(pin=True))):
            await world.settle()
        before = made_of(world)
        for number in range(2):
            world.host_engine(number).core.images.publish("team/app:1")
        async with world.engine(rules=rules(images=ImageRule(pin=True))):
            world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 3})
            await world.settle()
        assert made_of(world) == before and len(world.running()) == 4

    run_virtually(story())


def test_an_image_without_a_digest_is_not_used_where_it_is_to_be_pinned() -> None:
    async def story() -> None:
        world = World(host_count=1)
        images = world.host_engine(0).core.images
        images.built.add(images.add("team/built:1"))
        cluster_id = world.create(1, profile_id=world.profile(image="team/built:1"))
        async with world.engine(rules=rules(images=ImageRule(pin=True))):
            await world.settle()
            (node,) = world.members(cluster_id)
            assert node.status is NodeStatus.ERROR and "has no digest on the host" in node.status_reason
            assert not world.containers()

    run_virtually(story())


def test_what_was_resolved_is_forgotten_with_its_cluster() -> None:
    world = World()
    cluster_id = world.create(0)
    for owner in (cluster_id, world.host_ids[0], world.ids.new()):
        world.store.run(image_rules.resolve, owner, "p1", "team/app@sha256:0", 1.0)
    assert world.store.run(image_rules.resolve, cluster_id, "p1", "team/app@sha256:1", 2.0) == "team/app@sha256:0"
    world.store.run(retention.prune, RetentionSettings())
    left = world.store.run(lambda c: set(c.execute(tables.resolved_image.select()).scalars()))
    assert left == {cluster_id, world.host_ids[0]}


# -- grants --------------------------------------------------------------------------------------------------------------


def test_a_container_gets_exactly_what_its_profiles_grants_give() -> None:
    async def story() -> None:
        world = World(host_count=1)
        cluster_id = world.create(1, profile_id=world.profile(grants=["tunnels", "serial", "models"]))
        requests = _seen(world)
        async with world.engine(rules=rules(grants=GRANTS)):
            await world.settle()
            world.create(1, profile_id=world.profile())
            await world.settle()
        granted, plain = requests
        assert granted.devices == (Device("/dev/ttyUSB0", "/dev/ttyUSB0", "r"),)
        assert granted.host_paths == (HostPath("/srv/models", "/models"),)
        assert granted.cap_add == ("NET_ADMIN",)
        (node,) = world.members(cluster_id)
        assert node.data["grants"] == ["tunnels", "serial", "models"]
        same = {"devices": (), "host_paths": (), "cap_add": (), "name": plain.name, "labels": plain.labels}
        assert replace(granted, **same) == plain

    run_virtually(story())


def _seen(world: World) -> list[ContainerRequest]:
    """The requests that reach the first host."""
    core, seen = world.host_engine(0).core, list[ContainerRequest]()
    create = core.create

    def watching(request: ContainerRequest, *rest: Any, **more: Any) -> Any:
        seen.append(request)
        return create(request, *rest, **more)

    core.create = watching  # type: ignore[method-assign]  # the one place through which all creations go
    return seen


def test_a_grant_that_is_gone_is_refused_before_anything_is_made() -> None:
    async def story() -> None:
        world = World(host_count=1)
        cluster_id = world.create(1, profile_id=world.profile(grants=["tunnels"]))
        elsewhere = {"tunnels": replace(GRANTS["tunnels"], projects=frozenset({"q"}))}
        for grants in ({}, elsewhere):
            async with world.engine(rules=rules(grants=grants)):
                await world.settle()
                (node,) = world.members(cluster_id)
                assert node.status is NodeStatus.ERROR and "the grant tunnels is not given" in node.status_reason
                assert not world.containers()
                world.submit(ActionKind.NODE_RECOVER, node.id)
                await asyncio.sleep(0)
        async with world.engine(rules=rules(grants=GRANTS)):
            await world.settle()
            assert len(world.running()) == 1

    run_virtually(story())


def test_containers_with_a_grant_go_to_hosts_with_its_labels() -> None:
    async def story() -> None:
        world = World(host_count=3)
        of_one = tables.host.c.node_id == world.host_ids[1]
        world.store.run(lambda c: c.execute(tables.host.update().where(of_one).values(labels={"modem": "yes"})))
        grants = {"serial": replace(GRANTS["serial"], host_labels={"modem": "yes"})}
        cluster_id = world.create(3, profile_id=world.profile(grants=["serial"]))
        async with world.engine(rules=rules(grants=grants)):
            await world.settle()
            assert {node.host_id for node in world.members(cluster_id)} == {world.host_ids[1]}

    run_virtually(story())
