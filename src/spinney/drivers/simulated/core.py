"""One Docker engine as a synchronous state machine: no asyncio, no clock, no randomness.

Every method that changes something takes ``now``; ``advance(now)`` carries out what falls due by itself (programs that end,
stop time-outs, health checks, restarts on failure) and ``next_due`` says when that is. Whoever owns a core calls
``advance`` before each operation.

Guaranteed, as in a real Docker engine: names are unique, a host port is held by one running container, a failed start leaves
the container created with exit code 127 or 128, a published port is free again once its container is down, an operation is
done or not done and never half, the last 256 events are kept. The same calls with the same times give the same ids and the
same world. Not guaranteed: what a container's program would really compute (see ``programs``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from spinney.domain.container import (
    Container,
    ContainerLimits,
    ContainerRequest,
    ContainerState,
    ContainerStats,
    NetworkRequest,
    SecretFile,
)
from spinney.domain.images import HostImage
from spinney.domain.probe import ProbeRequest
from spinney.drivers.helper import probing
from spinney.drivers.helper.probing import Exchange
from spinney.drivers.simulated.images import IMAGE_SIZE
from spinney.drivers.simulated.machinery import Machinery
from spinney.drivers.simulated.networks import Network
from spinney.drivers.simulated.programs import program_for
from spinney.drivers.simulated.signals import KILL, TERM, signal_number
from spinney.drivers.simulated.values import MINIMUM_MEMORY, ContainerRecord, LogLine, Refusal, Tmpfs
from spinney.drivers.simulated.views import inspected, listed
from spinney.errors import ContainerGone, ContainerRefused, NameTaken

_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")
#: What ``stats`` shows of a container whose load nobody has set.
_IDLE_CPU = 0.01
_IDLE_MEMORY = 8 * 1024**2


class EngineCore(Machinery):
    """The world inside one Docker engine."""

    # Containers: what there is.

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[ContainerRecord]:
        return iter(self._by_id.values())

    def find(self, reference: str) -> ContainerRecord | None:
        """By full id, name, or unambiguous prefix of the id."""
        found = self._by_id.get(reference) or self._by_name.get(reference.removeprefix("/"))
        if found is None and reference and len(reference) < 64:
            candidates = [record for id_, record in self._by_id.items() if id_.startswith(reference)]
            found = candidates[0] if len(candidates) == 1 else None
        return found

    def require(self, reference: str) -> ContainerRecord:
        found = self.find(reference)
        if found is None:
            raise Refusal(404, f"No such container: {reference}", ContainerGone)
        return found

    def inspect(self, reference: str, now: float) -> Container | None:
        record = self.find(reference)
        return None if record is None else inspected(record)

    def containers(self, labels: Mapping[str, str], now: float) -> list[Container]:
        wanted = labels.items()
        return [listed(record) for record in self._by_id.values() if wanted <= record.request.labels.items()]

    def locate(self, reference: str, now: float) -> ContainerRecord:
        """As ``require``, at a moment."""
        return self.require(reference)

    def stats(self, reference: str, now: float) -> ContainerStats:
        record = self.require(reference)
        request = record.request
        limit = request.memory_limit or self.settings.memory
        if record.state not in (ContainerState.RUNNING, ContainerState.PAUSED) or record.started_at is None:
            return ContainerStats(sampled_at=now)
        age = int(now - record.started_at)
        return ContainerStats(
            cpu=_IDLE_CPU if record.cpu_used is None else record.cpu_used,
            memory=min(_IDLE_MEMORY, limit // 2) if record.memory_used is None else record.memory_used,
            memory_limit=limit,
            pids=2 if request.init else 1,
            rx_bytes=None if record.address is None else age * 1000,
            tx_bytes=None if record.address is None else age * 500,
            read_bytes=0,
            write_bytes=0,
            sampled_at=now,
        )

    def probe(self, reference: str, request: ProbeRequest, now: float) -> tuple[float, Exchange]:
        """What comes of it, and after how many seconds."""
        record = self.require(reference)
        if record.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
            raise Refusal(409, f"container {record.id} is not running", ContainerRefused)
        return self.services.exchange(record, request.port, probing.to_send(request), request.timeout, now)

    # Containers: what can be done with them.

    def create(
        self,
        request: ContainerRequest,
        now: float,
        *,
        network: str | None = None,
        extra: Mapping[str, Any] | None = None,
        always_restart: bool = False,
        auto_remove: bool = False,
        volumes_from: tuple[str, ...] = (),
    ) -> ContainerRecord:
        self._check(request)
        holder = self._by_name.get(request.name)
        if holder is not None:
            text = (
                f'Conflict. The container name "/{request.name}" is already in use by container "{holder.id}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
            raise Refusal(409, text, NameTaken)
        program = program_for(request.image.reference, request.entrypoint, request.command)
        if network is None:
            network = request.network.name if request.network else "none"
        record = ContainerRecord(self._new_id(), request.name, request, network, now, program, extra)
        record.always_restart, record.auto_remove = always_restart, auto_remove
        record.volumes = {path: Tmpfs() for path in request.secret_directories}
        for other in volumes_from:
            record.volumes = {**record.volumes, **self.require(other).volumes}
        self._by_id[record.id] = record
        self._by_name[record.name] = record
        self._emit("create", record, now)
        return record

    def update(
        self, reference: str, limits: ContainerLimits, now: float, *, extra: Mapping[str, Any] | None = None
    ) -> None:
        record = self.require(reference)
        wanted = replace(record.request, **{**_given(limits), "restart_on_failure": limits.restart_on_failure})
        self._check(wanted)
        used = self.stats(reference, now).memory
        if used is not None and limits.memory_limit is not None and used > limits.memory_limit:
            text = (
                f"Cannot update container {record.id}: runc did not terminate successfully: exit status 1: unable to set "
                f"memory limit to {limits.memory_limit} (current usage: {used}): unknown"
            )
            raise Refusal(500, text, ContainerRefused)
        record.request, record.always_restart = wanted, False
        if record.extra is not None:
            host = {**(record.extra.get("HostConfig") or {}), **(extra or {})}
            record.extra = {**record.extra, "HostConfig": host}

    def start(self, reference: str, now: float, *, files: Sequence[SecretFile] = ()) -> bool:
        """False: it was running already."""
        record = self.require(reference)
        for one in files:
            self._bring(record, one)
        if record.state is ContainerState.PAUSED:
            raise Refusal(409, "cannot start a paused container, try unpause instead", ContainerRefused)
        if record.is_up:
            return False
        record.restart_count = 0
        self._begin(record, now)
        return True

    def put_files(self, reference: str, files: Sequence[SecretFile], now: float) -> None:
        """Into what is mounted there; what is not mounted keeps nothing."""
        record = self.require(reference)
        for one in files:
            if record.is_up:
                self._bring(record, one)

    def _bring(self, record: ContainerRecord, file: SecretFile) -> None:
        inside = [path for path in record.volumes if file.path.startswith(f"{path}/")]
        if not inside:
            raise Refusal(404, f"Could not find the file {file.path} in container {record.id}", ContainerRefused)
        record.volumes[max(inside, key=len)].files[file.path] = file

    def read_file(self, reference: str, path: str) -> bytes | None:
        """What a file in memory holds; None: there is none."""
        found = (volume.files.get(path) for volume in self.require(reference).volumes.values())
        return next((one.content for one in found if one is not None), None)

    def stop(self, reference: str, timeout: float | None, now: float) -> float | None:
        """Seconds after which it is down for certain; None: it was not running. A time-out of None waits for ever."""
        record = self.require(reference)
        if not record.is_up:
            return None
        record.stop_asked = True
        number = signal_number(record.request.stop_signal or "") or TERM
        self._emit("kill", record, now, signal=str(number))
        code = record.program.on_signal(number)
        if record.state is ContainerState.RESTARTING:
            self._give_up(record)
        elif code is not None:
            self._end(record, code, now)
        elif timeout is None:
            return float("inf")
        elif timeout <= 0:
            self._end(record, 128 + KILL, now)
        else:
            self._at(now + timeout, self._kill_late, record)
            return timeout
        self._emit("stop", record, now)
        return 0.0

    def restart(self, reference: str, timeout: float | None, now: float) -> float:
        """Seconds after which it has been restarted."""
        record = self.require(reference)
        delay = self.stop(record.id, timeout, now)
        if delay:
            record.start_after_stop = True
            return delay
        self._begin(record, now)
        self._emit("restart", record, now)
        return 0.0

    def kill(self, reference: str, signal: str, now: float) -> None:
        record = self.require(reference)
        number = signal_number(signal)
        if number is None:
            raise Refusal(400, f"invalid signal: {signal}", ContainerRefused)
        if not record.is_up:
            raise Refusal(
                409, f"cannot kill container: {reference}: container {record.id} is not running", ContainerRefused
            )
        self._emit("kill", record, now, signal=str(number))
        code = record.program.on_signal(number)
        if record.state is ContainerState.RESTARTING:
            self._give_up(record)
        elif code is not None:
            record.stop_asked = True
            self._end(record, code, now)

    def pause(self, reference: str, now: float) -> None:
        record = self.require(reference)
        if record.state is ContainerState.PAUSED:
            raise Refusal(409, f"container {record.id} is already paused", ContainerRefused)
        if not record.is_up:
            raise Refusal(409, f"container {record.id} is not running", ContainerRefused)
        if record.state is ContainerState.RESTARTING:
            raise Refusal(
                409, f"container {record.id} is restarting, wait until the container is running", ContainerRefused
            )
        self._become(record, ContainerState.PAUSED)
        self._emit("pause", record, now)

    def unpause(self, reference: str, now: float) -> None:
        record = self.require(reference)
        if record.state is not ContainerState.PAUSED:
            raise Refusal(409, f"container {record.id} is not paused", ContainerRefused)
        self._become(record, ContainerState.RUNNING)
        self._emit("unpause", record, now)
        if record.waking_late:
            record.waking_late = False
            self._continue(record, now)

    def ensure_paused(self, reference: str, now: float) -> None:
        if self.require(reference).state is not ContainerState.PAUSED:
            self.pause(reference, now)

    def ensure_unpaused(self, reference: str, now: float) -> None:
        if self.require(reference).state is ContainerState.PAUSED:
            self.unpause(reference, now)

    def remove(self, reference: str, now: float, *, force: bool = True) -> None:
        record = self.require(reference)
        if record.state is ContainerState.RESTARTING and force:
            self._give_up(record)
        if record.is_up:
            if not force:
                text = (
                    f'cannot remove container "/{record.name}": container is running: '
                    "stop the container before removing or force remove"
                )
                raise Refusal(409, text, ContainerRefused)
            record.stop_asked = True
            self._emit("kill", record, now, signal=str(KILL))
            self._end(record, 128 + KILL, now)
        self._discard(record, now)
        self._wake_watchers(record)

    # Images and networks.

    def remove_image(self, reference: str, now: float) -> None:
        found = self.images.require(reference)
        if any(self.images.find(one.request.image.reference) == found for one in self):
            raise Refusal(409, f"conflict: unable to remove {reference}: a container is using it", ContainerRefused)
        self.images.discard(reference)

    def load_image(self, archive: bytes, now: float) -> str:
        """Its id."""
        return self.images.load(archive)

    def listed_images(self, now: float) -> list[HostImage]:
        tags: dict[str, list[str]] = {}
        for reference, found in self.images.local.items():
            tags.setdefault(found, []).append(reference)
        return [
            HostImage(
                found,
                tuple(one for one in names if "@" not in one),
                tuple(dict.fromkeys(digest for one in names for digest in self.images.digests(one, found))),
                self.images.sizes.get(names[0], IMAGE_SIZE),
            )
            for found, names in tags.items()
        ]

    def find_image(self, reference: str, now: float) -> str | None:
        """Its id."""
        return self.images.find(reference)

    def pull_delay(self, reference: str, now: float) -> float:
        return self.images.pull_delay(reference)

    def pull(self, reference: str, now: float) -> None:
        self.images.pull(reference)

    def find_network(self, id_or_name: str, now: float) -> Network | None:
        return self.networks.find(id_or_name)

    def create_network(self, request: NetworkRequest, now: float, **options: Any) -> Network:
        self.networks.check_name(request.name)
        return self._add_network(request.name, request.subnet or None, request.labels, now, **options)

    def remove_network(self, id_or_name: str, now: float) -> None:
        self.networks.remove(self.networks.require(id_or_name))

    def remove_unused_network(self, id_or_name: str, now: float) -> None:
        """Unless a container has it, be it a stopped one; absent is as good as removed."""
        network = self.networks.find(id_or_name)
        if network is not None and not any(self.users_of(network)):
            self.networks.remove(network)

    def users_of(self, network: Network) -> Iterator[ContainerRecord]:
        """The containers made for it, stopped ones too."""
        names = (network.name, network.id)
        return (record for record in self if record.network in names)

    # What befalls a Docker engine, for tests and faults.

    def set_health(self, reference: str, health: str, now: float) -> None:
        """``healthy`` or ``unhealthy``, as a health check would find."""
        self._set_health(self.require(reference), health, now)

    def end(self, reference: str, exit_code: int, now: float, *, out_of_memory: bool = False) -> None:
        """The program ends by itself."""
        record = self.require(reference)
        if record.is_up:
            self._end(record, exit_code, now, out_of_memory)

    def print(self, reference: str, data: bytes, now: float, stream: str = "stdout") -> None:
        """The program writes to its log."""
        self._log(self.require(reference), LogLine(now, stream, data))

    def set_load(self, reference: str, cpu: float, memory: int) -> None:
        """What ``stats`` shows from now on: cores and bytes."""
        record = self.require(reference)
        record.cpu_used, record.memory_used = cpu, memory

    def reboot(self, now: float) -> None:
        """The Docker engine stops and starts again: what ran ends with 137 and only policy ``always`` brings it back."""
        self.advance(now)
        self.events.clear()
        if self.settings.live_restore:
            return
        for record in [record for record in self if record.is_up]:
            if record.state is ContainerState.RESTARTING:
                self._give_up(record)
            else:
                record.stop_asked = not record.always_restart
                self._end(record, 128 + KILL, now)

    def _check(self, request: ContainerRequest) -> None:
        if not _NAME.match(request.name):
            text = f"Invalid container name ({request.name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            raise Refusal(400, text, ContainerRefused)
        cores = self.settings.cpu
        if request.cpu_limit is not None and not 0 <= request.cpu_limit <= cores:
            text = f"range of CPUs is from 0.01 to {cores:.2f}, as there are only {cores:g} CPUs available"
            raise Refusal(400, text, ContainerRefused)
        if request.memory_limit and request.memory_limit < MINIMUM_MEMORY:
            raise Refusal(400, "Minimum memory limit allowed is 6MB", ContainerRefused)
        self.images.require(request.image.reference)


def _given(limits: ContainerLimits) -> dict[str, Any]:
    """Those that are to change."""
    return {name: value for name, value in asdict(limits).items() if value is not None}
