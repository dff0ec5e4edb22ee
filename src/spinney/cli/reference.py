"""Reference pages made from what the code declares: ``python -m spinney.cli.reference PAGE`` prints one.

Guaranteed: equal code prints equal pages, so that a test can hold a committed page against it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from spinney.domain.dialect import inner, render, rules
from spinney.domain.schema import SpecModel
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

_REFUSED_HEAD = """\
### What is not there, and why

These keys are refused in every spelling (`PidMode`, `pid_mode`, `pid-mode`), shown here without separators.
"""


def profiles_page() -> str:
    parts = [_PROFILES_HEAD]
    for _, kind in sorted(PROFILE_TYPES.items()):
        parts += _type_section(kind)
    return "\n".join(parts)


def _type_section(kind: ProfileType) -> Iterator[str]:
    support = ", ".join(f"{item.status} since {item.since}" for item in kind.support_status)
    yield f"## {kind.name_version}\n\n{kind.summary} Support status: {support}.\n"
    if kind.ours:
        yield "Left out of type lists unless the request names Spinney's own API version.\n"
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


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


PAGES: Mapping[str, Callable[[], str]] = {"profiles": profiles_page}


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in PAGES:
        print(f"usage: python -m spinney.cli.reference {{{','.join(PAGES)}}}", file=sys.stderr)
        return 2
    print(PAGES[arguments[0]](), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
