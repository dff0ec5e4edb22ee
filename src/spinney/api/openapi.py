"""The description of the API in OpenAPI 3.1, made from the route table.

Links say how answers lead on: an object that an answer holds under a name can be put into every path that has a variable of
that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter

from spinney import __version__
from spinney.api.answers.base import Shape
from spinney.api.versions import LATEST_MINOR, LATEST_OURS
from spinney.api.wire import Body, Route
from spinney.domain.schema import SpecModel

#: What any route can answer with besides its success.
ALWAYS = (400, 401, 403, 406, 429, 500, 503)
#: And when it came with an Idempotency-Key.
_OF_KEYS = (409, 422)

_FAULT = {
    "type": "object",
    "required": ["code", "title", "explanation", "error"],
    "additionalProperties": False,
    "properties": {
        "code": {"type": "integer"},
        "title": {"type": "string"},
        "explanation": {"type": "string"},
        "error": {
            "type": "object",
            "required": ["code", "message", "type"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "type": {"type": "string"},
            },
        },
    },
}
_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_PLACE = "#/components/schemas/"
_AUTHENTICATION = {
    "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
    "basic": {"type": "http", "scheme": "basic"},
}


def takes_key(route: Route) -> bool:
    """Whether a request may have an Idempotency-Key."""
    return route.method == "POST" and not route.public


def refusals(route: Route) -> set[int]:
    """Every status above 399 that it can answer with."""
    return {*ALWAYS, *route.refusals, *(_OF_KEYS if takes_key(route) else ())}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    table = tuple(routes)
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Fault": _FAULT}
    for route in table:
        paths.setdefault(f"/v1/{route.path}", {})[route.method.lower()] = _operation(route, schemas, table)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Spinney",
            "version": __version__,
            "description": "The OpenStack Clustering API, and Spinney's additions to it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _AUTHENTICATION},
        "security": [{name: []} for name in _AUTHENTICATION],
    }


def _operation(route: Route, schemas: dict[str, Any], table: Sequence[Route]) -> dict[str, Any]:
    answers: dict[str, Any] = {str(route.status): _answer(route, route.status, route.answer, schemas, table)}
    for status, shape in route.also.items():
        answers[str(status)] = _answer(route, status, shape, schemas, table)
    for status in sorted(refusals(route)):
        answers[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": {"$ref": f"{_PLACE}Fault"}}},
        }
    since = f"spinney 1.{LATEST_OURS}" if route.ours else f"clustering 1.{route.since}"
    access = "Anybody may use it." if route.public else f"Access rule: {route.rule}."
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "description": f"Since {since}. {access}",
        "tags": [route.segments[0]],
        "parameters": [_version_header(), *_key_header(route), *_path_parameters(route), *_query_parameters(route)],
        "responses": answers,
    }
    if route.public:
        operation["security"] = [{}]
    if route.body is not None:
        operation["requestBody"] = _request_body(route.body, schemas)
    return operation


def operation_id(route: Route) -> str:
    return f"{route.method.lower()}_{re.sub('[^a-z0-9]+', '_', route.path.lower()).strip('_')}"


def _answer(
    route: Route, status: int, shape: Shape | None, schemas: dict[str, Any], table: Sequence[Route]
) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status == 202:
        answer["headers"] = {"Location": {"description": "The action", "schema": {"type": "string"}}}
    if route.media_type != "application/json":
        answer["content"] = {route.media_type: {"schema": {"type": "string"}}}
    elif shape is not None:
        answer["content"] = {"application/json": {"schema": _shape(shape, schemas)}}
        links = _links(shape, table)
        if links:
            answer["links"] = links
    return answer


def _shape(shape: Shape, schemas: dict[str, Any]) -> dict[str, Any]:
    kinds = [{"$ref": _add(model, schemas, "serialization")} for model in shape.models]
    found: dict[str, Any] = {"type": "null"} if not kinds else kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if shape.many:
        found = {"type": "array", "items": found}
    if shape.envelope is None:
        return found
    properties = {shape.envelope: found}
    return {"type": "object", "required": [shape.envelope], "properties": properties, "additionalProperties": False}


def _links(shape: Shape, table: Sequence[Route]) -> dict[str, Any]:
    """To every route about one such object, or about the action that was queued. Lists have none: they may be empty."""
    noun = shape.envelope
    where = f"$response.body#/{noun}/id"
    if noun is None and any("action" in model.model_fields for model in shape.models):
        noun, where = "action", "$response.body#/action"
    elif noun is None or shape.many or not any("id" in model.model_fields for model in shape.models):
        return {}
    return {
        operation_id(route): {"operationId": operation_id(route), "parameters": {noun: where}}
        for route in table
        if _VARIABLE.findall(route.path) == [noun]
    }


def _version_header() -> dict[str, Any]:
    text = f"clustering 1.{LATEST_MINOR}, spinney 1.{LATEST_OURS}"
    return {"name": "OpenStack-API-Version", "in": "header", "schema": {"type": "string"}, "example": text}


def _key_header(route: Route) -> list[dict[str, Any]]:
    if not takes_key(route):
        return []
    pattern = "^[ -~]{1,255}$"
    about = "The same key with the same request is carried out once within 24 hours, and answered alike."
    schema = {"type": "string", "pattern": pattern}
    return [{"name": "Idempotency-Key", "in": "header", "schema": schema, "description": about}]


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _VARIABLE.findall(route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    texts = {"type": "array", "items": {"type": "string"}}
    found = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.parameters]
    if route.list is not None:
        found += [{"name": name, "in": "query", "schema": texts} for name in route.list.filters]
        found.append({"name": "sort", "in": "query", "schema": {"type": "string"}})
        if not route.list.plain:
            found.append({"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0}})
            found.append({"name": "marker", "in": "query", "schema": {"type": "string", "format": "uuid"}})
            found.append({"name": "global_project", "in": "query", "schema": {"type": "boolean"}})
    return found


def _request_body(body: Body, schemas: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if body.model is not None:
        schema = {"$ref": _add(body.model, schemas, "validation")}
    elif body.choices is not None:
        schema = _choices(body.choices, schemas)
    if body.envelope is not None:
        schema = {"type": "object", "required": [body.envelope], "properties": {body.envelope: schema}}
    content: dict[str, Any] = {"schema": schema}
    if body.example is not None:
        content["example"] = body.example
    return {"required": body.required, "content": {"application/json": content}}


def _choices(choices: Mapping[Any, type[SpecModel] | None], schemas: dict[str, Any]) -> dict[str, Any]:
    behind = {
        str(name): {"type": "object"} if model is None else {"$ref": _add(model, schemas, "validation")}
        for name, model in choices.items()
    }
    return {
        "type": "object",
        "properties": behind,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }


def _add(model: type[BaseModel], schemas: dict[str, Any], mode: Any) -> str:
    """Where the model's schema is, now that it is there. Models of requests and answers may bear the same name."""
    own = {"serialization": "Shown", "validation": ""}[mode]
    found = TypeAdapter(model).json_schema(ref_template=_PLACE + own + "{model}", mode=mode, by_alias=True)
    for name, schema in {**found.pop("$defs", {}), model.__name__: found}.items():
        tidy = _tidy(schema)
        if schemas.setdefault(own + name, tidy) != tidy:
            raise ValueError(f"two models of the API are named {name}: rename one of them")
    return f"{_PLACE}{own}{model.__name__}"


def _tidy(schema: Any, *, of_names: bool = False) -> Any:
    """Without what pydantic adds for itself: titles, and defaults that only say that a key may be missing.

    ``of_names``: the keys are names of properties.
    """
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _tidy(value, of_names=key == "properties" and not of_names)
        for key, value in schema.items()
        if of_names or key not in ("title", "default")
    }
