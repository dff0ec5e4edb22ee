"""Reference pages made from what the code declares: ``python -m spinney.cli.reference PAGE`` prints one.

Guaranteed: equal code prints equal pages, so that a test can hold a committed page against it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from spinney.api.access import RULES
from spinney.api.openapi import ALWAYS
from spinney.api.routes import ROUTES
from spinney.api.wire import Route
from spinney.cli.lazy import load
from spinney.cli.main import SpinneyGroup
from spinney.config import options
from spinney.domain.dialect import inner, render, rules
from spinney.domain.schema import SpecModel
from spinney.domain.support import Support
from spinney.policies.base import Members, PolicyType
from spinney.policies.registry import POLICY_TYPES
from spinney.profiles.base import ProfileType
from spinney.profiles.container_refusals import CONTAINER_REFUSALS
from spinney.profiles.registry import PROFILE_TYPES

_PROFILES_HEAD = """\
# Profile types

*This page is generated: `python -m spinney.cli.reference profiles`.*

A profile's `spec` has `type`, `version` and `properties`, and nothing else. Values are read leniently: any scalar is taken as a
string, a number or truth value may be given as a string, and a map may be a JSON string that holds one. Unknown keys are
refused, and so is `null` where this page does not allow it.

The column *change* says what updating a cluster to a profile with another value takes: *in place* leaves the object
running, *anew* makes it again, *no* is refused.
"""

_POLICIES_HEAD = """\
# Policy types

*This page is generated: `python -m spinney.cli.reference policies`.*

A policy's `spec` has `type`, `version`, `properties` and, if you like, a `description`. Values are read as
[those of profiles](profiles.md) are. A specification never changes: make another policy, attach that, and detach the first.

A policy counts where it is attached and enabled. The enabled ones of a cluster are asked before each of its actions, those
with the lower priority first. What they decide is in the action's `data` (`creation`, `deletion`, `update`, `hooks`); one that
does not allow the action fails it before anything is changed, with a reason that names the policy. Attaching, changing and
detaching one moves nothing that is placed; it holds for what is placed from then on, and that includes nodes which wait for
room.

Where they are about placement, restrictions add up: a host has to satisfy every
policy, the smallest `max_per_host` and the largest `headroom` count. Of strategies, and of keys to spread over, the first
counts. A policy that would leave no host possible beside the others (two lists of zones that have none in common) is
refused when it is attached or enabled.

How to use them: [Placement policies](../how-to/placement-policies.md), [Scaling and updates](../how-to/scaling-and-updates.md).
"""

_CONFIGURATION_HEAD = """\
# Configuration

*This page is generated: `python -m spinney.cli.reference configuration`.*

`spinney standalone`, `api`, `engine` and `db` take `--config-file FILE`, which may be repeated: of two values the later
one counts, and `--host` and `--port` count more than any file. Without a file every option has its default. What is
not on this page is refused. A file is in the format of oslo.config:

```ini
[api]
port = 8800

[driver]
unix_sockets = /var/run/docker.sock, /srv/engines/*.sock
```

Sizes are in bytes, times in seconds, CPU in cores. The state directory is no option: `--state-dir`, else
`$SPINNEY_STATE_DIR`, else `spinney` in `$XDG_STATE_HOME` (`~/.local/state`).
"""

_API_HEAD = """\
# API

*This page is generated: `python -m spinney.cli.reference api`.*

Paths are below the address that `spinney ready:` prints. The request header `OpenStack-API-Version` says which versions
are spoken: `clustering 1.0` to `clustering 1.14`, as Senlin had them, and beside it `spinney 1.0` for what is Spinney's
own: `OpenStack-API-Version: clustering 1.14, spinney 1.0`. Without the second entry those paths are unknown, and
clusters come without their key `members`: `{{"active": N, "total": M}}`, how many are in service and how many there are. A node
whose user has stopped or paused it says so in `data.power`. In lists `dependents` has ten ids of a kind at most; where there
are more, `nodes_total` and `profiles_total` count them. `GET /` and `GET /v1` tell the versions, and need no password.

The column *answers* has the success first, then the refusals that belong to the call; besides them any call can answer
with {always}. Refusals are JSON: `{{"code", "title", "explanation", "error": {{"code", "message", "type"}}}}`, and
`error.message` says what was wrong and what to do. *Who* is the least role: `reader`, `member`, `admin`; the standalone user
is all three. A cluster can be created with `policies: [{{"policy_id", "enabled"}}]`; they count before its first node is
placed. 202 means queued: `Location` names the action. A machine-readable description of the same, with every
request's schema, is at `GET /v1/openapi.json`.
"""

_CLI_HEAD = """\
# Command line

