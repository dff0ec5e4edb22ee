"""What leaves to addresses that somebody outside chose."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from aiohttp import web

from permitted import LOOPBACK
from spinney.clock import SystemClock
from spinney.domain import egress
from spinney.domain.egress import NO_RULES, Chosen, Rules
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector
from spinney.drivers.egress.client import Outgoing
from spinney.drivers.egress.guard import AddressNotPermitted, Guard
from spinney.drivers.exporter.client import NodeExporter
from spinney.drivers.simulated.pki import make_pki
from spinney.errors import HostRefused, OutgoingFailed, OutgoingRefused

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
#: Permitted here, and of no machine.
ELSEWHERE = "192.0.2.1"
LIKE_PUBLIC = egress.rules(["192.0.2.0/24"], [])


class Site:
    """A server of this machine; counts who comes."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[web.BaseRequest] = []
        self.port = 0

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return await self._handler(request)

    async def __aenter__(self) -> Site:
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def well(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="well")


def asking(handler: Handler, story: Callable[[Site, Outgoing], Awaitable[None]], rules: Rules = LOOPBACK) -> None:
    async def body() -> None:
        outgoing = Outgoing(rules)
        async with Site(handler) as site:
            try:
                await story(site, outgoing)
            finally:
                await outgoing.close()

    asyncio.run(body())


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Names mean what is given, at each look the next, the last one for ever. Returns the names asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        word = host.decode() if isinstance(host, bytes) else str(host)
        if not word.endswith(".example"):
            return real(host, port, *args, **more)
        found = answers[min(len(asked), len(answers) - 1)]
        asked.append(word)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port))) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_an_answer_comes_back() -> None:
    async def story(site: Site, outgoing: Outgoing) -> None:
        answer = await outgoing.request("POST", f"http://127.0.0.1:{site.port}/x", body=b"hello", headers={"X-A": "b"})
        assert (answer.status, answer.body) == (200, b"well")
        (request,) = site.requests
        assert (request.method, request.headers["X-A"]) == ("POST", "b")
        assert "Cookie" not in request.headers

    asking(well, story)


def test_a_name_that_means_this_machine_is_refused_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["127.0.0.1"])

    async def story(site: Site, outgoing: Outgoing) -> None:
        with pytest.raises(OutgoingRefused, match="a loopback address"):
            await outgoing.request("GET", f"http://innocent.example:{site.port}/")
        assert site.requests == []

    asking(well, story, NO_RULES)


