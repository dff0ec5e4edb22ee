"""What of a deployment is there: its clusters, profiles and policies, as the service shows them at one look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spinney.cli import looking
from spinney.cli.compose.places import Faults
from spinney.cli.compose.whole import Deployment, Unusable
from spinney.cli.deploy import marks
from spinney.cli.faults import CliError
from spinney.cli.transport import Service

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster of the deployment; ``spec``: of its profile; ``policies``: ids of those attached to it."""

    service: str
    id: str
    name: str
    status: str
    reason: str
    desired: int
    min_size: int
    max_size: int
    profile_id: str
    spec: Mapping[str, Any]
    config: Mapping[str, Any]
    metadata: Mapping[str, Any]
    policies: tuple[str, ...]

    @property
    def named_policies(self) -> tuple[str, ...]:
        """Ids of those that an earlier file named."""
        found = self.metadata.get(marks.MARK)
        return tuple(found.get("policies") or ()) if isinstance(found, Mapping) else ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A profile or a policy of the deployment."""

    service: str
    id: str
    name: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Present:
    project: str
    running: Mapping[str, Running]
    profiles: tuple[Kept, ...] = ()
    policies: tuple[Kept, ...] = ()
    #: Names of policies by id: those of the deployment and those that the file names.
    names: Mapping[str, str] = field(default_factory=dict)
    #: What the file calls policies, to their ids.
    named: Mapping[str, str] = field(default_factory=dict)


def look(service: Service, project: str, deployment: Deployment | None) -> Present:
    """Raises: CliError, Unusable where the file names policies that there are not."""
    profiles = [row for row in _all(service, "profiles") if marks.service_of(row["metadata"], project) is not None]
    specs = {row["id"]: row["spec"] for row in profiles}
    running: dict[str, Running] = {}
    wanted_names = {marks.cluster_name(project, one.service) for one in deployment.services} if deployment else set()
    for row in _all(service, "clusters"):
        name = marks.service_of(row["metadata"], project)
        if name is None:
            if row["name"] in wanted_names:
                raise CliError(
                    f"there is a cluster {row['name']} ({row['id'][:8]}) that this deployment did not make: rename or "
                    "delete it, or give the deployment another name with --project-name"
                )
            continue
        if name in running:
            raise CliError(
                f"{running[name].name} ({running[name].id[:8]}) and {row['name']} ({row['id'][:8]}) are both marked as "
                f"service {name} of {project}: delete one of them, as with `spinney cluster delete {row['id'][:8]}`"
            )
        running[name] = _running(service, name, row, specs)
    policies = _policies(
        service, project, {*running, *(one.service for one in (deployment.services if deployment else ()))}
    )
    named, names = _named(service, deployment)
    names |= {one.id: one.name for one in policies}
    kept = tuple(
        Kept(str(marks.service_of(row["metadata"], project)), row["id"], row["name"], row["spec"]) for row in profiles
    )
    return Present(project, running, kept, policies, names, named)


def _running(service: Service, name: str, row: Mapping[str, Any], specs: Mapping[str, Any]) -> Running:
    spec = specs.get(row["profile_id"])
    if spec is None:  # somebody gave it a profile that is none of ours
        found = looking.found(service, "profiles", row["profile_id"])
        spec = {} if found is None else found["spec"]
    bound = service.get("clusters", row["id"], "policies")["cluster_policies"] if row["policies"] else ()
    return Running(
        service=name,
        id=row["id"],
        name=row["name"],
        status=row["status"],
        reason=row["status_reason"] or "",
        desired=row["desired_capacity"],
        min_size=row["min_size"],
        max_size=row["max_size"],
        profile_id=row["profile_id"],
        spec=spec,
        config=row["config"] or {},
        metadata=row["metadata"] or {},
        policies=tuple(one["policy_id"] for one in bound),
    )


def _policies(service: Service, project: str, services: set[str]) -> tuple[Kept, ...]:
    return tuple(
        Kept(name, row["id"], row["name"], row["spec"])
        for row in _all(service, "policies")
        for name in services
        if marks.made_for(row["spec"], project, name)
    )


def _named(service: Service, deployment: Deployment | None) -> tuple[dict[str, str], dict[str, str]]:
    """Ids by what the file says, and names by id."""
    faults, named, names = Faults(), {}, {}
    for one in deployment.services if deployment else ():
        for word, at in one.named_policies:
            found = looking.found(service, "policies", word)
            if found is None:
                faults.add(at, f"there is no policy {word!r}: make it with `spinney policy create`, or name another")
            else:
                named[word], names[found["id"]] = found["id"], found["name"]
    if faults.found:
        raise Unusable(faults.lines())
    return named, names


def _all(service: Service, path: str) -> Iterator[Mapping[str, Any]]:
    """Every object of the project, a page at a time."""
    marker: dict[str, str] = {}
    while True:
        rows = service.get(path, query={"limit": str(_PAGE), **marker})[path]
        yield from rows
        if len(rows) < _PAGE:
            return
        marker = {"marker": rows[-1]["id"]}
