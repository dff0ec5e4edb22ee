"""The one door out: sockets to addresses that somebody outside chose.

Guaranteed: no socket made here is ever connected to an address that the rules refuse, whatever a name meant when it was looked
at before, because the very address about to be connected to is judged.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
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


def sockets(rules: Rules, chosen: Chosen) -> Callable[[AddressInfo], socket.socket]:
    """For whatever makes connections itself: called with each address that is to be tried. Raises: AddressNotPermitted."""

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        fault = egress.fault(str(address[0]), int(address[1]), chosen, rules)
        if fault is not None:
            raise AddressNotPermitted(fault, chosen)
        return socket.socket(family, kind, protocol)

    return make


async def connect(host: str, port: int, rules: Rules, chosen: Chosen) -> socket.socket:
    """A connected socket, to the first address of the name that is permitted and answers. Raises: OSError."""
    loop = asyncio.get_running_loop()
    make, failed = sockets(rules, chosen), OSError(f"{host} has no address")
    for info in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            made = make(info)
        except OSError as error:
            failed = error
            continue
        try:
            made.setblocking(False)
            await loop.sock_connect(made, info[4])
        except OSError as error:
            made.close()
            failed = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failed


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
