"""A host measured through a Prometheus node_exporter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from permitted import LOOPBACK
from spinney.clock import SystemClock
from spinney.drivers.exporter.client import NodeExporter
from spinney.drivers.exporter.metrics import SOURCE, reading
from spinney.errors import HostBroken, HostError, HostUnreachable

TOLD = """\
# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 1000.5
node_cpu_seconds_total{cpu="0",mode="iowait"} 3
node_cpu_seconds_total{cpu="0",mode="user"} 20.25
node_cpu_seconds_total{cpu="1",mode="idle"} 900
node_cpu_seconds_total{cpu="1",mode="system"} 1.5e+01
node_cpu_seconds_total{cpu="1",mode="steal"} 0.5
node_cpu_guest_seconds_total{cpu="0",mode="user"} 99999
node_filesystem_size_bytes{device="/dev/vda",fstype="ext4",mountpoint="/"} 1.0e+11
node_filesystem_free_bytes{device="/dev/vda",fstype="ext4",mountpoint="/"} 4e+10
node_filesystem_avail_bytes{device="/dev/vda",fstype="ext4",mountpoint="/"} 3e+10
node_filesystem_size_bytes{device="tmpfs",fstype="tmpfs",mountpoint="/run"} 5
node_load1 0.75
node_load15 0.1
node_memory_MemTotal_bytes 8e+09
node_memory_MemAvailable_bytes 6e+09
node_memory_MemFree_bytes 1
other_total{note="node_load1 7"} 1
"""


def test_the_series_that_matter() -> None:
    found = reading(TOLD, 7.0)
    assert (found.at, found.boot, found.cores) == (7.0, SOURCE, 2)
    assert found.busy == 20.25 + 15 + 0.5
    assert (found.memory_total, found.memory_available, found.load) == (8 * 10**9, 6 * 10**9, 0.75)
    assert (found.disk_total, found.disk_free) == (10**11, 4 * 10**10)


def test_the_disk_of_the_docker_engine_counts_if_it_has_one() -> None:
    where = '{mountpoint="/var/lib/docker"}'
    more = f"node_filesystem_size_bytes{where} 50\nnode_filesystem_avail_bytes{where} 20\n"
    found = reading(TOLD + more, 0.0)
    assert (found.disk_total, found.disk_free) == (50, 20)


def test_without_a_disk_it_is_unknown() -> None:
    lines = [line for line in TOLD.splitlines() if not line.startswith("node_filesystem")]
    found = reading("\n".join(lines), 0.0)
    assert (found.disk_total, found.disk_free) == (None, None)


@pytest.mark.parametrize("lacking", ["node_cpu_seconds_total", "node_memory_MemTotal", "node_memory_MemAvailable"])
@pytest.mark.parametrize("value", ["", "NaN", "-1", "+Inf", "x"])
def test_what_is_needed_and_not_a_number_is_refused(lacking: str, value: str) -> None:
    lines = [f"{line.rpartition(' ')[0]} {value}" if line.startswith(lacking) else line for line in TOLD.splitlines()]
    with pytest.raises(HostBroken, match="metrics_url"):
        reading("\n".join(lines), 0.0)


@given(st.text(alphabet=st.sampled_from('node_cpuseconds_total{}="01 \n\\.e+-NaInf'), max_size=300))
def test_nothing_it_says_is_an_accident(noise: str) -> None:
    found = reading(TOLD + "\nnode_load1" + noise.replace("\n", "\nnode_cpu_seconds_total"), 0.0)
    assert found.busy >= 0 and found.cores >= 2


def _with_server(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], story: Callable[..., Awaitable[None]]
) -> None:
    async def body() -> None:
        runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        exporter = NodeExporter(SystemClock(), LOOPBACK)
        try:
            await story(exporter, f"http://127.0.0.1:{runner.addresses[0][1]}/metrics")
        finally:
            await exporter.close()
            await runner.cleanup()

    asyncio.run(body())


def test_it_is_read_over_http() -> None:
    asked: list[tuple[str, str]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        asked.append((request.path, request.headers["Accept-Encoding"]))
        return web.Response(text=TOLD)

    async def story(exporter: NodeExporter, url: str) -> None:
        first, second = await exporter.read(url), await exporter.read(url)
        assert first.busy == second.busy == 35.75 and second.at > first.at
        assert asked == [("/metrics", "identity")] * 2

    _with_server(handler, story)


def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async def story(exporter: NodeExporter, url: str) -> None:
        with pytest.raises(HostBroken, match="302"):
            await exporter.read(url)
        assert asked == ["/metrics"]

    _with_server(handler, story)


def test_an_endless_answer_is_given_up() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"node_load1 1\n" * 10_000)

    async def story(exporter: NodeExporter, url: str) -> None:
        with pytest.raises(HostBroken, match="larger"):
            await exporter.read(url)

    _with_server(handler, story)


def test_what_does_not_answer_is_unreachable_and_its_address_is_not_told() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    async def story(exporter: NodeExporter, url: str) -> None:
        with pytest.raises(HostUnreachable) as caught:
            await exporter.read("http://127.0.0.1:1/metrics")
        assert "127.0.0.1" not in caught.value.message
        assert isinstance(caught.value, HostError)

    _with_server(handler, story)
