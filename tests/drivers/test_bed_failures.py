"""What the driver says, and how soon it is back, when a host or the way to it fails: through mutual TLS and through SSH."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from spinney.domain.container import ContainerEventKind
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector, DockerHost, TimeLimits
from spinney.errors import HostError, HostRefused, HostUnreachable
from testbed.bed import Bed
from testbed.host import Host

pytestmark = pytest.mark.integration
IMPATIENT = TimeLimits(look=1.0, silence=0.5, heartbeat=0.5)


@pytest.fixture(params=["tls", "ssh"])
def target(request: pytest.FixtureRequest, bed: Bed) -> tuple[Host, HostAddress]:
    if request.param == "tls":
        return bed.hosts[0], HostAddress(bed.hosts[0].endpoint, bed.TLS)
    return bed.hosts[4], HostAddress(bed.hosts[4].ssh_endpoint, bed.SSH)


@contextlib.asynccontextmanager
async def connected(bed: Bed, address: HostAddress) -> AsyncIterator[DockerHost]:
    host = DockerConnector(credentials_dir=bed.credentials, limits=IMPATIENT).connect(address)
    try:
        yield host
    finally:
        await host.close()


async def answers_again(host: DockerHost) -> None:
    """Within the time that TCP needs to send again what was lost."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(HostUnreachable):
                await host.facts()
                return
            await asyncio.sleep(0.05)


FAILURES: dict[str, tuple[Callable[[Host], None], Callable[[Host], None]]] = {
    "cut": (Host.cut, Host.heal),
    "hang": (Host.hang, Host.resume),
    "kill": (Host.kill, Host.start),
    "crash": (Host.crash, Host.start),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_is_told_in_time_and_is_over_when_it_is(
    bed: Bed, target: tuple[Host, HostAddress], failure: str
) -> None:
    machine, address = target
    break_it, mend_it = FAILURES[failure]

    async def body() -> None:
        async with connected(bed, address) as host:
            events = host.events({})
            assert (await anext(events)).kind is ContainerEventKind.GAP
            await asyncio.to_thread(break_it, machine)
            for call in (host.facts, lambda: host.containers({})):
                await unreachable(call(), machine)
            await unreachable(anext(events), machine)
            await asyncio.to_thread(mend_it, machine)
            await answers_again(host)
            assert (await anext(host.events({}))).kind is ContainerEventKind.GAP

    asyncio.run(body())


async def unreachable(call: Awaitable[object], machine: Host) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(HostUnreachable) as raised:
            await call
    assert machine.address not in raised.value.message


def test_a_certificate_is_rotated_while_calls_and_streams_go_on(bed: Bed) -> None:
    async def body() -> None:
        async with connected(bed, HostAddress(bed.hosts[0].endpoint, bed.TLS)) as host:
            events = host.events({})
            await anext(events)
            calling = asyncio.create_task(many_calls(host))
            for _ in range(5):
                await asyncio.to_thread(bed.issue_client)
                await asyncio.sleep(0.02)
            assert await calling == 100
            waiting = asyncio.ensure_future(anext(events))
            made = await asyncio.to_thread(
                bed.hosts[0].call, "POST", "/containers/create", {"Image": "spinney-test:latest"}
            )
            await asyncio.to_thread(bed.hosts[0].call, "POST", f"/containers/{made['Id']}/start")
            assert (await waiting).container_id == made["Id"]

    asyncio.run(body())


async def many_calls(host: DockerHost) -> int:
    done = 0
    while done < 100:
        await asyncio.gather(*(host.containers({}) for _ in range(5)))
        done += 5
    return done


def test_a_credential_that_no_host_trusts_stays_out(bed: Bed) -> None:
    async def body() -> None:
        async with connected(bed, HostAddress(bed.hosts[0].endpoint, bed.ROGUE)) as host:
            with pytest.raises(HostError, match=r"certificate of our credential|closed the connection|reset"):
                await host.facts()

    asyncio.run(body())


def test_a_replaced_ssh_server_is_not_trusted(bed: Bed) -> None:
    """A host key that is not the known one, on the host's own address."""

    async def body() -> None:
        known = bed.credentials / bed.SSH / "known_hosts"
        right = known.read_text()
        address = HostAddress(bed.hosts[4].ssh_endpoint, bed.SSH)
        try:
            known.write_text(right.replace(bed.hosts[4].address, "192.0.2.1"))
            async with connected(bed, address) as host:
                with pytest.raises(HostRefused, match="known_hosts"):
                    await host.facts()
                known.write_text(right)
                assert (await host.facts()).os == "linux"
        finally:
            known.write_text(right)

    asyncio.run(body())
