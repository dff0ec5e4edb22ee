"""A whole Compose file, turned into what is to be there: one profile and one cluster for each service.

Guaranteed: either everything of the file has a meaning here, or all its faults are told, each with file, line and path, and
nothing else comes out; equal files and variables give equal deployments. Not guaranteed: that what is named (images, host
clusters, secrets, policies) exists.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spinney.cli.compose import secrets, tree, updating, values, variables
from spinney.cli.compose.checking import check_policy, check_profile
from spinney.cli.compose.draft import Draft
from spinney.cli.compose.keys import EXTENSION, OURS, Context, Key, Keys, Need, Reading, SecretSource, refusal
from spinney.cli.compose.places import Faults, Part, Spot, Table, Unfit
from spinney.cli.compose.refusals import TOP_REFUSALS
from spinney.cli.compose.service import SERVICE, read_service
from spinney.policies.registry import policy_type

PROFILE_TYPE = {"type": "container.dockerinc.docker", "version": "1.0"}
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")
_PROJECT_SAYS = "lower case letters, digits, - and _, beginning with a letter or digit"
_SERVICE = re.compile(r"[a-zA-Z0-9._-]{1,100}")
TOP = Keys(
    "",
    {
        "version": Key(None, "", "Obsolete in Compose itself, and without effect there too."),
        "name": Key(
            None,
            "the project's name",
            "`--project-name` and the variable `COMPOSE_PROJECT_NAME` count more; left out: the folder's name.",
        ),
        "services": Key(None, "a profile and a cluster each"),
        "secrets": Key(None, "secrets of your project", "Only such as are there already."),
        "x-spinney-host-cluster": Key(
            None, "`host_cluster`", "For services that name no hosts themselves; `--host-cluster` counts more."
        ),
    },
    TOP_REFUSALS,
    (SERVICE, secrets.SOURCE),
)
#: Of each kind of policy that comes from a service's keys: its type, and what it says where the keys do not.
_POLICIES: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "placement": ("spinney.policy.placement", "1.0", {}),
    "batch": ("senlin.policy.batch", "1.0", updating.BATCH),
    "update": ("spinney.policy.update", "1.0", updating.UPDATE),
}


@dataclass(frozen=True, slots=True)
class OwnPolicy:
    """A policy that the deployment makes. ``kind`` tells it from others of its service."""

    kind: str
    spec: Mapping[str, Any]
    at: Spot


@dataclass(frozen=True, slots=True)
class Wanted:
    """One service. ``replicas``, ``min_size``, ``max_size``: None where the file does not say."""

    service: str
    at: Spot
    spec: Mapping[str, Any]
    replicas: int | None
    min_size: int | None
    max_size: int | None
    config: Mapping[str, Any]
    labels: Mapping[str, Any]
    named_policies: tuple[tuple[str, Spot], ...]
    own_policies: tuple[OwnPolicy, ...]
    needs: tuple[Need, ...]
    #: Where each property of the profile comes from.
    draft: Draft

    def origin(self, path: Sequence[str | int]) -> Spot:
        return self.draft.at(("profile", *path)) or self.at


@dataclass(frozen=True, slots=True)
class Deployment:
    """``services`` in an order in which none comes before one that it needs; ``left_out``: switched off by their profiles."""

    project: str
    services: tuple[Wanted, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def levels(self) -> list[list[Wanted]]:
        """The services in steps: each step needs those before it alone."""
        depth: dict[str, int] = {}
        for one in self.services:
            depth[one.service] = 1 + max(
                (depth[need.service] for need in one.needs if need.service in depth), default=-1
            )
        return [[one for one in self.services if depth[one.service] == level] for level in sorted(set(depth.values()))]


class Unusable(Exception):
    """``lines``: everything that is wrong with the file."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def read(text: str, file: str, context: Context) -> Deployment:
    """Raises: Unusable."""
    faults = Faults()
    try:
        root = tree.parse(text, file, variables.substitution(context.variables, faults), faults)
        if root is None:
            raise Unfit(Spot(file, 1), "there is nothing in the file: it needs services")
        found = _whole(values.table(root), context, faults)
    except Unfit as unfit:
        faults.add(unfit.at, unfit.says)
        found = None
    if faults.found or found is None:
        raise Unusable(faults.lines())
    return found


