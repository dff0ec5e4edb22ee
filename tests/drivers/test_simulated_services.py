"""Simulated containers that serve: by their image, by a rule, one by one; and when."""

from __future__ import annotations

import pytest

from spinney.domain.container import ContainerRequest, ImageRequest
from spinney.domain.probe import ProbeAnswer, ProbeKind, ProbeRequest
from spinney.drivers.base import HostAddress
from spinney.drivers.simulated import Service, SimulatedConnector, SimulatedHost
from spinney.errors import ContainerGone, ContainerRefused
from virtual_time import VirtualClock, run_virtually


class World:
    def __init__(self) -> None:
        self.connector = SimulatedConnector(VirtualClock())
        self.clock = VirtualClock()
        self.host: SimulatedHost = self.connector.connect(HostAddress("sim://one"))
        self.id = ""

    async def run(self, image: str) -> None:
        await self.host.ensure_image(ImageRequest(image))
        made = await self.host.create(ContainerRequest("web", {"of": "test"}, ImageRequest(image)))
        await self.host.start(made.id)
        self.id = made.id

    async def ask(self, port: int = 80, kind: ProbeKind = ProbeKind.HTTP, **more: object) -> ProbeAnswer:
        return await self.host.probe(self.id, ProbeRequest(kind, port, **more))


def test_an_image_says_what_it_serves() -> None:
    async def body() -> None:
        world = World()
        await world.run("sim/web_port-8080:v2_status-204_after-1.5_until-10")
        assert (await world.ask(8080)).text == "nothing listens on port 8080 (connection refused)"
        await world.clock.sleep(1.5)
        assert await world.ask(8080, body=99) == ProbeAnswer(
            True, 204, b"sim/web_port-8080:v2_status-204_after-1.5_until-10"
        )
        assert not (await world.ask(80)).connected
        await world.clock.sleep(9)
        assert not (await world.ask(8080)).connected

    run_virtually(body())


@pytest.mark.parametrize("word", ["hangs", "tcp", "takes-3"])
def test_who_does_not_answer_in_time_has_taken_the_connection(word: str) -> None:
    async def body() -> None:
        world = World()
        await world.run(f"sim/web:{word}")
        began = world.clock.now()
        answer = await world.ask(timeout=2.0)
        assert (answer.connected, answer.status, world.clock.now() - began) == (True, None, 2.0)
        assert "timeout" in answer.text
        assert await world.ask(kind=ProbeKind.TCP) == ProbeAnswer(True)
        if word == "takes-3":
            assert await world.ask(timeout=4.0) == ProbeAnswer(True, 200)
            assert world.clock.now() - began == 5.0

    run_virtually(body())


def test_a_program_that_dies_is_asked_no_more_and_a_restart_begins_anew() -> None:
    async def body() -> None:
        world = World()
        await world.run("sim/web:after-1_dies-5")
        await world.clock.sleep(2)
        assert (await world.ask()).status == 200
        await world.clock.sleep(4)
        with pytest.raises(ContainerRefused):
            await world.ask()
        await world.host.start(world.id)
        assert not (await world.ask()).connected
        await world.host.remove(world.id)
        with pytest.raises(ContainerGone):
            await world.ask()

    run_virtually(body())


def test_tests_choose_for_all_and_for_one() -> None:
    async def body() -> None:
        world = World()
        services = world.connector.services
        await world.run("nginx")
        assert not (await world.ask()).connected
        services.choose = lambda request: (Service(80, paths={"/health": 500}),) if "of" in request.labels else None
        assert (await world.ask()).status == 200
        assert (await world.ask(path="/health?full=1")).status == 500
        services.put(world.id, Service(81, status=503), Service(82, body=b"x" * 100))
        assert ((await world.ask(81)).status, (await world.ask(82, body=3)).body) == (503, b"xxx")
        services.put(world.id)
        assert not (await world.ask()).connected
        services.forget(world.id)
        assert (await world.ask()).status == 200
        await world.host.pause(world.id)
        assert (await world.ask()).text.startswith("timeout")

    run_virtually(body())


def test_what_cannot_be_asked_is_an_answer() -> None:
    async def body() -> None:
        world = World()
        await world.run("sim/web")
        assert "no IP address" in (await world.ask(address="web")).text

    run_virtually(body())
