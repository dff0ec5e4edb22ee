"""What projects may have at most: showing and setting it, and refusing what would exceed it.

A project's own limits are shown to whoever may read there, those of others to admins, who alone set them. To everybody else a
project that is not the caller's is not there, whether it exists or not.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api.values import LARGEST, JsonNumber, Request
from spinney.api.wire import Call, Reply, json_reply
from spinney.domain import quota
from spinney.domain.quota import Share
from spinney.domain.schema import Kind, between, to_int
from spinney.errors import BadRequest, FeatureNotSupported, OverQuota, ResourceNotFound
from spinney.store import quotas
from spinney.store.quotas import Change

#: 2**53: what every JSON reader takes for the same number.
_LARGEST_SIZE = 9_007_199_254_740_992
_PROJECT = 64
_OWN = "-"

Most = Annotated[int, Kind("Integer", to_int), between(-1, LARGEST, "a whole number, -1 for no limit")]
MostBytes = Annotated[int, Kind("Integer", to_int), between(-1, _LARGEST_SIZE, "a number of bytes, -1 for no limit")]


class QuotaUpdate(Request):
    clusters: Most | None = None
    nodes: Most | None = None
    cpu: JsonNumber | None = Field(None, description="Cores reserved; -1: no limit.")
    memory: MostBytes | None = Field(None, description="Bytes reserved.")
    receivers: Most | None = None
    secrets: Most | None = None
    volumes: Most | None = None


async def get(call: Call) -> Reply:
    project = project_of(call, "quota")
    await call.deps.limits.renew(project)
    return json_reply({"quota": await call.deps.store.read(_show, call, project)})


def _show(connection: Connection, call: Call, project: str) -> dict[str, Any]:
    limits = quotas.of(connection, project, call.deps.allowed.limits)
    return {"project": project, **quota.shown(limits), "used": quota.shown(quotas.used(connection, project))}


async def put(call: Call) -> Reply:
    project = project_of(call, "quota")
    _require_own_keeping(call)
    limits = call.data(QuotaUpdate).given()
    if not limits:
        raise BadRequest(f"quota: nothing would change; give some of {', '.join(quota.RESOURCES)}.")
    if limits.get("cpu", 0) < 0 and limits["cpu"] != quota.UNLIMITED:
        raise BadRequest(f"quota.cpu: {limits['cpu']:g} is not allowed: a number of cores, -1 for no limit.")
    return json_reply({"quota": await call.deps.store.transact(_put, call, project, limits)})


def _put(connection: Connection, call: Call, project: str, limits: dict[str, float]) -> dict[str, Any]:
    quotas.put(connection, project, limits)
    return _show(connection, call, project)


async def delete(call: Call) -> Reply:
    project = project_of(call, "quota")
    _require_own_keeping(call)
    await call.deps.store.transact(quotas.forget, project)
    return Reply(204)


def _require_own_keeping(call: Call) -> None:
    if call.deps.limits.elsewhere:
        raise FeatureNotSupported(
            "The limits of this deployment are kept in Keystone: set them there, as with `openstack limit create`."
        )


def project_of(call: Call, what: str) -> str:
    """The project that the path names; ``-`` is the caller's own. Raises: ResourceNotFound."""
    if call.word == _OWN:
        return call.owner.project
    if (call.word != call.owner.project and not call.scope.everywhere) or not _sound(call.word):
        raise ResourceNotFound(f"The {what} '{call.word[:255]}' could not be found.")
    return call.word


def _sound(project: str) -> bool:
    return len(project) <= _PROJECT and project.isprintable() and not project.isspace()


def share_of(profile: Row[Any]) -> Share:
    """Of the row of a profile."""
    return Share(profile.cpu or 0.0, int(profile.memory or 0))


def require_growth(connection: Connection, call: Call, cluster: Row[Any], change: Change) -> None:
    """Refuse at once what the engine would refuse when it begins; it is the engine that reserves. Raises: OverQuota."""
    limits = call.deps.allowed.limits
    _refuse(quotas.growth_fault(connection, cluster.project, cluster.id, change, limits, lock=False))


def require_dearer(connection: Connection, call: Call, node: Row[Any], profile: Row[Any]) -> None:
    """The same for one node that is to be made from another profile. Raises: OverQuota."""
    _refuse(quotas.update_fault(connection, node.id, profile.id, call.deps.allowed.limits, lock=False))


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise OverQuota(f"{reason[0].upper()}{reason[1:]}.")
