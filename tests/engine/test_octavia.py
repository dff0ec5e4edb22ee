"""Load balancers that are Octavia's, on simulated hosts and a simulated Octavia."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from engine.policed import attach, cluster_of, ended
from engine.world import World
from simulated_octavia import SimulatedOctavia
from spinney.config import BalancerSettings
from spinney.domain.action import ActionKind
from spinney.domain.balancing.model import Balancer, BalancerState
from spinney.domain.node import Node, NodeStatus
from spinney.store import balancing, tables
from virtual_time import run_virtually

PUBLISHED = [{"container": 80}]
POLICY: dict[str, Any] = {"pool": {"subnet": "s"}, "vip": {"subnet": "s"}, "health_monitor": {"type": "HTTP"}}


async def found_at(name: str) -> str | None:
    return f"192.0.2.{int(name.removeprefix('h')) + 1}"


class Scene:
    def __init__(self, world: World, octavia: SimulatedOctavia) -> None:
        self.world = world
        self.octavia = octavia

    @property
    def balancers(self) -> list[Balancer]:
        return self.world.store.run(balancing.find)

    @property
    def balancer(self) -> Balancer:
        (found,) = self.balancers
        return found

    def binding(self) -> Any:
        row = self.world.store.run(lambda c: c.execute(tables.binding.select()).one())
        return row.data["LoadBalancingPolicy"]["data"]

    def members(self, cluster_id: str) -> list[Node]:
        return self.world.members(cluster_id)

    async def all_in(self, cluster_id: str) -> None:
        def done() -> bool:
            ids = {node.physical_id for node in self.members(cluster_id)}
            rows = self.world.store.run(balancing.members_of, [one.id for one in self.balancers])
            return self.octavia.serving() == ids and {one.physical_id for one in rows if one.state == "in"} == ids

        await self.world.until(done, 60.0)


@asynccontextmanager
async def scene(hosts: int = 1, takes: float = 2.0, **changes: Any) -> AsyncIterator[Scene]:
    world = World(hosts)
    octavia = SimulatedOctavia(world.clock, takes)
    settings = BalancerSettings(**{"drain_time": 10.0, **changes})
    async with world.engine(balancer=settings, resolve=found_at, octavia=octavia):
        yield Scene(world, octavia)


async def web(world: World, size: int) -> str:
    return await cluster_of(world, size, profile_id=world.profile(ports=PUBLISHED), max_size=8)


def test_a_policy_brings_all_that_octavia_needs_and_takes_it_away_again() -> None:
    async def story() -> None:
        async with scene(hosts=2) as here:
            world, octavia = here.world, here.octavia
            cluster_id = await web(world, 3)
            policy_id = await attach(world, cluster_id, "loadbalance", **POLICY)
            await here.all_in(cluster_id)
            assert here.balancer.kind == "octavia" and here.balancer.node_id is None
            made = {plural: octavia.the(plural) for plural in octavia.things}
            assert {one["name"] for one in made.values()} == {f"spinney-{here.balancer.id}"}
            assert (
                f"spinney-cluster:{cluster_id}" in made["pools"]["tags"] and "spinney" in made["loadbalancers"]["tags"]
            )
            assert made["listeners"]["default_pool_id"] == made["pools"]["id"]
            (places,) = octavia.members.values()
            expected = {
                (f"192.0.2.{world.host_ids.index(node.host_id or '') + 1}", node.data["ports"][0]["host"])
                for node in here.members(cluster_id)
            }
            assert {(one["address"], one["protocol_port"]) for one in places.values()} == expected
            assert here.balancer.data["addresses"] == [{"address": "198.51.100.7", "port": 80}]
            cluster = world.cluster(cluster_id)
            assert cluster is not None and cluster.data["loadbalancers"] == {policy_id: {"vip_address": "198.51.100.7"}}
            told = {plural.removesuffix("s"): one["id"] for plural, one in made.items()}
            assert here.binding() == {"preexisting": False, "vip_address": "198.51.100.7", **told}
            assert all("lb_member" in node.data for node in here.members(cluster_id))
            await ended(world, ActionKind.CLUSTER_DETACH_POLICY, cluster_id, policy_id=policy_id)
            await world.until(lambda: not here.balancers)
            assert not any(octavia.things.values()) and len(world.containers()) == 3

    run_virtually(story())


def test_a_member_is_given_nothing_new_and_is_gone_before_it_is_stopped() -> None:
    async def story() -> None:
        async with scene() as here:
            world, octavia = here.world, here.octavia
            cluster_id = await web(world, 3)
            await attach(world, cluster_id, "loadbalance", **POLICY)
            await here.all_in(cluster_id)
            seen: list[tuple[int, int, int]] = []  # in the pool, given work, running

            def look() -> bool:
                (pool,) = octavia.members.values()
                seen.append((len(pool), len(octavia.serving()), len(world.running())))
                return world.action(shrinking).final

            shrinking = world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id, {"count": 2})
            await world.until(look)
            order = list(dict.fromkeys(seen))
            assert (3, 1, 3) in order and all(running == 3 for present, _, running in order if present > 1)
            assert len(world.running()) == 1

    run_virtually(story())


def test_a_member_that_octavia_refuses_is_told_of_and_kept() -> None:
    async def story() -> None:
        async with scene(hosts=2) as here:
            world, octavia = here.world, here.octavia
            octavia.refused = {"192.0.2.2"}
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POLICY)
            await world.until(lambda: any(node.status is NodeStatus.WARNING for node in here.members(cluster_id)))
            await world.until(lambda: len(octavia.serving()) == 1)
            (bad,) = [node for node in here.members(cluster_id) if node.status is NodeStatus.WARNING]
            assert "cannot be taken" in bad.status_reason and here.balancer.state is BalancerState.WARNING
            assert world.host_ids.index(bad.host_id or "") == 1 and len(world.running()) == 2
            octavia.refused.clear()
            await here.all_in(cluster_id)
            await world.until(lambda: all(node.status is NodeStatus.ACTIVE for node in here.members(cluster_id)))

    run_virtually(story())


def test_a_member_with_which_it_goes_wrong_later_is_told_of_and_tried_again() -> None:
    async def story() -> None:
        async with scene(hosts=2) as here:
            world, octavia = here.world, here.octavia
            octavia.failing = {"192.0.2.1"}
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POLICY)
            await world.until(lambda: any("ERROR there" in node.status_reason for node in here.members(cluster_id)))
            octavia.failing.clear()
            await here.all_in(cluster_id)

    run_virtually(story())


def test_after_a_crash_what_is_there_is_found_and_of_two_one_stays() -> None:
    async def story() -> None:
        world = World(1)
        here = Scene(world, SimulatedOctavia(world.clock))
        given = {"balancer": BalancerSettings(), "resolve": found_at, "octavia": here.octavia}
        async with world.engine(**given):
            cluster_id = await web(world, 1)
            await attach(world, cluster_id, "loadbalance", **POLICY)
            await world.until(lambda: bool(here.octavia.things["loadbalancers"]))
        made = here.octavia.the("loadbalancers")["id"]
        await world.clock.sleep(1.0)
        twin = {"name": f"spinney-{here.balancer.id}", "admin_state_up": True}
        here.octavia.handle("POST", "loadbalancers", {"loadbalancer": twin}, "p")
        async with world.engine(**given):
            await here.all_in(cluster_id)
            await world.until(lambda: len(here.octavia.things["loadbalancers"]) == 1)
            assert here.octavia.the("loadbalancers")["id"] == made
            assert [path for method, path in here.octavia.asked if method == "POST"].count("pools") == 1

    run_virtually(story())


def test_one_that_is_there_already_is_used_and_stays() -> None:
    async def story() -> None:
        async with scene() as here:
            world, octavia = here.world, here.octavia
            theirs = octavia.handle("POST", "loadbalancers", {"loadbalancer": {"name": "theirs"}}, "p")["loadbalancer"][
                "id"
            ]
            await world.clock.sleep(3.0)
            cluster_id = await web(world, 1)
            policy_id = await attach(world, cluster_id, "loadbalance", "1.1", **POLICY, loadbalancer="theirs")
            await here.all_in(cluster_id)
            assert here.binding()["preexisting"] is True and here.binding()["loadbalancer"] == theirs
            await ended(world, ActionKind.CLUSTER_DETACH_POLICY, cluster_id, policy_id=policy_id)
            await world.until(lambda: not here.balancers)
            assert list(octavia.things["loadbalancers"]) == [theirs]
            assert not any(octavia.things[plural] for plural in ("pools", "listeners", "healthmonitors"))

    run_virtually(story())


def test_in_a_pool_that_is_there_already_other_members_stay() -> None:
    async def story() -> None:
        async with scene() as here:
            world, octavia = here.world, here.octavia
            above = octavia.handle("POST", "loadbalancers", {"loadbalancer": {"name": "x"}}, "p")["loadbalancer"]["id"]
            await world.clock.sleep(3.0)
            body = {"pool": {"name": "theirs", "loadbalancer_id": above}}
            pool = octavia.handle("POST", "pools", body, "p")["pool"]["id"]
            await world.clock.sleep(3.0)
            other = {"name": "other", "address": "203.0.113.1", "protocol_port": 80, "weight": 1, "tags": []}
            octavia.handle("PUT", f"pools/{pool}/members", {"members": [other]}, "p")
            cluster_id = await web(world, 2)
            given = {**POLICY, "pool": {"subnet": "s", "id": pool}}
            policy_id = await attach(world, cluster_id, "loadbalance", **given)
            await world.until(lambda: len(octavia.serving()) == 3)
            await ended(world, ActionKind.CLUSTER_SCALE_IN, cluster_id, count=1)
            await world.until(lambda: len(octavia.weights()) == 2)
            await ended(world, ActionKind.CLUSTER_DETACH_POLICY, cluster_id, policy_id=policy_id)
            await world.until(lambda: not here.balancers)
            assert octavia.serving() == {"other"} and octavia.the("pools")["name"] == "theirs"

    run_virtually(story())


def test_one_that_octavia_cannot_make_is_removed_and_made_anew() -> None:
    async def story() -> None:
        async with scene() as here:
            here.octavia.stillborn = 1
            cluster_id = await web(here.world, 1)
            await attach(here.world, cluster_id, "loadbalance", **POLICY)
            await here.world.until(lambda: "could not make" in "".join(one.state_reason for one in here.balancers))
            await here.all_in(cluster_id)
            assert len(here.octavia.things["loadbalancers"]) == 1

    run_virtually(story())


def test_one_that_is_never_ready_is_told_of() -> None:
    async def story() -> None:
        async with scene(takes=1e6) as here:
            cluster_id = await web(here.world, 1)
            await attach(here.world, cluster_id, "loadbalance", **POLICY, lb_status_timeout=20)
            await here.world.until(
                lambda: "lb_status_timeout 20 s" in "".join(one.state_reason for one in here.balancers)
            )
            assert here.balancer.state is BalancerState.ERROR

    run_virtually(story())


def test_while_octavia_does_not_answer_members_stay_and_it_is_told() -> None:
    async def story() -> None:
        async with scene() as here:
            world, octavia = here.world, here.octavia
            cluster_id = await web(world, 2)
            await attach(world, cluster_id, "loadbalance", **POLICY)
            await here.all_in(cluster_id)
            octavia.down = True
            await world.until(lambda: here.balancer.state is BalancerState.ERROR)
            assert "does not answer" in here.balancer.state_reason
            await ended(world, ActionKind.CLUSTER_SCALE_IN, cluster_id, count=1)  # nobody waits for ever
            octavia.down = False
            await here.all_in(cluster_id)
            assert here.balancer.state is BalancerState.ACTIVE

    run_virtually(story())


def test_where_there_is_none_a_container_of_the_services_own_is_made() -> None:
    async def story() -> None:
        async with scene(kind="haproxy") as here:
            cluster_id = await web(here.world, 1)
            await attach(here.world, cluster_id, "loadbalance", **POLICY)
            await here.world.until(lambda: here.balancer.kind == "haproxy")
            assert not here.octavia.asked

    run_virtually(story())
