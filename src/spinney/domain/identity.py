"""Who asks, and whose things are whose."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Owner:
    """Recorded on every object at creation."""

    user: str
    project: str
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated sender of a request.

    ``is_admin``: the deployment's rules let the caller act beyond the own project; whoever authenticates leaves it open.
    """

    owner: Owner
    roles: frozenset[str]
    request_id: str = ""
    is_admin: bool = False
    #: For people to read: what the ids of the owner stand for.
    user_name: str = ""
    project_name: str = ""
    #: With which OpenStack services can be called in the caller's name; empty without Keystone.
    token: str = field(default="", repr=False)

    @property
    def project(self) -> str:
        return self.owner.project


#: The sender of a request to a route that anybody may use; nothing belongs to it.
NOBODY = Caller(Owner(user="", project=""), frozenset())
