"""A host cluster grows for containers that wait for room, and gives back the hosts that stay empty."""

from __future__ import annotations

from typing import Any

from engine.fleet import FleetWorld
from engine.test_policies import ATTACH, a_policy, ended
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.node import NodeStatus
from virtual_time import run_virtually

_SCALING = "spinney.policy.host_scaling"


async def _fleet(world: FleetWorld, size: int, machines: int, **policy: Any) -> str:
    cluster_id = world.create(size, profile_id=world.fleet_profile(machines, capacity={"cpu": 4}))
    await world.settle()
    rules = {"maximum": 10, "cooldown": 20, "idle_time": 30, **policy}
    done = await ended(world, ATTACH, cluster_id, a_policy(world, _SCALING, **rules), enabled=True)
    assert done.status is ActionStatus.SUCCEEDED, done.status_reason
    return cluster_id


def _profile(world: FleetWorld, fleet: str, cpu: float) -> str:
    return world.on(fleet, cpu={"limit": cpu, "reservation": cpu})


def _ordered(world: FleetWorld, kind: ActionKind) -> list[Action]:
    return [a for a in world.actions() if a.action is kind and a.cause is Cause.HEALING]


def test_waiting_containers_get_hosts_and_empty_hosts_go_back_into_the_inventory() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix):
            fleet = await _fleet(world, 1, 4)
            web = world.create(6, profile_id=_profile(world, fleet, 2.0))
            await world.until(lambda: len(world.running()) == 6)
            assert len(world.hosts()) == 3
            (grown,) = _ordered(world, ActionKind.CLUSTER_SCALE_OUT)
            assert grown.inputs == {"count": 2} and world.fleet(fleet).desired_capacity == 3
            world.submit(ActionKind.CLUSTER_SCALE_IN, web, {"count": 4})
            await world.settle()
            used = {node.host_id for node in world.members(web)}
            await world.clock.sleep(20.0)
            assert len(world.hosts()) == 3, "not before they have been empty for a while"
            await world.until(lambda: len(world.hosts()) < 3 and world.idle())
            await world.clock.sleep(100.0)
            kept = {host.node_id for host in world.hosts()}
            assert used <= kept and world.fleet(fleet).desired_capacity == len(kept)
            room = sum(host.cpu - host.reserved_cpu for host in world.hosts())
            assert room >= 2.0 and len(kept) <= 2, "the next member of the cluster has room, and no more is kept"
            world.submit(ActionKind.CLUSTER_SCALE_OUT, web, {"count": 4})
            await world.until(lambda: len(world.running()) == 6)
            world.check_invariants()

    run_virtually(story())


def test_a_cluster_without_hosts_grows_by_one_to_see_what_there_is() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix):
            fleet = await _fleet(world, 0, 3)
            world.create(1, profile_id=_profile(world, fleet, 2.0))
            await world.until(lambda: len(world.running()) == 1)
            assert len(world.hosts()) == 1

    run_virtually(story())


def test_neither_beyond_the_maximum_nor_for_what_no_machine_could_take() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix):
            fleet = await _fleet(world, 1, 4, maximum=2)
            giant = world.create(1, profile_id=_profile(world, fleet, 5.0))
            await world.clock.sleep(60.0)
            assert len(world.hosts()) == 1
            world.create(4, profile_id=_profile(world, fleet, 4.0))
            await world.clock.sleep(120.0)
            assert len(world.hosts()) == 2 and len(world.running()) == 2
            assert [node.status for node in world.members(giant)] == [NodeStatus.INIT]

    run_virtually(story())


def test_a_machine_that_cannot_join_ends_the_growing() -> None:
    async def story() -> None:
        world = FleetWorld()
        world.connector.engine("m1.sock").go_down()
        async with world.engine(connector=world.unix):
            fleet = await _fleet(world, 1, 4, cooldown=1)
            world.create(4, profile_id=_profile(world, fleet, 2.0))
            await world.until(lambda: NodeStatus.ERROR in [n.status for n in world.members(fleet)])
            await world.clock.sleep(30.0)
            assert len(_ordered(world, ActionKind.CLUSTER_SCALE_OUT)) == 1
            assert [n.status for n in world.members(fleet)] == [NodeStatus.ACTIVE, NodeStatus.ERROR]

    run_virtually(story())


def test_two_engines_order_it_once() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix), world.engine(connector=world.unix):
            fleet = await _fleet(world, 1, 4, minimum=1)
            web = world.create(4, profile_id=_profile(world, fleet, 2.0))
            await world.until(lambda: len(world.running()) == 4)
            assert len(_ordered(world, ActionKind.CLUSTER_SCALE_OUT)) == 1 and len(world.hosts()) == 2
            world.submit(ActionKind.CLUSTER_DELETE, web)
            await world.until(lambda: len(world.hosts()) == 1 and world.idle())
            await world.clock.sleep(120.0)
            assert len(_ordered(world, ActionKind.CLUSTER_DEL_NODES)) == 1 and len(world.hosts()) == 1

    run_virtually(story())


def test_without_the_policy_nothing_grows_or_goes() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix):
            fleet = world.create(1, profile_id=world.fleet_profile(3, capacity={"cpu": 2}))
            await world.settle()
            world.create(2, profile_id=_profile(world, fleet, 2.0))
            await world.clock.sleep(60.0)
            assert len(world.hosts()) == 1 and len(world.running()) == 1

    run_virtually(story())
