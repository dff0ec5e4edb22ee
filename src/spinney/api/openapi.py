"""The description of the API in OpenAPI 3.1, made from the route table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from spinney import __version__
from spinney.api.versions import LATEST_MINOR, LATEST_OURS
from spinney.api.wire import Body, Route

#: What any route can answer with besides its success.
ALWAYS = (400, 401, 403, 406, 500)

_FAULT = {
    "type": "object",
    "required": ["code", "title", "explanation", "error"],
    "properties": {
        "code": {"type": "integer"},
        "title": {"type": "string"},
        "explanation": {"type": "string"},
        "error": {
            "type": "object",
            "required": ["code", "message", "type"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "type": {"type": "string"},
            },
        },
    },
}
_VARIABLE = re.compile(r"\{([a-z_]+)\}")


def document(routes: Iterable[Route]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Fault": _FAULT}
    for route in routes:
        paths.setdefault(f"/v1/{route.path}", {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Spinney",
            "version": __version__,
            "description": "The OpenStack Clustering API, and Spinney's additions to it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
        "security": [{"basic": []}],
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    answers: dict[str, Any] = {str(route.status): _answer(route)}
    for status in sorted({*ALWAYS, *route.refusals}):
        answers[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Fault"}}},
        }
    since = f"spinney 1.{LATEST_OURS}" if route.ours else f"clustering 1.{route.since}"
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{re.sub('[^a-z0-9]+', '_', route.path.lower()).strip('_')}",
        "summary": route.summary,
        "description": f"Since {since}. Access rule: {route.rule}.",
        "tags": [route.segments[0]],
        "parameters": [_version_header(), *_path_parameters(route), *_query_parameters(route)],
        "responses": answers,
    }
    if route.body is not None:
        operation["requestBody"] = _request_body(route.body, schemas)
    return operation


def _answer(route: Route) -> dict[str, Any]:
    if route.status == 204:
        return {"description": HTTPStatus(204).phrase}
    schema = {"type": "string"} if route.media_type != "application/json" else {}
    answer: dict[str, Any] = {
        "description": HTTPStatus(route.status).phrase,
        "content": {route.media_type: {"schema": schema}},
    }
    if route.status == 202:
        answer["headers"] = {"Location": {"description": "The action", "schema": {"type": "string"}}}
    return answer


def _version_header() -> dict[str, Any]:
    text = f"clustering 1.{LATEST_MINOR}, spinney 1.{LATEST_OURS}"
    return {"name": "OpenStack-API-Version", "in": "header", "schema": {"type": "string"}, "example": text}


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
        name = body.model.__name__
        schemas[name] = body.model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schemas[name].pop("$defs", {})
        schema = {"$ref": f"#/components/schemas/{name}"}
    if body.envelope is not None:
        schema = {"type": "object", "required": [body.envelope], "properties": {body.envelope: schema}}
    return {"required": body.required, "content": {"application/json": {"schema": schema}}}
