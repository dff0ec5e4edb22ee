"""The pages of the API's calls: one for each noun or some that belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from spinney.api import cluster_actions, host_actions, node_actions, planning
from spinney.api.access import FURTHER, RULES
from spinney.api.answers.base import Answer, Shape
from spinney.api.openapi import takes_key
from spinney.api.routes import ROUTES
from spinney.api.wire import Body, ListSpec, Route
from spinney.cli.reference.examples import curl, refused
from spinney.cli.reference.fields import ANSWER_HEAD, REQUEST_HEAD, answer_rows, request_rows
from spinney.cli.reference.prose import ELSEWHERE, FILTERS, PAGES, PARAMETERS, PARAMETERS_OF
from spinney.cli.reference.text import table

_ROLES = ("reader", "member", "manager", "service", "admin")
#: What the choices of a body do.
_SAYS: Mapping[object, Mapping[str, str]] = {
    cluster_actions.act: {name: verb.says for name, verb in cluster_actions.VERBS.items()},
    node_actions.act: {name: verb.says for name, verb in node_actions.VERBS.items()},
    host_actions.act: {name: verb.says for name, verb in host_actions.VERBS.items()},
    planning.plan: {
        **{name: verb.says for name, verb in cluster_actions.VERBS.items()},
        "update": "Go over to another profile.",
        "drain": "Empty a host.",
        "lose": "Do without a host that is gone.",
    },
}


def version_of(route: Route) -> str:
    return "spinney 1.0" if route.ours else f"1.{route.since}"


def least_role(route: Route) -> str:
    """The first in the order of ``_ROLES`` for which the rule is enough."""
    if route.public:
        return "anybody"
    return _least(route.rule)


def _least(rule: str) -> str:
    return next((role for role in _ROLES if role in RULES[rule]), "nobody")


def page_of(route: Route) -> str:
    if route.path in ELSEWHERE:
        return ELSEWHERE[route.path]
    return next(name for name, page in PAGES.items() if route.segments[0] in page.firsts)


def routes_of(name: str) -> list[Route]:
    return [route for route in ROUTES if page_of(route) == name]


def heading(route: Route) -> str:
    return f"{route.method} /v1/{route.path}"


def anchor(text: str) -> str:
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


def page(name: str) -> str:
    about = PAGES[name]
    parts = [f"# API: {about.title}\n", f"*This page is generated: `python -m spinney.cli.reference api/{name}`.*\n"]
    parts.append(about.says)
    parts.append(
        "What holds for every call (versions, roles, lists, refusals), and what `$API`, `$AUTH` and `$VERSION` are in the "
        "examples: [API](../api.md).\n"
    )
    for route in routes_of(name):
        parts += _call(route, name)
    if about.end:
        parts.append(about.end)
    models = [model for model, home in homes().items() if home == name]
    if models:
        parts.append("## Objects\n")
    for model in models:
        parts += _object(model)
    return "\n".join(parts)


def _call(route: Route, page_name: str) -> Iterator[str]:
    yield f"## {heading(route)}\n"
    yield f"{route.summary}.\n"
    if refused(route):
        yield f"Since {version_of(route)}. The Clustering API has this call, and here it is always refused.\n"
        return
    access = "needs no credentials" if route.public else f"rule `{route.rule}` (role {least_role(route)})"
    further = (
        f" To {about[0].lower()}{about[1:]}, also `{rule}` (role {_least(rule)})."
        for rule, (about, calls) in FURTHER.items()
        if (route.method, route.path) in calls
    )
    yield f"Since {version_of(route)}; {access}.{''.join(further)}\n"
    yield f"```sh\n{curl(route)}\n```\n"
    if route.list is not None:
        yield _list(route.list)
    if route.parameters:
        rows = ((f"`{name}`", _parameter(route, name)) for name in route.parameters)
        yield table(("in the query", "meaning"), rows) + "\n"
    if route.body is not None:
        yield from _body(route, route.body)
    yield _answers(route, page_name)


def _list(spec: ListSpec) -> str:
    filters = ", ".join(_filter(name, found.since) for name, found in spec.filters.items())
    keys = ", ".join(f"`{key}`" for key in spec.sort_keys)
    pages = "" if spec.plain else " Pages: `limit`, `marker`; all projects: `global_project`."
    return f"Filters: {filters}. `sort` by {keys}; by `{spec.default}` if nothing is said.{pages}\n"


def _filter(name: str, since: int) -> str:
    notes = [FILTERS.get(name, ""), f"passed over below version 1.{since}" if since else ""]
    said = "; ".join(filter(None, notes))
    return f"`{name}`" + (f" ({said})" if said else "")


def _parameter(route: Route, name: str) -> str:
    return PARAMETERS_OF.get((route.path, name)) or PARAMETERS[name]


def _body(route: Route, body: Body) -> Iterator[str]:
    rows: list[Sequence[str]] = []
    if body.choices is not None:
        yield "The body has exactly one of these keys, with a map of what stands below it:\n"
        says = _SAYS.get(route.handler, {})
        for name, model in body.choices.items():
            key = str(name)
            rows.append((f"`{key}`", "Map", says.get(key, "") + _verb_since(route, key), ""))
            rows += [] if model is None else request_rows(model, f"{key}.")
    elif body.model is not None:
        prefix = f"{body.envelope}." if body.envelope else ""
        rows += request_rows(body.model, prefix)
    elif body.required:
        yield "The body has one key, the name of an operation, with a map of its parameters behind it.\n"
    elif not body.required:
        yield "There need not be a body.\n"
    if rows:
        yield table(REQUEST_HEAD, rows) + "\n"


def _verb_since(route: Route, key: str) -> str:
    verb = cluster_actions.VERBS.get(key) if route.handler is cluster_actions.act else None
    if verb is None or not (verb.since or verb.ours):
        return ""
    return f" Since {'spinney 1.0' if verb.ours else f'1.{verb.since}'}."


def _answers(route: Route, page_name: str) -> str:
    answered = [_success(route, route.status, route.answer, page_name)]
    answered += [_success(route, status, shape, page_name) for status, shape in route.also.items()]
    told = f"**Answers** {'; or '.join(answered)}."
    refusals = sorted(route.refusals)
    if refusals:
        told += f" Besides what [any call](../api.md#refusals) can be refused with: {', '.join(map(str, refusals))}."
    if takes_key(route):
        told += " Takes an [Idempotency-Key](../api.md#sending-something-twice)."
    return told + "\n"


def _success(route: Route, status: int, shape: Shape | None, page_name: str) -> str:
    queued = ", `Location`: the action" if status == 202 and shape is not None else ""
    if route.media_type != "application/json":
        return f"{status}, `{route.media_type}`"
    if shape is None:
        return f"{status}{queued}" + ("" if route.path == "openapi.json" else ", and no body")
    if shape.model is None:
        return f"{status}{queued}, and `null`"
    named = " or ".join(_link(model, page_name) for model in shape.models)
    if shape.many:
        named = f"a list of objects: {named}"
    return f"{status}{queued}, {named}" + (f" under the key `{shape.envelope}`" if shape.envelope else "")


def _link(model: type[Answer], page_name: str) -> str:
    home = homes()[model]
    where = "" if home == page_name else f"{home}.md"
    return f"[{title(model)}]({where}#{anchor(title(model))})"


def title(model: type[Answer]) -> str:
    return " ".join(re.findall(r"[A-Z][a-z]+", model.__name__)).capitalize()


@cache
def homes() -> Mapping[type[Answer], str]:
    """On which page each object is explained: the first that has it."""
    found: dict[type[Answer], str] = {}
    for name in PAGES:
        for route in routes_of(name):
            for shape in (route.answer, *route.also.values()):
                for model in () if shape is None else shape.models:
                    found.setdefault(model, name)
    return found


def _object(model: type[Answer]) -> Iterator[str]:
    yield f"### {title(model)}\n"
    if model.__doc__ and "__doc__" in vars(model) and model.__doc__ != Answer.__doc__:
        yield f"{' '.join(model.__doc__.split())}\n"
    yield table(ANSWER_HEAD, answer_rows(model)) + "\n"
