"""A container host and what a test of its promises needs around it.

Whatever ``World`` says by default is right for a real Docker engine holding a busybox image; a world whose containers are
not processes overrides the commands. Tests wait by polling on the world's own event loop, never on the wall clock.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest

from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_GENERATION,
    LABEL_NODE,
    LABEL_PROJECT,
    Container,
    ContainerEvent,
    ContainerEventKind,
    ContainerRequest,
    ContainerState,
    Healthcheck,
    ImageRequest,
    LogQuery,
    NetworkRequest,
    PullPolicy,
)
from spinney.drivers.base import ContainerHost

T = TypeVar("T")
P = ParamSpec("P")

FOREVER = 15.0


class World:
    """One container host and what a test needs around it. Override what differs."""

    #: A reference that neither the host nor any registry it can reach holds.
    absent_image = "spinney-absent:none"

    def __init__(self, host: ContainerHost, runner: asyncio.Runner, image: str) -> None:
        self.host = host
        self.image = image
        self.deployment = f"test-{uuid.uuid4().hex[:12]}"
        self._runner = runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    # What containers run. Each ends at once on its stop signal.

    def sleeper(self) -> tuple[str, ...]:
        return ("sleep", "600")

    def exiting(self, code: int) -> tuple[str, ...]:
        return ("sh", "-c", f"exit {code}")

    def printing(self, out: str, err: str = "", *, then_sleep: bool = False) -> tuple[str, ...]:
        """Prints a line on each stream (none when empty), then exits with 0 or sleeps."""
        script = f"echo {out}" + (f"; echo {err} >&2" if err else "") + ("; sleep 600" if then_sleep else "")
        return ("sh", "-c", script)

    async def using_memory(self, size: int, **changes: Any) -> str:
        """A running container that uses so many bytes, and keeps them."""
        fill = f"dd if=/dev/zero of=/dev/shm/full bs={1 << 20} count={size >> 20} 2>&1; echo filled; exec sleep 600"
        container = await self.started(self.request(("sh", "-c", fill), **changes))
        async with asyncio.timeout(FOREVER):
            while True:
                if "filled" in (await read_logs(self, container))["stdout"]:
                    return container
                await asyncio.sleep(0.02)

    async def server(self, port: int, *, hangs: bool = False) -> ContainerRequest:
        """A web server that says its greeting, or takes connections and never answers."""
        page = f"mkdir /tmp/www && echo {self.greeting(port).decode()} >/tmp/www/index.html"
        serve = f"{page} && exec httpd -f -p {port} -h /tmp/www"
        hang = f"exec nc -ll -p {port} -e sleep 600"
        return self.request(("sh", "-c", hang if hangs else serve), tmpfs={"/tmp": "size=1m"})

    def greeting(self, port: int) -> bytes:
        """What is in the body that the server at this port serves."""
        return b"served at %d" % port

    def healthcheck(self, *, healthy: bool) -> Healthcheck:
        return Healthcheck(test=("CMD", "true" if healthy else "false"), interval=0.3, timeout=5.0, retries=1)

    # What happens outside of the driver.

    def another(self) -> ContainerHost:
        """The same host, over a connection of its own."""
        raise AssertionError("each world connects in its own way")

    async def make_helper_without_rights(self, name: str, labels: Mapping[str, str]) -> None:
        """A container of the helper's image, made behind the driver's back."""
        raise AssertionError("each world makes containers in its own way")

    async def make_foreign(self, name: str) -> str:
        """A container without any label of ours, made behind the driver's back; its id."""
        raise AssertionError("each world makes foreign containers in its own way")

    async def remove_foreign(self, container_id: str) -> None:
        """Undoes ``make_foreign``, behind the driver's back too."""
        raise AssertionError("each world removes foreign containers in its own way")

    def free_port(self) -> int:
        """A TCP port nobody uses on the host."""
        raise AssertionError("each world finds free ports in its own way")

    def free_subnet(self) -> str:
        """A subnet no network of the host uses."""
        octets = uuid.uuid4().bytes
        return f"10.{octets[0]}.{octets[1]}.0/24"

    async def read_file(self, container_id: str, path: str) -> bytes | None:
        """What a file in a running container holds, seen from outside of the driver; None: there is none."""
        raise AssertionError("each world reads files in its own way")

    # Requests.

    def labels(self, *, node: str = "", generation: int = 1) -> dict[str, str]:
        return {
            LABEL_DEPLOYMENT: self.deployment,
            LABEL_PROJECT: "project",
            LABEL_NODE: node or str(uuid.uuid4()),
            LABEL_GENERATION: str(generation),
        }

    def request(self, command: tuple[str, ...] | None = None, **changes: Any) -> ContainerRequest:
        request = ContainerRequest(
            name=f"spinney-{uuid.uuid4().hex}",
            labels=self.labels(),
            image=ImageRequest(self.image, PullPolicy.NEVER),
            command=command or self.sleeper(),
        )
        return dataclasses.replace(request, **changes)

    def network(self) -> NetworkRequest:
        return NetworkRequest(
            name=f"spinney-net-{uuid.uuid4().hex[:12]}",
            subnet=self.free_subnet(),
            labels={LABEL_DEPLOYMENT: self.deployment, LABEL_PROJECT: "project"},
        )

    async def started(self, request: ContainerRequest) -> str:
        container = await self.host.create(request)
        await self.host.start(container.id)
        return container.id

    async def until(self, container_id: str, holds: Callable[[Container], bool]) -> Container:
        """The container as soon as ``holds`` says so of it."""
        async with asyncio.timeout(FOREVER):
            while True:
                container = await self.present(container_id)
                if holds(container):
                    return container
                await asyncio.sleep(0.02)

    async def present(self, id_or_name: str) -> Container:
        container = await self.host.inspect(id_or_name)
        assert container is not None, f"{id_or_name} is gone"
        return container

    async def clean_up(self) -> None:
        """Removes every container of this world; networks and foreign containers are the business of those who made them."""
        for container in await self.host.containers({LABEL_DEPLOYMENT: self.deployment}):
            await self.host.remove(container.id)


