"""What is asked of one host: one pull per image, a bound on what runs at a time, networks that come and go."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from engine.weather import check_gone, check_whole, running, storm
from engine.world import HOSTS, World
from spinney.config import EngineSettings
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.node import Node, NodeStatus
from spinney.domain.profile import Profile
from spinney.drivers.base import HostAddress
from spinney.drivers.simulated.faults import Operation
from spinney.drivers.simulated.host import SimulatedHost
from spinney.engine.catalog import Catalog
from spinney.engine.cycle import Rules
from spinney.engine.intent.clusters import ClusterRules
from spinney.profiles.container_request import ContainerDefaults
from spinney.store.rows import NODES, PROFILES
from virtual_time import run_virtually

_MAKING = (Operation.CREATE, Operation.START, Operation.REMOVE, Operation.RESTART)


@pytest.mark.parametrize("policy", ["missing", "always"])
def test_many_nodes_cost_one_pull_per_image_and_host(policy: str) -> None:
    async def story() -> None:
        world = World(host_count=2)
        for number in range(2):
            world.host_engine(number).core.images.remote["remote/app:latest"] = 7.0
        async with world.engine():
            cluster_id = world.create(40, profile_id=world.profile(image="remote/app", pull_policy=policy))
            await world.settle()
            assert [world.host_engine(n).calls[Operation.PULL] for n in range(2)] == [1, 1]
            check_whole(world, cluster_id, 40)

    run_virtually(story())


def test_at_most_so_many_calls_at_a_time_make_a_host_busy() -> None:
    async def story() -> None:
        world = World(host_count=2, settings=EngineSettings(lease=4.0, host_concurrency=3))
        storm(world, "*:latency=0.2")
        now: Counter[str] = Counter()
        most: Counter[str] = Counter()

        def enter(operation: Operation, host: str) -> None:
            if operation in _MAKING:
                now[host] += 1
                most[host] = max(most[host], now[host])

        def leave(operation: Operation, host: str) -> None:
            if operation in _MAKING:
                now[host] -= 1

        world.hooks.before, world.hooks.after = enter, leave
        async with world.engine():
            cluster_id = world.create(24)
            await world.settle()
            check_whole(world, cluster_id, 24)
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
        assert most == {"h0": 3, "h1": 3} and set(now.values()) == {0}

    run_virtually(story())


def test_stopping_containers_does_not_use_up_what_a_host_may_do_at_a_time() -> None:
    async def story() -> None:
        world = World(host_count=1, settings=EngineSettings(lease=4.0, host_concurrency=1))
        async with world.engine():
            stubborn = world.create(5, profile_id=world.profile(command="sh -c 'trap \"\" TERM; sleep 1000'"))
            await world.settle()
            world.submit(ActionKind.CLUSTER_DELETE, stubborn)
            started = world.clock.monotonic()
            await world.settle()
            assert world.clock.monotonic() - started < 25.0, "five times ten seconds, if one waited for the other"
            check_gone(world, stubborn)

    run_virtually(story())


def test_a_project_network_exists_as_long_as_somebody_needs_it() -> None:
    async def story() -> None:
        world = World(host_count=1)
        core = world.host_engine(0).core
        async with world.engine():
            first, second = world.create(1), world.create(1)
            await world.settle()
            (name,) = [n.name for n in core.networks if n.name.startswith("spinney-")]
            world.submit(ActionKind.CLUSTER_DELETE, first)
            await world.settle()
            assert core.find_network(name, world.clock.now()) is not None
            world.submit(ActionKind.CLUSTER_DELETE, second)
            await world.settle()
            await world.clock.sleep(1.0)
            assert core.find_network(name, world.clock.now()) is None

    run_virtually(story())


def test_a_host_whose_subnets_are_used_up_is_passed_over_until_one_is_free() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with running(world.context(rules=Rules(Catalog(ContainerDefaults()), ClusterRules(1000), 1))):
            first = world.create(1)
            await world.settle()
            late = world.create(1, project="another")
            other = world.create(1)
            await world.settle()
            assert [n.status for n in world.members(first) + world.members(other)] == [NodeStatus.ACTIVE] * 2
            (node,) = world.members(late)
            assert node.waiting_since is not None and "0 of 1 hosts fit" in node.status_reason, node.status_reason
            world.check_invariants()
            for cluster_id in (first, other):
                world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            await world.until(lambda: world.members(late)[0].status is NodeStatus.ACTIVE)
            check_whole(world, late, 1)

    run_virtually(story())


class _Registry:
    """Reaches simulated hosts under endpoints that a profile may name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def connect(self, address: HostAddress) -> SimulatedHost:
        name = address.endpoint.rpartition("@")[2].partition(":")[0]
        return self._world.connector.connect(HostAddress(f"sim://{name}"))


