"""Which images containers may be made of: showing and setting the rules of projects, and of the deployment under ``*``.

What a project's own rule says stands in for what the deployment's says, key by key, and that for the configuration.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection

from spinney.api.quotas import project_of
from spinney.api.values import Bool, Request
from spinney.api.wire import Call, Reply, json_reply
from spinney.domain.image_rule import MOST_PATTERNS, pattern
from spinney.domain.schema import Kind, NotAllowed
from spinney.errors import HTTPBadRequest, InvalidSpec, ResourceNotFound
from spinney.profiles.container import ContainerProperties
from spinney.profiles.registry import ValidatedProfile
from spinney.store import image_rules
from spinney.store.image_rules import EVERYBODY


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value) or len(value) > MOST_PATTERNS:
        raise NotAllowed(f"a list of at most {MOST_PATTERNS} patterns, as in registry.example.org/team/*")
    for index, one in enumerate(value):
        try:
            pattern(one)
        except ValueError as error:
            raise NotAllowed(f"a pattern of images, and {error}", at=f"[{index}]", value=one) from None
    return tuple(value)


class ImageRulePut(Request):
    allow: Annotated[tuple[str, ...], Kind("List", _patterns)] | None = Field(
        None, description="Patterns, of which an image must fit one, as in registry.example.org/team/*."
    )
    require_digest: Bool | None = Field(None, description="Only images named by digest.")
    pin: Bool | None = Field(None, description="A tag is resolved once for a whole cluster, and the digest used.")


async def get(call: Call) -> Reply:
    return json_reply({"image_rule": await call.deps.store.read(_show, call, _project(call))})


def _show(connection: Connection, call: Call, project: str) -> dict[str, Any]:
    rule = image_rules.of(connection, project, call.deps.allowed.images)
    return {
        "project": project,
        "allow": None if rule.allow is None else list(rule.allow),
        "require_digest": rule.require_digest,
        "pin": rule.pin,
        "set": image_rules.get(connection, project) or {},
    }


async def put(call: Call) -> Reply:
    project, said = _project(call), call.data(ImageRulePut).given()
    if not said:
        raise HTTPBadRequest("image_rule: it says nothing; give allow, require_digest or pin, or delete the rule.")
    return json_reply({"image_rule": await call.deps.store.transact(_put, call, project, said)})


def _put(connection: Connection, call: Call, project: str, said: dict[str, Any]) -> dict[str, Any]:
    image_rules.put(connection, project, {k: list(v) if isinstance(v, tuple) else v for k, v in said.items()}, call.now)
    return _show(connection, call, project)


async def delete(call: Call) -> Reply:
    project = _project(call)
    if not await call.deps.store.transact(image_rules.forget, project):
        raise ResourceNotFound(f"The image_rule '{project[:255]}' could not be found.")
    return Reply(204)


def _project(call: Call) -> str:
    """The deployment's own rule is everybody's to see: it is part of what is in force for them."""
    return EVERYBODY if call.word == EVERYBODY else project_of(call, "image_rule")


def require_allowed(connection: Connection, call: Call, project: str, validated: ValidatedProfile) -> None:
    """Raises: InvalidSpec."""
    if not isinstance(validated.properties, ContainerProperties):
        return
    reason = image_rules.of(connection, project, call.deps.allowed.images).fault(validated.properties.image)
    if reason is not None:
        raise InvalidSpec(
            f"properties.image: {reason}; name such an image, or ask an operator to change the image rules"
        )
