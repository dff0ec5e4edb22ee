"""What Spinney needs of a container host, and nothing more.

Six small Protocols for six kinds of caller; one object per host implements all of them. The contract suite in
``tests/drivers`` says what each promise means and runs on every implementation.

Guaranteed by every implementation:

* every call ends within a time limit of its own (streams: an idle limit or a heartbeat) and raises only
  ``spinney.errors.HostError`` subclasses, with a message fit for a user;
* ``ensure_*`` and ``create`` are find-or-create: repeated after a failure with unknown outcome they end in the same world;
* ``remove``, ``stop``, ``kill`` and ``start`` are idempotent: absent is success for ``remove``, an already stopped or
  running container is success for ``stop`` and ``start``;
* nothing that does not bear our deployment label is ever changed;
* cancelling a call releases its connection; the Docker engine may still carry the request out.

Not guaranteed: order between calls on different containers, or that an event is delivered (hence ``GAP``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from spinney.domain.container import (
    Container,
    ContainerEvent,
    ContainerLimits,
    ContainerRequest,
    ContainerStats,
    HostFacts,
    ImageRequest,
    LogChunk,
    LogQuery,
    NetworkRequest,
    SecretFile,
)
from spinney.domain.host import HelperMode
from spinney.domain.images import HostImage
from spinney.domain.probe import ProbeAnswer, ProbeRequest
from spinney.domain.terminal import ExecRequest, Resize
from spinney.domain.utilization import ContainerReading, ContainersReading, HostCounters


class ContainerOperator(Protocol):
    """What carrying out actions needs."""

    async def ensure_image(self, image: ImageRequest) -> bool:
        """Have the image on the host, pulling as its policy says. One pull per image however many callers wait for it.

        True: it was not there before, and was pulled.
        Raises: ImageNotFound, ImagePullFailed, DiskFull, HostRefused (registry credential refused).
        """

    async def load_image(self, reference: str, archive: bytes) -> None:
        """Have the image of an archive as ``docker save`` makes it, which bears that reference. Raises: DiskFull."""

    async def remove_image(self, reference: str) -> bool:
        """Take the reference away, and with the last one the image. Absent is success. False: a container uses it."""

    async def ensure_network(self, network: NetworkRequest) -> None:
        """Find or create the bridge. Serialised per host: Docker itself would make two of one name.

        Raises: AddressPoolOverlap.
        """

    async def remove_network(self, name: str) -> None:
        """Remove our network of that name; absent or still in use is success (the last user removes it)."""

    async def create(self, request: ContainerRequest) -> Container:
        """Find or create the container by its name, without starting it.

        A container of that name with the same deployment, node and generation labels is the one asked for; ours with
        other labels is removed first. Raises: NameTaken, ImageNotFound, ContainerRefused.
        """

    async def start(self, container_id: str, files: Sequence[SecretFile] = ()) -> None:
        """The files are in the request's ``secret_directories``, in memory, before the command starts.

        Raises: ContainerGone, CommandNotFound, PortTaken, NetworkMissing, ContainerRefused.
        """

    async def inspect(self, id_or_name: str) -> Container | None:
        """None: there is no such container."""

    async def update(self, container_id: str, limits: ContainerLimits) -> None:
        """Change what a container may use, whether it runs or not, without disturbing it.

        Raises: ContainerGone; ContainerRefused, also when it uses more memory than it is to have.
        """

    async def stop(self, container_id: str, timeout: int) -> None:
        """Stop signal, then kill after ``timeout`` seconds. Raises: ContainerGone."""

    async def restart(self, container_id: str, timeout: int, files: Sequence[SecretFile] = ()) -> None:
        """Stop and start, with the files as ``start``. Raises: ContainerGone and what ``start`` raises."""

    async def kill(self, container_id: str, signal: str) -> None:
        """Raises: ContainerGone; ContainerRefused when it does not run or the signal is unknown."""

    async def pause(self, container_id: str) -> None:
        """Already paused is success. Raises: ContainerGone; ContainerRefused when it does not run."""

    async def unpause(self, container_id: str) -> None:
        """Not paused is success. Raises: ContainerGone."""

    async def remove(self, container_id: str) -> None:
        """Kill and remove the container with its anonymous volumes, and return when it is gone."""


class ContainerObserver(Protocol):
    """What watching a host needs."""

    async def facts(self) -> HostFacts: ...

    async def containers(self, labels: Mapping[str, str]) -> list[Container]:
        """All containers, stopped ones too, that bear all these labels (health may be unknown)."""

    async def images(self) -> list[HostImage]:
        """All images that have a tag or a digest."""

    def events(self, labels: Mapping[str, str]) -> AsyncIterator[ContainerEvent]:
        """Endless: what happens to containers with these labels, from now on.

        The first item is a ``GAP``, sent once the subscription stands, so that listing after it misses nothing. When
        the connection is lost the iterator raises HostUnreachable; opening it again is the caller's business.
        """


class ContainerReader(Protocol):
    """What looking into a container needs."""

    def logs(self, container_id: str, query: LogQuery) -> AsyncGenerator[LogChunk, None]:
        """Ends with the container when following, at the end of what there is otherwise. Raises: ContainerGone."""

    async def stats(self, container_id: str) -> ContainerStats:
        """One sample. Raises: ContainerGone."""

    async def counters(self, container_id: str) -> ContainerReading:
        """What its counters say: unlike ``stats`` it waits for no second sample. Raises: ContainerGone."""


class ExecSession(Protocol):
    """A command that runs in a container, with its input and what it prints. One reads and one writes at a time.

    What the command has not read and what nobody has read of it is bounded: both sides wait for each other. A program that
    the image lacks or that its user may not run has the exit codes of a shell, 127 and 126, and what it prints says so.
    """

    async def read(self) -> LogChunk | None:
        """What it prints next; None at the end. May be cancelled without loss. Raises HostError when the host is gone."""

    async def write(self, data: bytes) -> None:
        """Input; of a command that has ended it is thrown away."""

    async def end_input(self) -> None:
        """No more input will come, as at the end of a file."""

    async def resize(self, size: Resize) -> None:
        """The terminal's size; of one that has ended it has no effect."""

    async def wait(self) -> int:
        """The exit code, once the command has ended; 128 and the signal's number if a signal ended it."""

    async def close(self) -> None:
        """Lets go of the command, within seconds; one that has not ended is killed where that is possible."""


