"""The addresses behind the names of hosts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

#: Seconds: members are put in and taken out meanwhile by nobody.
_PATIENCE = 2.0
#: The address of a host by its name; None: there is none.
Resolve = Callable[[str], Awaitable[str | None]]


async def resolve(name: str) -> str | None:
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET)
    except (OSError, TimeoutError):
        return None
    return next((str(place[0]) for *_, place in found), None)
