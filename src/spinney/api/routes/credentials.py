"""Material to approach hosts and registries with: the rows of the route table."""

from __future__ import annotations

from spinney.api import credentials
from spinney.api.answers.base import Shape
from spinney.api.answers.hosts import Credential
from spinney.api.wire import Body, Route

ROUTES = (
    Route(
        "GET",
        "credentials",
        credentials.index,
        "credentials:index",
        "List credentials, without what they hold",
        list=credentials.LIST,
        ours=True,
        answer=Shape(Credential, "credentials", many=True),
    ),
    Route(
        "POST",
        "credentials",
        credentials.create,
        "credentials:create",
        "Keep material to approach hosts or registries with",
        201,
        Body(
            credentials.CredentialCreate,
            "credential",
            example={
                "credential": {
                    "name": "registry",
                    "type": "registry",
                    "data": {"username": "spinney", "password": "secret"},
                }
            },
        ),
        ours=True,
        refusals=(409,),
        answer=Shape(Credential, "credential"),
    ),
    Route(
        "GET",
        "credentials/{credential}",
        credentials.get,
        "credentials:get",
        "Show a credential, without what it holds",
        ours=True,
        refusals=(404,),
        answer=Shape(Credential, "credential"),
    ),
    Route(
        "PATCH",
        "credentials/{credential}",
        credentials.update,
        "credentials:update",
        "Replace what a credential holds",
        body=Body(
            credentials.CredentialUpdate,
            "credential",
            example={"credential": {"data": {"username": "spinney", "password": "another"}}},
        ),
        ours=True,
        refusals=(404, 409),
        answer=Shape(Credential, "credential"),
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
