"""Reading requests: bodies and the query of lists.

Guaranteed: a body is never held beyond its limit, and nothing that came through here nests deeper than ``_DEEPEST``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
from pydantic import ValidationError

from spinney.api.auth import Headers
from spinney.api.faults import malformed
from spinney.api.wire import Body, Call, ListSpec
from spinney.domain.identity import Caller
from spinney.domain.schema import NotAllowed, to_bool
from spinney.errors import Forbidden, HTTPBadRequest, RequestLimitExceeded
from spinney.store.identity import as_uuid
from spinney.store.listing import ListQuery, SortKey

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_DEEPEST = 64
_PARAMETERS = 200
_LARGEST_LIMIT = 2**31 - 1
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_JSON_TYPES = (b"application/json", b"text/plain", b"")
_COMMON = ("limit", "marker", "sort", "global_project")


async def read_bytes(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Raises: RequestLimitExceeded as soon as it is clear that there is more."""
    too_large = RequestLimitExceeded(f"The request body is larger than the {limit} bytes allowed; send less at once.")
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPBadRequest("The request ended in the middle of its body.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def read_body(raw: bytes, headers: Headers, body: Body, method: str) -> Any:
    """The body as the route's model, or as a plain map. Raises: HTTPBadRequest."""
    found = _read_json(raw, headers)
    if found is None:
        if not body.required:
            return {} if body.model is None else body.model()
        key = f' with the key "{body.envelope}"' if body.envelope else ""
        raise HTTPBadRequest(f"The request needs a JSON object{key} as its body, sent as application/json.")
    if body.envelope is not None:
        if body.envelope not in found:
            what = "change" if method == "PATCH" else "request"
            raise HTTPBadRequest(
                f"The {what} is malformed: its body has no key '{body.envelope}', which holds the rest."
            )
        found = found[body.envelope]
    if body.model is None:
        return found
    try:
        return body.model.model_validate(found)
    except ValidationError as error:
        raise malformed(error, body.model, body.envelope or "") from error


def _read_json(raw: bytes, headers: Headers) -> dict[str, Any] | None:
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type not in _JSON_TYPES or not raw.startswith(b"{"):
        stripped = raw.lstrip()
        if media_type not in _JSON_TYPES or not stripped.startswith(b"{"):
            return None
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise HTTPBadRequest(f"The request body is not JSON: {error}.") from error
    if raw.count(b"[") + raw.count(b"{") > _DEEPEST and _deeper_than(found, _DEEPEST):
        raise HTTPBadRequest(f"The request body nests deeper than {_DEEPEST} levels; make it flatter.")
    return found if isinstance(found, dict) else None


def _deeper_than(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            item
            for holder in layer
            if isinstance(holder, dict | list)
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
        if not layer:
            return False
    return True


def read_query(raw: bytes) -> tuple[tuple[str, str], ...]:
    if not raw:
        return ()
    try:
        return tuple(parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=_PARAMETERS))
    except ValueError as error:
        raise HTTPBadRequest(f"The query has more than {_PARAMETERS} parameters; leave some out.") from error


def read_list(call: Call) -> ListQuery:
    """What the query of a list means. Raises: HTTPBadRequest, Forbidden."""
    spec = call.route.list
    assert spec is not None
    given: dict[str, list[str]] = {}
    for key, value in call.query:
        if key not in spec.filters or call.since(spec.filters[key].since):
            given.setdefault(key, []).append(value)
    known = [*spec.filters, *(("sort",) if spec.plain else _COMMON)]
    for key in given:
        if key not in known:
            raise HTTPBadRequest(f"Invalid parameter '{key[:80]}': this list takes {', '.join(sorted(known))}.")
    everywhere = _read_global(given.get("global_project"))
    query = ListQuery(
        project=None if everywhere else call.caller.owner.project,
        filters={
            spec.filters[key].column: _read_filter(spec, key, given[key]) for key in spec.filters if _said(given, key)
        },
        sort=_read_sort(spec, given.get("sort")),
        marker=_read_marker(given.get("marker")),
        limit=_read_limit(given.get("limit")),
    )
    if everywhere:
        _require_admin(call.caller)
    return query


def _said(given: dict[str, list[str]], key: str) -> bool:
    """An empty single value is none."""
    return key in given and given[key] != [""]


def _read_filter(spec: ListSpec, key: str, values: Iterable[str]) -> list[Any]:
    read = spec.filters[key].read
    found = []
    for value in values:
        if "\x00" in value:
            raise HTTPBadRequest(f"{key}: a null character is in the value; nothing has such a {key}.")
        try:
            found.append(read(value))
        except ValueError as error:
            raise HTTPBadRequest(f"{key}: '{value[:80]}' is not allowed: {error}.") from error
    return found


def _read_global(values: list[str] | None) -> bool:
    if not values:
        return False
    word = values[-1].strip().lower()
    if word not in ("true", "false"):
        raise HTTPBadRequest(f"global_project: '{values[-1][:80]}' is not allowed: true or false.")
    return word == "true"


def _require_admin(caller: Caller) -> None:
    if not caller.is_admin:
        raise Forbidden("global_project=true is not allowed: the role admin is needed; leave it out to list your own.")


def _read_limit(values: list[str] | None) -> int | None:
    if not values or values == [""]:
        return None
    text = values[-1]
    if not text.isascii() or not text.lstrip("+-").isdigit() or len(text) > 20:
        raise HTTPBadRequest(f"limit: '{text[:80]}' is not an integer; give 0 or a larger whole number.")
    if int(text) < 0:
        raise HTTPBadRequest(f"limit: {text} is negative; give 0 or a larger whole number.")
    return min(int(text), _LARGEST_LIMIT)


def _read_marker(values: list[str] | None) -> str | None:
    if not values or values == [""]:
        return None
    marker = as_uuid(values[-1])
    if marker is None:
        raise HTTPBadRequest(
            f"marker: '{values[-1][:80]}' is not a UUID; give the id of the last object of the page before."
        )
    return marker


def _read_sort(spec: ListSpec, values: list[str] | None) -> tuple[SortKey, ...]:
    if not values or values == [""]:
        return (SortKey(spec.default),)
    keys: dict[str, SortKey] = {}
    for item in ",".join(values).split(","):
        name, colon, direction = item.strip().partition(":")
        if name not in spec.sort_keys:
            raise HTTPBadRequest(f"sort: '{name[:80]}' is no sort key; there are {', '.join(spec.sort_keys)}.")
        if colon and direction not in ("asc", "desc"):
            raise HTTPBadRequest(f"sort: '{direction[:80]}' is no direction; there are asc and desc.")
        keys.setdefault(name, SortKey(name, direction == "desc"))
    return tuple(keys.values())


def read_force(call: Call) -> bool:
    """``force`` of a deletion, from the query or the body; dropped silently below 1.8."""
    if not call.since(8):
        return False
    body = call.body if isinstance(call.body, dict) else {}
    return read_switch("force", call.flag("force")) or read_switch("force", body.get("force"))


def read_switch(name: str, value: Any) -> bool:
    """A boolean as the API's strict reader takes it; not given means false. Raises: HTTPBadRequest."""
    if value is None or value == "":
        return False
    try:
        return to_bool(value)
    except NotAllowed as error:
        raise HTTPBadRequest(f"{name}: {str(value)[:80]!r} is not allowed: {error.allowed}.") from error


def switch(word: str) -> bool:
    """A filter that takes true or false."""
    try:
        return to_bool(word)
    except NotAllowed as error:
        raise ValueError(error.allowed) from error


def one_of(values: Iterable[str]) -> Callable[[str], str]:
    """A filter that takes some words alone."""
    allowed = frozenset(values)

    def read(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"one of {', '.join(sorted(allowed))}")
        return value

    return read


def read_moment(name: str, text: str | None, now: float) -> float | None:
    """Seconds since the epoch, an ISO 8601 time, or an age such as ``10m``."""
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        return float(text)
    age = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if age is not None:
        return now - int(age[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[age[2]]
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise HTTPBadRequest(
            f"{name}: '{text[:80]}' is not allowed: a time such as 2026-11-22T08:00:00Z, seconds since the epoch, or an age "
            f"such as 10m."
        ) from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
