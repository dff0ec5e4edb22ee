"""A host cluster that takes its machines from an inventory."""

from __future__ import annotations

from engine.fleet import FleetWorld
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.node import NodeStatus
from virtual_time import run_virtually


def test_each_host_takes_a_machine_of_its_own_and_gives_it_back() -> None:
    async def story() -> None:
        world = FleetWorld()
        machines = [{"endpoint": f"unix:///m{i}.sock", "zone": f"z{i}", "name": f"m{i}"} for i in range(3)]
        profile_id = world.host_profile(inventory=machines, labels={"rack": "r1"})
        async with world.engine(connector=world.unix):
            cluster_id = world.create(3, profile_id=profile_id)
            await world.settle()
            assert [node.status for node in world.members(cluster_id)] == [NodeStatus.ACTIVE] * 3
            assert {node.name for node in world.members(cluster_id)} == {"m0", "m1", "m2"}
            assert {(h.endpoint, h.zone) for h in world.hosts()} == {(m["endpoint"], m["zone"]) for m in machines}
            assert all(h.labels["rack"] == "r1" and h.cpu > 0 for h in world.hosts())
            world.submit(ActionKind.NODE_DELETE, world.members(cluster_id)[0].id)
            await world.settle()
            assert len(world.hosts()) == 2
            world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id)
            await world.settle()
            assert {h.endpoint for h in world.hosts()} == {m["endpoint"] for m in machines}

    run_virtually(story())


def test_what_the_inventory_cannot_give_is_refused_and_changes_nothing() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix):
            cluster_id = world.create(2, profile_id=world.fleet_profile(3))
            await world.settle()
            action = world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 2})
            await world.settle()
            assert world.action(action).status is ActionStatus.FAILED
            assert "1 machine of the profile is free" in world.action(action).status_reason
            assert world.fleet(cluster_id).desired_capacity == 2 and len(world.members(cluster_id)) == 2
            alone = world.create(2, profile_id=world.host_profile(endpoint="unix:///alone.sock"))
            await world.settle()
            assert world.members(alone) == [] and "2 more hosts are wanted" in world.fleet(alone).status_reason

    run_virtually(story())


def test_a_host_cluster_shrinks_through_empty_hosts_alone() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix):
            cluster_id = world.create(3, profile_id=world.fleet_profile(3))
            await world.settle()
            web = world.create(2, profile_id=world.on(cluster_id))
            await world.settle()
            used = {node.host_id for node in world.members(web)}
            refused = world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id, {"count": 2})
            await world.settle()
            assert world.action(refused).status is ActionStatus.FAILED
            assert "(1 container)" in world.action(refused).status_reason
            assert world.fleet(cluster_id).desired_capacity == 3
            allowed = world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id)
            await world.settle()
            assert world.action(allowed).status is ActionStatus.SUCCEEDED
            assert {host.node_id for host in world.hosts()} == used
            assert len(world.running()) == 2

    run_virtually(story())
