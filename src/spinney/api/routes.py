"""The route table: everything the API answers to.

Dispatch, access rules, the OpenAPI document, the tests' access matrix and the reference pages are all made from it. Paths are
below ``/v1``. Version discovery is not in it: it is answered before authentication.
"""

from __future__ import annotations

from functools import lru_cache

from spinney.api import (
    actions,
    adopting,
    bindings,
    cluster_actions,
    clusters,
    events,
    host_actions,
    hosts,
    insight,
    logs,
    node_actions,
    nodes,
    openapi,
    own_routes,
    placement,
    planning,
    policies,
    profile_types,
    profiles,
    system,
)
from spinney.api.wire import Body, Reply, Route, json_reply

_ANY = Body()
_FORCE = Body(required=False)

_SYSTEM = (
    Route("GET", "build-info", system.build_info, "build_info:build_info", "Revisions of the service"),
    Route("GET", "services", system.services, "services:index", "The engine processes"),
)

_TYPES = (
    Route("GET", "profile-types", profile_types.index, "profile_types:index", "What nodes can be made from"),
    Route(
        "GET",
        "profile-types/{type}",
        profile_types.get,
        "profile_types:get",
        "A profile type's schema",
        refusals=(404,),
    ),
    Route(
        "GET",
        "profile-types/{type}/ops",
        profile_types.operations,
        "profile_types:ops",
        "Operations of a profile type's nodes",
        since=4,
    ),
    Route("GET", "policy-types", policies.types, "policy_types:index", "What policies there can be"),
    Route(
        "GET", "policy-types/{type}", policies.get_type, "policy_types:get", "A policy type's schema", refusals=(404,)
    ),
)

_PROFILES = (
    Route("GET", "profiles", profiles.index, "profiles:index", "List profiles", list=profiles.LIST),
    Route(
        "POST",
        "profiles",
        profiles.create,
        "profiles:create",
        "Create a profile",
        201,
        Body(profiles.ProfileCreate, "profile"),
        refusals=(404,),
    ),
    Route(
        "POST",
        "profiles/validate",
        profiles.validate,
        "profiles:validate",
        "Check a specification without storing it",
        body=Body(profiles.ProfileValidate, "profile"),
        since=2,
        refusals=(404,),
    ),
    Route("GET", "profiles/{profile}", profiles.get, "profiles:get", "Show a profile", refusals=(404,)),
    Route(
        "PATCH",
        "profiles/{profile}",
        profiles.update,
        "profiles:update",
        "Change a profile's name or metadata",
        body=Body(profiles.ProfileUpdate, "profile"),
        refusals=(404,),
    ),
    Route(
        "DELETE", "profiles/{profile}", profiles.delete, "profiles:delete", "Delete a profile", 204, refusals=(404, 409)
    ),
)

_POLICIES = (
    Route("GET", "policies", policies.index, "policies:index", "List policies", list=policies.POLICIES),
    Route(
        "POST",
        "policies",
        policies.create,
        "policies:create",
        "Create a policy",
        201,
        Body(policies.PolicyCreate, "policy"),
        refusals=(404,),
    ),
    Route(
        "POST",
        "policies/validate",
        policies.validate,
        "policies:validate",
        "Check a policy's specification",
        body=Body(policies.PolicyValidate, "policy"),
        since=2,
        refusals=(404,),
    ),
    Route("GET", "policies/{policy}", policies.get, "policies:get", "Show a policy", refusals=(404,)),
    Route(
        "PATCH",
        "policies/{policy}",
        policies.update,
        "policies:update",
        "Change a policy's name",
        body=Body(policies.PolicyUpdate, "policy"),
        refusals=(404,),
    ),
    Route(
        "DELETE", "policies/{policy}", policies.delete, "policies:delete", "Delete a policy", 204, refusals=(404, 409)
    ),
    Route("GET", "receivers", policies.receivers, "receivers:index", "List receivers", list=policies.RECEIVERS),
    Route("GET", "receivers/{receiver}", policies.receiver, "receivers:get", "Show a receiver", refusals=(404,)),
)

_CLUSTERS = (
    Route("GET", "clusters", clusters.index, "clusters:index", "List clusters", list=clusters.LIST),
    Route(
        "POST",
        "clusters",
        clusters.create,
        "clusters:create",
        "Create a cluster",
        202,
        Body(clusters.ClusterCreate, "cluster"),
    ),
    Route("GET", "clusters/{cluster}", clusters.get, "clusters:get", "Show a cluster", refusals=(404,)),
    Route(
        "PATCH",
        "clusters/{cluster}",
        clusters.update,
        "clusters:update",
        "Change a cluster",
        202,
        Body(clusters.ClusterUpdate, "cluster"),
        refusals=(404, 409),
    ),
    Route(
        "DELETE",
        "clusters/{cluster}",
        clusters.delete,
        "clusters:delete",
        "Delete a cluster and its nodes",
        202,
        _FORCE,
        parameters=("force",),
        refusals=(404, 409),
    ),
    Route(
        "POST",
        "clusters/{cluster}/actions",
        cluster_actions.act,
        "clusters:action",
        "Scale, resize, check or recover a cluster, or change its members or policies",
        202,
        _ANY,
        refusals=(404, 409),
    ),
    Route(
        "POST",
        "clusters/{cluster}/ops",
        cluster_actions.operate,
        "clusters:operation",
        "Do an operation of the profile type on members",
        202,
        _ANY,
        since=4,
        refusals=(404, 409),
    ),
    Route(
        "GET",
        "clusters/{cluster}/attrs/{path}",
        insight.attributes,
        "clusters:collect",
        "One value of each member",
        since=2,
        refusals=(404,),
    ),
    Route(
        "GET",
        "clusters/{cluster}/policies",
        bindings.index,
        "cluster_policies:index",
        "List the policies attached to a cluster",
        list=bindings.LIST,
        refusals=(404,),
    ),
    Route(
        "GET",
        "clusters/{cluster}/policies/{policy}",
        bindings.get,
        "cluster_policies:get",
        "Show a policy attached to a cluster",
        refusals=(404,),
    ),
)

