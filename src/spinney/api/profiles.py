"""Profiles: the specifications nodes are made from.

A container profile is stored with the ids of what it names as host (its *pins*); from then on neither a change of names nor
a deletion can make it mean something else.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.grants import require_named
from spinney.api.image_rules import require_allowed
from spinney.api.reading import read_list
from spinney.api.secret_uses import resolve_secrets
from spinney.api.values import Name, Object, Request
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain.profile import Profile
from spinney.errors import BadRequest, MultipleChoices
from spinney.profiles import hosts, registry
from spinney.profiles.container_request import set_aside
from spinney.profiles.docker_host import DOCKER_HOST, DockerHostProperties
from spinney.profiles.hosts import ClusterFacts, NodeFacts
from spinney.profiles.registry import ValidatedProfile
from spinney.store import clusters, listing, nodes, profiles, secrets, shares, tables
from spinney.store.identity import Finder, Scope

LIST = ListSpec(
    {"name": Filter("name"), "type": Filter("type")}, ("type", "name", "created_at", "updated_at"), "created_at"
)


class ProfileCreate(Request):
    name: Name
    spec: Object = Field(description="type, version and properties, as the profile type has them.")
    metadata: Object | None = None


class ProfileValidate(Request):
    spec: Object = Field(description="As for creating one.")


class ProfileUpdate(Request):
    name: Name | None = None
    metadata: Object | None = Field(None, description="Stands in for what was there.")


async def create(call: Call) -> Reply:
    data = call.data(ProfileCreate)
    validated = registry.validate_spec(data.spec)
    require_operator(call, validated.name_version)
    check_credentials(call, validated)
    cpu, memory = set_aside(validated.properties, call.deps.allowed.containers)
    profile = Profile(
        id=call.deps.ids.new(),
        name=data.name,
        type=validated.name_version,
        spec=data.spec,
        metadata=data.metadata or {},
        user=call.owner.user,
        project=call.owner.project,
        domain=call.owner.domain,
        created_at=call.now,
        cpu=cpu,
        memory=memory,
    )
    await call.deps.store.transact(_create, call, profile, validated)
    return json_reply({"profile": views.new_profile(profile)}, 201)


def _create(connection: Connection, call: Call, profile: Profile, validated: ValidatedProfile) -> None:
    require_named(call, validated)
    require_allowed(connection, call, profile.project, validated)
    profiles.insert(connection, profile, resolve_hosts(connection, call.own_scope, validated))
    secrets.use(connection, profile.id, resolve_secrets(connection, profile.project, validated))


async def validate(call: Call) -> Reply:
    data = call.data(ProfileValidate)
    validated = registry.validate_spec(data.spec)
    require_operator(call, validated.name_version)
    check_credentials(call, validated)
    await call.deps.store.read(_resolve, call, validated)
    profile = {
        "created_at": None,
        "domain": call.owner.domain,
        "id": None,
        "metadata": {},
        "name": "validated_profile",
        "project": call.owner.project,
        "spec": data.spec,
        "type": validated.name_version,
        "updated_at": None,
        "user": call.owner.user,
    }
    return json_reply({"profile": profile})


def _resolve(connection: Connection, call: Call, validated: ValidatedProfile) -> None:
    require_named(call, validated)
    require_allowed(connection, call, call.owner.project, validated)
    resolve_hosts(connection, call.own_scope, validated)
    resolve_secrets(connection, call.owner.project, validated)


async def get(call: Call) -> Reply:
    row = await call.deps.store.read(profiles.FINDER.get, call.word, call.scope)
    return json_reply({"profile": views.profile(row)})


async def index(call: Call) -> Reply:
    query = read_list(call)
    rows = await call.deps.store.read(listing.run, tables.profile, profiles.FINDER.select, query)
    return json_reply({"profiles": [views.profile(row) for row in rows]})


async def update(call: Call) -> Reply:
    row = await call.deps.store.transact(_update, call, call.data(ProfileUpdate))
    return json_reply({"profile": views.profile(row)})


def _update(connection: Connection, call: Call, data: ProfileUpdate) -> Row[Any]:
    found = profiles.FINDER.get(connection, call.word, call.scope)
    changes = {name: value for name, value in data.given().items() if value != getattr(found, name)}
    if not changes:
        raise BadRequest("Nothing would change: give a name or metadata that differs from what the profile has.")
    profiles.update(connection, found.id, {**changes, "updated_at": call.now})
    return profiles.FINDER.get(connection, found.id, call.scope)


async def delete(call: Call) -> Reply:
    await call.deps.store.transact(_delete, call)
    return Reply(204)


def _delete(connection: Connection, call: Call) -> None:
    profiles.remove(connection, profiles.FINDER.get(connection, call.word, call.scope).id)


def resolve_hosts(connection: Connection, scope: Scope, validated: ValidatedProfile) -> dict[str, str]:
    """The ids of what a container profile names, by the property that names it. Raises: InvalidSpec, MultipleChoices."""
    named = hosts.pins(validated)
    node = cluster = None
    if named.host_cluster is not None:
        cluster = _cluster_facts(connection, scope, named.host_cluster)
    if named.host_node is not None:
        node = _node_facts(connection, scope, named.host_node, cluster)
    hosts.check_hosts(named, project=scope.project, node=node, cluster=cluster)
    found = {"host_node": node, "host_cluster": cluster}
    return {kind: facts.id for kind, facts in found.items() if facts is not None}


def _node_facts(connection: Connection, scope: Scope, word: str, among: ClusterFacts | None) -> NodeFacts | None:
    """By name or id; in a cluster of others by alias or id."""
    row = _find(nodes.FINDER, connection, word, scope, "host_node")
    if row is None and among is not None and among.project != scope.project:
        row = shares.member(connection, among.id, word)
    if row is None:
        row = shares.find_node(connection, word, scope.project)
    if row is None:
        return None
    home = clusters.FINDER.by_id(connection, row.cluster_id) if row.cluster_id else None
    cluster = None if home is None else _facts_of(connection, home)
    return NodeFacts(id=row.id, profile_type=row.profile_type or "", project=row.project, cluster=cluster)


def _cluster_facts(connection: Connection, scope: Scope, word: str) -> ClusterFacts | None:
    row = _find(clusters.FINDER, connection, word, scope, "host_cluster")
    if row is None:
        row = shares.find_cluster(connection, word, scope.project)
    return None if row is None else _facts_of(connection, row)


def _facts_of(connection: Connection, row: Row[Any]) -> ClusterFacts:
    shared_with = shares.grantees(connection, [row.id])[row.id]
    return ClusterFacts(id=row.id, profile_type=row.profile_type or "", project=row.project, shared_with=shared_with)


def _find(finder: Finder, connection: Connection, word: str, scope: Scope, key: str) -> Row[Any] | None:
    try:
        return finder.find(connection, word, scope)
    except MultipleChoices as error:
        raise MultipleChoices(f"properties.{key}: {error.message}") from error


def require_hosts(connection: Connection, profile: Row[Any], project: str) -> None:
    """The project may (still) use what a container profile pins: shares come and go. Raises: BadRequest."""
    if shares.barred(connection, [(project, profile.id)]):
        raise BadRequest(
            f"profile_id: the profile '{profile.name}' names a host or host cluster that is not shared with your project "
            f"any more; make one that names another."
        )


def check_credentials(call: Call, validated: ValidatedProfile) -> None:
    """Endpoints that need a credential name one, or the deployment has one for them. Raises: InvalidSpec."""
    if isinstance(validated.properties, DockerHostProperties):
        validated.properties.check_credentials(call.deps.default_credentials)


def require_operator(call: Call, profile_type: str) -> None:
    """Docker engines that exist already are registered by operators alone. Raises: Forbidden."""
    if profile_type == DOCKER_HOST.name_version:
        call.require("hosts:register")
