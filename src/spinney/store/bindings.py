"""Policies attached to clusters, and what they come to.

A policy that is attached is not removed; a cluster that goes is left by its policies first. Policies of the same priority count
in the order of their names, so that what several say is the same wherever they are attached.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from spinney.domain.action import ActionKind
from spinney.domain.placement.rules import PlacementRules
from spinney.domain.policy import Binding, HostScaling
from spinney.domain.run_schedule import JobRules
from spinney.policies import registry
from spinney.policies.attaching import Attached
from spinney.policies.base import Contribution, Toward
from spinney.policies.deletion import DeletionProperties
from spinney.policies.host_scaling import HOST_SCALING, HostScalingProperties, host_scaling
from spinney.policies.job import JOB, JobProperties, job_rules
from spinney.policies.lifecycle import LifecycleProperties
from spinney.policies.loadbalance import NAME as LOADBALANCE
from spinney.policies.merge import Names, merge
from spinney.policies.registry import ValidatedPolicy
from spinney.store import balancing, listing, telling
from spinney.store.listing import ListQuery
from spinney.store.rows import BINDINGS
from spinney.store.tables import binding as table
from spinney.store.tables import cluster, policy

#: Each row is a binding with the names of what it joins.
VIEW = (
    sa.select(
        *BINDINGS.columns,
        cluster.c.name.label("cluster_name"),
        policy.c.name.label("policy_name"),
        policy.c.type.label("policy_type"),
    )
    .join_from(table, policy, policy.c.id == table.c.policy_id)
    .join(cluster, cluster.c.id == table.c.cluster_id)
    .subquery("bound")
)
COLUMNS = tuple(str(column.key) for column in VIEW.c)
#: In which the policies of a cluster count.
_ORDER = (table.c.priority, policy.c.name, table.c.id)

#: A specification as text: interpreted once, however many clusters it is attached to.
_SPEC = sa.cast(policy.c.spec, sa.Text).label("spec")
_ENABLED = (
    sa.select(table.c.cluster_id, cluster.c.project, _SPEC)
    .join_from(table, policy, policy.c.id == table.c.policy_id)
    .join(cluster, cluster.c.id == table.c.cluster_id)
    .where(table.c.enabled.is_(True), policy.c.type.in_(registry.PLACING))
)


# --- rows -------------------------------------------------------------------------------------------------------------


def find(connection: Connection, cluster_id: str, query: ListQuery) -> Sequence[Row[Any]]:
    """The bindings of one cluster, as rows of ``VIEW``."""
    return listing.run(connection, VIEW, sa.select(VIEW).where(VIEW.c.cluster_id == cluster_id), query)


def get(connection: Connection, cluster_id: str, policy_id: str) -> Row[Any] | None:
    """A row of ``VIEW``; None: that policy is not attached."""
    return connection.execute(
        sa.select(VIEW).where(VIEW.c.cluster_id == cluster_id, VIEW.c.policy_id == policy_id)
    ).first()


def ids_of(connection: Connection, cluster_ids: Collection[str]) -> dict[str, list[str]]:
    """The ids of each cluster's bindings, in the order in which they count; clusters without any are left out."""
    found: dict[str, list[str]] = defaultdict(list)
    if cluster_ids:
        query = (
            sa.select(table.c.cluster_id, table.c.id)
            .join_from(table, policy, policy.c.id == table.c.policy_id)
            .where(table.c.cluster_id.in_(set(cluster_ids)))
        )
        for cluster_id, binding_id in connection.execute(query.order_by(*_ORDER)):
            found[cluster_id].append(binding_id)
    return found


def attached(connection: Connection, cluster_id: str) -> list[Attached]:
    """The policies of a cluster in the order in which they count."""
    query = (
        sa.select(policy.c.id, policy.c.name, _SPEC, table.c.enabled, table.c.last_op)
        .join_from(table, policy, policy.c.id == table.c.policy_id)
        .where(table.c.cluster_id == cluster_id)
        .order_by(*_ORDER)
    )
    return [
        Attached(policy_id, name, _validated(spec), enabled, last_op)
        for policy_id, name, spec, enabled, last_op in connection.execute(query)
    ]


