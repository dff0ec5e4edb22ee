"""How the objects of a deployment are named and known again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinney.cli.compose.whole import OwnPolicy, Wanted, short_hash

MARK = "spinney.deploy"


def cluster_name(project: str, service: str) -> str:
    return f"{project}-{service}"


def profile_name(project: str, wanted: Wanted) -> str:
    return f"{cluster_name(project, wanted.service)}-{short_hash(wanted.spec)}"


def policy_name(project: str, service: str, policy: OwnPolicy) -> str:
    return f"{cluster_name(project, service)}-{policy.kind}-{short_hash(policy.spec)}"


def mark(project: str, service: str, policies: tuple[str, ...] = ()) -> dict[str, Any]:
    """``policies``: ids of those that the file names, which are taken off again when it no longer does."""
    found: dict[str, Any] = {"project": project, "service": service}
    return {MARK: {**found, "policies": sorted(policies)} if policies else found}


def service_of(metadata: Mapping[str, Any] | None, project: str) -> str | None:
    """The service that an object of the deployment is for; None: it is none of it."""
    found = (metadata or {}).get(MARK)
    if not isinstance(found, Mapping) or found.get("project") != project:
        return None
    return str(found.get("service"))


def _said(project: str, service: str) -> str:
    return f"Made by spinney deploy for {project}/{service}."


def described(project: str, service: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A policy's specification with the mark in its description, after what that says already."""
    own = spec.get("description")
    words = f"{own} {_said(project, service)}" if own else _said(project, service)
    return {**spec, "description": words}


def made_for(spec: Mapping[str, Any], project: str, service: str) -> bool:
    return str(spec.get("description") or "").endswith(_said(project, service))
