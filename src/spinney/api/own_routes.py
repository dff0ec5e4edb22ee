"""The part of the route table that concerns what operators and owners keep: shares of host clusters, and credentials."""

from __future__ import annotations

from spinney.api import credentials, shares
from spinney.api.wire import Body, Route

SHARES = (
    Route(
        "GET",
        "clusters/{cluster}/shares",
        shares.index,
        "shares:index",
        "List the projects that may use a host cluster",
        ours=True,
        refusals=(404,),
    ),
    Route(
        "POST",
        "clusters/{cluster}/shares",
        shares.create,
        "shares:create",
        "Let another project, or all, use a host cluster",
        201,
        Body(shares.ShareCreate, "share"),
        ours=True,
        refusals=(404,),
    ),
    Route(
        "GET",
        "clusters/{cluster}/shares/{project}",
        shares.get,
        "shares:get",
        "Show whether a project may use a host cluster",
        ours=True,
        refusals=(404,),
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
    ),
)

CREDENTIALS = (
    Route(
        "GET",
        "credentials",
        credentials.index,
        "credentials:index",
        "List credentials, without what they hold",
        list=credentials.LIST,
        ours=True,
    ),
    Route(
        "POST",
        "credentials",
        credentials.create,
        "credentials:create",
        "Keep material to approach hosts or registries with",
        201,
        Body(credentials.CredentialCreate, "credential"),
        ours=True,
        refusals=(409,),
    ),
    Route(
        "GET",
        "credentials/{credential}",
        credentials.get,
        "credentials:get",
        "Show a credential, without what it holds",
        ours=True,
        refusals=(404,),
    ),
    Route(
        "PATCH",
        "credentials/{credential}",
        credentials.update,
        "credentials:update",
        "Replace what a credential holds",
        body=Body(credentials.CredentialUpdate, "credential"),
        ours=True,
        refusals=(404, 409),
    ),
    Route(
        "DELETE",
        "credentials/{credential}",
        credentials.delete,
        "credentials:delete",
        "Forget a credential",
        204,
        ours=True,
        refusals=(404, 409),
    ),
)
