"""Where a request comes from and how its sender reached us, through proxies or not.

Guaranteed: ``X-Forwarded-*`` counts only when the proxy that the request came from is trusted; the address is the last one that
no trusted proxy has, so that a sender cannot choose it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from spinney.errors import Forbidden

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
#: Of IPv6, one subscriber has at least so much.
_SUBSCRIBER = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """``address``: empty where it is not known. ``base_url``: what the sender calls us."""

    address: str
    scheme: str
    base_url: str

    @property
    def counted(self) -> str:
        """Under what the sender is counted: an address, or the network of one subscriber."""
        found = _address(self.address)
        if isinstance(found, IPv6Address):
            return str(ip_network((found, _SUBSCRIBER), strict=False))
        return self.address


class Proxies:
    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = [ip_network(one) for one in trusted]

    def trusts(self, address: str) -> bool:
        found = _address(address)
        return found is not None and any(found in network for network in self._trusted)

    def origin(self, scope: Any, headers: Mapping[bytes, bytes]) -> Origin:
        client = scope.get("client")
        peer = client[0] if client else ""
        # Whoever reaches a unix socket has been let in by its permissions.
        if peer and not self.trusts(peer):
            return Origin(peer, _scheme(scope), f"{_scheme(scope)}://{_host(scope, headers, b'')}")
        proto = _first(headers, b"x-forwarded-proto")
        scheme = proto if proto in ("http", "https") else _scheme(scope)
        prefix = _first(headers, b"x-forwarded-prefix").rstrip("/")
        if not _PREFIX.fullmatch(prefix):
            prefix = ""
        host = _host(scope, headers, b"x-forwarded-host")
        return Origin(self._sender(headers) or peer, scheme, f"{scheme}://{host}{prefix}")

    def _sender(self, headers: Mapping[bytes, bytes]) -> str:
        named = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
        known = [str(found) for found in map(_address, map(str.strip, named)) if found is not None]
        return next((one for one in reversed(known) if not self.trusts(one)), known[0] if known else "")


def check_site(given: bytes | None, origin: Origin) -> None:
    """Refuse what a page of another site sends. Browsers say in ``Origin`` which site a page comes from, and no page can keep
    them from it; other clients say nothing. Raises: Forbidden."""
    if given is None:
        return
    if _site(given.decode("latin-1")) != _site(origin.base_url):
        raise Forbidden("Origin: pages of other sites may not ask; serve them from the address of this service.")


def _site(url: str) -> tuple[str, str, int | None] | None:
    """None: it is none, as with pages that have no site of their own."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _scheme(scope: Any) -> str:
    return "https" if scope.get("scheme") in ("https", "wss") else "http"


def _host(scope: Any, headers: Mapping[bytes, bytes], forwarded: bytes) -> str:
    host = (_first(headers, forwarded) if forwarded else "") or _first(headers, b"host")
    if host and _HOST.fullmatch(host):
        return host
    address, port = scope.get("server") or ("localhost", None)
    return f"{address}:{port}" if port else "localhost"


def _first(headers: Mapping[bytes, bytes], name: bytes) -> str:
    """The first of several values: what the client itself used."""
    return headers.get(name, b"").decode("latin-1").partition(",")[0].strip()
