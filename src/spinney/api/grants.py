"""Grants: the extra rights that the operator has defined, and who may use them.

Guaranteed: whoever makes a profile that names a grant, or has nodes made from one, has one of the grant's roles then, in one of
its projects. To those who may not use it, a grant is not there. Where on a host a device or path is, only operators are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from spinney.api.wire import Call, Reply, json_reply
from spinney.domain.grant import Grant
from spinney.errors import Forbidden
from spinney.profiles.allowances import named_grants, refused_to
from spinney.profiles.container import ContainerProperties
from spinney.profiles.registry import ValidatedProfile


async def index(call: Call) -> Reply:
    operator = call.caller.is_admin
    found = [one for _, one in sorted(call.deps.allowed.grants.items()) if operator or one.given_to(call.caller)]
    return json_reply({"grants": [_view(one, operator=operator) for one in found]})


def _view(grant: Grant, *, operator: bool) -> dict[str, Any]:
    view: dict[str, Any] = {"name": grant.name, "description": grant.description, "gives": _gives(grant, operator)}
    if operator:
        view |= {
            "roles": sorted(grant.roles),
            "projects": sorted(grant.projects),
            "host_labels": dict(grant.host_labels),
        }
    return view


def _gives(grant: Grant, operator: bool) -> dict[str, Any]:
    if grant.capability is not None:
        return {"capability": grant.capability}
    if grant.device is not None:
        device = {"container_path": grant.device.container_path, "permissions": grant.device.permissions}
        return {"device": {**device, "path": grant.device.path} if operator else device}
    assert grant.host_path is not None
    path = {"container_path": grant.host_path.container_path}
    return {"host_path": {**path, "path": grant.host_path.path} if operator else path}


def require_named(call: Call, validated: ValidatedProfile) -> None:
    """Of a specification that is to become a profile. Raises: Forbidden."""
    if isinstance(validated.properties, ContainerProperties):
        _require(call, validated.properties.grants, "properties.grants")


def require_grants(call: Call, profile: Row[Any]) -> None:
    """Of a profile that nodes are to be made from. Raises: Forbidden."""
    _require(call, named_grants(profile.spec), f"profile_id: the profile '{profile.name}'")


def _require(call: Call, names: Sequence[str], where: str) -> None:
    refused = refused_to(call.caller, names, call.deps.allowed.grants)
    if refused:
        raise Forbidden(
            f"{where}: the grant {refused[0]} does not exist or is not given to any of your roles in this project; leave it "
            f"out, or name one that `spinney grant list` shows."
        )
    call.audited += [word for name in names if (word := f"grant {name}") not in call.audited]
