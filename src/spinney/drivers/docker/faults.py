"""What goes wrong on the way to a Docker engine, as our errors. Messages hold neither address nor host name.

A certificate or key that one side refuses is final (HostRefused): nothing changes until somebody replaces it. All else on
the way is worth another try (HostUnreachable).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

import aiohttp

from spinney.drivers.egress.guard import refusal
from spinney.errors import HostError, HostRefused, HostUnreachable

E = TypeVar("E", bound=BaseException)

_REFUSED_BY_ALERT = re.compile(r"ALERT_(?:BAD_CERT|UNKNOWN_CA|CERT|ACCESS_DENIED|HANDSHAKE_FAILURE)|BAD_CERTIFICATE")
_EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 10, 62, 64


@contextlib.contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
        raise transport_error(error) from error


@contextlib.asynccontextmanager
async def bounded(seconds: float, what: str = "answer") -> AsyncIterator[None]:
    """Ends what is inside after so many seconds, and translates its errors."""
    try:
        async with asyncio.timeout(seconds):
            with translated():
                yield
    except TimeoutError as error:
        raise HostUnreachable(
            f"the host did not {what} within {seconds:g} s; check that it is up, not overloaded, and reachable"
        ) from error


def transport_error(error: Exception) -> HostError:
    ruled_out = refusal(error)
    if ruled_out is not None:
        return HostRefused(f"the host is not approached, because its address is {ruled_out}")
    secure = _find(error, ssl.SSLCertVerificationError, having="verify_code")
    if secure is not None:
        return HostRefused(_untrusted(secure.verify_code))
    if _REFUSED_BY_ALERT.search(_all_text(error)):
        return HostRefused(
            "the host refused the TLS certificate of our credential; use one that its Docker engine's --tlscacert has signed"
        )
    permission = _find(error, PermissionError)
    if permission is not None:
        return HostRefused(
            "this service may not open the Docker engine's socket; put its user into the group that owns the socket"
        )
    return HostUnreachable(f"the host does not answer: {_reason(error)}; check that it and its Docker engine are up")


def _untrusted(code: int) -> str:
    if code == _EXPIRED:
        return "the TLS certificate of the host has expired; give its Docker engine a new one"
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return (
            "the TLS certificate of the host is for another name or address; "
            "use the one in it, or give its Docker engine a certificate for this one"
        )
    return "the TLS certificate of the host is not signed by ca.pem of the credential; correct one of the two"


def _reason(error: Exception) -> str:
    cause = _find(error, OSError)
    if isinstance(cause, socket.gaierror):
        return "its name cannot be resolved"
    # Errors of TLS are derived from OSError too, and have numbers of their own.
    number = None if cause is None or isinstance(cause, ssl.SSLError) else cause.errno
    if number is not None and number in errno.errorcode:
        return os.strerror(number).lower()
    if _find(error, ssl.SSLError) is not None:
        return "TLS failed"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError | ConnectionError):
        return "it closed the connection"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what it answers is no HTTP"
    return type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            inner = getattr(one, "os_error", None) or getattr(one, "certificate_error", None)
            waiting += [inner if isinstance(inner, BaseException) else None, one.__cause__, one.__context__]


def _find(error: BaseException, kind: type[E], having: str = "errno") -> E | None:
    """The first of this kind that has the attribute: aiohttp derives its own from the same kinds, without values."""
    return next(
        (one for one in _chain(error) if isinstance(one, kind) and getattr(one, having, None) is not None), None
    )


def _all_text(error: BaseException) -> str:
    return " ".join(str(one) for one in _chain(error))
