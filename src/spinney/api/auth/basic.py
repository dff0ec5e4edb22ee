"""One user with one password, by HTTP basic authentication.

Guaranteed: a wrong password takes as long to refuse as it takes to accept the right one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass

from spinney.api.auth.base import Headers, Request
from spinney.domain.identity import Caller
from spinney.errors import Unauthorized

CHALLENGE = 'Basic realm="spinney", charset="UTF-8"'


def refused() -> Unauthorized:
    return Unauthorized("Authorization: the right user and password are needed, by HTTP basic authentication.")


def given_by(headers: Headers) -> bytes:
    """``user:password``, or nothing."""
    scheme, _, encoded = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return b""


@dataclass(frozen=True, slots=True)
class HttpBasic:
    user: str
    password: str
    caller: Caller

    @property
    def challenge(self) -> str:
        return CHALLENGE

    async def authenticate(self, request: Request) -> Caller:
        if not hmac.compare_digest(given_by(request.headers), f"{self.user}:{self.password}".encode()):
            raise refused()
        return self.caller
