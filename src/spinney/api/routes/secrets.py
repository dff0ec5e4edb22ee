"""Values that a project keeps for its containers, registries and hooks: the rows of the route table."""

from __future__ import annotations

from spinney.api import secrets
from spinney.api.answers.base import Shape
from spinney.api.answers.secrets import Secret
from spinney.api.wire import Body, Route

ROUTES = (
    Route(
        "GET",
        "secrets",
        secrets.index,
        "secrets:index",
        "List secrets, without what they hold",
        list=secrets.LIST,
        ours=True,
        answer=Shape(Secret, "secrets", many=True),
    ),
    Route(
        "POST",
        "secrets",
        secrets.create,
        "secrets:create",
        "Keep values for containers, a registry or a hook",
        201,
        Body(
            secrets.SecretCreate,
            "secret",
            example={"secret": {"name": "database", "data": {"password": "correct horse"}}},
        ),
        ours=True,
        refusals=(409,),
        answer=Shape(Secret, "secret"),
    ),
    Route(
        "GET",
        "secrets/{secret}",
        secrets.get,
        "secrets:get",
        "Show a secret, without what it holds",
        ours=True,
        refusals=(404,),
        answer=Shape(Secret, "secret"),
    ),
    Route(
        "PATCH",
        "secrets/{secret}",
        secrets.update,
        "secrets:update",
        "Replace what a secret holds",
        body=Body(secrets.SecretUpdate, "secret", example={"secret": {"data": {"password": "battery staple"}}}),
        ours=True,
        refusals=(404, 409),
        answer=Shape(Secret, "secret"),
    ),
    Route(
        "DELETE",
        "secrets/{secret}",
        secrets.delete,
        "secrets:delete",
        "Forget a secret",
        204,
        ours=True,
        refusals=(404, 409),
    ),
)