def governed(connection: Connection, cluster_ids: Collection[str], kinds: Collection[ActionKind]) -> set[str]:
    """Those of the clusters that have an enabled policy which is asked before actions of these kinds."""
    types = [name for name, kind in registry.POLICY_TYPES.items() if kind.before_kinds & set(kinds)]
    query = (
        sa.select(table.c.cluster_id)
        .join_from(table, policy, policy.c.id == table.c.policy_id)
        .where(table.c.cluster_id.in_(set(cluster_ids)), table.c.enabled.is_(True), policy.c.type.in_(types))
    )
    return set(connection.execute(query).scalars())


def lacking(connection: Connection, project: str, new: Attached) -> str | None:
    """What the policy names that the project does not have; None: nothing."""
    properties = new.policy.properties
    signing: Mapping[str, str] = {}
    if isinstance(properties, DeletionProperties) and properties.hook:
        signing = {"hooks": properties.hook.params.secret}
    elif isinstance(properties, LifecycleProperties):
        signing = properties.secrets
    for at, word in signing.items():
        if word and telling.named_secret(connection, project, word) is None:
            return f"policy '{new.name}' cannot be attached: {telling.no_secret(word, at)}"
    return None


def stamp(connection: Connection, cluster_id: str, policy_ids: Collection[str], now: float) -> None:
    """Note the moment as the last operation of these policies on the cluster."""
    ours = (table.c.cluster_id == cluster_id) & table.c.policy_id.in_(list(policy_ids))
    connection.execute(table.update().where(ours).values(last_op=now))


def attach(connection: Connection, cluster_id: str, new: Attached, binding_id: str) -> None:
    priority = new.policy.kind.priority
    bound = Binding(
        id=binding_id,
        cluster_id=cluster_id,
        policy_id=new.policy_id,
        enabled=new.enabled,
        priority=priority,
        data=new.data,
    )
    BINDINGS.insert(connection, [bound])
    if new.policy.kind.name == LOADBALANCE:
        balancing.begin(connection, binding_id, cluster_id, new.policy_id)


def enable(connection: Connection, cluster_id: str, policy_id: str, enabled: bool) -> None:
    connection.execute(
        table.update().where(table.c.cluster_id == cluster_id, table.c.policy_id == policy_id).values(enabled=enabled)
    )


def detach(connection: Connection, cluster_id: str, policy_id: str | None = None) -> None:
    """Without ``policy_id``: all of them."""
    one = [] if policy_id is None else [table.c.policy_id == policy_id]
    connection.execute(table.delete().where(table.c.cluster_id == cluster_id, *one))
    balancing.end(connection, cluster_id, policy_id)


# --- what they come to ------------------------------------------------------------------------------------------------

#: What the policies of one cluster ask for, in ascending priority.
Wishes = Sequence[Contribution]


def rules_for(connection: Connection, cluster_ids: Collection[str]) -> dict[str, PlacementRules]:
    """What the enabled policies of each cluster ask of placement; clusters that have none are left out.

    One statement for all clusters, and one more for each kind of name (clusters, groups) that their affinities use: names are
    read anew each time, so that a rule also holds towards clusters that come later.
    """
    wishes: dict[str, list[Contribution]] = defaultdict(list)
    projects: dict[str, str] = {}
    found = _ENABLED.where(table.c.cluster_id.in_(set(cluster_ids)))
    for cluster_id, project, spec in connection.execute(found.order_by(*_ORDER)):
        wishes[cluster_id].append(_contribution(spec))
        projects[cluster_id] = project
    names = _names(connection, {cluster_id: _towards(found) for cluster_id, found in wishes.items()}, projects)
    return {
        cluster_id: merge(found, cluster_id, names[projects[cluster_id]], projects[cluster_id])
        for cluster_id, found in wishes.items()
    }


def unknown_clusters(connection: Connection, project: str, asked: Contribution) -> list[str]:
    """The names in affinities that no cluster of the project bears yet."""
    words = {toward.cluster for toward in asked.toward if toward.cluster is not None}
    return sorted(words - _clusters(connection, {project: words})[project].keys())