*This page is generated: `python -m spinney.cli.reference cli`.*

**Which service.** In this order: `--os-cloud NAME`, `OS_CLOUD`, other `OS_*` variables or the file named by
`OS_CLIENT_CONFIG_FILE`, and the `clouds.yaml` in the state directory of `spinney standalone` on this machine
(`SPINNEY_STATE_DIR`, `XDG_STATE_HOME`).

**Results** go to standard output, all else to standard error. `-o table|json|yaml|name`: tables are for people; JSON and YAML
hold the objects of the API without their envelope, a list as an array.

**Exit codes.** 0 done, or with `--wait` reached; 1 wrong use, no connection, or refused by the service; 2 waited for and
failed; 3 waited for and not reached within `--timeout` (600 seconds unless given). `--wait` is judged by what is observed of
clusters and nodes, not by the action alone.

`-h` after any command shows its help; `spinney --install-completion` adds completion to the shell. The options `-o`,
`--os-cloud` and, where *waits* stands, `--wait` and `--timeout` are not repeated below.
"""

_REFUSED_HEAD = """\
### What is not there, and why

These keys are refused in every spelling (`PidMode`, `pid_mode`, `pid-mode`), shown here without separators.
"""


def profiles_page() -> str:
    parts = [_PROFILES_HEAD]
    for _, kind in sorted(PROFILE_TYPES.items()):
        parts += _type_section(kind)
    return "\n".join(parts)


_OURS = "Left out of type lists unless the request names Spinney's own API version.\n"
_FOR = {Members.CONTAINERS: "clusters of containers", Members.HOSTS: "host clusters", None: "any cluster"}


def policies_page() -> str:
    parts = [_POLICIES_HEAD]
    for _, found in groupby(sorted(POLICY_TYPES.values(), key=lambda kind: kind.name_version), lambda kind: kind.name):
        parts += _policy_section(list(found))
    return "\n".join(parts)


def _policy_section(versions: Sequence[PolicyType]) -> Iterator[str]:
    """Versions of a type differ in what they are called, and in keys that say so themselves."""
    kind = versions[-1]
    support = "; ".join(f"{one.version} {_support(one.support_status)}" for one in versions)
    yield f"## {', '.join(one.name_version for one in versions)}\n\n{kind.summary} Support status: {support}.\n"
    count = "at most one of them" if kind.singleton else "any number of them"
    yield f"For {_FOR[kind.members]}, {count} on each. Priority {kind.priority}.\n"
    if kind.ours:
        yield _OURS
    rows = (row for name in kind.properties.model_fields for row in _rows(kind.properties, name, "", ""))
    without_change = ((*row[:3], *row[4:]) for row in rows)
    yield _table(("property", "type", "default", "meaning", "values"), without_change) + "\n"


def _support(found: Sequence[Support]) -> str:
    return ", ".join(f"{item.status} since {item.since}" for item in found)


def _type_section(kind: ProfileType) -> Iterator[str]:
    yield f"## {kind.name_version}\n\n{kind.summary} Support status: {_support(kind.support_status)}.\n"
    if kind.ours:
        yield _OURS
    yield "### Properties\n"
    yield _table(("property", "type", "default", "change", "meaning", "values"), _property_rows(kind)) + "\n"
    if kind.operations:
        yield "### Operations\n"
        yield _table(("operation", "parameters", "meaning"), _operation_rows(kind)) + "\n"
    if kind.contained:
        yield _REFUSED_HEAD
        yield _table(("keys", "answer"), _refusal_rows()) + "\n"


def _property_rows(kind: ProfileType) -> Iterator[Sequence[str]]:
    properties = kind.properties
    for name in properties.model_fields:
        change = "no" if name in properties.fixed else "in place" if name in properties.in_place else "anew"
        yield from _rows(properties, name, "", change)


def _rows(model: type[SpecModel], name: str, prefix: str, change: str) -> Iterator[Sequence[str]]:
    field, rendered = model.model_fields[name], render(model, None)[name]
    default = "**required**" if field.is_required() else _default(rendered.get("default"))
    values = [says for says in rules(field) if not says.endswith("printable characters")]
    values += ["or null"] if name in model.nullable else []
    values += [f"from version {rendered['min_version']} on"] if "min_version" in rendered else []
    yield f"`{prefix}{name}`", str(rendered["type"]), default, change, field.description or "", "; ".join(values)
    nested = inner(field)
    if nested is not None:
        step, part = nested
        for key in part.model_fields:
            yield from _rows(part, key, f"{prefix}{name}{step}", "")


def _default(value: object) -> str:
    return "" if value is None else f"`{json.dumps(value)}`"


def _refusal_rows() -> Iterator[Sequence[str]]:
    for why in sorted(set(CONTAINER_REFUSALS.values())):
        keys = sorted(key for key, reason in CONTAINER_REFUSALS.items() if reason == why)
        yield ", ".join(f"`{key}`" for key in keys), why


def _operation_rows(kind: ProfileType) -> Iterator[Sequence[str]]:
    for name, operation in kind.operations.items():
        fields = operation.parameters.model_fields
        parameters = " ".join(f"`{key}`: {field.description}" for key, field in fields.items())
        yield f"`{name}`", parameters, operation.description


def configuration_page() -> str:
    parts = [_CONFIGURATION_HEAD]
    for section, found in options().items():
        rows = ((f"`{option.name}`", _option_default(option.default), option.help or "") for option in found)
        parts.append(f"## [{section}]\n\n{_table(('option', 'default', 'meaning'), rows)}\n")
    return "\n".join(parts)


def _option_default(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return f"`{text}`" if text else ""


def api_page() -> str:
    parts = [_API_HEAD.format(always=", ".join(str(status) for status in ALWAYS))]
    for ours, routes in groupby(ROUTES, lambda route: route.ours):
        heading = "Spinney's own, with `spinney 1.0` in the header" if ours else "The Clustering API"
        rows = (_route_row(route) for route in routes)
        parts.append(
            f"## {heading}\n\n{_table(('method', 'path', 'what', 'since', 'who', 'answers', 'query'), rows)}\n"
        )
    return "\n".join(parts)


def _route_row(route: Route) -> Sequence[str]:
    since = "spinney 1.0" if route.ours else f"1.{route.since}"
    role = _least_role(route.rule)
    answers = ", ".join(str(status) for status in (route.status, *sorted(route.refusals))) if role else "403"
    names = list(route.parameters)
    if route.list is not None:
        names += [*route.list.filters, "sort"] + ([] if route.list.plain else ["limit", "marker", "global_project"])
    query = " ".join(f"`{name}`" for name in names)
    return route.method, f"`/v1/{route.path}`", route.summary, since, role or "nobody", answers, query


def _least_role(rule: str) -> str:
    return next((role for role in ("reader", "member", "manager", "service", "admin") if role in RULES[rule]), "")


_COMMON = {"wait", "timeout", "output", "os_cloud"}


def cli_page() -> str:
    parts = [_CLI_HEAD]
    for name, entry in SpinneyGroup.entries.items():
        parts.append(f"## spinney {name}\n")
        parts += _commands(f"spinney {name}", load(name, entry), entry.help)
    return "\n".join(parts)


def _commands(path: str, found: Any, says: str = "") -> Iterator[str]:
    """``found`` is a command or a group of them, as Typer made it."""
    inside = getattr(found, "commands", None)
    if inside is not None:
        yield f"{says}\n"
        for name in sorted(inside):
            yield f"### {path} {name}\n"
            yield from _commands(f"{path} {name}", inside[name])
        return
    arguments = [parameter for parameter in found.params if not hasattr(parameter, "is_flag")]
    given = [parameter for parameter in found.params if hasattr(parameter, "is_flag")]
    waits = " *Waits.*" if any(parameter.name == "wait" for parameter in given) else ""
    yield f"{' '.join((found.help or says).split())}{waits}\n"
    words = [path, *(_usage(parameter) for parameter in arguments)]
    yield f"```text\n{' '.join(words)}\n```\n"
    rows = [_flag_row(parameter) for parameter in given if parameter.name not in _COMMON]
    if rows:
        yield _table(("option", "meaning"), iter(rows)) + "\n"


def _usage(argument: Any) -> str:
    word = argument.metavar or argument.name.upper()
    return word if argument.required else f"[{word.strip('[]')}]"


def _flag_row(option: Any) -> Sequence[str]:
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    names = ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))
    needed = " **Required.**" if option.required else ""
    return names, f"{option.help or ''}{needed}"


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


PAGES: Mapping[str, Callable[[], str]] = {
    "profiles": profiles_page,
    "policies": policies_page,
    "configuration": configuration_page,
    "api": api_page,
    "cli": cli_page,
}


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in PAGES:
        print(f"usage: python -m spinney.cli.reference {{{','.join(PAGES)}}}", file=sys.stderr)
        return 2
    print(PAGES[arguments[0]](), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
