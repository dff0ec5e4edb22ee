"""What clusters and nodes can be asked to do, and the keys of each request."""

from __future__ import annotations

from spinney.api import cluster_actions, node_actions

OPERATIONS = ("stop", "start", "restart", "kill", "pause", "unpause")


def _cases() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: ["params", "filters", "timeout", "signal", "wait_time"] for name in OPERATIONS}
    for name, verb in {**node_actions.VERBS, **cluster_actions.VERBS}.items():
        known = sorted(verb.model.model_fields) if verb.model is not None else ["delete_check_action"]
        found[name] = known or ["any"]
    return found


CASES = _cases()
