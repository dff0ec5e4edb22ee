"""Commands in containers through a Docker engine.

Docker has no way to end a command that it runs: when the connection goes, the command goes on. So each bears a mark in its
environment, and one that is let go before its end is killed by a second command, which looks for the mark with the container's
own ``sh`` and ``cat`` (and finds what the first one started, too). Not guaranteed: that this works where the image has neither,
for a program that cleared its environment or changed its user, or while the host does not answer; such a command runs on until
it or its container ends.

A Docker engine says that a command has started before it has: a program that cannot be run is told by what it prints and by its
exit code, and the size of its terminal is refused at first.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from spinney.domain.container import LogChunk
from spinney.domain.terminal import ExecRequest, Resize
from spinney.drivers.docker.client import Answer, EngineClient
from spinney.drivers.docker.errors import Operation, docker_error
from spinney.drivers.docker.faults import translated
from spinney.drivers.docker.pipe import Pipe
from spinney.drivers.docker.shapes import decode, flag, integer, mapping, required, text
from spinney.drivers.docker.streams import Frames
from spinney.errors import HostError

MARK = "SPINNEY_EXEC"
_KILLER = (
    'for p in /proc/[0-9]*; do case "$(cat "$p/environ" 2>/dev/null)" in *"$0"*) kill -9 "${p#/proc/}";; esac; done'
)
#: The exit code of what was killed together with its container.
_KILLED = 137
#: Seconds between looks whether a command has ended that has closed its output: the first, and the longest.
_SOON, _LATER = 0.02, 1.0
#: Seconds for killing what was let go, and for setting the size of a terminal that is about to begin.
_FAREWELL = 10.0
_BEGINNING = 5.0


class DockerExec:
    """``ExecSession``."""

    def __init__(self, client: EngineClient, container_id: str, exec_id: str, request: ExecRequest, mark: str) -> None:
        self._client = client
        self._container_id = container_id
        self._id = exec_id
        self._request = request
        self._mark = mark
        self._frames = Frames(terminal=request.tty)
        self._chunks: deque[LogChunk] = deque()
        self._pipe: Pipe | None = None
        self._input_ended = False
        self._ended = False

    async def start(self) -> None:
        body = {"Detach": False, "Tty": self._request.tty}
        self._pipe = await self._client.upgraded(f"/exec/{self._id}/start", body, self._refusal)

    async def read(self) -> LogChunk | None:
        while not self._chunks:
            data = await self._arrived()
            if not data:
                return None
            self._chunks.extend(self._frames.feed(data))
        return self._chunks.popleft()

    async def _arrived(self) -> bytes:
        """What came next. A cut network ends no connection, so a silent Docker engine is asked whether it lives."""
        assert self._pipe is not None
        while True:
            try:
                async with asyncio.timeout(self._client.limits.silence):
                    with translated():
                        return await self._pipe.read()
            except TimeoutError:
                await self._client.alive()

    async def write(self, data: bytes) -> None:
        assert self._pipe is not None
        if not self._input_ended:
            # Reading tells what has become of the command, and of the host.
            with contextlib.suppress(OSError):
                await self._pipe.write(data)

    async def end_input(self) -> None:
        assert self._pipe is not None
        if not self._input_ended:
            self._input_ended = True
            with contextlib.suppress(OSError):
                await self._pipe.end()

    async def resize(self, size: Resize) -> None:
        query = {"w": str(size.width), "h": str(size.height)}
        delay = _SOON
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BEGINNING):
                while True:
                    answer = await self._client.call("POST", f"/exec/{self._id}/resize", query)
                    if answer.status < 300 or (await self._state()) is not None:
                        return
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, _LATER)

    async def wait(self) -> int:
        delay = _SOON
        while (code := await self._state()) is None:
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LATER)
        self._ended = True
        return code

    async def _state(self) -> int | None:
        """The exit code of a command that has ended."""
        answer = await self._client.call("GET", f"/exec/{self._id}/json")
        if answer.status == 404:
            return _KILLED
        if answer.status >= 300:
            raise self._refusal(answer.status, answer.said)
        found = mapping(decode(answer.body, "answer about a command"), "command")
        code = integer(found.get("ExitCode"), "ExitCode")
        return None if flag(found.get("Running"), "Running") else code

    async def close(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if not self._ended:
            with contextlib.suppress(HostError, TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    if await self._state() is None:
                        await self._kill()

    async def _kill(self) -> None:
        killer = ExecRequest(("sh", "-c", _KILLER, self._mark), user=self._request.user)
        answer = await _created(self._client, self._container_id, killer, {"AttachStdin": False})
        await self._client.call("POST", f"/exec/{_id(answer)}/start", body={"Detach": True, "Tty": False})

    def _refusal(self, status: int, said: str) -> HostError:
        return docker_error(Operation.EXEC, self._container_id, status, said)


async def start_exec(client: EngineClient, container_id: str, request: ExecRequest) -> DockerExec:
    mark = f"{MARK}={secrets.token_hex(16)}"
    streams = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": request.tty}
    answer = await _created(client, container_id, request, streams, mark)
    session = DockerExec(client, container_id, _id(answer), request, mark)
    await session.start()
    return session


async def _created(
    client: EngineClient, container_id: str, request: ExecRequest, more: Mapping[str, Any], *environment: str
) -> Answer:
    body = {
        "Cmd": list(request.command),
        "Env": [*(f"{name}={value}" for name, value in request.environment.items()), *environment],
        "User": request.user or "",
        "Privileged": False,
        **more,
    }
    path = f"/containers/{quote(container_id, safe='')}/exec"
    answer = await client.call("POST", path, body=body, limit=client.limits.change)
    if answer.status != 201:
        raise docker_error(Operation.EXEC, container_id, answer.status, answer.said)
    return answer


def _id(answer: Answer) -> str:
    made = mapping(decode(answer.body, "answer to a command"), "command")
    return quote(required(text(made.get("Id"), "Id"), "Id"), safe="")