def scenario(test: Callable[Concatenate[Any, World, P], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """An async test, run on the event loop of its world."""

    @functools.wraps(test)
    def run(self: Any, world: World, *args: P.args, **kwargs: P.kwargs) -> None:
        world.run(test(self, world, *args, **kwargs))

    return run


class Watch:
    """Collects events from an open subscription, in the background."""

    def __init__(self, events: AsyncIterator[ContainerEvent]) -> None:
        self._events = events
        self.seen: list[ContainerEvent] = []
        self._task = asyncio.create_task(self._collect())

    async def _collect(self) -> None:
        async for event in self._events:
            self.seen.append(event)

    async def until(self, kind: ContainerEventKind, container_id: str = "") -> ContainerEvent:
        async with asyncio.timeout(FOREVER):
            while True:
                for event in self.seen:
                    if event.kind is kind and event.container_id == container_id:
                        return event
                if self._task.done():
                    self._task.result()
                    pytest.fail("the endless stream of events has ended")
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def watch(world: World) -> Watch:
    """An established subscription to the events of this world's deployment."""
    watching = Watch(world.host.events({LABEL_DEPLOYMENT: world.deployment}))
    await watching.until(ContainerEventKind.GAP)
    return watching


async def read_logs(world: World, container_id: str, **query: Any) -> dict[str, str]:
    """All of the logs, per stream."""
    text = {"stdout": b"", "stderr": b""}
    async for chunk in world.host.logs(container_id, LogQuery(**query)):
        text[chunk.stream] += chunk.data
    return {stream: data.decode() for stream, data in text.items()}


def ended(container: Container) -> bool:
    return container.state is ContainerState.EXITED