_NODES = (
    Route("GET", "nodes", nodes.index, "nodes:index", "List nodes", list=nodes.LIST),
    Route("POST", "nodes", nodes.create, "nodes:create", "Create a node", 202, Body(nodes.NodeCreate, "node")),
    Route(
        "POST",
        "nodes/adopt",
        adopting.adopt,
        "nodes:adopt",
        "Make a node of something that exists",
        body=Body(adopting.NodeAdopt),
        since=7,
        refusals=(409,),
    ),
    Route(
        "POST",
        "nodes/adopt-preview",
        adopting.preview,
        "nodes:adopt_preview",
        "Show what adopting would make",
        body=Body(adopting.NodePreview),
        since=7,
    ),
    Route("GET", "nodes/{node}", nodes.get, "nodes:get", "Show a node", parameters=("show_details",), refusals=(404,)),
    Route(
        "PATCH",
        "nodes/{node}",
        nodes.update,
        "nodes:update",
        "Change a node",
        202,
        Body(nodes.NodeUpdate, "node"),
        refusals=(404, 409),
    ),
    Route(
        "DELETE",
        "nodes/{node}",
        nodes.delete,
        "nodes:delete",
        "Delete a node",
        202,
        _FORCE,
        parameters=("force",),
        refusals=(404, 409),
    ),
    Route(
        "POST",
        "nodes/{node}/actions",
        node_actions.act,
        "nodes:action",
        "Check or recover a node",
        202,
        _ANY,
        refusals=(404, 409),
    ),
    Route(
        "POST",
        "nodes/{node}/ops",
        node_actions.operate,
        "nodes:operation",
        "Do an operation of the profile type",
        202,
        _ANY,
        since=4,
        refusals=(404, 409),
    ),
)

_HISTORY = (
    Route("GET", "actions", actions.index, "actions:index", "List actions", list=actions.LIST),
    Route("POST", "actions", actions.create, "actions:create", "Refused: actions are made by what they are about", 202),
    Route("GET", "actions/{action}", actions.get, "actions:get", "Show an action", refusals=(404,)),
    Route(
        "PATCH",
        "actions/{action}",
        actions.update,
        "actions:update",
        "Cancel an action",
        202,
        Body(actions.ActionUpdate, "action"),
        parameters=("force",),
        since=12,
        refusals=(404, 409),
    ),
    Route("GET", "events", events.index, "events:index", "List events", list=events.LIST),
    Route("GET", "events/{event}", events.get, "events:get", "Show an event", refusals=(404,)),
)


@lru_cache(maxsize=1)
def _description() -> Reply:
    return json_reply(openapi.document(ROUTES))


async def _openapi(call: object) -> Reply:
    return _description()


_OURS = (
    Route("GET", "hosts", hosts.index, "hosts:index", "List hosts", list=hosts.LIST, ours=True),
    Route("GET", "hosts/{host}", hosts.get, "hosts:get", "Show a host", ours=True, refusals=(404,)),
    Route(
        "POST",
        "hosts/{host}/actions",
        host_actions.act,
        "hosts:action",
        "Cordon, open, drain or remove a host",
        202,
        _ANY,
        ours=True,
        refusals=(404, 409),
    ),
    Route(
        "POST",
        "clusters/{cluster}/plan",
        planning.plan,
        "clusters:plan",
        "What an action would do, without doing it",
        body=_ANY,
        ours=True,
        refusals=(404,),
    ),
    Route(
        "GET",
        "nodes/{node}/logs",
        logs.of_node,
        "nodes:logs",
        "What a container wrote",
        parameters=logs.PARAMETERS,
        ours=True,
        media_type="text/plain",
        refusals=(404, 409, 503),
    ),
    Route(
        "GET",
        "clusters/{cluster}/logs",
        logs.of_cluster,
        "clusters:logs",
        "What the containers of a cluster wrote",
        parameters=logs.PARAMETERS,
        ours=True,
        media_type="application/x-ndjson",
        refusals=(404,),
    ),
    Route(
        "GET",
        "nodes/{node}/stats",
        insight.node_stats,
        "nodes:stats",
        "What a container uses",
        ours=True,
        refusals=(404, 409, 503),
    ),
    Route(
        "GET",
        "clusters/{cluster}/stats",
        insight.cluster_stats,
        "clusters:stats",
        "What the containers of a cluster use",
        ours=True,
        refusals=(404,),
    ),
    Route(
        "GET",
        "nodes/{node}/placement",
        placement.get,
        "nodes:placement",
        "Where a container is, and why",
        ours=True,
        refusals=(404,),
    ),
    Route("GET", "openapi.json", _openapi, "api:openapi", "This description", ours=True),
)

_SENLINS = _SYSTEM + _TYPES + _PROFILES + _POLICIES + _CLUSTERS + _NODES + _HISTORY
ROUTES: tuple[Route, ...] = _SENLINS + _OURS + own_routes.SHARES + own_routes.CREDENTIALS
