"""Shares are asked for at each placement: what one may not use any more takes nothing new, and takes it again when it may."""

from __future__ import annotations

from engine.world import HOSTS, OWNER, World
from spinney.domain.cluster import Cluster
from spinney.domain.node import NodeStatus
from spinney.engine.moving import revoking
from spinney.store import shares, tables
from spinney.store.revoking import order_evictions
from spinney.store.rows import CLUSTERS
from virtual_time import run_virtually

OURS = OWNER["project"]


def foreign(world: World) -> None:
    """The hosts and their cluster belong to somebody else."""
    cluster = Cluster(id=HOSTS, name=HOSTS, profile_id="-", init_at=0.0, **{**OWNER, "project": "others"})
    world.store.run(lambda c: CLUSTERS.insert(c, [cluster]))
    node = tables.node
    world.store.run(lambda c: c.execute(node.update().where(node.c.cluster_id == HOSTS).values(project="others")))


def test_nothing_is_placed_on_hosts_of_others_but_by_a_share() -> None:
    async def story() -> None:
        world = World(host_count=2)
        foreign(world)
        async with world.engine():
            cluster_id = world.create(2)
            await world.settle()
            assert world.containers() == []
            assert {node.host_id for node in world.members(cluster_id)} == {None}
            world.store.run(shares.add, HOSTS, OURS, world.clock.now())
            world.bell.ring()
            await world.until(lambda: all(n.status is NodeStatus.ACTIVE for n in world.members(cluster_id)))
            assert len(world.running()) == 2
            assert world.store.run(shares.revoked_residents) == []

    run_virtually(story())


def test_a_revoked_share_stops_the_next_placement_and_names_who_is_there() -> None:
    async def story() -> None:
        world = World(host_count=2)
        foreign(world)
        world.store.run(shares.add, HOSTS, OURS, world.clock.now())
        async with world.engine():
            first = world.create(2)
            await world.settle()
            world.store.run(shares.remove, HOSTS, OURS)
            second = world.create(1)
            await world.settle()
            assert {node.host_id for node in world.members(second)} == {None}
            there = {resident.node_id for resident in world.store.run(shares.revoked_residents)}
            assert there == {node.id for node in world.members(first)}
            await world.until(lambda: world.containers() == [], 2 * revoking.INTERVAL)
            await world.settle()
            for node in world.members(first):
                assert node.waiting_since is not None and "no longer shared" in node.status_reason
            world.store.run(shares.add, HOSTS, OURS, world.clock.now())
            await world.until(lambda: all(n.status is NodeStatus.ACTIVE for n in world.members(first)))
            assert "evicted" not in world.members(first)[0].data
        world.check_invariants()


def test_what_is_shared_again_before_it_left_stays() -> None:
    async def story() -> None:
        world = World(host_count=1)
        foreign(world)
        world.store.run(shares.add, HOSTS, OURS, world.clock.now())
        async with world.engine():
            cluster_id = world.create(2)
            await world.settle()
            before = {c.id for c in world.containers()}
            world.store.run(shares.remove, HOSTS, OURS)
            assert world.store.run(order_evictions, world.ids, world.clock.now(), HOSTS) == 2
            assert world.store.run(order_evictions, world.ids, world.clock.now(), HOSTS) == 0, "once is enough"
            world.store.run(shares.add, HOSTS, OURS, world.clock.now())
            world.bell.ring()
            await world.settle()
            assert {c.id for c in world.running()} == before
            assert all(n.status is NodeStatus.ACTIVE for n in world.members(cluster_id))

    run_virtually(story())


def test_what_a_node_says_of_its_placement_names_no_host_of_others() -> None:
    async def story() -> None:
        world = World(host_count=1, cpu=1.0)
        foreign(world)
        world.store.run(shares.add, HOSTS, OURS, world.clock.now())
        async with world.engine():
            cluster_id = world.create(21)
            await world.settle()
            waiting = [node.status_reason for node in world.members(cluster_id) if node.host_id is None]
            assert waiting and all("cpu short" in reason for reason in waiting), waiting
            assert not any("cores" in reason for reason in waiting), "how full hosts of others are"
            names = {host.name for host in world.hosts()}
            told = [*waiting, *(event.status_reason for event in world.events())]
            told += [action.status_reason for action in world.actions()]
            assert not [text for text in told if names & set(text.replace(",", " ").replace(")", " ").split())]

    run_virtually(story())
