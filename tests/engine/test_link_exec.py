"""Commands through the line between an API process and an engine, over a unix socket and over mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.test_link import _HOST, Line
from spinney.certificates import Pair, new_authority, new_client, new_server
from spinney.domain.container import ContainerStats, LogQuery
from spinney.domain.terminal import ExecRequest, Resize
from spinney.drivers import relay
from spinney.drivers.base import ExecSession, HostAddress
from spinney.engine.looking.link import EngineService, RemoteAccess
from spinney.engine.looking.reach import LinkTls, TlsPlace, UnusableFiles
from spinney.errors import ContainerRefused, HostUnreachable

NOW = datetime.now(UTC)


def files(folder: Path, name: str, pair: Pair, trusts: Pair) -> LinkTls:
    found = LinkTls(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}-key.pem")
    for path, content in (
        (found.ca, trusts.certificate_pem),
        (found.certificate, pair.certificate_pem),
        (found.key, pair.key_pem),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return found


class Authorities:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ours, self.rogue = new_authority("ours", NOW, 1), new_authority("rogue", NOW, 1)

    def engine(self, *addresses: str) -> LinkTls:
        return files(self.folder / "engine", "engine", new_server(self.ours, "e", addresses, NOW, 1), self.ours)

    def api(self) -> LinkTls:
        return files(self.folder / "api", "api", new_client(self.ours, "a", NOW, 1), self.ours)


class TlsLine(Line):
    """The same over TCP."""

    def __init__(self, folder: Path, engine: LinkTls, api: LinkTls | None) -> None:
        super().__init__(folder)
        self.place = TlsPlace("127.0.0.1", 0, engine)
        self.service = EngineService(self.local, self.place)
        self.remote = RemoteAccess(self.store, api)


def on_the_line(line: Line, story: Callable[[], Awaitable[None]]) -> None:
    async def body() -> None:
        await line.service.start()
        address = line.place.address if isinstance(line, TlsLine) else str(line.path)
        line.announce("e", Path(address) if address.startswith("/") else address)  # type: ignore[arg-type]
        try:
            await story()
        finally:
            await line.service.stop()
            await line.local.close()
            line.store.close()

    asyncio.run(body())


@pytest.fixture(params=["unix", "tls"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Line:
    if request.param == "unix":
        return Line(tmp_path)
    known = Authorities(tmp_path)
    return TlsLine(tmp_path, known.engine("127.0.0.1"), known.api())


async def told(session: ExecSession) -> tuple[bytes, int]:
    heard = b""
    async with asyncio.timeout(15):
        while (chunk := await session.read()) is not None:
            heard += chunk.data
        return heard, await session.wait()


def test_input_output_size_and_exit_code_pass(line: Line) -> None:
    async def story() -> None:
        container = line.container()
        secret = {"environment": {"WORD": "a secret"}, "user": "7"}
        request = ExecRequest(("sh", "-c", "echo $WORD; id; cat; echo oops >&2; exit 9"), **secret)
        session = await line.remote.exec(_HOST, container, request)
        await session.write(b"\x00\xff" * 300_000)
        await session.end_input()
        heard, code = await told(session)
        assert (heard, code) == (b"a secret\n7\n" + b"\x00\xff" * 300_000 + b"oops\n", 9)
        await session.close()
        session = await line.remote.exec(_HOST, container, ExecRequest(("sh", "-c", "read x; stty size"), tty=True))
        await session.resize(Resize(100, 40))
        await session.write(b"\n")
        assert await told(session) == (b"\r\n40 100\r\n", 0)
        await session.close()

    on_the_line(line, story)


def test_a_refusal_comes_before_the_session(line: Line) -> None:
    async def story() -> None:
        container = line.container()
        line.engine.do(line.engine.core.pause, container)
        with pytest.raises(ContainerRefused, match="unpause"):
            await line.remote.exec(_HOST, container, ExecRequest(("true",)))

    on_the_line(line, story)


def test_who_leaves_ends_the_command(line: Line) -> None:
    async def story() -> None:
        session = await line.remote.exec(_HOST, line.container(), ExecRequest(("sh", "-c", "echo on; sleep 600")))
        assert (await session.read()) is not None
        running = [task for task in asyncio.all_tasks() if "Command._run" in repr(task)]
        assert len(running) == 1
        await session.close()
        async with asyncio.timeout(10):
            await asyncio.wait(running)

    on_the_line(line, story)


def test_an_engine_that_ends_is_told_as_such(line: Line) -> None:
    async def story() -> None:
        session = await line.remote.exec(_HOST, line.container(), ExecRequest(("sleep", "600")))
        reading = asyncio.create_task(session.read())
        await asyncio.sleep(0)
        await line.service.stop()
        async with asyncio.timeout(10):
            with pytest.raises(HostUnreachable, match="engine"):
                await reading
        await session.write(b"into the void")
        await session.close()

    on_the_line(line, story)


def test_an_engine_that_falls_silent_is_too(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SILENCE", 0.3)

    async def story() -> None:
        session = await line.remote.exec(_HOST, line.container(), ExecRequest(("sleep", "600")))
        with pytest.raises(HostUnreachable, match="gone"):
            await session.read()
        await session.close()

    on_the_line(line, story)


def test_a_host_that_is_cut_off_is_told_through_the_line(line: Line) -> None:
    async def story() -> None:
        line.engine._idle_limit = 0.2
        session = await line.remote.exec(_HOST, line.container(), ExecRequest(("sleep", "600")))
        line.engine.cut()
        async with asyncio.timeout(10):
            with pytest.raises(HostUnreachable, match="broke off"):
                await session.read()
        await session.close()

    on_the_line(line, story)


def test_all_else_goes_over_tls_too(tmp_path: Path) -> None:
    known = Authorities(tmp_path)
    line = TlsLine(tmp_path, known.engine("127.0.0.1"), known.api())

    async def story() -> None:
        container = line.container("echo one")
        assert await line.remote.inspect(_HOST, container) is not None
        assert isinstance(await line.remote.stats(_HOST, container), ContainerStats)
        assert [chunk.data async for chunk in line.remote.logs(_HOST, container, LogQuery())] == [b"one\n"]
        assert (await line.remote.probe(HostAddress("sim://h0"))).os == "linux"

    on_the_line(line, story)


def _refused(line: TlsLine, match: str) -> None:
    async def story() -> None:
        with pytest.raises(HostUnreachable, match=match):
            await line.remote.inspect(_HOST, "c")
        with pytest.raises(HostUnreachable, match=match):
            await line.remote.exec(_HOST, "c", ExecRequest(("true",)))
        assert not line.engine.calls

    on_the_line(line, story)


def test_without_a_certificate_nobody_gets_through(tmp_path: Path) -> None:
    _refused(TlsLine(tmp_path, Authorities(tmp_path).engine("127.0.0.1"), None), "tls_ca")


@pytest.mark.parametrize("fault", ["api of another authority", "engine of another authority", "engine's own", "name"])
def test_a_certificate_that_is_not_right_does_not_get_through(tmp_path: Path, fault: str) -> None:
    known = Authorities(tmp_path)
    engine, api = known.engine("127.0.0.1"), known.api()
    match fault:
        case "api of another authority":
            api = files(tmp_path / "x", "x", new_client(known.rogue, "a", NOW, 1), known.ours)
        case "engine of another authority":
            api = files(tmp_path / "x", "x", new_client(known.ours, "a", NOW, 1), known.rogue)
        case "engine's own":
            api = files(tmp_path / "x", "x", new_server(known.ours, "e", ["127.0.0.1"], NOW, 1), known.ours)
        case "name":
            engine = known.engine("127.0.0.2")
    _refused(TlsLine(tmp_path, engine, api), "does not answer")


def test_plain_tcp_is_not_spoken(tmp_path: Path) -> None:
    known = Authorities(tmp_path)
    line = TlsLine(tmp_path, known.engine("127.0.0.1"), known.api())

    async def story() -> None:
        host, port = line.place.address.removeprefix("tls://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /inspect?host=h&container=c HTTP/1.1\r\nHost: engine\r\n\r\n")
        assert b"200" not in await reader.read()
        writer.close()

    on_the_line(line, story)


def test_files_that_are_no_use_are_told_at_the_start(tmp_path: Path) -> None:
    good = Authorities(tmp_path).api()
    good.key.write_text("garbage")
    with pytest.raises(UnusableFiles, match=r"\[link\].*api-key.pem"):
        good.for_api()
    with pytest.raises(UnusableFiles, match="No such file"):
        LinkTls(tmp_path / "absent", good.certificate, good.key).for_engine()