def test_a_name_that_changes_its_mind_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It means a public address when it is looked at, and this machine when it is connected to."""
    asked = resolving(monkeypatch, [ELSEWHERE], ["127.0.0.1"])

    async def story(site: Site, outgoing: Outgoing) -> None:
        url = f"http://rebinding.example:{site.port}/"
        with pytest.raises(OutgoingFailed):
            await outgoing.request("GET", url, seconds=0.05)
        for _ in range(3):
            fresh = Outgoing(LIKE_PUBLIC)
            with pytest.raises(OutgoingRefused):
                await fresh.request("GET", url)
            await fresh.close()
        assert len(asked) == 4 and site.requests == []

    asking(well, story, LIKE_PUBLIC)


def test_of_several_addresses_only_a_permitted_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    only = egress.rules(["127.0.0.1/32"], [])

    async def story(site: Site, outgoing: Outgoing) -> None:
        answer = await outgoing.request("GET", f"http://both.example:{site.port}/")
        assert answer.status == 200
        made = await Guard(only, Chosen.BY_PROJECT).connect("both.example", site.port)
        assert made.getpeername()[0] == "127.0.0.1"
        made.close()

    asking(well, story, only)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/", "http://127.1:{}/", "http://[::ffff:127.0.0.1]:{}/"])
def test_literal_addresses_are_refused_before_anything_is_done(url: str) -> None:
    async def story(site: Site, outgoing: Outgoing) -> None:
        with pytest.raises(OutgoingRefused, match="loopback"):
            await outgoing.request("GET", url.format(site.port))
        assert site.requests == []

    asking(well, story, NO_RULES)


def test_redirects_are_not_followed() -> None:
    async def away(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})

    async def story(site: Site, outgoing: Outgoing) -> None:
        answer = await outgoing.request("GET", f"http://127.0.0.1:{site.port}/")
        assert answer.status == 302 and len(site.requests) == 1

    asking(away, story)


def test_an_endless_answer_is_cut_off() -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    async def story(site: Site, outgoing: Outgoing) -> None:
        answer = await outgoing.request("GET", f"http://127.0.0.1:{site.port}/", largest=1000)
        assert answer.body == b"x" * 1000

    asking(endless, story)


def test_a_slow_answer_is_not_waited_for() -> None:
    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    async def story(site: Site, outgoing: Outgoing) -> None:
        with pytest.raises(OutgoingFailed, match=r"within 0\.2 s"):
            await outgoing.request("GET", f"http://127.0.0.1:{site.port}/", seconds=0.2)

    asking(slow, story)


def test_what_goes_wrong_does_not_tell_the_address() -> None:
    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def story(site: Site, outgoing: Outgoing) -> None:
        for url in (f"http://127.0.0.1:{site.port}/", "http://127.0.0.1:1/"):
            with pytest.raises(OutgoingFailed) as caught:
                await outgoing.request("GET", url)
            assert "127.0.0.1" not in caught.value.message

    asking(cut, story)


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://127.0.0.1:2376", "tcp://[::1]:2376", "tcp://127.1:2376", "ssh://me@localhost", "ssh://me@169.254.169.254"],
)
def test_hosts_on_addresses_that_are_ruled_out_say_what_permits_them(endpoint: str) -> None:
    with pytest.raises(HostRefused, match=r"section \[egress\]"):
        DockerConnector().connect(HostAddress(endpoint, "c"))
    DockerConnector().connect(HostAddress("tcp://10.1.2.3:2376", "c"))


@pytest.mark.parametrize("scheme", ["tcp", "ssh"])
def test_hosts_by_names_that_mean_this_machine_are_refused(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])
    make_pki(tmp_path, datetime.now(UTC))
    key = asyncssh.generate_private_key("ssh-ed25519")
    folder = tmp_path / "client"
    (folder / "id").write_bytes(key.export_private_key())
    (folder / "known_hosts").write_bytes(b"host.example " + key.export_public_key())

    async def body() -> None:
        connections: list[object] = []
        server = await asyncio.start_server(lambda reader, writer: connections.append(writer), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        user = "me@" if scheme == "ssh" else ""
        connector = DockerConnector(credentials_dir=tmp_path)
        host = connector.connect(HostAddress(f"{scheme}://{user}host.example:{port}", "client"))
        with pytest.raises(HostRefused, match="a loopback address") as caught:
            await host.facts()
        assert "127.0.0.1" not in caught.value.message and "host.example" not in caught.value.message
        await host.close()
        server.close()
        await server.wait_closed()
        assert connections == []

    asyncio.run(body())


def test_metrics_urls_pass_the_same_door() -> None:
    async def body() -> None:
        async with Site(well) as site:
            exporter = NodeExporter(SystemClock())
            with pytest.raises(HostRefused, match="a loopback address"):
                await exporter.read(f"http://127.0.0.1:{site.port}/metrics")
            await exporter.close()
            assert site.requests == []

    asyncio.run(body())


def test_the_guard_speaks_of_kinds_not_of_addresses() -> None:
    async def body() -> None:
        with pytest.raises(AddressNotPermitted) as caught:
            await Guard(NO_RULES, Chosen.BY_OPERATOR).connect("127.0.0.1", 1)
        assert "127.0.0.1" not in str(caught.value) and caught.value.kind == "a loopback address"

    asyncio.run(body())
