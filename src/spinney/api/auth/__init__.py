"""Who sends a request: one way of knowing it for a whole deployment."""

from __future__ import annotations

from spinney.api.auth.base import Authenticator, Headers, Request
from spinney.api.auth.basic import HttpBasic
from spinney.api.auth.local import NoAuth, is_local, no_auth
from spinney.domain.identity import Caller, Owner

__all__ = ["Authenticator", "Headers", "HttpBasic", "NoAuth", "Request", "is_local", "no_auth", "standalone_caller"]

#: Of the one user of a service without projects.
ALL_ROLES = frozenset({"admin", "manager", "member", "reader"})


def standalone_caller(user: str = "admin", project: str = "default") -> Caller:
    return Caller(Owner(user=user, project=project), ALL_ROLES, user_name=user, project_name=project)
