"""What is known of hosts follows the machines and their profiles."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from engine.fleet import FleetWorld
from spinney.config import HostSettings
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.container import HostFacts
from spinney.domain.host import HostState
from spinney.domain.node import NodeStatus
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.errors import HostRefused
from virtual_time import run_virtually

_OFTEN = HostSettings(helper="none", facts_interval=10.0)
_LONG = 15.0


class Fickle:
    """A Docker engine that gives itself another id each time it is asked, as Podman does."""

    def __init__(self, host: ContainerHost, asked: count[int]) -> None:
        self._host = host
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    async def facts(self) -> HostFacts:
        return replace(await self._host.facts(), engine_id=f"id-{next(self._asked)}")


class FickleConnector:
    def __init__(self, world: FleetWorld) -> None:
        self._world = world
        self._asked = count()

    def connect(self, address: HostAddress) -> Any:
        return Fickle(self._world.unix.connect(address), self._asked)


def test_an_id_that_does_not_last_is_no_sign_of_another_machine() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=FickleConnector(world), hosts=_OFTEN):
            cluster_id = world.create(1, profile_id=world.fleet_profile(1))
            await world.settle()
            (node,) = world.members(cluster_id)
            await world.clock.sleep(2 * _LONG)
            world.submit(ActionKind.NODE_CHECK, node.id)
            await world.settle()
            assert world.told("HOST_REPLACED") == [] and world.told("HOST_CHANGED") == []
            assert [host.state for host in world.hosts()] == [HostState.READY]

    run_virtually(story())


def test_a_docker_engine_that_was_upgraded_is_told_once() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix, hosts=_OFTEN):
            world.create(1, profile_id=world.fleet_profile(1, capacity={"cpu": 2}))
            await world.settle()
            (host,) = world.hosts()
            core = world.machine(host).core
            core.settings = replace(core.settings, version="28.0.1", memory=4 << 30, labels={"rack": "r2"})
            await world.clock.sleep(2 * _LONG)
            (host,) = world.hosts()
            assert (host.cpu, host.memory, host.labels) == (2.0, 4 << 30, {"rack": "r2"})
            assert host.facts["version"] == "28.0.1"
            (told,) = world.told("HOST_CHANGED")
            assert "Docker engine 27.5.1 → 28.0.1" in told and "label rack none → r2" in told

    run_virtually(story())


def test_a_replaced_machine_is_told_and_its_containers_are_made_anew() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix, hosts=_OFTEN):
            cluster_id = world.create(1, profile_id=world.fleet_profile(1))
            await world.settle()
            web = world.create(2, profile_id=world.on(cluster_id))
            await world.settle()
            (host,) = world.hosts()
            engine = world.machine(host)
            for container in world.containers():
                engine.core.remove(container.id, world.clock.now())
            engine.core.engine_id = "another"
            engine.reboot()
            await world.until(lambda: world.told("HOST_REPLACED") != [])
            (host,) = world.hosts()
            assert "another Docker engine answers" in host.state_reason
            assert [n.physical_id for n in world.members(cluster_id)] == [engine.core.engine_id]
            await world.until(lambda: len(world.running()) == 2)
            assert len(world.told("HOST_REPLACED")) == 1
            assert [n.status for n in world.members(web)] == [NodeStatus.ACTIVE] * 2

    run_virtually(story())


def test_an_endpoint_that_leads_to_another_host_is_not_taken_for_a_second_one() -> None:
    async def story() -> None:
        world = FleetWorld()
        world.connector.engines["twin.sock"] = world.connector.engine("m0.sock")
        async with world.engine(connector=world.unix, hosts=_OFTEN):
            cluster_id = world.create(1, profile_id=world.fleet_profile(1))
            await world.settle()
            twin = world.create(1, profile_id=world.host_profile(endpoint="unix:///twin.sock"))
            await world.settle()
            (node,) = world.members(twin)
            assert node.status is NodeStatus.ERROR and "registered already" in node.status_reason
            assert [host.cluster_id for host in world.hosts()] == [cluster_id]

    run_virtually(story())


class StrictConnector:
    """Machines that answer to no credential but the one they know."""

    def __init__(self, world: FleetWorld) -> None:
        self._world = world

    def connect(self, address: HostAddress) -> Any:
        if address.credential not in (None, "good"):
            raise HostRefused(f"credential {address.credential}: this service holds none of that name")
        return self._world.unix.connect(address)


def test_a_credential_that_the_machines_refuse_changes_nothing() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=StrictConnector(world), hosts=_OFTEN):
            cluster_id = world.create(2, profile_id=world.fleet_profile(2))
            await world.settle()
            before = world.members(cluster_id)
            action = world.submit(
                ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": world.fleet_profile(2, credential="nope")}
            )
            await world.settle()
            assert world.action(action).status is ActionStatus.FAILED
            assert "credential nope" in world.action(action).status_reason
            assert {host.credential for host in world.hosts()} == {None}
            assert [(n.profile_id, n.status) for n in world.members(cluster_id)] == [
                (n.profile_id, n.status) for n in before
            ]
            action = world.submit(
                ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": world.fleet_profile(2, credential="good")}
            )
            await world.settle()
            assert world.action(action).status is ActionStatus.SUCCEEDED, world.action(action).status_reason
            assert {host.credential for host in world.hosts()} == {"good"}
            await world.clock.sleep(_LONG)
            assert {host.state for host in world.hosts()} == {HostState.READY}

    run_virtually(story())


def test_a_new_profile_changes_the_host_in_place() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix, hosts=_OFTEN):
            cluster_id = world.create(2, profile_id=world.fleet_profile(2, labels={"disk": "hdd"}))
            await world.settle()
            world.create(2, profile_id=world.on(cluster_id, cpu={"limit": 3, "reservation": 3}))
            await world.settle()
            before = {c.id for c in world.running()}
            new = world.fleet_profile(3, labels={"disk": "ssd"}, zone="b", capacity={"cpu": 2}, credential="new")
            action = world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": new})
            await world.settle()
            assert world.action(action).status is ActionStatus.SUCCEEDED, world.action(action).status_reason
            for host in world.hosts():
                assert (host.labels, host.zone, host.cpu, host.credential) == ({"disk": "ssd"}, "b", 2.0, "new")
            for node in world.members(cluster_id):
                assert node.profile_id == new and node.status is NodeStatus.ACTIVE
                assert "3 of 2 cores are reserved: nothing new is placed there" in node.status_reason
            await world.clock.sleep(_LONG)
            assert {c.id for c in world.running()} == before
            assert {host.state for host in world.hosts()} == {HostState.READY}
            assert {host.cpu for host in world.hosts()} == {2.0}, "the machine's own facts do not undo it"

    run_virtually(story())


def test_a_profile_without_the_machine_is_refused() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix, hosts=_OFTEN):
            cluster_id = world.create(1, profile_id=world.fleet_profile(1))
            await world.settle()
            (node,) = world.members(cluster_id)
            other = world.fleet_profile(1, name="other")
            action = world.submit(ActionKind.NODE_UPDATE, node.id, {"new_profile_id": other})
            await world.settle()
            assert world.action(action).status is ActionStatus.FAILED
            assert "a host keeps its endpoint" in world.action(action).status_reason
            assert world.node(node.id) == replace(node, status_reason=world.action(action).status_reason)

    run_virtually(story())