def host_scaling_for(connection: Connection, cluster_ids: Collection[str]) -> dict[str, HostScaling]:
    """How far host clusters may be grown and shrunk; those without an enabled policy for it are left out."""
    query = (
        sa.select(table.c.cluster_id, _SPEC)
        .join_from(table, policy, policy.c.id == table.c.policy_id)
        .where(
            table.c.cluster_id.in_(set(cluster_ids)),
            table.c.enabled.is_(True),
            policy.c.type == HOST_SCALING.name_version,
        )
    )
    found = {}
    for cluster_id, spec in connection.execute(query):
        properties = _validated(spec).properties
        assert isinstance(properties, HostScalingProperties)
        found[cluster_id] = host_scaling(properties)
    return found


@dataclass(frozen=True, slots=True)
class JobBinding:
    """A job policy attached to a cluster. ``looked_at``: up to which moment it was seen to what was due; None: never."""

    cluster_id: str
    policy_id: str
    enabled: bool
    looked_at: float | None
    rules: JobRules


def jobs(connection: Connection, *where: sa.ColumnElement[bool]) -> list[JobBinding]:
    """Of all clusters, unless ``where`` (about bindings) says which."""
    query = (
        sa.select(table.c.cluster_id, table.c.policy_id, table.c.enabled, table.c.last_op, _SPEC)
        .join_from(table, policy, policy.c.id == table.c.policy_id)
        .where(policy.c.type == JOB.name_version, *where)
    )
    return [
        JobBinding(row.cluster_id, row.policy_id, row.enabled, row.last_op, _job_rules(row.spec))
        for row in connection.execute(query)
    ]


def job_of(connection: Connection, cluster_id: str) -> JobBinding | None:
    """None: the cluster has no such policy."""
    return next(iter(jobs(connection, table.c.cluster_id == cluster_id)), None)


@lru_cache(maxsize=4096)
def _job_rules(spec: str) -> JobRules:
    properties = _validated(spec).properties
    assert isinstance(properties, JobProperties)
    return job_rules(properties)


@lru_cache(maxsize=4096)
def _validated(spec: str) -> ValidatedPolicy:
    return registry.validate_spec(json.loads(spec))


@lru_cache(maxsize=4096)
def _contribution(spec: str) -> Contribution:
    made = _validated(spec).contribution()
    assert made is not None, "only types that place are asked for"
    return made


def _towards(wishes: Wishes) -> list[Toward]:
    return [toward for one in wishes for toward in one.toward]


def _names(
    connection: Connection, towards: Mapping[str, Sequence[Toward]], projects: Mapping[str, str]
) -> dict[str, Names]:
    """By project: what the names stand for that its clusters use."""
    words: dict[str, set[str]] = defaultdict(set)
    grouped: set[str] = set()
    for cluster_id, found in towards.items():
        words[projects[cluster_id]] |= {toward.cluster for toward in found if toward.cluster is not None}
        if any(toward.group is not None for toward in found):
            grouped.add(projects[cluster_id])
    clusters = _clusters(connection, words)
    groups = _groups(connection, grouped)
    return {project: Names(clusters[project], groups[project]) for project in set(projects.values())}


def _clusters(connection: Connection, words: Mapping[str, set[str]]) -> dict[str, dict[str, list[str]]]:
    """By project and word: the clusters of that name or id."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    wanted = set().union(*words.values())
    if wanted:
        c = cluster.c
        named = sa.or_(c.name.in_(wanted), c.id.in_(wanted))
        query = sa.select(c.id, c.name, c.project).where(c.project.in_(words), named).order_by(c.id)
        for cluster_id, name, project in connection.execute(query):
            for word in {cluster_id, name} & words[project]:
                found[project][word].append(cluster_id)
    return found


def _groups(connection: Connection, projects: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """By project and group: the clusters whose enabled policies name it."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    wanted = set(projects)
    if wanted:
        query = _ENABLED.where(cluster.c.project.in_(wanted)).order_by(table.c.cluster_id)
        for cluster_id, project, spec in connection.execute(query):
            for toward in _contribution(spec).toward:
                if toward.group is not None and cluster_id not in found[project][toward.group]:
                    found[project][toward.group].append(cluster_id)
    return found
