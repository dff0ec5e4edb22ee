"""What projects may have and use: the rows of the route table."""

from __future__ import annotations

from spinney.api import grants, image_rules, quotas
from spinney.api.answers.base import Shape
from spinney.api.answers.limits import Grant, ImageRule, Quota
from spinney.api.wire import Body, Route

ROUTES = (
    Route(
        "GET",
        "quotas/{project}",
        quotas.get,
        "quotas:get",
        "Show what a project may have at most, and what it has",
        ours=True,
        refusals=(404, 503),
        answer=Shape(Quota, "quota"),
    ),
    Route(
        "PUT",
        "quotas/{project}",
        quotas.put,
        "quotas:update",
        "Set what a project may have at most",
        body=Body(quotas.QuotaUpdate, "quota", example={"quota": {"nodes": 500}}),
        ours=True,
        refusals=(404, 409),
        answer=Shape(Quota, "quota"),
    ),
    Route(
        "DELETE",
        "quotas/{project}",
        quotas.delete,
        "quotas:delete",
        "Give a project the deployment's limits again",
        204,
        ours=True,
        refusals=(404, 409),
    ),
    Route(
        "GET",
        "image-rules/{project}",
        image_rules.get,
        "image_rules:get",
        "Show which images a project may use; *: all projects that have no rule of their own",
        ours=True,
        refusals=(404,),
        answer=Shape(ImageRule, "image_rule"),
    ),
    Route(
        "PUT",
        "image-rules/{project}",
        image_rules.put,
        "image_rules:update",
        "Set which images a project may use",
        body=Body(image_rules.ImageRulePut, "image_rule", example={"image_rule": {"pin": True}}),
        ours=True,
        refusals=(404,),
        answer=Shape(ImageRule, "image_rule"),
    ),
    Route(
        "DELETE",
        "image-rules/{project}",
        image_rules.delete,
        "image_rules:delete",
        "Give a project the deployment's image rule again",
        204,
        ours=True,
        refusals=(404,),
    ),
    Route(
        "GET",
        "grants",
        grants.index,
        "grants:index",
        "List the extra rights that the caller may use",
        ours=True,
        answer=Shape(Grant, "grants", many=True),
    ),
)
