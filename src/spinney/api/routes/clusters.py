"""Clusters: the rows of the route table."""

from __future__ import annotations

from spinney.api import bindings, cluster_actions, clusters, insight
from spinney.api.answers.base import Shape
from spinney.api.answers.clusters import Cluster, ClusterAttribute, ClusterPolicy, Queued, SharedCluster
from spinney.api.wire import Body, Route

ROUTES = (
    Route(
        "GET",
        "clusters",
        clusters.index,
        "clusters:index",
        "List clusters",
        list=clusters.LIST,
        answer=Shape(Cluster, "clusters", many=True),
    ),
    Route(
        "POST",
        "clusters",
        clusters.create,
        "clusters:create",
        "Create a cluster",
        202,
        Body(
            clusters.ClusterCreate,
            "cluster",
            example={
                "cluster": {"name": "site", "profile_id": "web", "min_size": 1, "max_size": 5, "desired_capacity": 2}
            },
        ),
        answer=Shape(Cluster, "cluster"),
    ),
    Route(
        "GET",
        "clusters/{cluster}",
        clusters.get,
        "clusters:get",
        "Show a cluster",
        refusals=(404,),
        answer=Shape(Cluster, "cluster", other=SharedCluster),
    ),
    Route(
        "PATCH",
        "clusters/{cluster}",
        clusters.update,
        "clusters:update",
        "Change a cluster",
        202,
        Body(clusters.ClusterUpdate, "cluster", example={"cluster": {"metadata": {"team": "shop"}}}),
        refusals=(404, 409),
        answer=Shape(Cluster, "cluster"),
    ),
    Route(
        "DELETE",
        "clusters/{cluster}",
        clusters.delete,
        "clusters:delete",
        "Delete a cluster and its nodes",
        202,
        Body(required=False),
        parameters=("force",),
        refusals=(404, 409),
        answer=Shape(None),
    ),
    Route(
        "POST",
        "clusters/{cluster}/actions",
        cluster_actions.act,
        "clusters:action",
        "Scale, resize, check or recover a cluster, or change its members or policies",
        202,
        Body(
            choices={name: verb.model for name, verb in cluster_actions.VERBS.items()},
            example={"scale_out": {"count": 1}},
        ),
        refusals=(404, 409),
        answer=Shape(Queued),
    ),
    Route(
        "POST",
        "clusters/{cluster}/ops",
        cluster_actions.operate,
        "clusters:operation",
        "Do an operation of the profile type on members",
        202,
        Body(example={"restart": {}}),
        since=4,
        refusals=(404, 409),
        answer=Shape(Queued),
    ),
    Route(
        "GET",
        "clusters/{cluster}/attrs/{path}",
        insight.attributes,
        "clusters:collect",
        "One value of each member",
        since=2,
        refusals=(404,),
        answer=Shape(ClusterAttribute, "cluster_attributes", many=True),
    ),
    Route(
        "GET",
        "clusters/{cluster}/policies",
        bindings.index,
        "cluster_policies:index",
        "List the policies attached to a cluster",
        list=bindings.LIST,
        refusals=(404,),
        answer=Shape(ClusterPolicy, "cluster_policies", many=True),
    ),
    Route(
        "GET",
        "clusters/{cluster}/policies/{policy}",
        bindings.get,
        "cluster_policies:get",
        "Show a policy attached to a cluster",
        refusals=(404,),
        answer=Shape(ClusterPolicy, "cluster_policy"),
    ),
)
