"""The processes: standalone, API, engine."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from spinney import serving, standalone
from spinney.api.wire import Deps
from spinney.clock import Ids, SystemClock
from spinney.config import Settings
from spinney.engine.doorbell import LocalDoorbell
from spinney.engine.looking.link import EngineService, RemoteAccess
from spinney.engine.supervisor import Engine
from spinney.store import engines
from spinney.wiring.apis import api_deps
from spinney.wiring.engines import (
    engine_context,
    engine_place,
    local_access,
    make_connector,
    make_doorbell,
    running,
    watching,
)
from spinney.wiring.local_engine import register_when_there
from spinney.wiring.parts import link_tls, open_store

#: Seconds for which a thread keeps the interpreter while others want it.
_TURN = 0.0005


def settle_memory() -> None:
    """What is loaded by now stays; looking through it for garbage again and again cost a fifth of all processor time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    # What answers requests must not wait for threads that decide and write longer than a request takes.
    sys.setswitchinterval(_TURN)


async def run_standalone(settings: Settings, local_sockets: Sequence[Path], say: Callable[[str], None]) -> None:
    """API and engine in one process, until SIGTERM or SIGINT. Raises: standalone.StateDirInUse, OSError."""
    with standalone.exclusive(settings.state_dir):
        clock, ids = SystemClock(), Ids()
        permitted = (*settings.driver.unix_sockets, *map(str, local_sockets))
        settings = replace(settings, driver=replace(settings.driver, unix_sockets=permitted))
        store = open_store(settings, clock)
        try:
            # Whoever held a claim on this state directory is dead: nobody else can have the lock.
            store.run(engines.take_over, everything=True)
            connector, bell = make_connector(settings, store, clock), LocalDoorbell()
            context = engine_context(settings, store, connector, bell, clock, ids)

            async def register(socket: Path) -> None:
                await store.transact(standalone.register_local_host, socket, ids, clock.now())
                bell.ring()

            waiting = await register_when_there(local_sockets, register, say) if local_sockets else None
            access = local_access(context)
            deps = api_deps(settings, store, access, bell.ring, clock, ids)
            async with running(Engine(context)):
                try:
                    await _serve_api(settings, deps, say)
                finally:
                    await _stopped(waiting)
            await access.close()
        finally:
            store.close()


async def run_api(settings: Settings, say: Callable[[str], None]) -> None:
    """An API process; engines run beside it on the same database."""
    with standalone.shared(settings.state_dir):
        clock, ids = SystemClock(), Ids()
        store = open_store(settings, clock)
        try:
            access = RemoteAccess(store, link_tls(settings))
            deps = api_deps(settings, store, access, lambda: None, clock, ids)
            await _serve_api(settings, deps, say)
        finally:
            store.close()


async def run_engine(settings: Settings, say: Callable[[str], None]) -> None:
    """An engine process, woken by commits of others on the same SQLite file."""
    with standalone.shared(settings.state_dir):
        clock, ids = SystemClock(), Ids()
        store = open_store(settings, clock)
        try:
            connector = make_connector(settings, store, clock)
            bell = make_doorbell(settings, store, clock)
            context = engine_context(settings, store, connector, bell, clock, ids)
            access = local_access(context)
            place = engine_place(settings, ids)
            service = EngineService(access, place)
            await service.start()
            try:
                settle_memory()
                stop = _stop_signal()
                async with running(Engine(replace(context, address=place.address))), watching(bell):
                    say("spinney engine ready")
                    await stop.wait()
            finally:
                await service.stop()
                await access.close()
        finally:
            store.close()


async def _serve_api(settings: Settings, deps: Deps, say: Callable[[str], None]) -> None:
    """Serve until a signal asks to stop."""
    settle_memory()
    _stop_signal()  # the server has handlers of its own, and hands the signal back to these when it has ended
    await serving.serve(settings, deps, say)


async def _stopped(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait([task])


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