def _host_node(world: World, name: str, profile_name: str = "") -> str:
    spec = {"type": "host.docker", "version": "1.0", "properties": {"endpoint": f"ssh://spinney@{name}:22"}}
    profile = Profile(
        id=world.ids.new(), name=profile_name or name, type="host.docker-1.0", spec=spec, metadata={}, created_at=0.0,
        domain=None, user="u", project="p",
    )  # fmt: skip
    node = Node(
        id=world.ids.new(), name=name, profile_id=profile.id, cluster_id=HOSTS, init_at=0.0, user="u", project="p"
    )
    world.store.run(lambda c: (PROFILES.insert(c, [profile]), NODES.insert(c, [node])))
    return node.id


def test_a_host_joins_is_given_what_waited_for_it_and_leaves_when_nothing_is_placed_on_it() -> None:
    async def story() -> None:
        world = World(host_count=0)
        connector: Any = _Registry(world)
        async with running(world.context(connector=connector)):
            cluster_id = world.create(2)
            await world.settle()
            assert all("has no usable host" in n.status_reason for n in world.members(cluster_id))
            host_id = _host_node(world, "late")
            world.submit(ActionKind.NODE_CREATE, host_id)
            await world.until(lambda: len(world.running()) == 2)
            await world.settle()
            joined = world.node(host_id)
            assert joined is not None and joined.status is NodeStatus.ACTIVE and joined.physical_id
            check_whole(world, cluster_id, 2)

            refused = world.submit(ActionKind.NODE_DELETE, host_id)
            await world.settle()
            assert world.action(refused).status is ActionStatus.FAILED
            assert "2 container nodes are placed on this host" in world.action(refused).status_reason
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            world.submit(ActionKind.NODE_DELETE, host_id)
            await world.settle()
            assert world.hosts() == [] and world.node(host_id) is None

    run_virtually(story())


def test_a_host_takes_the_profile_with_it_that_adopting_made_and_no_other() -> None:
    async def story() -> None:
        world = World(host_count=0)
        connector: Any = _Registry(world)
        async with running(world.context(connector=connector)):
            adopted = _host_node(world, "one", "prof-one")
            made_by_hand = _host_node(world, "two", "racks")
            in_use = _host_node(world, "three", "prof-three")
            node = world.node(in_use)
            assert node is not None
            world.create(0, profile_id=node.profile_id)
            for host_id in (adopted, made_by_hand, in_use):
                world.submit(ActionKind.NODE_CREATE, host_id)
            await world.settle()
            for host_id in (adopted, made_by_hand, in_use):
                world.submit(ActionKind.NODE_DELETE, host_id)
            await world.settle()
            assert world.hosts() == []
            assert {profile.name for profile in world.store.run(PROFILES.all)} == {"racks", "prof-three"}

    run_virtually(story())


def test_a_host_that_does_not_answer_does_not_join() -> None:
    async def story() -> None:
        world = World(host_count=0)
        connector: Any = _Registry(world)
        world.connector.engine("late").go_down()
        async with running(world.context(connector=connector)):
            host_id = _host_node(world, "late")
            joining = world.submit(ActionKind.NODE_CREATE, host_id)
            await world.settle(300.0)
            assert world.action(joining).status is ActionStatus.FAILED and world.hosts() == []
            node = world.node(host_id)
            assert node is not None and node.status is NodeStatus.ERROR and "connection refused" in node.status_reason

    run_virtually(story())
