"""Commands in simulated containers as the Docker Engine API has them: a request that becomes a line for bytes.

As with a real Docker engine a client that leaves does not end its command, and one that says no more may go on listening. Not
guaranteed: the latter over TLS, which asyncio ends both ways at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from spinney.domain.terminal import PIECE, ExecRequest
from spinney.drivers.simulated import bodies
from spinney.drivers.simulated.engine import Cutoff, Silence
from spinney.drivers.simulated.exec import Command

_HEAD = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)


def asked(body: Mapping[str, Any]) -> ExecRequest:
    """Raises: Refusal."""
    command, environment = body.get("Cmd") or [], body.get("Env") or []
    if not isinstance(command, list) or not command or not isinstance(environment, list):
        raise bodies.refuse("No exec command specified")
    pairs = dict(str(one).partition("=")[::2] for one in environment)
    return ExecRequest(tuple(map(str, command)), bool(body.get("Tty")), str(body.get("User") or "") or None, pairs)


def shown(command: Command) -> dict[str, Any]:
    return {
        "ID": command.id,
        "ContainerID": command.container_id,
        "Running": command.begun and command.code is None,
        "ExitCode": command.code,
        "Pid": 4711 if command.begun else 0,
        "OpenStdin": True,
        "OpenStdout": True,
        "OpenStderr": True,
    }


class _Handler(asyncio.StreamReaderProtocol):
    """Takes the connection over, and tells who had it when it is lost."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)


async def speak(command: Command, request: web.BaseRequest) -> web.StreamResponse:
    """Until the command has ended or the client has left."""
    transport = request.transport
    if transport is None:
        raise Cutoff("connection reset by peer")
    reader = asyncio.StreamReader()
    handler = _Handler(reader, transport.get_protocol())
    transport.set_protocol(handler)
    handler.connection_made(transport)
    writer = asyncio.StreamWriter(transport, handler, reader, asyncio.get_running_loop())
    writer.write(_HEAD)
    listening = asyncio.create_task(_listen(reader, command))
    try:
        while (chunk := await command.read()) is not None:
            writer.write(chunk.data if command.request.tty else _framed(chunk.stream, chunk.data))
            await writer.drain()
        writer.close()
    except Silence:
        await asyncio.Event().wait()
    finally:
        listening.cancel()
        if not transport.is_closing():
            transport.abort()
    raise Cutoff("the connection is no longer HTTP")


def _framed(stream: str, data: bytes) -> bytes:
    return (b"\x01" if stream == "stdout" else b"\x02") + b"\x00\x00\x00" + len(data).to_bytes(4, "big") + data


async def _listen(reader: asyncio.StreamReader, command: Command) -> None:
    try:
        while data := await reader.read(PIECE):
            await command.write(data)
        await command.end_input()
    except Silence:
        return
