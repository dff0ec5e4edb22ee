"""Commands in containers of another machine, when it or the way to it fails: through mutual TLS and through SSH."""

from __future__ import annotations

import asyncio
import gc
import uuid
from contextlib import aclosing
from dataclasses import replace

import pytest

import docker_engine
from drivers.test_bed_failures import FAILURES, answers_again, connected, target
from spinney.domain.container import LABEL_DEPLOYMENT, ContainerRequest, ImageRequest, LogQuery, PullPolicy
from spinney.domain.terminal import ExecRequest
from spinney.drivers.base import HostAddress
from spinney.errors import HostUnreachable
from testbed.bed import Bed
from testbed.host import Host

__all__ = ["target"]
pytestmark = [
    pytest.mark.integration,
    # What says farewell over TLS to a machine without power waits longer than the event loop of a test.
    pytest.mark.filterwarnings("ignore:.*unclosed:ResourceWarning"),
]
REQUEST = ContainerRequest(
    "",
    {LABEL_DEPLOYMENT: "bed-exec"},
    ImageRequest(docker_engine.IMAGE, PullPolicy.NEVER),
    command=("sleep", "600"),
)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_session_on_a_host_that_fails_ends_in_time(bed: Bed, target: tuple[Host, HostAddress], failure: str) -> None:
    machine, address = target
    break_it, mend_it = FAILURES[failure]

    async def body() -> None:
        async with connected(bed, address) as host:
            made = await host.create(replace(REQUEST, name=f"exec-{uuid.uuid4().hex}"))
            await host.start(made.id)
            session = await host.exec(made.id, ExecRequest(("sh", "-c", "echo on; cat")))
            chunk = await session.read()
            assert chunk is not None and chunk.data == b"on\n"
            await asyncio.to_thread(break_it, machine)
            writing = asyncio.create_task(session.write(b"x" * (64 << 20)))
            async with asyncio.timeout(15):
                with pytest.raises(HostUnreachable):
                    while await session.read() is not None:
                        pass
                    await session.wait()
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
                await session.close()
            await asyncio.to_thread(mend_it, machine)
            await answers_again(host)
            async with aclosing(host.logs(made.id, LogQuery())) as lines:
                assert [line async for line in lines] == []
            await host.remove(made.id)

    asyncio.run(body())
    gc.collect()
