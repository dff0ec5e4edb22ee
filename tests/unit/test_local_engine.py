"""What is said when the machine's own Docker engine does not answer, and its being registered when it comes."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from spinney.standalone import local_sockets
from spinney.wiring.local_engine import register_when_there


def test_where_it_may_answer() -> None:
    assert local_sockets({"DOCKER_HOST": "unix:///a/b.sock"}) == [Path("/a/b.sock")]
    assert local_sockets({"DOCKER_HOST": "tcp://10.0.0.1:2376"}) == []
    assert local_sockets({"XDG_RUNTIME_DIR": "/run/user/7"}) == [
        Path("/run/user/7/docker.sock"),
        Path("/var/run/docker.sock"),
    ]


def test_what_does_not_answer_is_told_with_the_remedy_and_registered_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    missing, stale = tmp_path / "missing.sock", tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    said: list[str] = []
    registered: list[Path] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async def register(socket: Path) -> None:
        registered.append(socket)

    async def course() -> None:
        waiting = await register_when_there([missing, stale], register, said.append, pause=0.01)
        assert waiting is not None and registered == []
        assert f"{missing} (no such file or directory), {stale} (connection refused)" in said[0]
        assert "start it" in said[0] and "DOCKER_HOST" in said[0] and "spinney host add" in said[0]
        async with await asyncio.start_unix_server(answer, str(missing)):
            await waiting
            assert await register_when_there([missing], register, said.append) is None

    asyncio.run(course())
    assert registered == [missing, missing]
    assert len(said) == 2 and f"{missing} answers now" in said[1]
    assert caplog.messages == said
