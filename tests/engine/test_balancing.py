"""Load balancers of our own on simulated hosts: made, kept and told what to do, and members kept in and out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.policed import a_policy, attach, cluster_of, ended
from engine.world import World
from spinney.config import BalancerSettings
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.balancing.model import Balancer, BalancerState, Member
from spinney.domain.image_rule import ImageRule
from spinney.domain.node import Node, NodeStatus
from spinney.domain.quota import unlimited
from spinney.drivers.balancer.image import File, archive
from spinney.drivers.balancer.provided import provided
from spinney.drivers.simulated import haproxy
from spinney.drivers.simulated.haproxy import Haproxy
from spinney.engine.catalog import Catalog
from spinney.engine.cycle import Rules
from spinney.engine.intent.clusters import ClusterRules
from spinney.profiles.allowances import Allowances
from spinney.profiles.container_request import ContainerDefaults
from spinney.store import balancing, tables
from virtual_time import run_virtually

PUBLISHED = [{"container": 80}]
POOL = {"pool": {"subnet": "s"}, "vip": {"subnet": "s", "protocol_port": 8080}}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("balancer") / "image.tar"
    file.write_bytes(archive({"bin/sh": File(b"")}, {}, "amd64", ""))
    return file


def settings(image: Path, **changes: Any) -> BalancerSettings:
    return BalancerSettings(**{"image_archive": str(image), "slots": 4, "drain_time": 5.0, **changes})


async def found_at(name: str) -> str | None:
    return f"192.0.2.{int(name.removeprefix('h')) + 1}"


class Scene:
    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def balancers(self) -> list[Balancer]:
        return self.world.store.run(balancing.find)

    @property
    def balancer(self) -> Balancer:
        (found,) = self.balancers
        return found

    @property
    def node(self) -> Node | None:
        return self.world.node(self.balancer.node_id) if self.balancer.node_id else None

    def pool(self) -> list[Member]:
        return self.world.store.run(balancing.members_of, [self.balancer.id])

    def inside(self) -> list[str]:
        return sorted(one.node_id for one in self.pool() if one.state.value == "in")

    def program(self) -> Haproxy:
        assert self.node is not None and self.node.physical_id is not None
        for engine in self.world.connector.engines.values():
            record = engine.core.find(self.node.physical_id)
            if record is not None:
                return haproxy.of(record)
        raise AssertionError("its container is nowhere")

    def serving(self) -> set[tuple[str, int]]:
        return self.program().serving()

    async def all_in(self, cluster_id: str, seconds: float = 30.0) -> None:
        """Until all members of the cluster are given work, and nobody else is."""
        members = self.world.members

        def done() -> bool:
            ids = sorted(node.id for node in members(cluster_id))
            return self.inside() == ids and len(self.serving()) == len(ids)

        await self.world.until(lambda: bool(self.balancers) and self.node is not None, seconds)
        await self.world.until(done, seconds)


@asynccontextmanager
async def scene(image: Path, hosts: int = 1, **changes: Any) -> AsyncIterator[Scene]:
    world = World(hosts)
    async with world.engine(balancer=settings(image, **changes), resolve=found_at):
        yield Scene(world)


def run(story: Any, *args: Any) -> None:
    run_virtually(story(*args))


async def web(world: World, size: int, **properties: Any) -> str:
    return await cluster_of(world, size, profile_id=world.profile(ports=PUBLISHED, **properties), max_size=8)


def test_a_policy_brings_a_load_balancer_with_all_members_and_takes_it_away_again(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 3)
            policy_id = await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            node = here.node
            assert node is not None and (node.name, node.role, node.cluster_id) == ("web.balancer", "balancer", "")
            assert {port for _, port in here.serving()} == {80}
            cluster = world.cluster(cluster_id)
            assert cluster is not None
            assert cluster.data["loadbalancers"] == {policy_id: {"vip_address": "h0"}}
            assert all("lb_member" in one.data for one in world.members(cluster_id))
            assert here.balancer.state is BalancerState.ACTIVE and "3" in here.balancer.state_reason
            await ended(world, ActionKind.CLUSTER_DETACH_POLICY, cluster_id, policy_id=policy_id)
            await world.until(lambda: not here.balancers)
            cluster = world.cluster(cluster_id)
            assert cluster is not None and "loadbalancers" not in cluster.data
            assert len(world.containers()) == 3 and not any("lb_member" in n.data for n in world.members(cluster_id))
            world.check_invariants()

    run(story)


def test_a_member_is_stopped_when_it_has_finished_and_not_before(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            places = here.serving()
            here.program().sessions = dict.fromkeys(places, 1)
            began = world.clock.now()
            world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id, {"count": 1})
            await world.until(lambda: len(here.serving()) == 1)
            assert world.clock.now() - began < 1.0
            await world.clock.sleep(3.0)
            assert len(world.running()) == 3  # it still serves what it has begun
            here.program().sessions = {}
            finished = world.clock.now()
            await world.settle()
            assert len(world.running()) == 2 and world.clock.now() - finished < 2.0
            await world.until(lambda: len(here.pool()) == 1)

    run(story)


def test_who_does_not_finish_has_the_drain_time_and_no_longer(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            here.program().sessions = dict.fromkeys(here.serving(), 9)
            began = world.clock.now()
            world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id, {"count": 1})
            await world.settle()
            assert 4.0 < world.clock.now() - began < 8.0 and len(world.running()) == 2

    run(story)


@pytest.mark.parametrize("operation", ["stop", "restart", "pause"])
def test_operations_wait_too_and_a_restarted_member_comes_back(image: Path, operation: str) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            node = world.members(cluster_id)[0]
            started = {one.id: one.started_at for one in world.running()}
            served: list[bool] = []

            def look() -> bool:
                """Whoever is being stopped serves nobody."""
                found = {one.id: one for one in world.containers()}[node.physical_id or ""]
                up = found.state.value == "running" and found.started_at == started[found.id]
                served.append(not up and len(here.serving()) == 2 and operation != "restart")
                return all(a.final for a in world.actions())

            world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": operation, "params": {}})
            await world.until(look)
            assert not any(served)
            expected = 2 if operation == "restart" else 1
            await world.until(lambda: len(here.serving()) == expected and len(here.inside()) == expected)

    run(story)


def test_new_members_are_in_within_a_second_and_dead_ones_out(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2, restart_policy="none")
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 2})
            await world.until(lambda: sum(node.ready for node in world.members(cluster_id)) == 4)
            ready = world.clock.now()
            await here.all_in(cluster_id)
            assert world.clock.now() - ready < 1.0
            victim = world.members(cluster_id)[0]
            world.host_engine(0).core.kill(victim.physical_id or "", "SIGKILL", world.clock.now())
            began = world.clock.now()
            await world.until(lambda: len(here.serving()) == 3)
            assert world.clock.now() - began < 1.0

    run(story)


def test_on_another_host_a_member_is_found_at_the_port_that_it_publishes(image: Path) -> None:
    async def story() -> None:
        async with scene(image, hosts=2) as here:
            world = here.world
            cluster_id = await web(world, 4)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            node = here.node
            assert node is not None
            for member in world.members(cluster_id):
                row = next(one for one in here.pool() if one.node_id == member.id)
                if member.host_id == node.host_id:
                    assert (row.address, row.port) == (member.data["addresses"][0]["addr"], 80)
                else:
                    number = world.host_ids.index(member.host_id or "")
                    assert (row.address, row.port) == (f"192.0.2.{number + 1}", member.data["ports"][0]["host"])

    run(story)


def test_a_member_out_of_reach_is_told_of_where_its_owner_looks(image: Path) -> None:
    async def story() -> None:
        async with scene(image, hosts=2) as here:
            world = here.world
            cluster_id = await cluster_of(world, 2)  # publishes nothing, one on each host
            policy_id = await attach(world, cluster_id, "loadbalance", **POOL)
            await world.until(lambda: bool(here.balancers) and here.balancer.state is BalancerState.WARNING)
            near, far = sorted(world.members(cluster_id), key=lambda n: n.host_id != (here.node and here.node.host_id))
            await world.until(lambda: here.inside() == [near.id])
            warned = world.node(far.id)
            assert warned is not None and warned.status is NodeStatus.WARNING
            assert f"member {far.name} on another host does not publish port 80" in warned.status_reason
            assert "add ports to the profile" in here.balancer.state_reason
            cluster = world.cluster(cluster_id)
            assert cluster is not None and cluster.status.value == "WARNING"
            await world.clock.sleep(20.0)  # listings of the host change nothing about it
            assert world.node(far.id) == warned
            await ended(world, ActionKind.CLUSTER_DETACH_POLICY, cluster_id, policy_id=policy_id)
            forgiven = world.node(far.id)
            assert forgiven is not None and forgiven.status is NodeStatus.ACTIVE

    run(story)


def test_a_load_balancer_that_dies_is_started_again_and_knows_its_members(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            program = here.program()
            assert here.node is not None
            world.host_engine(0).core.kill(here.node.physical_id or "", "SIGKILL", world.clock.now())
            await world.until(lambda: here.node is not None and here.node.repairs == 1)
            await here.all_in(cluster_id)
            assert here.program() is program and "10." in program.file

    run(story)


def test_one_that_is_deleted_is_made_anew(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            first = here.node
            assert first is not None
            world.submit(ActionKind.NODE_DELETE, first.id)
            await world.until(lambda: here.node is not None and here.node.id != first.id)
            await here.all_in(cluster_id)
            names = [one.name for one in world.store.run(lambda c: c.execute(tables.profile.select()).all())]
            assert sorted(names) == ["web", "web.balancer"]

    run(story)


def test_what_others_change_in_it_is_set_right(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            here.program().servers[1].admin = 1
            await here.all_in(cluster_id, seconds=7.0)

    run(story)


def test_a_disabled_policy_lets_nobody_in_and_lets_who_leaves_finish(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2)
            policy_id = await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, cluster_id, policy_id=policy_id, enabled=False)
            await ended(world, ActionKind.CLUSTER_SCALE_OUT, cluster_id, count=1)
            await world.clock.sleep(2.0)
            assert len(here.inside()) == 2
            victim = here.inside()[0]
            here.program().sessions = dict.fromkeys(here.serving(), 1)
            world.submit(ActionKind.NODE_DELETE, victim)
            await world.until(lambda: len(here.serving()) == 1)
            assert len(world.running()) == 4
            await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, cluster_id, policy_id=policy_id, enabled=True)
            await world.settle()
            await here.all_in(cluster_id)

    run(story)


def test_without_an_image_the_policy_is_attached_and_says_what_is_missing(image: Path) -> None:
    async def story() -> None:
        world = World(1)
        async with world.engine():
            here = Scene(world)
            cluster_id = await web(world, 1)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await world.until(lambda: here.balancer.state is BalancerState.ERROR)
            assert "[balancer] image_archive" in here.balancer.state_reason and here.balancer.node_id is None
            await ended(world, ActionKind.CLUSTER_DELETE, cluster_id)
            await world.until(lambda: not here.balancers)

    run(story)


def test_places_run_out_once_and_then_it_begins_anew(image: Path) -> None:
    async def story() -> None:
        async with scene(image, slots=2) as here:
            world = here.world
            cluster_id = await cluster_of(world, 1, profile_id=world.profile(), max_size=-1)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            assert (here.program().reloads, len(here.program().servers)) == (1, 2)
            await ended(world, ActionKind.CLUSTER_RESIZE, cluster_id, adjustment_type="EXACT_CAPACITY", number=5)
            await here.all_in(cluster_id)
            reloads, places = here.program().reloads, len(here.program().servers)
            assert places >= 8 and reloads in (2, 3)
            await ended(world, ActionKind.CLUSTER_RESIZE, cluster_id, adjustment_type="EXACT_CAPACITY", number=1)
            await here.all_in(cluster_id)
            assert (here.program().reloads, len(here.program().servers)) == (reloads, places)

    run(story)


def test_what_it_serves_is_counted(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 1)
            rate = partial(world.store.run, balancing.request_rate, cluster_id)
            assert rate() is None
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            program = here.program()
            for _ in range(40):
                await world.clock.sleep(0.5)
                program.requests += 50
            assert rate() == pytest.approx(100.0, rel=0.2)
            program.requests = 3  # begun anew
            await world.clock.sleep(6.0)
            found = rate()
            stats: Mapping[str, Any] = here.balancer.data["stats"]
            assert found is not None and found < 50 and stats["requests"] >= 1500
            assert list(stats["members"]) == [world.members(cluster_id)[0].id]

    run(story)


def test_two_on_one_port_and_one_host_are_told_of(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            one, other = await web(world, 1), await web(world, 1)
            await attach(world, one, "loadbalance", **POOL)
            await world.until(lambda: here.balancer.state is BalancerState.ACTIVE)
            await attach(world, other, "loadbalance", **POOL)
            await world.until(lambda: any("8080" in found.state_reason for found in here.balancers))
            waiting = next(found for found in here.balancers if found.cluster_id == other)
            assert waiting.state is BalancerState.MAKING and "Waiting for room" in waiting.state_reason
            await ended(world, ActionKind.CLUSTER_DELETE, one)
            await world.until(lambda: here.balancers[0].state is BalancerState.ACTIVE, 60.0)

    run(story)


def test_a_policy_that_no_haproxy_can_carry_out_is_refused(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 1)
            policy_id = a_policy(world, "loadbalance", pool={"subnet": "s"}, vip={"subnet": "s", "protocol": "HTTPS"})
            done = await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy_id=policy_id)
            assert done.status is ActionStatus.FAILED and "do not go together" in done.status_reason
            assert not here.balancers

    run(story)


def test_with_its_cluster_it_is_gone(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            here.program().sessions = dict.fromkeys(here.serving(), 5)
            began = world.clock.now()
            await ended(world, ActionKind.CLUSTER_DELETE, cluster_id)
            assert world.containers() == [] and world.clock.now() - began < 4.0  # nobody waits for clients to finish
            await world.until(lambda: not here.balancers)
            left = world.store.run(lambda c: [row.name for row in c.execute(tables.profile.select())])
            assert left == ["web"] and world.store.run(lambda c: c.execute(tables.pool_member.select()).all()) == []

    run(story)


def rules(**allowed: Any) -> Rules:
    return Rules(Catalog(ContainerDefaults()), ClusterRules(1000), 256, Allowances(**allowed))


def test_rules_about_images_are_not_about_the_operators_own(image: Path) -> None:
    async def story() -> None:
        world = World(1)
        own = provided(settings(image)).reference
        given = rules(images=ImageRule(("busybox",), pin=False), own_image=own)
        async with world.engine(balancer=settings(image), rules=given):
            here = Scene(world)
            cluster_id = await web(world, 1)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)

    run(story)


def test_it_counts_against_the_quota_of_its_clusters_owner(image: Path) -> None:
    async def story() -> None:
        world = World(1)
        given = rules(limits={**unlimited(), "nodes": 2})
        async with world.engine(balancer=settings(image), rules=given):
            here = Scene(world)
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await world.until(lambda: here.balancer.state is BalancerState.ERROR)
            assert "the quota of nodes is used up" in here.balancer.state_reason
            await ended(world, ActionKind.CLUSTER_SCALE_IN, cluster_id, count=1)
            await here.all_in(cluster_id)

    run(story)


def test_when_its_host_is_drained_it_serves_from_another(image: Path) -> None:
    async def story() -> None:
        async with scene(image, hosts=2) as here:
            world = here.world
            cluster_id = await web(world, 2)
            policy_id = await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            assert here.node is not None
            before = here.node.host_id or ""
            await ended(world, ActionKind.HOST_DRAIN, before)
            assert here.node.host_id not in (None, before)
            await here.all_in(cluster_id)
            name = f"h{world.host_ids.index(here.node.host_id or '')}"
            await world.until(lambda: here.balancer.data["addresses"] == [{"address": name, "port": 8080}])
            cluster = world.cluster(cluster_id)
            assert cluster is not None and cluster.data["loadbalancers"][policy_id] == {"vip_address": name}

    run(story)


def test_an_update_hands_over_within_the_pool(image: Path) -> None:
    """Each member's new container serves before its old one stops, and the old one finishes what it has begun."""

    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            old = {one.physical_id for one in world.members(cluster_id)}
            fewest = 2
            served_by_the_dead: list[str] = []

            def look() -> bool:
                nonlocal fewest
                serving = here.serving()
                fewest = min(fewest, len(serving))
                up = {address.addr for one in world.running() for address in one.addresses}
                served_by_the_dead.extend(address for address, _ in serving if address not in up)
                return world.action(update).final

            update = world.submit(
                ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": world.profile(ports=PUBLISHED, hostname="b")}
            )
            await world.until(look)
            assert world.action(update).status is ActionStatus.SUCCEEDED, world.action(update).status_reason
            await here.all_in(cluster_id)
            assert not old & {one.physical_id for one in world.members(cluster_id)}
            assert not served_by_the_dead and fewest == 2

    run(story)


