"""Policies attached to clusters, and what they come to."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.placement.rules import PlacementRules
from spinney.policies import registry
from spinney.policies.base import Contribution, Toward
from spinney.policies.merge import Names, merge
from spinney.store.tables import binding as table
from spinney.store.tables import cluster, policy

#: A specification as text: interpreted once, however many clusters it is attached to.
_SPEC = sa.cast(policy.c.spec, sa.Text).label("spec")
_ENABLED = (
    sa.select(table.c.cluster_id, cluster.c.project, _SPEC)
    .join_from(table, policy, policy.c.id == table.c.policy_id)
    .join(cluster, cluster.c.id == table.c.cluster_id)
    .where(table.c.enabled.is_(True), policy.c.type.in_(registry.PLACING))
)

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
    for cluster_id, project, spec in connection.execute(found.order_by(table.c.priority, table.c.id)):
        wishes[cluster_id].append(_contribution(spec))
        projects[cluster_id] = project
    names = _names(connection, {cluster_id: _towards(found) for cluster_id, found in wishes.items()}, projects)
    return {cluster_id: merge(found, cluster_id, names[projects[cluster_id]]) for cluster_id, found in wishes.items()}


@lru_cache(maxsize=4096)
def _contribution(spec: str) -> Contribution:
    made = registry.validate_spec(json.loads(spec)).contribution()
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
