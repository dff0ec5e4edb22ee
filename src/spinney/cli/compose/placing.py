"""``deploy.placement``: which hosts may be used, as a policy of type ``spinney.policy.placement-1.0``."""

from __future__ import annotations

import re

from spinney.cli.compose import values
from spinney.cli.compose.keys import Key, Keys, Reading
from spinney.cli.compose.places import Part, Spot, Table, Unfit

_CONSTRAINT = re.compile(r"\s*(?P<what>[A-Za-z0-9._/-]+)\s*(?P<operator>==|!=|=)\s*(?P<value>[^\s=!](?:.*\S)?)\s*")
_LABELS = ("node.labels.", "engine.labels.")
_KNOWN = "node.labels.NAME == VALUE or != VALUE, node.hostname == NAME, or NAME=VALUE for a label"


def read_constraints(part: Part, reading: Reading) -> None:
    """A list of comparisons, or a map of labels."""
    if isinstance(part, Table):
        for name, value, at in values.pairs(part):
            _require(reading, name, "==", "" if value is None else values.text(value), at)
        return
    for one in values.items(part):
        with reading.faults.caught():
            found = _CONSTRAINT.fullmatch(values.text(one))
            if found is None:
                raise Unfit(one.at, f"{values.text(one)!r} is not allowed: {_KNOWN}")
            _require(reading, found["what"], found["operator"], found["value"], one.at)


def _require(reading: Reading, what: str, operator: str, value: str, at: Spot) -> None:
    if what == "node.hostname":
        if operator == "!=":
            raise Unfit(at, "a host cannot be left out by its name: give it a label, and compare that")
        _append(reading, "hosts", value, at)
        return
    label = _label(what, at)
    _append(
        reading, "require", {"key": label, "operator": "not_in" if operator == "!=" else "in", "values": [value]}, at
    )


def _label(what: str, at: Spot) -> str:
    for prefix in _LABELS:
        if what.startswith(prefix):
            return what.removeprefix(prefix)
    if what.startswith(("node.", "engine.")):
        raise Unfit(at, f"{what} cannot be compared here: {_KNOWN}")
    return what


def read_preferences(part: Part, reading: Reading) -> None:
    for one in values.items(part):
        with reading.faults.caught():
            if isinstance(one, Table):
                _spread(one, reading)
            else:
                name, equals, value = values.text(one).partition("=")
                if not equals:
                    raise Unfit(one.at, f"{name!r} is not allowed: spread: node.labels.NAME, or NAME=VALUE")
                wanted = {"key": _label(name.strip(), one.at), "operator": "in", "values": [value.strip()]}
                _append(reading, "prefer", wanted, one.at)


def _spread(part: Table, reading: Reading) -> None:
    for name, inner in part.entries.items():
        if name != "spread":
            raise Unfit(inner.at, "there is no such key; there is spread")
        what = values.text(inner)
        key = "host" if what == "node.hostname" else f"label:{_label(what, inner.at)}"
        reading.draft.put(("placement", "spread_over"), key, inner.at)


def _append(reading: Reading, key: str, value: object, at: Spot) -> None:
    index = len(reading.draft.value(("placement", key)) or ())
    reading.draft.put(("placement", key, index), value, at)


def _most(part: Part, reading: Reading) -> None:
    reading.draft.put(("placement", "max_per_host"), values.whole(part), part.at)


PLACEMENT = Keys(
    "services.*.deploy.placement",
    {
        "constraints": Key(
            read_constraints,
            "policy `spinney.policy.placement`: `require`, `hosts`",
            "`node.labels.NAME == VALUE` or `!=`, `node.hostname == NAME`, `NAME=VALUE`, or a map of labels.",
        ),
        "preferences": Key(
            read_preferences,
            "policy `spinney.policy.placement`: `spread_over`, `prefer`",
            "`spread: node.labels.NAME`, once; or `NAME=VALUE`.",
        ),
        "max_replicas_per_node": Key(_most, "policy `spinney.policy.placement`: `max_per_host`"),
    },
)