def test_another_engine_goes_on_where_one_ended(image: Path) -> None:
    async def story() -> None:
        world = World(1)
        here = Scene(world)
        first = world.engine(balancer=settings(image))
        async with first:
            cluster_id = await web(world, 3)
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            here.program().sessions = dict.fromkeys(here.serving(), 1)
            world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id, {"count": 1})
            await world.until(lambda: len(here.serving()) == 2)
        reloads = here.program().reloads
        async with world.engine(balancer=settings(image)):
            await world.clock.sleep(1.0)
            here.program().sessions = {}
            await world.settle()
            await here.all_in(cluster_id)
            assert len(world.running()) == 3 and here.program().reloads == reloads

    run(story)


def test_a_member_that_its_docker_engine_started_again_elsewhere_is_found(image: Path) -> None:
    async def story() -> None:
        async with scene(image) as here:
            world = here.world
            cluster_id = await web(world, 1, restart_policy="on-failure:3")
            await attach(world, cluster_id, "loadbalance", **POOL)
            await here.all_in(cluster_id)
            (node,) = world.members(cluster_id)
            stored = {"addresses": [{"network": "b", "addr": "10.99.0.1", "version": 4}]}
            of_it = tables.node.c.id == node.id
            values = {"data": {**node.data, **stored}, "ready_at": world.clock.now()}
            world.store.run(lambda c: c.execute(tables.node.update().where(of_it).values(values)))
            await world.clock.sleep(1.0)
            (place,) = here.serving()
            assert place[0] != "10.99.0.1"

    run(story)
