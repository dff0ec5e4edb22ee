"""Host clusters that other projects may use: the rows of the route table."""

from __future__ import annotations

from spinney.api import shares
from spinney.api.answers.base import Shape
from spinney.api.answers.clusters import SharedCluster
from spinney.api.answers.hosts import Share
from spinney.api.wire import Body, Route

ROUTES = (
    Route(
        "GET",
        "clusters/{cluster}/shares",
        shares.index,
        "shares:index",
        "List the projects that may use a host cluster",
        ours=True,
        refusals=(404,),
        answer=Shape(Share, "shares", many=True),
    ),
    Route(
        "POST",
        "clusters/{cluster}/shares",
        shares.create,
        "shares:create",
        "Let another project, or all, use a host cluster",
        201,
        Body(shares.ShareCreate, "share", example={"share": {"project_id": "*"}}),
        ours=True,
        refusals=(404,),
        answer=Shape(Share, "share"),
    ),
    Route(
        "GET",
        "clusters/{cluster}/shares/{project}",
        shares.get,
        "shares:get",
        "Show whether a project may use a host cluster",
        ours=True,
        refusals=(404,),
        answer=Shape(Share, "share"),
    ),
    Route(
        "DELETE",
        "clusters/{cluster}/shares/{project}",
        shares.delete,
        "shares:delete",
        "Let a project use a host cluster no more",
        204,
        ours=True,
        refusals=(404,),
    ),
    Route(
        "GET",
        "shared-clusters",
        shares.shared,
        "clusters:shared",
        "List the host clusters that others let the caller's project use",
        ours=True,
        answer=Shape(SharedCluster, "clusters", many=True),
    ),
)
