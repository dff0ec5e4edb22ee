"""The pages of profile types and policy types."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from spinney.cli.reference.text import table
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
    yield table(("property", "type", "default", "meaning", "values"), without_change) + "\n"


def _support(found: Sequence[Support]) -> str:
    return ", ".join(f"{item.status} since {item.since}" for item in found)


def _type_section(kind: ProfileType) -> Iterator[str]:
    yield f"## {kind.name_version}\n\n{kind.summary} Support status: {_support(kind.support_status)}.\n"
    if kind.ours:
        yield _OURS
    yield "### Properties\n"
    yield table(("property", "type", "default", "change", "meaning", "values"), _property_rows(kind)) + "\n"
    if kind.operations:
        yield "### Operations\n"
        yield table(("operation", "parameters", "meaning"), _operation_rows(kind)) + "\n"
    if kind.contained:
        yield _REFUSED_HEAD
        yield table(("keys", "answer"), _refusal_rows()) + "\n"


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
