"""How requests between the service and others prove where they come from: secrets, and signatures made with them. Pure.

A signature covers method, path with query, time and body::

    key       = HMAC-SHA256(secret, "spinney-webhook-v1")
    signature = HMAC-SHA256(key, "v1\\n<timestamp>\\n<METHOD>\\n<path?query>\\n" + body), hexadecimal

with the time in seconds since the epoch, and the path from ``/v1`` on where it is ours. It stands in the headers
``X-Spinney-Timestamp`` and ``X-Spinney-Signature: v1=<signature>``. The service checks such requests at its receivers, and
signs its own to hooks in the same way.

Guaranteed: comparing takes the same time wherever the first difference is; neither the hash that is kept of a secret nor the
key tells the secret. Not guaranteed: that a signed request is new; the receiver remembers those it has obeyed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: Seconds by which a signed request may be older or younger than it arrives.
TOLERANCE = 300
TIMESTAMP = "X-Spinney-Timestamp"
SIGNATURE = "X-Spinney-Signature"
SECRET = "X-Spinney-Webhook-Secret"
_PURPOSE = b"spinney-webhook-v1"
_TIME = re.compile(rb"[0-9]{1,15}")
_SIGNATURE = re.compile(rb"v1=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Bearer:
    """The secret itself."""

    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    timestamp: int
    #: Hexadecimal.
    signature: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """No proof at all, or none that can be read (``garbled``)."""

    garbled: bool = False


Proof = Bearer | Signed | Nothing


def hashed(secret: bytes) -> str:
    """What is kept of a secret: it has 256 bit of chance, so a plain hash tells nothing."""
    return hashlib.sha256(secret).hexdigest()


def signing_key(secret: bytes) -> bytes:
    return hmac.digest(secret, _PURPOSE, "sha256")


def signature(key: bytes, method: str, target: bytes, timestamp: int, body: bytes) -> str:
    """``target``: the path, with the query if there is one."""
    covered = b"\n".join((b"v1", str(timestamp).encode(), method.encode(), target, body))
    return hmac.digest(key, covered, "sha256").hex()


def target(url: str) -> bytes:
    """What of a URL is covered: the path, with the query if there is one."""
    parts = urlsplit(url)
    return ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode()


def signed_headers(secret: bytes, method: str, covered: bytes, timestamp: int, body: bytes) -> dict[str, str]:
    made = signature(signing_key(secret), method, covered, timestamp, body)
    return {TIMESTAMP: str(timestamp), SIGNATURE: f"v1={made}"}


def proof(headers: Mapping[bytes, bytes], in_query: str | None) -> Proof:
    """What a request brings; the strongest counts. ``headers``: names in lower case."""
    written = headers.get(SIGNATURE.lower().encode())
    if written is not None:
        found = _SIGNATURE.fullmatch(written.strip())
        time = headers.get(TIMESTAMP.lower().encode(), b"").strip()
        if found is None or not _TIME.fullmatch(time):
            return Nothing(garbled=True)
        return Signed(int(time), found[1].decode())
    given = headers.get(SECRET.lower().encode())
    if given is not None:
        return Bearer(given.strip())
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return Bearer(token.strip())
    return Nothing() if in_query is None else Bearer(in_query.encode())


def holds(shown: Proof, secret_hash: str, key: bytes, method: str, target: bytes, body: bytes, now: float) -> bool:
    """Whether the proof is that of the secret with this hash and key. All comparisons are made for every proof."""
    bearer = shown.secret if isinstance(shown, Bearer) else b""
    signed = shown if isinstance(shown, Signed) else Signed(0, "")
    same_secret = hmac.compare_digest(hashed(bearer), secret_hash)
    made = signature(key, method, target, signed.timestamp, body)
    same_signature = hmac.compare_digest(made, signed.signature)
    in_time = abs(now - signed.timestamp) <= TOLERANCE
    return same_secret if isinstance(shown, Bearer) else same_signature and in_time
