"""The line to the host helper against a Docker engine that is not to be trusted."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import uvloop
from aiohttp import web

from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_HELPER, LABEL_HELPER_MODE
from spinney.domain.host import HelperMode
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector
from spinney.drivers.docker.connections import Way
from spinney.drivers.docker.line import open_line
from spinney.drivers.docker.pipe import unix_pipe
from spinney.drivers.helper.image import VERSION, container_name, helper_image
from spinney.errors import HostBroken, HostError, HostUnreachable

DEPLOYMENT = "d0000000-0000"
ID = "a" * 64

Attach = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def with_engine(folder: Path, attach: Attach) -> tuple[list[str], HostError | None]:
    """What a Docker engine that has the helper was asked, and what became of asking that."""
    asked: list[str] = []
    labels = helper_image("amd64").labels(DEPLOYMENT, HelperMode.PLAIN)
    assert labels.keys() == {LABEL_DEPLOYMENT, LABEL_HELPER, LABEL_HELPER_MODE}

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix("/v1.41")
        asked.append(path)
        if path == "/_ping":
            return web.Response(text="OK", headers={"Api-Version": "1.41"})
        if path == "/version":
            return web.json_response({"Arch": "amd64"})
        if path == f"/containers/{container_name(DEPLOYMENT)}/json":
            name, state = f"/{container_name(DEPLOYMENT)}", {"Status": "running"}
            return web.json_response({"Id": ID, "Name": name, "Config": {"Labels": labels}, "State": state})
        return await attach(request)

    async def body() -> HostError | None:
        runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, f"{folder}/docker.sock").start()
        connector = DockerConnector(allowed_unix_sockets=[f"{folder}/docker.sock"])
        host = connector.connect(HostAddress(f"unix://{folder}/docker.sock"))
        try:
            await host.ensure_helper(DEPLOYMENT, HelperMode.PLAIN)
            await host.measure()
        except HostError as error:
            return error
        finally:
            await host.close()
            await runner.cleanup()
        return None

    return asked, asyncio.run(body())


def saying(*pieces: bytes, endless: bool = False) -> Attach:
    """Answers each question with these, TAG being that of the question."""

    async def attach(request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            tag = message.data.split()[1]
            while True:
                for piece in pieces:
                    await socket.send_bytes(piece.replace(b"TAG", tag))
                if not endless:
                    break
        return socket

    return attach


def test_it_is_not_sent_elsewhere(tmp_path: Path) -> None:
    async def attach(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://docker/elsewhere"})

    asked, error = with_engine(tmp_path, attach)
    assert isinstance(error, HostUnreachable) and "elsewhere" in error.message
    assert asked[-1] == f"/containers/{ID}/attach/ws" and "/elsewhere" not in asked


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_refusal_is_a_failure_of_the_host(tmp_path: Path, status: int) -> None:
    async def attach(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, text="no")

    _, error = with_engine(tmp_path, attach)
    assert error is not None


def test_who_talks_without_end_is_not_listened_to(tmp_path: Path) -> None:
    _, error = with_engine(tmp_path, saying(b"begin TAG\n" + b"x" * 500_000 + b"\n", endless=True))
    assert isinstance(error, HostBroken) and "more than" in error.message


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_line_that_is_closed_leaves_nothing_open(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    path = f"{tmp_path}/docker.sock"

    async def body() -> None:
        runner = web.ServerRunner(web.Server(saying(b"x"), access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, path).start()
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
            line = await open_line(Way(session, "http://docker", partial(unix_pipe, path)), "http://docker/attach")
            await line.close()
            del line
            gc.collect()
        await runner.cleanup()

    with warnings.catch_warnings(record=True) as told, asyncio.Runner(loop_factory=loop) as runner:
        warnings.simplefilter("always")
        runner.run(body())
    assert [str(one.message) for one in told if "Unclosed" in str(one.message)] == []


def test_a_message_without_bounds_is_refused(tmp_path: Path) -> None:
    _, error = with_engine(tmp_path, saying(b"x" * (2 << 20)))
    assert error is not None


def test_another_program_is_not_taken_for_the_helper(tmp_path: Path) -> None:
    _, error = with_engine(tmp_path, saying(b"begin TAG\nversion 99\nend TAG\n"))
    assert isinstance(error, HostBroken) and "'99'" in error.message


def test_answers_to_others_are_passed_over(tmp_path: Path) -> None:
    said = f"begin other\nversion 99\nend other\nbegin TAG\nversion {VERSION}\nend TAG\n".encode()
    asked, error = with_engine(tmp_path, saying(said[:30], said[30:]))
    # The version was understood; as a reading of the host it is nonsense.
    assert isinstance(error, HostBroken) and "memory" in error.message
    assert asked.count(f"/containers/{ID}/attach/ws") == 1
