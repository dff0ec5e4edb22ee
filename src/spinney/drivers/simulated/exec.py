"""Commands in simulated containers, for both fronts: kept in process, or spoken with through the Docker Engine API.

A command does what ``programs`` says; of a terminal there is the echo, the carriage return, Ctrl-C, Ctrl-D and the size.
Guaranteed: input that the command does not read and output that nobody reads are held up to a bound, and then waited for; a
host that falls silent or breaks its streams does so to commands, too. Not guaranteed: that a command stands still while its
container is paused.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from spinney.clock import Ids
from spinney.domain.container import ContainerState, LogChunk
from spinney.domain.terminal import ExecRequest, Resize
from spinney.drivers.simulated.engine import Cutoff, Silence, SimulatedEngine, Subscription
from spinney.drivers.simulated.haproxy import controlled
from spinney.drivers.simulated.programs import Ask, OutOfMemory, Output, Process, Read, Wait, run_in
from spinney.drivers.simulated.values import ContainerRecord, EngineEvent, Refusal
from spinney.errors import ContainerRefused, HostUnreachable

_HELD = 1 << 16
_CTRL_C, _CTRL_D = b"\x03", b"\x04"
_KILLED, _INTERRUPTED, _NOT_FOUND = 137, 130, 127
_ENDINGS = ("die", "destroy")


class Command:
    """One command, begun or not. Reading raises Cutoff or Silence as the host does; so does waiting."""

    def __init__(self, engine: SimulatedEngine, record: ContainerRecord, request: ExecRequest, command_id: str) -> None:
        self.id = command_id
        self.request = request
        self.container_id = record.id
        self.code: int | None = None
        self._engine = engine
        self._record = record
        self._size = Resize(0, 0)
        self._printed: deque[LogChunk] = deque()
        self._typed = b""
        self._input_ended = False
        self._broken: Cutoff | None = None
        self._news = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def begun(self) -> bool:
        return bool(self._tasks)

    def begin(self, now: float) -> None:
        check_runs(self._record)
        record, request = self._record, self.request
        hostname = {"HOSTNAME": record.request.hostname or record.id[:12]}
        environment = {**hostname, **record.request.environment, **request.environment}
        process = controlled(record, request.command) or run_in(
            record.request.image.reference, request.command, environment
        )
        loop = asyncio.get_running_loop()
        endings = self._engine.subscribe(self._ending, starves=True)
        self._tasks = [loop.create_task(self._run(process)), loop.create_task(self._watch(endings))]

    def resize(self, size: Resize) -> None:
        self._size = size

    # What runs.

    async def _run(self, process: Process | None) -> None:
        if process is None:
            program = self.request.command[0] if self.request.command else ""
            said = f'OCI runtime exec failed: exec: "{program}": executable file not found in $PATH\n'
            await self._print("stdout", said.encode())
            await self._end(_NOT_FOUND)
        else:
            await self._end(await self._play(process))

    async def _play(self, process: Process) -> int:
        answer: bytes | str | None = None
        while True:
            try:
                step = process.send(answer)
            except StopIteration as end:
                return int(end.value) & 255
            answer = None
            match step:
                case Output(stream, data):
                    await self._print(stream, data)
                case Wait(seconds):
                    await (asyncio.Event().wait() if seconds is None else self._engine.clock.sleep(seconds))
                case Read(line):
                    answer = await self._take(line)
                case Ask(about):
                    answer = self._answer(about)
                case OutOfMemory():
                    return _KILLED

    def _answer(self, about: str) -> str | None:
        if about == "user":
            return (self.request.user or self._record.request.user or "0").partition(":")[0]
        return f"{self._size.height} {self._size.width}" if self.request.tty else None

    async def _print(self, stream: str, data: bytes) -> None:
        if self.request.tty:
            stream, data = "stdout", data.replace(b"\n", b"\r\n")
        async with self._news:
            await self._news.wait_for(lambda: sum(len(one.data) for one in self._printed) < _HELD)
            self._printed.append(LogChunk(stream, data))
            self._news.notify_all()

    async def _take(self, line: bool) -> bytes:
        whole = line or self.request.tty

        def ready() -> bool:
            return self._input_ended or (b"\n" in self._typed if whole else bool(self._typed))

        async with self._news:
            await self._news.wait_for(ready)
            end = self._typed.find(b"\n") + 1 if whole else 0
            taken, self._typed = self._typed[: end or None], self._typed[end:] if end else b""
            self._news.notify_all()
            return taken

    def _ending(self, event: EngineEvent) -> str | None:
        return event.action if event.container_id == self.container_id and event.action in _ENDINGS else None

    async def _watch(self, subscription: Subscription[str]) -> None:
        """Ends with the container, and breaks with the streams of the host."""
        try:
            await subscription.next()
            await self._end(_KILLED)
        except Cutoff as cutoff:
            async with self._news:
                self._broken = cutoff
                self._news.notify_all()
        finally:
            self._engine.unsubscribe(subscription)

    async def _end(self, code: int) -> None:
        async with self._news:
            if self.code is None:
                self.code = code
            self._news.notify_all()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    # Who speaks with it.

    async def read(self) -> LogChunk | None:
        while True:
            await self._engine.outlast_silence()
            async with self._news:
                if self._broken is not None:
                    raise self._broken
                if self._printed:
                    chunk = self._printed.popleft()
                    self._news.notify_all()
                    return chunk
                if self.code is not None:
                    return None
                await self._news.wait()

    async def write(self, data: bytes) -> None:
        await self._engine.outlast_silence()
        if self.request.tty:
            if _CTRL_C in data:
                await self._print("stdout", b"^C")
                await self._end(_INTERRUPTED)
                return
            await self._print("stdout", data.replace(_CTRL_D, b""))
        async with self._news:
            await self._news.wait_for(lambda: len(self._typed) < _HELD or self.code is not None or self._broken)
            self._typed += data.replace(_CTRL_D, b"") if self.request.tty else data
            self._input_ended |= self.request.tty and _CTRL_D in data
            self._news.notify_all()

    async def end_input(self) -> None:
        async with self._news:
            self._input_ended = True
            self._news.notify_all()

    async def wait(self) -> int:
        async with self._news:
            await self._news.wait_for(lambda: self.code is not None or self._broken)
        if self.code is None:
            raise self._broken or Cutoff("connection reset by peer")
        return self.code

    async def kill(self) -> None:
        await self._end(_KILLED)


def check_runs(record: ContainerRecord) -> None:
    """Raises: Refusal when nothing can be run in the container now."""
    if record.state is ContainerState.PAUSED:
        text = f"Container {record.id} is paused, unpause the container before exec: unpause it first"
        raise Refusal(409, text, ContainerRefused)
    if record.state is not ContainerState.RUNNING:
        raise Refusal(409, f"container {record.id} is not running; start it first", ContainerRefused)


class Commands:
    """The commands of one Docker engine, by id."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self._engine = engine
        self._ids = Ids()
        self._known: dict[str, Command] = {}

    def create(self, reference: str, request: ExecRequest, now: float) -> Command:
        record = self._engine.core.require(reference)
        check_runs(record)
        self._forget()
        command = Command(self._engine, record, request, self._ids.new().replace("-", "") * 2)
        self._known[command.id] = command
        return command

    def begin(self, reference: str, request: ExecRequest, now: float) -> Command:
        command = self.create(reference, request, now)
        command.begin(now)
        return command

    def find(self, command_id: str) -> Command | None:
        return self._known.get(command_id)

    async def kill_marked(self, mark: str) -> None:
        """End those that bear the variable, as who looks for it in their environments would."""
        for command in list(self._known.values()):
            if mark in (f"{name}={value}" for name, value in command.request.environment.items()):
                await command.kill()

    def _forget(self) -> None:
        """Those of containers that are gone."""
        for command in list(self._known.values()):
            if self._engine.core.find(command.container_id) is None:
                del self._known[command.id]


class SimulatedExec:
    """``ExecSession`` in process."""

    def __init__(self, command: Command) -> None:
        self._command = command

    async def read(self) -> LogChunk | None:
        try:
            return await self._command.read()
        except (Cutoff, Silence) as error:
            raise _lost(error) from None

    async def write(self, data: bytes) -> None:
        with suppress(Silence):  # reading tells
            await self._command.write(data)

    async def end_input(self) -> None:
        await self._command.end_input()

    async def resize(self, size: Resize) -> None:
        self._command.resize(size)

    async def wait(self) -> int:
        try:
            return await self._command.wait()
        except Cutoff as error:
            raise _lost(error) from None

    async def close(self) -> None:
        await self._command.kill()


def _lost(error: Exception) -> HostUnreachable:
    return HostUnreachable(f"the host broke off what ran on it ({error or 'silence'}); see whether it can be reached")
