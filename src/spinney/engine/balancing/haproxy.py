"""A load balancer that is an HAProxy in a container of our own.

Nothing is remembered of what it was told: each time it is looked at first, so that one that was started again or changed behind
our back is set right. Reloads happen only when what cannot be changed at run time has changed; a configuration that HAProxy
does not take changes nothing.
"""

from __future__ import annotations

import base64
import hashlib

from spinney.clock import Clock
from spinney.domain.balancing.haproxy import Size, backend, configuration
from spinney.domain.balancing.model import Applied, Wanted
from spinney.domain.balancing.runtime import Look, Unreadable, applied, commands, in_lines, read
from spinney.engine.balancing.console import Console, Refused
from spinney.errors import HostBroken

#: Looks for a process that begins anew, and seconds between them.
_LOOKS = 50
_MOMENT = 0.1


class HaproxyBalancer:
    """``LoadBalancer``."""

    def __init__(self, console: Console, clock: Clock, size: Size) -> None:
        self._console = console
        self._clock = clock
        self._size = size

    async def close(self) -> None:
        await self._console.close()

    async def apply(self, wanted: Wanted) -> Applied:
        try:
            return applied(await self._lead(wanted), wanted)
        except Refused as refused:
            return Applied(fault=f"HAProxy does not take its configuration: {str(refused)[-300:]}")
        except Unreadable as error:
            raise HostBroken(str(error)) from error

    async def _lead(self, wanted: Wanted) -> Look:
        look = await self._look()
        text = configuration(wanted, self._size)
        name = backend(wanted, self._size)
        if look.backend != name:
            await self._keep(text)
            look = await self._begin_anew(name)
        told = commands(look, wanted)
        for line in in_lines(told):
            await self._console.ask("run", line)
        if look.file != hashlib.sha256(text.encode()).hexdigest():
            await self._keep(text)
        return await self._look() if told else look

    async def _look(self) -> Look:
        return read(await self._console.ask("look"))

    async def _keep(self, text: str) -> None:
        await self._console.ask("put", base64.b64encode(text.encode()).decode())

    async def _begin_anew(self, name: str) -> Look:
        await self._console.ask("reload")
        for _ in range(_LOOKS):
            await self._clock.sleep(_MOMENT)
            try:
                look = await self._look()
            except Refused:
                continue  # neither the old process nor the new one listens
            if look.backend == name:
                return look
        raise HostBroken("the load balancer does not begin anew with its configuration; see the logs of its node")
