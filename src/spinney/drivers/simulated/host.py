"""A simulated Docker engine as a container host, in process: no sockets, no serialising.

Guaranteed: all that ``drivers.base`` promises, as the contract suite checks on it and on the real driver. A call that gets no
answer fails after ``time_limit`` seconds of the clock passed in. Nothing is sent anywhere, so ten thousand containers on a
hundred hosts fit in one process, and what is measured around it is the caller's own cost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from spinney.clock import Clock
from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_GENERATION,
    LABEL_NODE,
    Container,
    ContainerEvent,
    ContainerEventKind,
    ContainerLimits,
    ContainerRequest,
    ContainerStats,
    HostFacts,
    ImageRequest,
    LogChunk,
    LogQuery,
    NetworkRequest,
    PullPolicy,
    SecretFile,
)
from spinney.domain.host import HelperMode
from spinney.domain.images import HostImage
from spinney.domain.probe import ProbeAnswer, ProbeRequest
from spinney.domain.terminal import ExecRequest
from spinney.domain.utilization import ContainerReading, ContainersReading, HostCounters
from spinney.drivers.base import ExecSession, HostAddress
from spinney.drivers.helper import probing
from spinney.drivers.simulated.engine import Cutoff, Hooks, Silence, SimulatedEngine
from spinney.drivers.simulated.exec import Commands, SimulatedExec
from spinney.drivers.simulated.faults import Operation
from spinney.drivers.simulated.helper import SimulatedHelper
from spinney.drivers.simulated.logs import read_lines, rendered
from spinney.drivers.simulated.services import Services
from spinney.drivers.simulated.values import EngineEvent, EngineSettings, Refusal
from spinney.drivers.simulated.views import facts_of, inspected
from spinney.errors import (
    ContainerGone,
    ContainerRefused,
    HostRefused,
    HostUnreachable,
    ImageNotFound,
    NameTaken,
)

T = TypeVar("T")

SCHEME = "sim://"
_CREATE_ATTEMPTS = 5
_IDENTITY = (LABEL_DEPLOYMENT, LABEL_NODE, LABEL_GENERATION)
_EVENT_KINDS = {
    "start": ContainerEventKind.STARTED,
    "pause": ContainerEventKind.PAUSED,
    "unpause": ContainerEventKind.UNPAUSED,
    "die": ContainerEventKind.DIED,
    "oom": ContainerEventKind.OOM,
    "destroy": ContainerEventKind.DESTROYED,
    "health_status: healthy": ContainerEventKind.HEALTHY,
    "health_status: unhealthy": ContainerEventKind.UNHEALTHY,
}

#: Seconds in which a stream of events begins, as with the real driver: a host that can be reached again is noticed so soon.
_OPENING = 5.0


class SimulatedHost:
    """``ContainerHost`` over one simulated Docker engine."""

    def __init__(self, engine: SimulatedEngine, *, time_limit: float = 60.0) -> None:
        self._engine = engine
        self._core = engine.core
        self._time_limit = time_limit
        self._network_lock = asyncio.Lock()
        self._pulls: dict[str, tuple[asyncio.Task[None], list[int]]] = {}
        self._helper = SimulatedHelper(self, engine, self._call)
        self._commands = Commands(engine)

    async def close(self) -> None:
        for task, _ in list(self._pulls.values()):
            task.cancel()

    # Images and networks.

    async def ensure_image(self, image: ImageRequest) -> bool:
        reference = image.reference
        present = await self._call(Operation.IMAGE, self._core.find_image, reference) is not None
        if present and image.policy is not PullPolicy.ALWAYS:
            return False
        if image.policy is PullPolicy.NEVER:
            text = (
                f"the host has no image {reference} and may never pull it: load it there or choose another pull policy"
            )
            raise ImageNotFound(text)
        await self._pull_together(reference)
        return not present

    async def load_image(self, reference: str, archive: bytes) -> None:
        await self._call(Operation.LOAD, self._core.load_image, archive, about=reference)

    async def remove_image(self, reference: str) -> bool:
        try:
            await self._call(Operation.IMAGE_REMOVE, self._core.remove_image, reference)
        except ContainerRefused:
            return False
        except ImageNotFound:
            return True
        return True

    async def _pull_together(self, reference: str) -> None:
        if reference not in self._pulls:
            task = asyncio.get_running_loop().create_task(self._pull(reference))
            self._pulls[reference] = task, [0]
            task.add_done_callback(lambda done: self._land(reference, done))
        task, waiting = self._pulls[reference]
        waiting[0] += 1
        try:
            await asyncio.shield(task)
        finally:
            waiting[0] -= 1
            if not waiting[0] and not task.done():
                task.cancel()
                self._land(reference, task)

    def _land(self, reference: str, task: asyncio.Task[None]) -> None:
        if reference in self._pulls and self._pulls[reference][0] is task:
            del self._pulls[reference]

    async def _pull(self, reference: str) -> None:
        await self._call(
            Operation.PULL, self._core.pull_delay, reference, then=self._core.pull, about=f"image {reference}"
        )

    async def ensure_network(self, network: NetworkRequest) -> None:
        async with self._network_lock:
            if await self._has_network(network):
                return
            about = f"{network.name} with subnet {network.subnet}"
            try:
                await self._call(Operation.NETWORK_CREATE, self._core.create_network, network, about=about)
            except ContainerRefused:
                # Another of our engines may have been as fast.
                if not await self._has_network(network):
                    raise

    async def _has_network(self, network: NetworkRequest) -> bool:
        found = await self._call(Operation.NETWORK, self._core.find_network, network.name)
        if found is not None and found.labels.get(LABEL_DEPLOYMENT) != network.labels.get(LABEL_DEPLOYMENT):
            text = f"the host has a network {network.name} that is not ours: remove it there or use another host"
            raise NameTaken(text)
        return found is not None

    async def remove_network(self, name: str) -> None:
        async with self._network_lock:
            network = await self._call(Operation.NETWORK, self._core.find_network, name)
            if network is not None and LABEL_DEPLOYMENT in network.labels:
                await self._call(Operation.NETWORK_REMOVE, self._core.remove_unused_network, network.id)

    # Containers.

    async def create(self, request: ContainerRequest) -> Container:
        for _ in range(_CREATE_ATTEMPTS):
            try:
                return inspected(await self._call(Operation.CREATE, self._core.create, request))
            except NameTaken:
                found = await self.inspect(request.name)
            if found is None:
                continue
            if all(found.labels.get(label) == request.labels.get(label) for label in _IDENTITY):
                return found
            if not _is_ours(found, request):
                text = (
                    f"the container name {request.name} is taken by container {found.id}, which is not ours: remove it"
                )
                raise NameTaken(text)
            await self.remove(found.id)
        raise ContainerRefused(f"container {request.name} comes and goes: see who else makes and removes it")

    async def start(self, container_id: str, files: Sequence[SecretFile] = ()) -> None:
        await self._call(Operation.START, partial(self._core.start, files=files), container_id)

    async def inspect(self, id_or_name: str) -> Container | None:
        return await self._call(Operation.INSPECT, self._core.inspect, id_or_name)

    async def update(self, container_id: str, limits: ContainerLimits) -> None:
        await self._call(Operation.UPDATE, self._core.update, container_id, limits)

    async def stop(self, container_id: str, timeout: int) -> None:
        await self._call(Operation.STOP, self._core.stop, container_id, timeout)

    async def restart(self, container_id: str, timeout: int, files: Sequence[SecretFile] = ()) -> None:
        if files:
            await self.stop(container_id, timeout)
            await self.start(container_id, files)
            return
        await self._call(Operation.RESTART, self._core.restart, container_id, timeout)

    async def kill(self, container_id: str, signal: str) -> None:
        await self._call(Operation.KILL, self._core.kill, container_id, signal)

    async def pause(self, container_id: str) -> None:
        await self._call(Operation.PAUSE, self._core.ensure_paused, container_id)

    async def unpause(self, container_id: str) -> None:
        await self._call(Operation.UNPAUSE, self._core.ensure_unpaused, container_id)

    async def remove(self, container_id: str) -> None:
        try:
            await self._call(Operation.REMOVE, self._core.remove, container_id)
        except ContainerGone:
            return

    # Observing and reading.

    async def facts(self) -> HostFacts:
        return await self._call(Operation.FACTS, lambda now: facts_of(self._core.settings, self._core.engine_id))

    async def containers(self, labels: Mapping[str, str]) -> list[Container]:
        return await self._call(Operation.LIST, self._core.containers, labels)

    async def images(self) -> list[HostImage]:
        return await self._call(Operation.IMAGES, self._core.listed_images)

    async def events(self, labels: Mapping[str, str]) -> AsyncIterator[ContainerEvent]:
        wanted = dict(labels).items()

        def select(event: EngineEvent) -> ContainerEvent | None:
            kind = _EVENT_KINDS.get(event.action)
            if kind is None or not wanted <= event.labels.items():
                return None
            return ContainerEvent(kind, event.container_id, event.labels, event.at, event.exit_code)

        subscription = await self._call(Operation.EVENTS, lambda now: self._engine.subscribe(select, starves=True))
        try:
            yield ContainerEvent(ContainerEventKind.GAP, at=self._engine.clock.now())
            while True:
                yield await subscription.next()
        except Cutoff as cutoff:
            raise HostUnreachable(f"the host's event stream broke: {cutoff}; open it again") from None
        finally:
            self._engine.unsubscribe(subscription)

    async def logs(self, container_id: str, query: LogQuery) -> AsyncGenerator[LogChunk, None]:
        record = await self._call(Operation.LOGS, self._core.locate, container_id)
        try:
            async for line in read_lines(self._engine, record, query):
                yield LogChunk(line.stream, rendered(line, query))
        except Silence:
            text = "nothing was heard of it for too long; see whether the host can be reached"
            raise HostUnreachable(_said(Operation.LOGS, "", text)) from None

    async def stats(self, container_id: str) -> ContainerStats:
        return await self._call(Operation.STATS, self._core.stats, container_id)

    async def counters(self, container_id: str) -> ContainerReading:
        return await self._call(Operation.STATS, self._engine.meter.container, container_id)

    async def exec(self, container_id: str, request: ExecRequest) -> ExecSession:
        return SimulatedExec(await self._call(Operation.EXEC, self._commands.begin, container_id, request))

    async def probe(self, container_id: str, request: ProbeRequest) -> ProbeAnswer:
        wrong = probing.problem(request)
        if wrong is not None:
            return ProbeAnswer(False, text=wrong)
        seconds, exchange = await self._call(Operation.PROBE, self._core.probe, container_id, request)
        if seconds:
            await self._engine.clock.sleep(seconds)
        return probing.answer(request, exchange)

    # Measuring.

    async def ensure_helper(self, deployment: str, mode: HelperMode) -> None:
        await self._helper.ensure(deployment, mode)

    async def measure(self) -> HostCounters:
        return await self._helper.measure()

    async def measure_containers(self) -> ContainersReading:
        return await self._helper.measure_containers()

    async def remove_helper(self, deployment: str) -> None:
        await self._helper.remove(deployment)

    # Inside.

    async def _call(
        self,
        operation: Operation,
        act: Callable[..., T],
        *args: Any,
        then: Callable[..., Any] | None = None,
        about: str = "",
    ) -> T:
        try:
            return await self._engine.perform(operation, act, *args, then=then)
        except Refusal as refusal:
            raise refusal.meaning(_said(operation, about, refusal.message)) from None
        except Cutoff as cutoff:
            raise HostUnreachable(_said(operation, about, f"{cutoff}; see whether its Docker engine runs")) from None
        except Silence:
            raise await self._unanswered(operation) from None

    async def _unanswered(self, operation: Operation) -> HostUnreachable:
        limit = min(self._time_limit, _OPENING) if operation is Operation.EVENTS else self._time_limit
        await self._engine.clock.sleep(limit)
        text = f"no answer within {limit:g} s; see whether the host can be reached"
        return HostUnreachable(_said(operation, "", text))


def _said(operation: Operation, about: str, message: str) -> str:
    return f"the host could not carry out {operation}{' of ' * bool(about)}{about}: {message}"


def _is_ours(found: Container, request: ContainerRequest) -> bool:
    deployment = request.labels.get(LABEL_DEPLOYMENT)
    return deployment is not None and found.labels.get(LABEL_DEPLOYMENT) == deployment


class SimulatedConnector:
    """``HostConnector`` for ``sim://name``: engines are made when first asked for and outlive every connection.

    ``make`` decides what an engine is like (CPU, memory, images, faults); the hooks of all engines are the connector's, and
    so is what their containers serve.
    """

    def __init__(
        self,
        clock: Clock,
        make: Callable[[str], SimulatedEngine] | None = None,
        *,
        hooks: Hooks | None = None,
        time_limit: float = 60.0,
    ) -> None:
        self.hooks = hooks or Hooks()
        self.services = Services()
        self.engines: dict[str, SimulatedEngine] = {}
        self._clock = clock
        self._make = make
        self._time_limit = time_limit

    def connect(self, address: HostAddress) -> SimulatedHost:
        name = address.endpoint.removeprefix(SCHEME)
        if not name or name == address.endpoint:
            text = f"endpoint {address.endpoint!r} is no simulated host: give one of the form {SCHEME}NAME"
            raise HostRefused(text)
        return SimulatedHost(self.engine(name), time_limit=self._time_limit)

    def engine(self, name: str) -> SimulatedEngine:
        """The Docker engine of that name, to look into it or to break it."""
        engine = self.engines.get(name)
        if engine is None:
            made = self._make(name) if self._make else SimulatedEngine(EngineSettings(name), self._clock)
            made.hooks = self.hooks
            made.core.services = self.services
            engine = self.engines[name] = made
        return engine

    def calls(self) -> Counter[Operation]:
        """How often each operation was called, over all engines."""
        total: Counter[Operation] = Counter()
        for engine in self.engines.values():
            total.update(engine.calls)
        return total
