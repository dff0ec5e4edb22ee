"""Probes as values: what is asked of a container from inside its own network namespace, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Bytes of a body at most, whatever is asked for.
LARGEST_BODY = 1 << 20


class ProbeKind(StrEnum):
    HTTP = "http"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """``address`` is one of the container's own, in its own namespace. ``body``: how many bytes of an HTTP answer's body are
    wanted, at most (``LARGEST_BODY``); ``timeout`` is for the whole of it, in seconds."""

    kind: ProbeKind
    port: int
    address: str = "127.0.0.1"
    path: str = "/"
    #: The Host header.
    host: str = "localhost"
    timeout: float = 1.0
    body: int = 0


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """``connected``: the port took the connection, whatever came of it. ``status``: of an HTTP answer; None: there was none.
    ``text`` says what went wrong, fit for a user; empty: nothing."""

    connected: bool
    status: int | None = None
    body: bytes = b""
    text: str = ""