def short_hash(spec: Mapping[str, Any]) -> str:
    """Unlike for unlike specifications, and short enough for a name."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:8]


def _whole(root: Table, context: Context, faults: Faults) -> Deployment | None:
    entries = root.entries
    for name, part in entries.items():
        if name.startswith(EXTENSION) and not name.startswith(OURS):
            continue
        if name not in TOP.known:
            faults.add(part.at, refusal(name, TOP))
    project = ""
    with faults.caught():
        project = _project(entries.get("name"), context, root.at)
    host_cluster = context.host_cluster
    known: dict[str, SecretSource | None] = {}
    with faults.caught():
        if host_cluster is None and "x-spinney-host-cluster" in entries:
            host_cluster = values.text(entries["x-spinney-host-cluster"])
        if "secrets" in entries:
            known = secrets.sources(entries["secrets"], faults)
    if "services" not in entries:
        raise Unfit(root.at, "services is missing: a file needs at least one service")
    services: dict[str, Reading] = {}
    places: dict[str, Spot] = {}
    given = values.table(entries["services"]).entries
    if not given:
        raise Unfit(entries["services"].at, "there is no service: a file needs at least one")
    for name, part in given.items():
        with faults.caught():
            if not _SERVICE.fullmatch(name):
                raise Unfit(part.at, f"{name!r} is no name of a service: letters, digits, '.', '_' and '-'")
            reading = Reading(context, faults, Draft(faults), known)
            read_service(values.table(part), reading)
            services[name], places[name] = reading, part.at
    chosen = {name: one for name, one in services.items() if _switched_on(one, context)}
    order = _ordered(chosen, services, faults)
    built = [_wanted(name, places[name], chosen[name], host_cluster, faults) for name in order]
    left_out = tuple(name for name in services if name not in chosen)
    return Deployment(project, tuple(built), left_out, tuple(faults.noted()))


def _project(part: Part | None, context: Context, at: Spot) -> str:
    """From the command, the variable, the file, or the folder, in this order."""
    given = context.project or context.variables.get("COMPOSE_PROJECT_NAME")
    if not given and part is not None:
        given, at = values.text(part), part.at
    if given:
        if not _PROJECT.fullmatch(given) or len(given) > 100:
            raise Unfit(at, f"{given!r} is no name of a project: {_PROJECT_SAYS}")
        return given
    usual = re.sub(r"[^a-z0-9_-]", "", context.folder.name.lower()).lstrip("_-")
    if not usual:
        raise Unfit(at, "the project has no name: add name, or --project-name")
    return usual[:100]


def _switched_on(reading: Reading, context: Context) -> bool:
    return not reading.profiles or "*" in context.profiles or not context.profiles.isdisjoint(reading.profiles)


def _ordered(chosen: Mapping[str, Reading], services: Mapping[str, Reading], faults: Faults) -> list[str]:
    """Names so that each comes after those it needs, else as in the file."""
    for one in chosen.values():
        for need in one.needs:
            if need.service not in services and need.required:
                faults.add(
                    need.at, f"there is no service {need.service!r}: name one of the file, or say required: false"
                )
            elif need.service in services and need.service not in chosen and need.required:
                faults.add(
                    need.at,
                    f"{need.service} is left out by its profiles: switch one on with --profile, or say required: false",
                )
    order: list[str] = []
    left = dict(chosen)
    while left:
        free = [name for name, one in left.items() if not any(need.service in left for need in one.needs)]
        if not free:
            first = next(iter(left.values())).needs[0]
            faults.add(first.at, f"{', '.join(left)} need each other in a circle: leave one of the needs out")
            return [*order, *left]
        order += free
        left = {name: one for name, one in left.items() if name not in free}
    return order


def _wanted(name: str, at: Spot, reading: Reading, host_cluster: str | None, faults: Faults) -> Wanted:
    draft = reading.draft
    if not draft.has(("profile", "host_cluster")) and not draft.has(("profile", "host_node")):
        if host_cluster is None:
            faults.add(
                at,
                "nothing says where it runs: add x-spinney-host-cluster here or at the top of the file, or --host-cluster NAME",
            )
            host_cluster = "-"
        draft.put(("profile", "host_cluster"), host_cluster, at)
    if not draft.has(("profile", "image")):
        faults.add(at, "image is missing: name the image to run")
        draft.put(("profile", "image"), "missing", at)  # a fit one, so that nothing more is said of it
    properties = check_profile(draft, at, faults)
    cluster = draft.value(("cluster",)) or {}
    own = [one for kind in _POLICIES if (one := _own_policy(kind, draft, at, faults)) is not None]
    for index in range(reading.inline):
        path = ("policies", index)
        spec = draft.value(path)
        where = draft.at(path) or at
        if check_policy(draft, (*path, "properties"), spec, where, faults):
            own.append(OwnPolicy(str(spec["type"]).rpartition(".")[2], spec, where))
    _refuse_twins(own, faults)
    return Wanted(
        service=name,
        at=at,
        spec={**PROFILE_TYPE, "properties": properties},
        replicas=cluster.get("desired_capacity"),
        min_size=cluster.get("min_size"),
        max_size=cluster.get("max_size"),
        config=cluster.get("config", {}),
        labels=cluster.get("metadata", {}),
        named_policies=tuple(reading.policies),
        own_policies=tuple(own),
        needs=tuple(reading.needs),
        draft=draft,
    )


def _own_policy(kind: str, draft: Draft, at: Spot, faults: Faults) -> OwnPolicy | None:
    given = draft.value((kind,))
    if given is None:
        return None
    name, version, usual = _POLICIES[kind]
    spec = {"type": name, "version": version, "properties": {**usual, **given}}
    where = draft.at((kind,)) or at
    return OwnPolicy(kind, spec, where) if check_policy(draft, (kind,), spec, where, faults) else None


def _refuse_twins(own: Sequence[OwnPolicy], faults: Faults) -> None:
    """A cluster has one policy of most types."""
    seen: dict[str, OwnPolicy] = {}
    for one in own:
        kind = policy_type(f"{one.spec['type']}-{one.spec['version']}")
        other = seen.setdefault(kind.name_version, one)
        if kind.singleton and other is not one:
            faults.add(
                one.at,
                f"a cluster has one policy of type {kind.name}, and {other.at.path} in line {other.at.line} is one",
            )
