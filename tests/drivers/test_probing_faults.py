"""Probes where something is refused, breaks or never answers: the real driver on a simulated Docker engine, over HTTP."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from spinney.clock import SystemClock
from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_NODE, LABEL_PROBER, ContainerRequest, ImageRequest
from spinney.domain.host import HelperMode
from spinney.domain.probe import ProbeAnswer, ProbeKind, ProbeRequest
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector, TimeLimits
from spinney.drivers.docker.host import DockerHost
from spinney.drivers.simulated import (
    EngineSettings,
    Failure,
    Fault,
    FaultKind,
    FaultPlan,
    Operation,
    Rule,
    Service,
    SimulatedEngine,
)
from spinney.drivers.simulated.server import EngineServer
from spinney.errors import HostError, HostUnreachable

DEPLOYMENT = "d0000000-0000"
WEB = ProbeRequest(ProbeKind.HTTP, 80, timeout=0.5)
FINE = ProbeAnswer(True, 200)
IMPATIENT = TimeLimits(look=0.5, change=0.5, silence=0.1, heartbeat=0.2)


class World:
    def __init__(self) -> None:
        self.engine = SimulatedEngine(EngineSettings("one"), SystemClock())
        self.host: DockerHost
        self.web = ""

    def strike(
        self, operation: Operation, kind: FaultKind, *, times: int = 1, failure: Failure = Failure.ERROR
    ) -> None:
        """From now on, so many times."""
        self.engine.plan = FaultPlan([Rule(operation, Fault(kind, failure=failure), times=times)], random.Random(1))

    def helper(self) -> Any:
        """What the Docker engine was told of the helper that is there."""
        (found,) = (one for one in self.engine.core if one.name.startswith("spinney-host-helper."))
        return (found.extra or {})["HostConfig"]

    def probers(self) -> list[str]:
        return [one.id for one in self.engine.core if LABEL_PROBER in one.request.labels]


def on_engine(folder: Path, story: Callable[[World], Awaitable[None]]) -> None:
    async def body() -> None:
        world = World()
        server = EngineServer(world.engine)
        await server.listen_unix(folder / "docker.sock")
        connector = DockerConnector(allowed_unix_sockets=[f"{folder}/docker.sock"], limits=IMPATIENT)
        world.host = connector.connect(HostAddress(f"unix://{folder}/docker.sock"))
        world.engine.core.images.add("sim/web")
        labels = {LABEL_DEPLOYMENT: DEPLOYMENT, LABEL_NODE: "n"}
        world.web = (await world.host.create(ContainerRequest("web", labels, ImageRequest("sim/web")))).id
        await world.host.start(world.web)
        try:
            await story(world)
        finally:
            world.engine.plan = None
            world.engine.heal()
            await world.host.close()
            await server.close()

    asyncio.run(body())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("helper", "probing"):
        monkeypatch.setattr(f"spinney.drivers.docker.{module}._PATIENCE", 0.3)


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.START])
def test_a_full_helper_without_rights_measures_and_leaves_probing_to_probers(
    tmp_path: Path, operation: Operation
) -> None:
    async def story(world: World) -> None:
        world.strike(operation, FaultKind.BEFORE)
        await world.host.ensure_helper(DEPLOYMENT, HelperMode.FULL)
        assert not {"CapAdd", "PidMode"} & set(world.helper())
        assert world.web in (await world.host.measure_containers()).containers
        assert await world.host.probe(world.web, WEB) == FINE
        assert len(world.probers()) == 1

    on_engine(tmp_path, story)


def test_what_even_a_helper_without_rights_is_refused_is_raised(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.strike(Operation.START, FaultKind.BEFORE, times=2)
        with pytest.raises(HostError, match="start container"):
            await world.host.ensure_helper(DEPLOYMENT, HelperMode.FULL)

    on_engine(tmp_path, story)


def test_a_helper_that_may_not_enter_is_asked_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.host.ensure_helper(DEPLOYMENT, HelperMode.FULL)
        world.helper()["CapAdd"] = []
        for _ in range(3):
            assert await world.host.probe(world.web, WEB) == FINE
        assert (world.engine.calls[Operation.PROBE], len(world.probers())) == (4, 1)

    on_engine(tmp_path, story)


def test_a_helper_that_sees_other_processes_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        await world.host.ensure_helper(DEPLOYMENT, HelperMode.FULL)
        monkeypatch.setattr("spinney.drivers.docker.parse.process_id", lambda body: 7)
        for _ in range(3):
            assert await world.host.probe(world.web, WEB) == FINE
        assert (world.engine.calls[Operation.PROBE], len(world.probers())) == (4, 1)

    on_engine(tmp_path, story)


def test_a_process_is_asked_for_once_for_each_run(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.host.ensure_helper(DEPLOYMENT, HelperMode.FULL)
        world.engine.calls.clear()
        for _ in range(5):
            assert await world.host.probe(world.web, WEB) == FINE
        assert world.engine.calls[Operation.INSPECT] == 1
        world.engine.do(world.engine.core.restart, world.web, 1)
        for _ in range(2):
            assert await world.host.probe(world.web, WEB) == FINE
        assert (world.engine.calls[Operation.INSPECT], world.engine.calls[Operation.PROBE]) == (2, 8)

    on_engine(tmp_path, story)


@pytest.mark.parametrize("mode", [HelperMode.NONE, HelperMode.FULL])
def test_a_host_that_does_not_answer_is_no_answer_of_the_container(tmp_path: Path, mode: HelperMode) -> None:
    async def story(world: World) -> None:
        if mode is HelperMode.FULL:
            await world.host.ensure_helper(DEPLOYMENT, mode)
        assert await world.host.probe(world.web, WEB) == FINE
        world.engine.cut()
        with pytest.raises(HostUnreachable):
            await world.host.probe(world.web, WEB)
        world.engine.heal()
        assert await world.host.probe(world.web, WEB) == FINE

    on_engine(tmp_path, story)


def test_a_line_that_breaks_is_opened_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert await world.host.probe(world.web, WEB) == FINE
        world.strike(Operation.PROBE, FaultKind.BEFORE, failure=Failure.CONNECTION)
        assert await world.host.probe(world.web, WEB) == FINE
        await world.host.ensure_helper(DEPLOYMENT, HelperMode.FULL)
        world.strike(Operation.PROBE, FaultKind.BEFORE, failure=Failure.CONNECTION)
        with pytest.raises(HostUnreachable, match="broke off"):
            await world.host.probe(world.web, WEB)
        assert await world.host.probe(world.web, WEB) == FINE

    on_engine(tmp_path, story)


@pytest.mark.parametrize("operation", [Operation.START, Operation.ATTACH])
def test_a_prober_that_is_of_no_use_is_not_left_behind(tmp_path: Path, operation: Operation) -> None:
    async def story(world: World) -> None:
        world.strike(operation, FaultKind.BEFORE)
        with pytest.raises(HostError):
            await world.host.probe(world.web, WEB)
        assert world.probers() == []
        assert await world.host.probe(world.web, WEB) == FINE

    on_engine(tmp_path, story)


def test_a_probe_given_up_while_its_prober_is_made_leaves_none(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        attaching = asyncio.Event()
        world.engine.hooks.before = lambda operation, _: attaching.set() if operation is Operation.ATTACH else None
        world.strike(Operation.ATTACH, FaultKind.HANG)
        probe = asyncio.create_task(world.host.probe(world.web, WEB))
        await attaching.wait()
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        assert world.probers() == []

    on_engine(tmp_path, story)


def test_one_that_hangs_is_late_and_one_that_stops_listening_is_not_replaced(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        services = world.engine.core.services
        assert await world.host.probe(world.web, WEB) == FINE
        before = world.probers()
        services.put(world.web, Service(80, takes=9.0))
        assert (await world.host.probe(world.web, WEB)).text.startswith("timeout")
        services.put(world.web)
        assert not (await world.host.probe(world.web, WEB)).connected
        assert world.probers() == before

    on_engine(tmp_path, story)
