"""Errors as the wire shows them: a generic part for the status, a specific part for what happened.

Guaranteed: no answer holds a stack trace, the text of a library's error, or a top-level key ``action``.
"""

from __future__ import annotations

import math
from http import HTTPStatus

from pydantic import ValidationError

from spinney.api.wire import Reply, json_reply
from spinney.domain.schema import SpecModel, explain
from spinney.errors import HTTPBadRequest, SpinneyError

_EXPLANATIONS = {
    400: "The request could not be understood, or asks for something that makes no sense.",
    401: "The request carries no valid credentials.",
    403: "The credentials are valid, but do not allow this.",
    404: "There is nothing here that the caller may see.",
    406: "The version asked for is not spoken here.",
    409: "The present state of the object does not allow this.",
    422: "The request contradicts an earlier one.",
    500: "Something went wrong in the service; nothing in the request need be wrong.",
    429: "The project asks for more at a time than it may.",
    503: "Something that the service relies on does not answer.",
}


def reply(status: int, kind: str, message: str, retry_after: float = 0.0) -> Reply:
    headers = [(b"retry-after", str(math.ceil(retry_after)).encode())] if retry_after else []
    return json_reply(
        {
            "code": status,
            "error": {"code": status, "message": message, "type": kind},
            "explanation": _EXPLANATIONS.get(status, HTTPStatus(status).description),
            "title": HTTPStatus(status).phrase,
        },
        status,
        *headers,
    )


def reply_to(error: SpinneyError) -> Reply:
    return reply(int(error.status), error.type_name, error.message, error.retry_after)


def unexpected(request_id: str) -> Reply:
    """What a caller learns of a fault of ours: where to look for it."""
    return reply(500, "InternalError", f"The service failed; its log has the reason under request {request_id}.")


def malformed(error: ValidationError, model: type[SpecModel], root: str) -> HTTPBadRequest:
    return HTTPBadRequest(explain(error, model, root).lstrip(".") + ".")
