"""The one door out: sockets to addresses that somebody outside chose.

Guaranteed: no socket made here is ever connected to an address that the rules refuse, whatever a name meant when it was looked
at before, because the very address about to be connected to is judged.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

from spinney.domain import egress
from spinney.domain.egress import Chosen, Rules

#: Family, kind, protocol, canonical name, address: as ``getaddrinfo`` gives them.
AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]


class AddressNotPermitted(OSError):
    """``kind`` says what the address is, and not which."""

    def __init__(self, kind: str, chosen: Chosen) -> None:
        super().__init__(f"{kind}; {egress.remedy(chosen)}")
        self.kind = kind
        self.chosen = chosen


@dataclass(frozen=True, slots=True)
class Guard:
    rules: Rules
    chosen: Chosen

    def new_socket(self, info: AddressInfo) -> socket.socket:
        """For whatever connects by itself: asked for each address before it is tried. Raises: AddressNotPermitted."""
        family, kind, protocol, _, address = info
        fault = egress.fault(str(address[0]), int(address[1]), self.chosen, self.rules)
        if fault is not None:
            raise AddressNotPermitted(fault, self.chosen)
        return socket.socket(family, kind, protocol)

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket, to the first address of the name that is permitted and answers. Raises: OSError."""
        loop = asyncio.get_running_loop()
        failed = OSError("the name has no address")
        for info in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                return await self._connected(loop, info)
            except OSError as error:
                failed = error
        raise failed

    async def _connected(self, loop: asyncio.AbstractEventLoop, info: AddressInfo) -> socket.socket:
        made = self.new_socket(info)
        try:
            made.setblocking(False)
            await loop.sock_connect(made, info[4])
        except BaseException:
            made.close()
            raise
        return made


def refusal(error: BaseException) -> AddressNotPermitted | None:
    """That an address was not permitted, if that is what an error comes from; libraries wrap what is raised in them."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        if isinstance(one, AddressNotPermitted):
            return one
        seen.add(id(one))
        inner = getattr(one, "os_error", None)
        waiting += [inner if isinstance(inner, BaseException) else None, one.__cause__, one.__context__]
    return None
