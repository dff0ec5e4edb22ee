"""What an HAProxy in a container of its image promises, as tests: on simulated hosts always, on a real Docker engine too."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from drivers.world import World, scenario
from spinney.clock import SystemClock
from spinney.domain.balancing.haproxy import Size
from spinney.domain.balancing.model import (
    Check,
    Method,
    Mode,
    Persistence,
    Seen,
    Service,
    Stands,
    Wanted,
    Wish,
)
from spinney.domain.balancing.runtime import Look, read
from spinney.domain.container import ImageRequest, PullPolicy
from spinney.domain.host import Host, HostState
from spinney.drivers.balancer.image import reference_of
from spinney.drivers.base import HostAddress
from spinney.engine.balancing.console import Console, Refused
from spinney.engine.balancing.haproxy import HaproxyBalancer
from spinney.engine.carrying.hosts import Connected
from spinney.engine.lease import Lease
from spinney.errors import ContainerGone, ContainerRefused

HTTP = Service(mode=Mode.HTTP, port=80, member_port=80)
HOST = Host(node_id="h", endpoint="-", name="h", cluster_id="", project="p", state=HostState.READY)


def wanted(*wishes: Wish, service: Service = HTTP, slots: int = 4) -> Wanted:
    return Wanted(service, slots, wishes)


def wish(slot: int, stands: Stands = Stands.IN, address: str = "127.0.0.9", port: int = 80) -> Wish:
    return Wish(f"n{slot}", f"c{slot}", address, port, slot, stands)


@dataclass(frozen=True)
class Running:
    container: str
    console: Console
    balancer: HaproxyBalancer

    async def look(self) -> Look:
        return read(await self.console.ask("look"))

    async def stands(self, of: Wanted) -> dict[str, Stands]:
        said = await self.balancer.apply(of)
        assert not said.fault
        return {name: seen.stands for name, seen in said.members.items()}


@asynccontextmanager
async def running(world: World, archive: bytes) -> AsyncIterator[Running]:
    reference = reference_of(archive)
    await world.host.load_image(reference, archive)
    request = replace(world.request(), image=ImageRequest(reference, PullPolicy.NEVER), command=None)
    container = await world.started(replace(request, cap_drop=("ALL",), user="65534:65534"))
    lease = Lease("engine", 1e6, SystemClock())
    lease.renewed(lease.clock.monotonic())

    async def arrived(host_id: str, reference: str) -> None: ...

    host = Connected(HOST, world.host, HostAddress("-"), 4, lease, arrived)
    console = Console(host, container)
    try:
        yield Running(container, console, HaproxyBalancer(console, SystemClock(), Size(128)))
    finally:
        await console.close()


EVERY = Check(delay=1, timeout=1, retries=2, method="PUT", path="/a?b=%20&c=(d),e;f!$*", codes="200,204-206")
#: Each thing that a policy may say is in at least one of them.
SERVICES = (
    replace(HTTP, method=Method.LEAST_CONNECTIONS, persistence=Persistence.HTTP_COOKIE, limit=7, check=EVERY),
    replace(HTTP, method=Method.SOURCE_IP, persistence=Persistence.APP_COOKIE, cookie="JSESSION.id-1_x"),
    replace(HTTP, persistence=Persistence.SOURCE_IP, check=Check(delay=0, timeout=0, retries=0)),
    replace(HTTP, mode=Mode.TCP, persistence=Persistence.SOURCE_IP, check=replace(EVERY, tls=True, method="GET")),
    replace(HTTP, pool_open=False, persistence=Persistence.HTTP_COOKIE, cookie="mine"),
    replace(HTTP, mode=Mode.TCP, method=Method.SOURCE_IP, open=False),
)


class BalancerPromises:
    """``archive``: a fixture with the image that its containers are made of."""

    @scenario
    async def test_it_does_what_is_wanted_and_nothing_twice(self, world: World, archive: bytes) -> None:
        async with running(world, archive) as one:
            assert (await one.look()).backend == ""
            first = wanted(wish(1), wish(3, port=8080))
            assert await one.stands(first) == {"c1": Stands.IN, "c3": Stands.IN}
            before = await one.look()
            assert await one.stands(first) == {"c1": Stands.IN, "c3": Stands.IN}
            assert replace(await one.look(), places={}) == replace(before, places={})

    @scenario
    async def test_members_come_and_go_without_beginning_anew(self, world: World, archive: bytes) -> None:
        async with running(world, archive) as one:
            await one.stands(wanted(wish(1), wish(2)))
            backend = (await one.look()).backend
            assert await one.stands(wanted(wish(1, Stands.DRAINING), wish(2))) == {
                "c1": Stands.DRAINING,
                "c2": Stands.IN,
            }
            said = await one.balancer.apply(wanted(wish(1, Stands.DRAINING)))
            assert said.members == {"c1": Seen(Stands.DRAINING, 0)} and said.totals is not None
            assert await one.stands(wanted()) == {}
            assert await one.stands(wanted(wish(1, address="127.0.0.7", port=81))) == {"c1": Stands.IN}
            place = (await one.look()).places[1]
            assert (place.address, place.port, place.stands) == ("127.0.0.7", 81, Stands.IN)
            assert (await one.look()).backend == backend

    @scenario
    async def test_after_a_restart_it_begins_with_what_it_had(self, world: World, archive: bytes) -> None:
        async with running(world, archive) as one:
            await one.stands(wanted(wish(1), wish(2, Stands.DRAINING)))
            file = (await one.look()).file
            await world.host.restart(one.container, 1)
            async with asyncio.timeout(10):
                while True:
                    try:
                        look = await one.look()
                        break
                    except (Refused, ContainerGone, ContainerRefused):
                        await asyncio.sleep(0.05)
            assert look.file == file
            assert {slot for slot, place in look.places.items() if place.stands is not Stands.OUT} == {1}
            assert await one.stands(wanted(wish(1), wish(2, Stands.DRAINING))) == {
                "c1": Stands.IN,
                "c2": Stands.DRAINING,
            }

    @scenario
    async def test_what_cannot_be_changed_while_it_runs_makes_it_begin_anew(self, world: World, archive: bytes) -> None:
        async with running(world, archive) as one:
            await one.stands(wanted(wish(1)))
            before = await one.look()
            sticky = replace(HTTP, persistence=Persistence.HTTP_COOKIE)
            assert await one.stands(wanted(wish(1), service=sticky)) == {"c1": Stands.IN}
            assert await one.stands(wanted(wish(1), wish(8), service=sticky, slots=8)) == {
                "c1": Stands.IN,
                "c8": Stands.IN,
            }
            after = await one.look()
            assert after.backend != before.backend and len(after.places) == 8

    @scenario
    async def test_all_that_policies_may_say_is_taken(self, world: World, archive: bytes) -> None:
        async with running(world, archive) as one:
            for service in SERVICES:
                assert await one.stands(wanted(wish(1), service=service)) == {"c1": Stands.IN}, service

    @scenario
    async def test_what_is_no_configuration_is_not_taken(self, world: World, archive: bytes) -> None:
        async with running(world, archive) as one:
            await one.stands(wanted(wish(1)))
            before = await one.look()
            with pytest.raises(Refused, match="nonsense"):
                await one.console.ask("put", base64.b64encode(b"nonsense\n").decode())
            with pytest.raises(Refused):
                await one.console.ask("put", "***")
            with pytest.raises(Refused, match="unknown"):
                await one.console.ask("dance")
            assert (await one.look()).file == before.file

    @scenario
    async def test_what_was_changed_behind_its_back_is_set_right(self, world: World, archive: bytes) -> None:
        async with running(world, archive) as one:
            of = wanted(wish(1), wish(2))
            await one.stands(of)
            name = (await one.look()).backend
            await one.console.ask("run", f"set server {name}/s1 state maint;set server {name}/s4 state ready")
            assert await one.stands(of) == {"c1": Stands.IN, "c2": Stands.IN}
            assert (await one.look()).places[4].stands is Stands.OUT

    @scenario
    async def test_without_its_container_there_is_nothing_to_ask(self, world: World, archive: bytes) -> None:
        async with running(world, archive) as one:
            await one.stands(wanted(wish(1)))
            await world.host.stop(one.container, 1)
            with pytest.raises((ContainerGone, ContainerRefused)):
                await one.balancer.apply(wanted(wish(1)))
