"""Who asks, and whose things are whose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owner:
    """Recorded on every object at creation."""

    user: str
    project: str
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated sender of a request."""

    owner: Owner
    roles: frozenset[str]
    request_id: str = ""

    @property
    def project(self) -> str:
        return self.owner.project

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles


#: The sender of a request to a route that anybody may use; nothing belongs to it.
NOBODY = Caller(Owner(user="", project=""), frozenset())
