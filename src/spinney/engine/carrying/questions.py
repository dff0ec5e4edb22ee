"""Putting the question of a probe to a container, through the Docker engine of its host.

Guaranteed: there is always an answer, in bounded time and space; what kept it from being put is ``unknown``, which is neither a
pass nor a failure. A command's time begins when its Docker engine has started it, so that one which is slow to start commands
makes nothing fail; a command that is too slow is killed where that is possible. What a container prints that knows secrets is
not told.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from spinney.domain.probe_spec import Answer, Check, ExecCheck, Probe, of_command, of_network, overdue, request, unknown
from spinney.domain.terminal import ExecRequest
from spinney.drivers.base import ContainerHost, ExecSession
from spinney.errors import HostError

#: Seconds in which a host must have put a question, beyond the question's own time.
_PATIENCE = 15.0
#: Seconds for letting go of a command.
_FAREWELL = 5.0
#: Bytes of what a command prints that are kept; the rest is read and thrown away.
_KEPT = 1024


async def ask(docker: ContainerHost, container_id: str, probe: Probe, *, secretive: bool) -> Answer:
    """``secretive``: the container knows secrets."""
    try:
        async with asyncio.timeout(probe.timeout + _PATIENCE):
            return await _put(docker, container_id, probe.check, probe.timeout, secretive)
    except TimeoutError:
        return unknown(f"its host did not put the question within {_PATIENCE:g} s")
    except HostError as error:
        return unknown(error.message)


async def _put(docker: ContainerHost, container_id: str, check: Check, timeout: float, secretive: bool) -> Answer:
    if not isinstance(check, ExecCheck):
        return of_network(check, await docker.probe(container_id, request(check, timeout)))
    session = await docker.exec(container_id, ExecRequest(check.command))
    try:
        async with asyncio.timeout(timeout):
            code, printed = await _to_its_end(session)
    except TimeoutError:
        return overdue(check, timeout)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await session.close()
    # PostgreSQL stores no NUL.
    text = "" if secretive else printed.decode(errors="replace").replace("\0", "")
    return of_command(check, code, text)


async def _to_its_end(session: ExecSession) -> tuple[int, bytes]:
    await session.end_input()
    printed = b""
    while (chunk := await session.read()) is not None:
        printed += chunk.data[: _KEPT - len(printed)]
    return await session.wait(), printed
