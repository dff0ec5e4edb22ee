"""What the program of the host helper says of probes on a simulated Docker engine, to the real driver that asks over HTTP.

Guaranteed, as of the program: each probe is answered when its answer is there, whatever else is asked; a namespace is entered
by a helper that was given the right to, at a process that is the container's now; a prober meets what its container serves
until that one ends, and nobody after it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from spinney.drivers.helper.probing import Ending, Exchange
from spinney.drivers.simulated.engine import Cutoff, Silence, SimulatedEngine
from spinney.drivers.simulated.faults import Operation
from spinney.drivers.simulated.values import ContainerRecord, Refusal

_PIECE = 2048
_REFUSED = 111
_NOT_PERMITTED = 1


async def tell(
    engine: SimulatedEngine, socket: web.WebSocketResponse, helper: ContainerRecord, words: list[str]
) -> None:
    """``words``: of the question, behind its first one. A host that is cut off never answers, one that breaks off hangs up."""
    tag, pid, container_id, address, limit, content, milliseconds = words
    port, sent = int.from_bytes(bytes.fromhex(address)[2:4], "big"), bytes.fromhex(content.replace("-", ""))

    def act(now: float) -> tuple[float, Exchange]:
        if pid == "0":
            return _beside(engine, helper, port, sent, int(milliseconds) / 1000, now)
        return _inside(engine, helper, (container_id, int(pid)), port, sent, int(milliseconds) / 1000, now)

    try:
        seconds, found = await engine.perform(Operation.PROBE, act)
    except Silence:
        return
    except (Cutoff, Refusal):
        await socket.close()
        return
    if seconds:
        await engine.clock.sleep(seconds)
    if not socket.closed:
        await socket.send_bytes("".join(f"at {tag} {line}\n" for line in _lines(found, int(limit))).encode())


def _beside(
    engine: SimulatedEngine, prober: ContainerRecord, port: int, sent: bytes, limit: float, now: float
) -> tuple[float, Exchange]:
    member, run = prober.joined or (prober, prober.run)
    if member.run != run:
        return 0.0, Exchange(False, ending=Ending.FAILED, number=_REFUSED)
    return engine.core.services.exchange(member, port, sent, limit, now)


def _inside(
    engine: SimulatedEngine,
    helper: ContainerRecord,
    whom: tuple[str, int],
    port: int,
    sent: bytes,
    limit: float,
    now: float,
) -> tuple[float, Exchange]:
    config: Any = (helper.extra or {}).get("HostConfig") or {}
    if "SYS_ADMIN" not in (config.get("CapAdd") or ()):
        return 0.0, Exchange(False, ending=Ending.BARRED, number=_NOT_PERMITTED)
    member = engine.core.find(whom[0])
    if member is None or not member.is_up or member.pid != whom[1]:
        return 0.0, Exchange(False, ending=Ending.GONE)
    return engine.core.services.exchange(member, port, sent, limit, now)


def _lines(found: Exchange, limit: int) -> Iterator[str]:
    if found.connected:
        yield "connected"
    data = found.data[:limit]
    for at in range(0, len(data), _PIECE):
        yield f"data {b64encode(data[at : at + _PIECE]).decode()}"
    ending = Ending.ENOUGH if found.connected and len(data) >= limit else found.ending
    yield f"end {ending} {found.number}"
