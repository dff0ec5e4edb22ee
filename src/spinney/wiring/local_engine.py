"""The machine's own Docker engine at the start: whether it answers, what is said when it does not, and its coming later.

Guaranteed: it is registered once it answers, and not before; that it does not answer is said and logged once, with each
address that was tried, and its coming is said too. A host that was registered before is the engine's to watch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

#: Seconds in which a Docker engine answers a ping.
_PATIENCE = 3.0
#: Seconds between two looks at whether it has come.
PAUSE = 2.0
_PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"

Say = Callable[[str], None]
Register = Callable[[Path], Awaitable[None]]


async def fault(socket: Path) -> str:
    """Why no Docker engine answers at the socket; empty: one does."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(_PING)
                answer = await reader.readline()
            finally:
                writer.close()
    except TimeoutError:
        return f"no answer within {_PATIENCE:g} s"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return "" if answer.startswith(b"HTTP/1.") else "what answers there is no Docker engine"


async def answering(sockets: Sequence[Path]) -> tuple[Path | None, list[str]]:
    """The first at which one answers; and what is wrong with those before it."""
    faults: list[str] = []
    for socket in sockets:
        why = await fault(socket)
        if not why:
            return socket, faults
        faults.append(f"{socket} ({why})")
    return None, faults


async def register_when_there(
    sockets: Sequence[Path], register: Register, say: Say, pause: float = PAUSE
) -> asyncio.Task[None] | None:
    """Register what answers now; else say what does not, and go on looking in a task."""
    found, faults = await answering(sockets)
    if found is not None:
        await register(found)
        return None
    told = (
        f"no Docker engine answers at {', '.join(faults)}, so this machine is no host: start it (it is registered when it "
        "answers), set DOCKER_HOST to the unix:// socket of another one and start spinney again, or use `spinney host add`"
    )
    say(told)
    log.warning("%s", told)
    return asyncio.create_task(_wait(sockets, register, say, pause), name="local Docker engine")


async def _wait(sockets: Sequence[Path], register: Register, say: Say, pause: float) -> None:
    found = None
    while found is None:
        await asyncio.sleep(pause)
        found, _ = await answering(sockets)
    await register(found)
    told = f"the Docker engine at {found} answers now: it is the host `local`, unless that was removed"
    say(told)
    log.warning("%s", told)
