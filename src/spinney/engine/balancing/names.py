"""The addresses behind the names of hosts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

#: The address of a host by its name; None: there is none.
Resolve = Callable[[str], Awaitable[str | None]]


async def resolve(name: str) -> str | None:
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET)
    except OSError:
        return None
    return next((str(place[0]) for *_, place in found), None)
