"""Decisions as they are stored and shown: plain JSON, and back as far as later decisions depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinney.clock import iso
from spinney.domain.autoscale.history import Past
from spinney.domain.autoscale.values import Decision, Sample


def body(decision: Decision) -> dict[str, Any]:
    """Beside what has columns of its own: moment, size, wanted size, and whether it was acted upon."""
    return {
        "since": decision.at,
        "times": 1,
        "low": decision.low,
        "high": decision.high,
        "proposed": decision.proposed,
        "by": decision.by.value,
        "sentence": decision.sentence,
        "reasons": [{"kind": one.kind.value, "text": one.text, "data": dict(one.data)} for one in decision.reasons],
        "samples": [_sample(one) for one in decision.samples],
        "seeded": decision.seeded,
        "honoured": decision.honoured,
    }


def _sample(sample: Sample) -> dict[str, Any]:
    return {"name": sample.name, "value": sample.value, "counted": sample.counted, "members": sample.members}


def past(at: float, size: int, wanted: int, acted: bool, stored: Mapping[str, Any]) -> Past:
    """Of a stored decision."""
    return Past(
        since=float(stored["since"]),
        at=at,
        size=size,
        wanted=wanted,
        proposed=stored["proposed"],
        acted=acted,
        seeded=bool(stored["seeded"]),
        honoured=stored["honoured"],
    )


def renewed(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """The later of two bodies that say the same, standing for both."""
    return {
        **later,
        "since": earlier["since"],
        "times": int(earlier["times"]) + 1,
        "seeded": earlier["seeded"] or later["seeded"],
    }


def shown(at: float, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The body for users."""
    hidden = ("since", "seeded", "honoured", "samples")
    known = {key: value for key, value in stored.items() if key not in hidden}
    return {**known, "since": iso(stored["since"]), "at": iso(at)}
