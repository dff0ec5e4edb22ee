"""Profiles and their types: the rows of the route table."""

from __future__ import annotations

from spinney.api import profile_types, profiles
from spinney.api.answers.base import Shape
from spinney.api.answers.specs import ListedType, Operations, Profile, ShownType
from spinney.api.wire import Body, Route

_SPEC = {
    "type": "container.dockerinc.docker",
    "version": "1.0",
    "properties": {"image": "busybox", "command": "sleep 1000", "host_cluster": "metal"},
}
ROUTES = (
    Route(
        "GET",
        "profile-types",
        profile_types.index,
        "profile_types:index",
        "What nodes can be made from",
        answer=Shape(ListedType, "profile_types", many=True),
    ),
    Route(
        "GET",
        "profile-types/{type}",
        profile_types.get,
        "profile_types:get",
        "A profile type's schema",
        refusals=(404,),
        answer=Shape(ShownType, "profile_type"),
    ),
    Route(
        "GET",
        "profile-types/{type}/ops",
        profile_types.operations,
        "profile_types:ops",
        "Operations of a profile type's nodes",
        since=4,
        answer=Shape(Operations),
    ),
    Route(
        "GET",
        "profiles",
        profiles.index,
        "profiles:index",
        "List profiles",
        list=profiles.LIST,
        answer=Shape(Profile, "profiles", many=True),
    ),
    Route(
        "POST",
        "profiles",
        profiles.create,
        "profiles:create",
        "Create a profile",
        201,
        Body(profiles.ProfileCreate, "profile", example={"profile": {"name": "web", "spec": _SPEC}}),
        refusals=(404,),
        answer=Shape(Profile, "profile"),
    ),
    Route(
        "POST",
        "profiles/validate",
        profiles.validate,
        "profiles:validate",
        "Check a specification without storing it",
        body=Body(profiles.ProfileValidate, "profile", example={"profile": {"spec": _SPEC}}),
        since=2,
        refusals=(404,),
        answer=Shape(Profile, "profile"),
    ),
    Route(
        "GET",
        "profiles/{profile}",
        profiles.get,
        "profiles:get",
        "Show a profile",
        refusals=(404,),
        answer=Shape(Profile, "profile"),
    ),
    Route(
        "PATCH",
        "profiles/{profile}",
        profiles.update,
        "profiles:update",
        "Change a profile's name or metadata",
        body=Body(profiles.ProfileUpdate, "profile", example={"profile": {"metadata": {"team": "shop"}}}),
        refusals=(404,),
        answer=Shape(Profile, "profile"),
    ),
    Route(
        "DELETE", "profiles/{profile}", profiles.delete, "profiles:delete", "Delete a profile", 204, refusals=(404, 409)
    ),
)
