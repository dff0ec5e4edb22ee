"""The first page of the API: what holds for every call, and which there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spinney import errors
from spinney.api.cluster_actions import VERBS
from spinney.api.openapi import ALWAYS
from spinney.api.routes import ROUTES
from spinney.api.versions import LATEST_MINOR
from spinney.api.wire import Body, Route
from spinney.cli.reference.calls import anchor, heading, homes, least_role, routes_of, title, version_of
from spinney.cli.reference.fields import answer_rows
from spinney.cli.reference.prose import BROUGHT, OURS, PAGES
from spinney.cli.reference.text import table
from spinney.config import ApiSettings, LimitSettings
from spinney.domain.credential import NAME_SAYS as SHORT_SAYS
from spinney.domain.dialect import since
from spinney.domain.naming import NAME_SAYS
from spinney.errors import SpinneyError

_HEAD = """\
# API

*This page is generated: `python -m spinney.cli.reference api`.*

The OpenStack Clustering API (Senlin's) in its versions 1.0 to 1.{latest}, and beside it what is Spinney's own. The same for
machines, with every request's and answer's schema, is at `GET /v1/openapi.json`. Clients in Python and on the command line
need not know any of this: openstacksdk's `connection.clustering`, [`openstack cluster`](../how-to/openstack-client.md) and
[`spinney`](cli.md) speak it.

## A first call

Paths are below the address that `spinney ready:` prints, or that the catalogue has for `clustering`. The examples on these
pages are for a shell with three variables:

```sh
API=http://127.0.0.1:8777/v1
VERSION='OpenStack-API-Version: clustering 1.{latest}, spinney 1.0'
AUTH="X-Auth-Token: $(openstack token issue -f value -c id)"                # with Keystone
AUTH="Authorization: Basic $(printf 'admin:%s' "$PASSWORD" | base64 -w0)"   # with passwords
curl "$API/clusters" -H "$AUTH" -H "$VERSION"
```

They suppose a host cluster `metal` with a host `m1`, and a policy `spread`; what they make, later ones use. `$ACTION` and
`$EVENT` are ids from lists, `$PROJECT` is a project's id, `$RECEIVER` and `$SECRET` are a receiver's id and secret.

## Versions

`OpenStack-API-Version: clustering 1.{latest}, spinney 1.0` says which versions a request speaks; `latest` is a version too,
and saying nothing means 1.0 of the one and none of the other. Answers repeat it. A call that a version does not have is
refused with 400 `MethodVersionNotFound`, one of Spinney's own without `spinney` in the header with 404 as any unknown path;
keys of requests, filters and switches that a version does not have are passed over; and answers leave out what it does not
have. *Since* on these pages says which version that is.

| version | what it brought |
| --- | --- |
{versions}

## Who may

A call has a rule, and the rule says which roles in the caller's project are enough. As delivered each role may what the
ones before it may: `reader`, `member`, `manager`, `admin`; `service`, beside them, sees what the service is and nothing of
any project. [Operators can change rules](../how-to/openstack-cloud.md#roles). Objects belong to projects: what is another's
answers as what does not exist. An `admin` reaches any object by its whole id, and lists all projects with `global_project`.

## Requests

- A body is a JSON object of {body} bytes at most, sent as `application/json`. Unknown keys are refused; `null` counts as
  not given. Whole numbers and truth values may be strings.
- Where an object is meant, its id, its name or the beginning of its id will do. What fits several is refused with 400
  `MultipleChoices`. Names are {name}; those of secrets and credentials {short}.
- Times are `YYYY-MM-DDTHH:MM:SSZ`, sizes bytes, CPU cores, durations seconds; where it is otherwise it is said.
- What a browser sends for a page of another site (`Origin`) is refused with 403 if it would change anything.
- A request has to arrive within {arrive:g} seconds, and is answered within {handle:g}: with 503 `StillAtWork` if it goes on.
- A project whose requests are too many at a time waits, and is then refused with 429 and `Retry-After`. As configured by
  default it may send {rate:g} a second; while other projects use the service too {shared:g}, of which one that changes
  something takes five, and one that is heavy for the database more. Logs that are followed, and terminals: {streams} at a time.

## Lists

Filters are parameters of the query; one that is repeated fits any of its values. `sort=KEY[:asc|:desc],…` orders, and the
id decides between equals. `limit=N` gives a page, `marker=ID` begins it after that object. Unknown parameters are refused.
`global_project=true` lists all projects', for admins.

```sh
curl "$API/events?level=error&sort=timestamp:desc&limit=20" -H "$AUTH" -H "$VERSION"
```

## Answers

Objects come below a key that names them (`{{"cluster": {{…}}}}`), lists below its plural. Keys are always there, with
`null` where nothing is known, unless the tables say otherwise. Every answer has `X-OpenStack-Request-Id`, which the
service's log has too.

**202** means queued, not done. `Location: /v1/actions/ID` names the action; it is over when its `status` is `SUCCEEDED`,
`FAILED` or `CANCELLED`, and `status_reason` says why. What the answer shows of the object is what it was before. A deletion
is done when the object answers 404.

```sh
curl "$API/actions/$ACTION" -H "$AUTH" -H "$VERSION"
```

## Sending something twice

Any POST but a webhook's takes `Idempotency-Key: KEY`, 1 to 255 printable ASCII characters. Within 24 hours the same key in
the same project with the same request changes nothing more and is answered as the first was, with `Idempotency-Replayed:
true`; with another request it is refused with 422. While the first is at work: 409 `IdempotencyKeyInUse`.

## Refusals

A refusal is JSON. `error.type` is for programs, `error.message` names the field, the value and the remedy:

```json
{{"code": 404, "title": "Not Found", "explanation": "There is nothing here that the caller may see.",
 "error": {{"code": 404, "type": "ResourceNotFound", "message": "The cluster 'shop' could not be found."}}}}
```

Any call can be refused with {always}; with an Idempotency-Key also with 409 and 422. What *again* has can pass by itself: send
it again later, after `Retry-After` seconds where that is said.

{refusals}

## All calls

*Who* is the least role that is enough.
"""
#: Not told to clients: they end processes, or become the reasons of actions and nodes.
_INSIDE = {
    errors.UserError,
    errors.OutgoingFailed,
    errors.OutgoingRefused,
    errors.BadConfiguration,
    errors.LeaseLost,
    errors.ImageNotFound,
    errors.ImagePullFailed,
    errors.DiskFull,
    errors.CommandNotFound,
    errors.PortTaken,
    errors.NameTaken,
    errors.NetworkMissing,
    errors.AddressPoolOverlap,
    errors.ContainerRefused,
    errors.SecretUnusable,
    errors.SecretUnavailable,
}
#: What is refused before the API sees it, or by it without a name of its own.
_FURTHER = (
    ("408", "`RequestTimeout`", "again", "The request did not arrive in time."),
    ("431", "`RequestHeaderFieldsTooLarge`", "", "First line and headers are too large."),
    ("500", "`InternalError`", "", "The service failed; its log has the reason under the request's id."),
    ("503", "`TooManyConnections`", "again", "Too many connections are open."),
)


def page() -> str:
    api, limits = ApiSettings(), LimitSettings()
    parts = [
        _HEAD.format(
            latest=LATEST_MINOR,
            versions="\n".join(f"| {version} | {what} |" for version, what in versions()),
            body=api.max_body_bytes,
            name=NAME_SAYS,
            short=SHORT_SAYS,
            arrive=api.request_timeout,
            handle=api.handler_timeout,
            rate=limits.rate,
            shared=limits.shared_rate,
            streams=limits.streams,
            always=", ".join(map(str, ALWAYS)),
            refusals=table(("status", "type", "again", "when"), sorted([*_named(), *_FURTHER])),
        )
    ]
    for name, about in PAGES.items():
        parts.append(f"### {about.title}\n")
        rows = (_row(route, name) for route in routes_of(name))
        parts.append(table(("call", "what", "since", "who", "answers"), rows) + "\n")
    return "\n".join(parts)


def _row(route: Route, page_name: str) -> Sequence[str]:
    link = f"[{route.method} `/v1/{route.path}`](api/{page_name}.md#{anchor(heading(route))})"
    statuses = [route.status, *route.also, *sorted(route.refusals)]
    role = least_role(route)
    answers = "403" if role == "nobody" else ", ".join(str(status) for status in statuses)
    return link, route.summary, version_of(route), role, answers


def _named() -> Iterator[tuple[str, str, str, str]]:
    for found in _below(SpinneyError):
        if found.__module__ == errors.__name__ and found not in _INSIDE:
            again = "again" if found.retryable else ""
            yield str(int(found.status)), f"`{found().type_name}`", again, found.__doc__ or ""


def _below(kind: type[SpinneyError]) -> Iterator[type[SpinneyError]]:
    for found in kind.__subclasses__():
        yield found
        yield from _below(found)


# --- versions ---------------------------------------------------------------------------------------------------------


def versions() -> Iterator[tuple[str, str]]:
    for minor in range(LATEST_MINOR + 1):
        version = f"1.{minor}"
        calls = [route for route in ROUTES if not route.ours and route.since == minor] if minor else []
        found = [f"`{heading(route)}`" for route in calls]
        found += [f"`{name}` of clusters" for name, verb in VERBS.items() if minor and verb.since == minor]
        found += [*_filters(minor), *_keys(version)]
        yield version, " ".join(filter(None, [BROUGHT.get(minor, ""), _sentence(found)]))
    keys = [*(f"`{name}` of clusters" for name, verb in VERBS.items() if verb.ours), *_keys("spinney 1.0")]
    yield "spinney 1.0", f"{OURS} {_sentence(keys)}"


def _sentence(found: Sequence[str]) -> str:
    return f"{', '.join(found)}." if found else ""


def _filters(minor: int) -> Iterator[str]:
    for route in ROUTES if minor else ():
        if route.list is not None:
            names = [name for name, one in route.list.filters.items() if one.since == minor]
            yield from (f"the filter `{name}` of {route.path}" for name in names)


def _keys(version: str) -> Iterator[str]:
    """Keys of requests and answers that begin to count there."""
    for route in ROUTES:
        if route.body is not None:
            yield from (f"`{key}` in `{heading(route)}`" for key in _counting(route.body, version))
    for model in homes():
        keys = [row[0] for row in answer_rows(model) if row[-1] == version]
        yield from (f"{key} in the object *{title(model).lower()}*" for key in keys)


def _counting(body: Body, version: str) -> Iterator[str]:
    models = {"": body.model, **{f"{name}.": model for name, model in (body.choices or {}).items()}}
    for prefix, model in models.items():
        fields = {} if model is None else model.model_fields
        yield from (f"{prefix}{name}" for name, field in fields.items() if since(field) == version)
