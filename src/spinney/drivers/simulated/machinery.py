"""What keeps a simulated Docker engine going: what falls due, the life of a container's program, ids and events.

``core.EngineCore`` adds what can be asked of it. Guaranteed: a timer set for an earlier run of a container does nothing, and
timers of containers that are gone do not pile up.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from spinney.domain.container import ContainerState
from spinney.drivers.simulated.images import Catalogue
from spinney.drivers.simulated.networks import HostPorts, Network, Networks
from spinney.drivers.simulated.programs import OutOfMemory, Output, Wait, execute, health_test_passes
from spinney.drivers.simulated.services import Services
from spinney.drivers.simulated.signals import KILL
from spinney.drivers.simulated.values import (
    ContainerRecord,
    EngineEvent,
    EngineSettings,
    Listener,
    LogLine,
    Refusal,
)
from spinney.errors import CommandNotFound, ContainerGone, ContainerRefused

_KEPT_EVENTS = 256
_KEPT_LINES = 10_000
_LAST_BACKOFF = 60.0
#: How a network is called that is another container's.
_SHARED = "container:"

_Due = tuple[float, int, Callable[[ContainerRecord, float], None], ContainerRecord, int]


class Machinery:
    """The moving parts inside one Docker engine."""

    def __init__(self, settings: EngineSettings, images: Catalogue | None = None) -> None:
        self.settings = settings
        self.images = images or Catalogue()
        self.networks = Networks(settings.duplicate_networks)
        self.services = Services()
        self.events: deque[EngineEvent] = deque(maxlen=_KEPT_EVENTS)
        self.listeners: list[Listener] = []
        self.engine_id = self._hash("engine")
        self._by_id: dict[str, ContainerRecord] = {}
        self._by_name: dict[str, ContainerRecord] = {}
        self._ports = HostPorts()
        #: What falls due by itself, the soonest first (a heap).
        self.dues: list[_Due] = []
        self._counter = 0
        self._add_network("bridge", "172.17.0.0/16", {}, 0.0)
        for name in ("host", "none"):
            self.networks.add(Network(self._new_id(), name, None, {}, 0.0, driver=name.replace("none", "null")))

    # Time.

    @property
    def next_due(self) -> float | None:
        """When something happens by itself; None: nothing will."""
        return self.dues[0][0] if self.dues else None

    def advance(self, now: float) -> None:
        while self.dues and self.dues[0][0] <= now:
            when, _, act, record, run = heapq.heappop(self.dues)
            if record.run == run:
                act(record, when)

    # The life of a program.

    def _begin(self, record: ContainerRecord, now: float) -> None:
        request = record.request
        try:
            self._join(record)
            self._check_runnable(record)
        except Refusal as refusal:
            self._leave(record)
            record.exit_code = 127 if refusal.meaning is CommandNotFound else 128
            record.error = refusal.message
            self._changed(record)
            raise
        for volume in record.volumes.values():
            volume.holders += 1
        record.run += 1
        record.started_at = now
        record.exit_code = None
        record.error = ""
        record.oom_killed = record.stop_asked = record.start_after_stop = record.waking_late = False
        record.health = "starting" if self._is_checked(record) else None
        self._become(record, ContainerState.RUNNING)
        self._emit("start", record, now)
        if record.health:
            self._schedule_check(record, now)
        if record.program.script is not None:
            variables = {**request.environment, **request.secret_environment}
            environment = {"HOSTNAME": request.hostname or record.id[:12], **variables}
            record.process = execute(record.program.script, environment)
            self._continue(record, now)

    def _join(self, record: ContainerRecord) -> None:
        if record.network.startswith(_SHARED):
            self._share(record, record.network.removeprefix(_SHARED))
        elif record.network != "none":
            network = self.networks.require(record.network)
            record.address = network.attach(record.id)
            record.network_id = network.id
        if record.request.ports and record.network != "none":
            record.ports = self._ports.bind(record.name, record.request.ports)

    def _share(self, record: ContainerRecord, other: str) -> None:
        member = self._by_id.get(other) or self._by_name.get(other)
        if member is None:
            raise Refusal(404, f"No such container: {other}", ContainerGone)
        if not member.is_up:
            raise Refusal(409, f"cannot join network of a non running container: {other}", ContainerRefused)
        record.joined = member, member.run

    def _leave(self, record: ContainerRecord) -> None:
        if record.network_id is not None:
            network = self.networks.find(record.network_id)
            if network is not None:
                network.detach(record.id)
            record.network_id = record.address = None
        if record.ports:
            self._ports.release(record.ports)
            record.ports = ()

    def _check_runnable(self, record: ContainerRecord) -> None:
        if not record.program.found:
            text = (
                "failed to create task for container: failed to create shim task: OCI runtime create failed: "
                f'runc create failed: unable to start container process: exec: "{record.program.name}": '
                "executable file not found in $PATH: unknown"
            )
            raise Refusal(400, text, CommandNotFound)
        wanted = record.request.gpus
        if wanted > self.settings.gpus or (wanted and not self.settings.gpus):
            raise Refusal(500, 'could not select device driver "" with capabilities: [[gpu]]', ContainerRefused)

    def _end(self, record: ContainerRecord, code: int, now: float, out_of_memory: bool = False) -> None:
        self._leave(record)
        for volume in record.volumes.values():
            volume.holders -= 1
            if not volume.holders:
                volume.files.clear()
        record.run += 1
        record.exit_code, record.finished_at, record.oom_killed = code, now, out_of_memory
        record.process = None
        restarted = record.start_after_stop
        again = not record.stop_asked and (record.always_restart or (bool(code) and self._may_retry(record)))
        self._become(record, ContainerState.RESTARTING if again else ContainerState.EXITED)
        if out_of_memory:
            self._emit("oom", record, now)
        self._emit("die", record, now, exit_code=code)
        if again:
            self._at(now + min(0.1 * 2.0**record.restart_count, _LAST_BACKOFF), self._retry, record)
        elif restarted:
            self._begin_unasked(record, now)
        elif record.auto_remove:
            self._discard(record, now)
        self._wake_watchers(record)

    def _discard(self, record: ContainerRecord, now: float) -> None:
        """Forget it, unless that has been done."""
        if self._by_id.pop(record.id, None) is not None:
            record.run += 1
            del self._by_name[record.name]
            self._emit("destroy", record, now)

    def _give_up(self, record: ContainerRecord) -> None:
        """It was about to be restarted, and will not be."""
        record.run += 1
        self._become(record, ContainerState.EXITED)

    def _may_retry(self, record: ContainerRecord) -> bool:
        return record.restart_count < (record.request.restart_on_failure or 0)

    def _begin_unasked(self, record: ContainerRecord, now: float) -> None:
        """Start where nobody waits for the answer: a refusal is kept in the record, as Docker does."""
        try:
            self._begin(record, now)
        except Refusal:
            record.run += 1
            self._become(record, ContainerState.EXITED)

    def _retry(self, record: ContainerRecord, now: float) -> None:
        record.restart_count += 1
        self._begin_unasked(record, now)

    def _kill_late(self, record: ContainerRecord, now: float) -> None:
        self._emit("kill", record, now, signal=str(KILL))
        self._end(record, 128 + KILL, now)
        self._emit("stop", record, now)

    def _continue(self, record: ContainerRecord, now: float) -> None:
        """Let the program run until it waits or ends."""
        if record.state is ContainerState.PAUSED:
            record.waking_late = True
            return
        assert record.process is not None
        try:
            while True:
                step = next(record.process)
                if isinstance(step, Output):
                    self._log(record, LogLine(now, step.stream, step.data))
                elif isinstance(step, OutOfMemory):
                    self._end(record, 128 + KILL, now, out_of_memory=True)
                    return
                elif isinstance(step, Wait):
                    if step.seconds is not None:
                        self._at(now + step.seconds, self._continue, record)
                    return
        except StopIteration as end:
            self._end(record, int(end.value) & 255, now)

    def _is_checked(self, record: ContainerRecord) -> bool:
        check = record.request.healthcheck
        return record.program.always_unhealthy or (check is not None and bool(check.test) and check.test != ("NONE",))

    def _schedule_check(self, record: ContainerRecord, now: float) -> None:
        check = record.request.healthcheck
        interval = (check.interval if check else 0.0) or 30.0
        if record.program.always_unhealthy or (check is not None and not health_test_passes(check.test, check.timeout)):
            patience = (check.start_period if check else 0.0) + interval * max(1, check.retries if check else 1)
            self._at(now + patience, self._found_unhealthy, record)
        else:
            self._at(now + interval, self._found_healthy, record)

    def _found_healthy(self, record: ContainerRecord, now: float) -> None:
        self._set_health(record, "healthy", now)

    def _found_unhealthy(self, record: ContainerRecord, now: float) -> None:
        self._set_health(record, "unhealthy", now)

    def _set_health(self, record: ContainerRecord, health: str, now: float) -> None:
        if record.health != health:
            record.health = health
            self._changed(record)
            self._emit(f"health_status: {health}", record, now)

    def _add_network(
        self, name: str, subnet: str | None, labels: Mapping[str, str], now: float, **options: Any
    ) -> Network:
        network = Network(self._new_id(), name, self.networks.allocate(subnet), labels, now, **options)
        self.networks.add(network)
        return network

    def _log(self, record: ContainerRecord, line: LogLine) -> None:
        if record.logs is None:
            record.logs = deque(maxlen=_KEPT_LINES)
        record.logs.append(line)
        record.printed += 1
        self._wake_watchers(record)

    def wake_all_watchers(self) -> None:
        for record in self._by_id.values():
            self._wake_watchers(record)

    @staticmethod
    def _wake_watchers(record: ContainerRecord) -> None:
        for wake in record.watchers or ():
            wake()

    @staticmethod
    def _changed(record: ContainerRecord) -> None:
        record.seen = record.listed = None

    @staticmethod
    def _become(record: ContainerRecord, state: ContainerState) -> None:
        record.state = state
        record.seen = record.listed = None

    def _emit(
        self, action: str, record: ContainerRecord, now: float, exit_code: int | None = None, signal: str | None = None
    ) -> None:
        request = record.request
        event = EngineEvent(
            action, record.id, record.name, request.image.reference, request.labels, now, exit_code, signal
        )
        self.events.append(event)
        for tell in self.listeners:
            tell(event)

    def _at(self, when: float, act: Callable[[ContainerRecord, float], None], record: ContainerRecord) -> None:
        dues = self.dues
        if len(dues) > 64 and len(dues) > 4 * len(self._by_id):
            dues[:] = [due for due in dues if due[3].run == due[4]]
            heapq.heapify(dues)
        heapq.heappush(dues, (when, self.count_up(), act, record, record.run))

    def count_up(self) -> int:
        """A number never given before."""
        self._counter += 1
        return self._counter

    def _new_id(self) -> str:
        return self._hash(str(self.count_up()))

    def _hash(self, what: str) -> str:
        return hashlib.sha256(
            f"{self.settings.fleet}{self.settings.name}/{self.settings.seed}/{what}".encode()
        ).hexdigest()
