"""The host helper on a simulated Docker engine, for both fronts: kept in process, or asked over HTTP by the real driver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_HELPER,
    LABEL_HELPER_MODE,
    ContainerRequest,
    ContainerState,
    ImageRequest,
)
from spinney.domain.host import HelperMode
from spinney.domain.utilization import ContainerCounters, ContainersReading, HostCounters
from spinney.drivers.helper.image import NOT_OURS, VERSION, container_name, helper_image
from spinney.drivers.simulated.engine import SimulatedEngine
from spinney.drivers.simulated.faults import Operation
from spinney.drivers.simulated.probes import tell
from spinney.drivers.simulated.values import ContainerRecord, Refusal
from spinney.errors import HostBroken, NameTaken

if TYPE_CHECKING:
    from spinney.drivers.simulated.host import SimulatedHost

_ATTEMPTS = 5
_ARCHITECTURE = "amd64"


class SimulatedHelper:
    def __init__(self, host: SimulatedHost, engine: SimulatedEngine, call: Callable[..., Awaitable[Any]]) -> None:
        """``call`` carries out what the host asks of its engine, errors translated."""
        self._host = host
        self._engine = engine
        self._call = call
        self._container_id: str | None = None

    async def ensure(self, deployment: str, mode: HelperMode) -> None:
        image, name = helper_image(_ARCHITECTURE), container_name(deployment)
        labels = image.labels(deployment, mode)
        core = self._engine.core
        for _ in range(_ATTEMPTS):
            found = await self._host.inspect(name)
            if found is None:
                await self._call(Operation.LOAD, lambda now: core.images.load(image.archive))
                request = ContainerRequest(name, labels, ImageRequest(image.reference), init=False)
                try:
                    await self._call(Operation.CREATE, core.create, request)
                except NameTaken:
                    continue
            elif found.labels.get(LABEL_DEPLOYMENT) != deployment or LABEL_HELPER not in found.labels:
                raise NameTaken(NOT_OURS.format(name=name))
            elif found.labels != labels or found.state is ContainerState.PAUSED:
                await self._host.remove(found.id)
                continue
            await self._host.start(name)
            made = await self._host.inspect(name)
            if made is not None and made.state is ContainerState.RUNNING:
                self._container_id = made.id
                return
        raise HostBroken(f"the host helper {name} does not stay; see who else makes and removes it")

    async def measure(self) -> HostCounters:
        counters: HostCounters = await self._call(Operation.MEASURE, self._read, read_host)
        return counters

    async def measure_containers(self) -> ContainersReading:
        reading: ContainersReading = await self._call(Operation.MEASURE, self._read, read_containers)
        return reading

    def _read(self, read: Callable[[SimulatedEngine, str | None, float], Any], now: float) -> Any:
        return read(self._engine, self._container_id, now)

    async def remove(self, deployment: str) -> None:
        self._container_id = None
        for container in await self._host.containers({LABEL_DEPLOYMENT: deployment}):
            if LABEL_HELPER in container.labels:
                await self._host.remove(container.id)
        core = self._engine.core
        if not any(LABEL_HELPER in one.request.labels for one in core):
            reference = helper_image(_ARCHITECTURE).reference
            await self._call(Operation.IMAGE, lambda now: core.images.discard(reference))


def read_host(engine: SimulatedEngine, container_id: str | None, now: float) -> HostCounters:
    _running(engine, container_id)
    return engine.meter.host(now)


def read_containers(engine: SimulatedEngine, container_id: str | None, now: float) -> ContainersReading:
    record = _running(engine, container_id)
    reading = engine.meter.containers(now)
    if record.request.labels.get(LABEL_HELPER_MODE) != HelperMode.FULL:
        return ContainersReading(reading.at, {})
    return reading


def _running(engine: SimulatedEngine, container_id: str | None) -> ContainerRecord:
    record = engine.core.find(container_id or "")
    if record is None or record.state is not ContainerState.RUNNING:
        raise Refusal(409, "the host helper does not run", HostBroken)
    return record


# Over HTTP: what the program says.


async def answer_questions(
    engine: SimulatedEngine, request: web.BaseRequest, record: ContainerRecord
) -> web.StreamResponse:
    """Until the client leaves or the container is found to have ended. Raises Cutoff or Silence as all calls do."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    rest = b""
    probes: set[asyncio.Task[None]] = set()
    try:
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                continue
            *lines, rest = (rest + message.data).split(b"\n")
            for line in lines:
                question, _, tag = line.decode(errors="replace").partition(" ")
                if question == "probe":
                    probes.add(asyncio.create_task(tell(engine, socket, record, tag.split(" "))))
                elif not await _answer(engine, socket, record, question, tag):
                    await socket.close()
                    break
    finally:
        for probe in probes:
            probe.cancel()
        if record.extra is not None and record.extra.get("StdinOnce"):
            engine.do(engine.core.end, record.id, 0)
    return socket


async def _answer(
    engine: SimulatedEngine, socket: web.WebSocketResponse, record: ContainerRecord, question: str, tag: str
) -> bool:
    try:
        said = await engine.perform(Operation.MEASURE, _said, engine, record.id, question)
    except Refusal:
        return False
    await socket.send_bytes("".join(f"{text}\n" for text in (f"begin {tag}", *said, f"end {tag}")).encode())
    return True


def _said(engine: SimulatedEngine, container_id: str, question: str, now: float) -> list[str]:
    if question == "host":
        return _host_lines(read_host(engine, container_id, now))
    if question == "containers":
        return _container_lines(read_containers(engine, container_id, now))
    _running(engine, container_id)
    return [f"version {VERSION}"]


def _host_lines(counters: HostCounters) -> list[str]:
    return [
        f"time {round(counters.at * 1e9)}",
        f"boot {counters.boot}",
        f"cpu  {round(counters.busy * 100)} 0 0 0 0 0 0 0 0 0",
        f"cores {counters.cores}",
        f"memory {counters.memory_total >> 10} {counters.memory_available >> 10}",
        f"disk {counters.disk_total} {counters.disk_free}",
    ]


def _container_lines(reading: ContainersReading) -> list[str]:
    return [f"time {round(reading.at * 1e9)}", *(f"{i} {_columns(one)}" for i, one in reading.containers.items())]


def _columns(one: ContainerCounters) -> str:
    seconds = (None if value is None else round(value * 1e9) for value in (one.cpu, one.throttled))
    rest = (one.memory, 0, one.memory_limit, one.pids, one.oom_kills, one.read_bytes, one.write_bytes)
    return " ".join("-" if value is None else str(value) for value in (*seconds, *rest))
