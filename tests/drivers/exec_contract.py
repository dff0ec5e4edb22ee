"""What every container host promises of commands in its containers, as tests."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import pytest

from drivers.world import FOREVER, World, scenario
from spinney.domain.terminal import ExecRequest, Resize
from spinney.drivers.base import ExecSession
from spinney.errors import ContainerGone, ContainerRefused

ABSENT = "f" * 64


@dataclass(frozen=True)
class Ran:
    out: bytes
    err: bytes
    code: int


async def begun(world: World, *command: str, container: str | None = None, **more: Any) -> ExecSession:
    container = container or await world.started(world.request())
    return await world.host.exec(container, ExecRequest(command, **more))


async def told(session: ExecSession) -> Ran:
    """All it prints, and how it ends."""
    heard = {"stdout": b"", "stderr": b""}
    async with asyncio.timeout(FOREVER):
        while (chunk := await session.read()) is not None:
            heard[chunk.stream] += chunk.data
        code = await session.wait()
    await session.close()
    return Ran(heard["stdout"], heard["stderr"], code)


async def until_printed(session: ExecSession, text: bytes) -> bytes:
    heard = b""
    async with asyncio.timeout(FOREVER):
        while text not in heard:
            chunk = await session.read()
            assert chunk is not None, f"it ended; it said {heard!r}"
            heard += chunk.data
    return heard


async def ran(world: World, *command: str, feed: bytes | None = None, **more: Any) -> Ran:
    session = await begun(world, *command, **more)
    if feed is not None:
        await session.write(feed)
        await session.end_input()
    return await told(session)


class ExecPromises:
    @scenario
    async def test_output_error_output_and_exit_code(self, world: World) -> None:
        assert await ran(world, "sh", "-c", "echo out; echo err >&2; exit 7") == Ran(b"out\n", b"err\n", 7)
        assert await ran(world, "true") == Ran(b"", b"", 0)

    @scenario
    async def test_input_comes_back_byte_for_byte_after_its_end(self, world: World) -> None:
        every = bytes(range(256)) * 5
        assert await ran(world, "cat", feed=every) == Ran(every, b"", 0)
        assert await ran(world, "cat", feed=b"") == Ran(b"", b"", 0)

    @scenario
    async def test_both_ways_at_once_with_more_than_anybody_holds(self, world: World) -> None:
        piece, count = bytes(range(256)) * 256, 160
        session = await begun(world, "cat")

        async def feed() -> None:
            for _ in range(count):
                await session.write(piece)
            await session.end_input()

        feeding = asyncio.create_task(feed())
        assert await told(session) == Ran(piece * count, b"", 0)
        await feeding

    @scenario
    async def test_who_does_not_read_is_waited_for(self, world: World) -> None:
        session = await begun(world, "cat")
        written, enough = 0, False

        async def feed() -> None:
            nonlocal written
            while not enough:
                await session.write(b"x" * 65536)
                written += 65536
            await session.end_input()

        feeding = asyncio.create_task(feed())
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.3)
        assert written < 32 << 20
        enough = True
        heard = await told(session)
        await feeding
        assert len(heard.out) == written, "and loses nothing"

    @scenario
    async def test_a_program_that_is_not_there(self, world: World) -> None:
        found = await ran(world, "/no/such/program")
        assert found.code in (126, 127)
        assert b"/no/such/program" in found.out + found.err

    @scenario
    async def test_environment_and_user(self, world: World) -> None:
        container = await world.started(world.request(environment={"KEPT": "yes", "CHANGED": "before"}))
        script = "echo $KEPT $CHANGED $NEW; id -u"
        more = {"user": "1234:1234", "environment": {"CHANGED": "after", "NEW": "a b=c"}}
        found = await ran(world, "sh", "-c", script, container=container, **more)
        assert found == Ran(b"yes after a b=c\n1234\n", b"", 0)

    @scenario
    async def test_a_terminal_has_a_size_and_echoes(self, world: World) -> None:
        session = await begun(world, "sh", "-c", "stty size; read x; stty size; read y; echo got $y", tty=True)
        await until_printed(session, b"\r\n")
        await session.resize(Resize(91, 33))
        await session.write(b"\n")
        assert b"33 91\r\n" in await until_printed(session, b"33 91\r\n")
        await session.write(b"typed\n")
        found = await told(session)
        assert found == Ran(b"typed\r\ngot typed\r\n", b"", 0)
        await session.resize(Resize(80, 24))

    @scenario
    async def test_ctrl_c_reaches_what_runs_in_a_terminal(self, world: World) -> None:
        session = await begun(world, "sh", "-c", "echo ready; sleep 600", tty=True)
        await until_printed(session, b"ready")
        await session.write(b"\x03")
        assert (await told(session)).code == 130

    @scenario
    async def test_a_container_that_ends_ends_what_runs_in_it(self, world: World) -> None:
        container = await world.started(world.request())
        session = await begun(world, "sh", "-c", "echo ready; sleep 600", container=container)
        await until_printed(session, b"ready")
        await world.host.kill(container, "SIGKILL")
        assert (await told(session)).code == 137

    @scenario
    async def test_a_container_that_is_removed_does_too(self, world: World) -> None:
        container = await world.started(world.request())
        session = await begun(world, "sh", "-c", "echo ready; sleep 600", container=container, tty=True)
        await until_printed(session, b"ready")
        await world.host.remove(container)
        assert (await told(session)).code == 137

    @scenario
    async def test_what_is_let_go_does_not_run_on(self, world: World) -> None:
        container = await world.started(world.request())
        session = await begun(world, "sh", "-c", "echo ready; sleep 4321; echo over", container=container)
        await until_printed(session, b"ready")
        await session.close()
        async with asyncio.timeout(FOREVER):
            while b"4321" in (await ran(world, "ps", container=container)).out:
                pass

    @scenario
    async def test_only_where_a_container_runs(self, world: World) -> None:
        request = ExecRequest(("true",))
        with pytest.raises(ContainerGone):
            await world.host.exec(ABSENT, request)
        made = await world.host.create(world.request())
        with pytest.raises(ContainerRefused, match="not running; start it"):
            await world.host.exec(made.id, request)
        await world.host.start(made.id)
        await world.host.pause(made.id)
        with pytest.raises(ContainerRefused, match="unpause"):
            await world.host.exec(made.id, request)
        await world.host.unpause(made.id)
        async with asyncio.timeout(FOREVER):
            while True:  # a Docker engine may hear of the pause from containerd only now, and refuse for another moment
                with contextlib.suppress(ContainerRefused):
                    assert (await ran(world, "true", container=made.id)).code == 0
                    break

    @scenario
    async def test_many_at_once_and_calls_beside_them(self, world: World) -> None:
        container = await world.started(world.request())
        sessions = [await begun(world, "cat", container=container) for _ in range(20)]
        assert await world.host.inspect(container) is not None
        for number, session in enumerate(sessions):
            await session.write(b"%d" % number)
            await session.end_input()
        assert [(await told(session)).out for session in sessions] == [b"%d" % number for number in range(20)]
