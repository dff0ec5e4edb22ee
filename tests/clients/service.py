"""The whole service on a loopback port, with simulated Docker engines: what real clients are tried on."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from spinney import standalone, wiring
from spinney.api.app import build_app
from spinney.clock import Ids, SystemClock
from spinney.config import EngineSettings, Settings
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.drivers.simulated import EngineSettings as HostSettings
from spinney.drivers.simulated import FaultPlan, SimulatedConnector, SimulatedEngine, parse_faults
from spinney.engine.doorbell import LocalDoorbell
from spinney.engine.looking.access import LocalAccess
from spinney.engine.supervisor import Engine


def large(name: str) -> SimulatedEngine:
    """A machine with room for all tests; on those with names in ``slow`` containers take seconds to make."""
    slow = FaultPlan(parse_faults("create:latency=4"), random.Random(0)) if name.startswith("slow") else None
    return SimulatedEngine(HostSettings(name, cpu=1000.0, memory=2**40), SystemClock(), plan=slow)


class UnixSockets:
    """Simulated Docker engines behind the paths of sockets that do not exist."""

    def __init__(self, simulated: SimulatedConnector) -> None:
        self.simulated = simulated

    def connect(self, address: HostAddress) -> ContainerHost:
        return self.simulated.connect(HostAddress(address.endpoint.replace("unix:///", "sim://")))


@dataclass(frozen=True)
class Service:
    url: str  # of the root, without /v1
    password: str
    hosts: SimulatedConnector
    state_dir: Path


@contextmanager
def service(state_dir: Path) -> Iterator[Service]:
    """Runs in a thread of its own until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    hosts = SimulatedConnector(SystemClock(), large)
    running = Running()
    thread = threading.Thread(target=lambda: asyncio.run(running.serve_all(state_dir, hosts, listener)))
    thread.start()
    try:
        assert running.ready.wait(20), "the service did not start"
        yield Service(url, standalone.password(state_dir), hosts, state_dir)
    finally:
        running.stop()
        thread.join(20)
        listener.close()


class Running(uvicorn.Server):
    """API and engine in one event loop."""

    def __init__(self) -> None:
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    def stop(self) -> None:
        self.should_exit = True

    async def serve_all(self, state_dir: Path, hosts: SimulatedConnector, listener: socket.socket) -> None:
        settings = Settings(state_dir=state_dir, engine=EngineSettings(poll_interval=0.5, retry_delay=0.05))
        clock, ids = SystemClock(), Ids()
        store = wiring.open_store(settings, clock)
        connector, bell = UnixSockets(hosts), LocalDoorbell()
        context = wiring.engine_context(settings, store, connector, bell, clock, ids)
        access = LocalAccess(store, connector)
        app = build_app(wiring.api_deps(settings, store, access, bell.ring, clock, ids))
        super().__init__(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        engine = asyncio.create_task(Engine(context).run())
        try:
            await self.serve(sockets=[listener])
        finally:
            engine.cancel()
            await asyncio.gather(engine, return_exceptions=True)
            await access.close()
            store.close()
