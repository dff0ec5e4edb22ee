"""What every way of authenticating has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from spinney.domain.identity import Caller

#: Names are in lower case.
Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """What may decide who sends it, and whether their credentials are for such a request."""

    headers: Headers
    method: str
    #: As it came, still quoted.
    path: str


class Authenticator(Protocol):
    @property
    def challenge(self) -> str:
        """The ``WWW-Authenticate`` header of a 401."""

    async def authenticate(self, request: Request) -> Caller:
        """Raises: Unauthorized, Forbidden, IdentityUnavailable."""
