"""Types of profiles and of policies, as both are answered."""

from __future__ import annotations

from typing import Any

from spinney.api.wire import Call
from spinney.domain.spec_type import SpecType


def listed(call: Call, kind: SpecType) -> dict[str, Any]:
    if not call.since(5):
        return {"name": kind.name_version}
    return {"name": kind.name, "support_status": kind.support(), "version": kind.version}


def shown(call: Call, kind: SpecType, support: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    """``support``: that of all its versions."""
    view: dict[str, Any] = {"name": call.word, "schema": kind.schema()}
    return view | {"support_status": support} if call.since(5) else view
