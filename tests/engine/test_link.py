"""The line between an API process and an engine, over a real unix socket."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from spinney import errors
from spinney.clock import SystemClock
from spinney.domain.container import Container, ContainerRequest, ContainerStats, HostFacts, ImageRequest, LogQuery
from spinney.domain.host import Host, HostState
from spinney.domain.node import Node
from spinney.domain.terminal import ExecRequest
from spinney.drivers.base import HostAddress
from spinney.drivers.simulated.host import SimulatedConnector
from spinney.engine.looking.access import LocalAccess
from spinney.engine.looking.link import EngineService, RemoteAccess
from spinney.engine.looking.reach import UnixPlace
from spinney.errors import HostError, HostUnreachable
from spinney.store import engines, hosts, tables
from spinney.store.database import Store
from spinney.store.rows import NODES

_HOST = "10000000-0000-4000-8000-000000000000"


class Line:
    """An engine's service and the API's end of it, with one simulated host and one container on it."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.store = Store("sqlite://", clock, inline=True)
        tables.metadata.create_all(self.store.engine)
        self.connector = SimulatedConnector(clock, time_limit=0.2)
        self.engine = self.connector.engine("h0")
        node = Node(id=_HOST, name="h0", profile_id="-", user="u", project="p")
        host = Host(node_id=_HOST, endpoint="sim://h0", name="h0", cluster_id="", project="p", state=HostState.READY)
        self.store.run(lambda c: (NODES.insert(c, [node]), hosts.register(c, host)))
        self.path = folder / "engine.sock"
        self.local = LocalAccess(self.store, self.connector)
        self.service = EngineService(self.local, UnixPlace(self.path))
        self.remote = RemoteAccess(self.store)

    def announce(self, engine_id: str, path: Path) -> None:
        self.store.run(engines.begin, engine_id, "here", 60.0, str(path))

    def container(self, command: str = "sleep 1000") -> str:
        request = ContainerRequest("web", {}, ImageRequest("busybox"), command=("sh", "-c", command))
        made = self.engine.do(self.engine.core.create, request)
        self.engine.do(self.engine.core.start, made.id)
        return made.id


def _on_the_line(tmp_path: Path, story: Callable[[Line], Awaitable[None]]) -> None:
    async def body() -> None:
        line = Line(tmp_path)
        await line.service.start()
        line.announce("e", line.path)
        try:
            await story(line)
        finally:
            await line.service.stop()
            await line.local.close()
            line.store.close()
        assert not line.path.exists()

    asyncio.run(body())


def test_what_is_seen_through_the_line_is_what_is_there(tmp_path: Path) -> None:
    async def story(line: Line) -> None:
        container_id = line.container()
        seen = await line.remote.inspect(_HOST, container_id)
        assert isinstance(seen, Container) and seen == await line.local.inspect(_HOST, container_id)
        assert await line.remote.inspect(_HOST, "0" * 64) is None
        assert isinstance(await line.remote.stats(_HOST, container_id), ContainerStats)
        facts = await line.remote.probe(HostAddress("sim://h0"))
        assert isinstance(facts, HostFacts) and facts == await line.local.probe(HostAddress("sim://h0"))

    _on_the_line(tmp_path, story)


def test_logs_arrive_byte_for_byte(tmp_path: Path) -> None:
    async def story(line: Line) -> None:
        container_id = line.container("echo one; echo two >&2; echo three")
        query = LogQuery(tail=10)
        remote = [chunk async for chunk in line.remote.logs(_HOST, container_id, query)]
        assert remote == [chunk async for chunk in line.local.logs(_HOST, container_id, query)]
        assert [(c.stream, c.data) for c in remote] == [
            ("stdout", b"one\n"),
            ("stderr", b"two\n"),
            ("stdout", b"three\n"),
        ]

    _on_the_line(tmp_path, story)


def test_a_reader_of_logs_who_leaves_does_not_disturb_the_others(tmp_path: Path) -> None:
    async def story(line: Line) -> None:
        container_id = line.container("echo one; sleep 1000")
        stream = line.remote.logs(_HOST, container_id, LogQuery(follow=True))
        assert (await anext(stream)).data == b"one\n"
        await stream.aclose()
        assert await line.remote.inspect(_HOST, container_id) is not None

    _on_the_line(tmp_path, story)


_CLASSES = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HostError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", _CLASSES)
def test_an_error_of_a_host_arrives_as_what_it_was(tmp_path: Path, kind: type[HostError]) -> None:
    async def story(line: Line) -> None:
        def fail(*_: object) -> None:
            raise kind("what happened, and what to do")

        line.connector.hooks.before = fail
        asked = (
            line.remote.inspect(_HOST, "c"),
            line.remote.stats(_HOST, "c"),
            line.remote.probe(HostAddress("sim://h0")),
            anext(line.remote.logs(_HOST, "c", LogQuery())),
            line.remote.exec(_HOST, "c", ExecRequest(("true",))),
        )
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert type(answer) is kind and answer.message == "what happened, and what to do"

    _on_the_line(tmp_path, story)


def test_a_fault_inside_the_engine_is_told_as_one_of_reaching_the_host(tmp_path: Path) -> None:
    async def story(line: Line) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        line.connector.hooks.before = fail
        with pytest.raises(HostUnreachable):
            await line.remote.inspect(_HOST, "c")
        with pytest.raises(HostUnreachable):
            await anext(line.remote.logs(_HOST, "c", LogQuery()))

    _on_the_line(tmp_path, story)


def test_an_endpoint_that_is_no_host_and_a_host_that_is_no_more(tmp_path: Path) -> None:
    async def story(line: Line) -> None:
        with pytest.raises(errors.HostRefused, match="no simulated host"):
            await line.remote.probe(HostAddress("tcp://h0:1"))
        with pytest.raises(HostUnreachable, match="no longer registered"):
            await line.remote.inspect("20000000-0000-4000-8000-000000000000", "c")

    _on_the_line(tmp_path, story)


def test_without_an_engine_the_caller_is_told_how_to_start_one(tmp_path: Path) -> None:
    async def body() -> None:
        line = Line(tmp_path)
        with pytest.raises(HostUnreachable, match="spinney engine"):
            await line.remote.inspect(_HOST, "c")
        line.announce("dead", tmp_path / "nobody.sock")
        with pytest.raises(HostUnreachable, match="does not answer"):
            await line.remote.inspect(_HOST, "c")
        line.store.close()

    asyncio.run(body())


def test_an_engine_that_died_a_moment_ago_is_passed_over(tmp_path: Path) -> None:
    async def story(line: Line) -> None:
        for name in ("a-dead-one", "z-dead-one"):
            line.announce(name, tmp_path / f"{name}.sock")
        container_id = line.container("echo one")
        assert await line.remote.inspect(_HOST, container_id) is not None
        assert [c.data async for c in line.remote.logs(_HOST, container_id, LogQuery())] == [b"one\n"]

    _on_the_line(tmp_path, story)


def test_nobody_else_may_open_the_socket_and_an_old_one_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "engine.sock").write_text("left behind by a crash")

    async def story(line: Line) -> None:
        assert stat.S_IMODE(line.path.stat().st_mode) == 0o600 and line.path.is_socket()

    _on_the_line(tmp_path, story)
