"""Policies and their types: the rows of the route table."""

from __future__ import annotations

from spinney.api import policies
from spinney.api.answers.base import Shape
from spinney.api.answers.specs import ListedType, Policy, ShownType
from spinney.api.wire import Body, Route

_SPEC = {"type": "senlin.policy.deletion", "version": "1.0", "properties": {"criteria": "OLDEST_FIRST"}}
ROUTES = (
    Route(
        "GET",
        "policy-types",
        policies.types,
        "policy_types:index",
        "What policies there can be",
        answer=Shape(ListedType, "policy_types", many=True),
    ),
    Route(
        "GET",
        "policy-types/{type}",
        policies.get_type,
        "policy_types:get",
        "A policy type's schema",
        refusals=(404,),
        answer=Shape(ShownType, "policy_type"),
    ),
    Route(
        "GET",
        "policies",
        policies.index,
        "policies:index",
        "List policies",
        list=policies.POLICIES,
        answer=Shape(Policy, "policies", many=True),
    ),
    Route(
        "POST",
        "policies",
        policies.create,
        "policies:create",
        "Create a policy",
        201,
        Body(policies.PolicyCreate, "policy", example={"policy": {"name": "shrink", "spec": _SPEC}}),
        refusals=(404,),
        answer=Shape(Policy, "policy"),
    ),
    Route(
        "POST",
        "policies/validate",
        policies.validate,
        "policies:validate",
        "Check a policy's specification",
        body=Body(policies.PolicyValidate, "policy", example={"policy": {"spec": _SPEC}}),
        since=2,
        refusals=(404,),
        answer=Shape(Policy, "policy"),
    ),
    Route(
        "GET",
        "policies/{policy}",
        policies.get,
        "policies:get",
        "Show a policy",
        refusals=(404,),
        answer=Shape(Policy, "policy"),
    ),
    Route(
        "PATCH",
        "policies/{policy}",
        policies.update,
        "policies:update",
        "Change a policy's name",
        body=Body(policies.PolicyUpdate, "policy", example={"policy": {"name": "shrinking"}}),
        refusals=(404,),
        answer=Shape(Policy, "policy"),
    ),
    Route(
        "DELETE", "policies/{policy}", policies.delete, "policies:delete", "Delete a policy", 204, refusals=(404, 409)
    ),
)