class CommandRunner(Protocol):
    """What running a command in a container needs."""

    async def exec(self, container_id: str, request: ExecRequest) -> ExecSession:
        """Raises: ContainerGone; ContainerRefused when the container does not run or is paused."""


class NetworkProber(Protocol):
    """What probing a container needs, inside its own network namespace; nothing is asked of the control plane's network."""

    async def probe(self, container_id: str, request: ProbeRequest) -> ProbeAnswer:
        """That nothing answers is an answer. Raises: ContainerGone; ContainerRefused when the container does not run;
        HostError when its host could not ask."""


class HostMeter(Protocol):
    """What measuring a host needs: the host helper, the one container of ours that may be on it (see ``drivers.helper``)."""

    async def ensure_helper(self, deployment: str, mode: HelperMode) -> None:
        """Have the deployment's helper run on the host, in our version and this mode (not ``none``), and be connected to it.

        One of another version or mode is replaced, one that ended is started again. Raises: NameTaken; ContainerRefused
        when there is none for the host's architecture.
        """

    async def measure(self) -> HostCounters:
        """Read the whole host. Raises HostBroken while ``ensure_helper`` has not been called or its helper has ended."""

    async def measure_containers(self) -> ContainersReading:
        """Read all containers of the host, other people's too; none of them in mode ``plain``. Raises as ``measure``."""

    async def remove_helper(self, deployment: str) -> None:
        """Remove the deployment's helper and its image; absent is success, and so is an image that others use."""


class ContainerHost(
    ContainerOperator, ContainerObserver, ContainerReader, CommandRunner, NetworkProber, HostMeter, Protocol
):
    """One host, connected lazily: making this object does no I/O."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class HostAddress:
    """Where a Docker engine is and with what to approach it."""

    endpoint: str  # unix:///path, tcp://host:port, ssh://user@host[:port]
    credential: str | None = None  # name of a credential held by the service


class MetricsReader(Protocol):
    """Reading hosts that tell their own load at a URL. The time limits and errors of all that is asked of hosts hold."""

    async def read(self, url: str) -> HostCounters: ...

    async def close(self) -> None: ...


class HostConnector(Protocol):
    """Turns an address into a host. One per process; wiring chooses which."""

    def connect(self, address: HostAddress) -> ContainerHost:
        """Raises HostRefused for an endpoint that is not permitted here or lacks its credential."""


class HostAccess(Protocol):
    """Looking into hosts on behalf of the API, through the engine that holds their credentials.

    Raises HostError subclasses; HostUnreachable also when no engine is there to ask.
    """

    async def probe(self, address: HostAddress) -> HostFacts:
        """Try an endpoint that is not registered yet."""

    async def inspect(self, host_id: str, container_id: str) -> Container | None: ...

    async def stats(self, host_id: str, container_id: str) -> ContainerStats: ...

    def logs(self, host_id: str, container_id: str, query: LogQuery) -> AsyncGenerator[LogChunk, None]: ...

    async def exec(self, host_id: str, container_id: str, request: ExecRequest) -> ExecSession: ...
