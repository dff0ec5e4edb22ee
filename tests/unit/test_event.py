"""What an event says of an action, a node and a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.action import ActionKind, Cause, queued
from spinney.domain.event import Level, of_action, of_cluster, of_node
from spinney.domain.identity import Owner

OWNER = Owner("u", "p", None)


def test_levels_are_numbered_as_clients_know_them() -> None:
    known = {"DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "CRITICAL": 50}
    assert {one.label: int(one) for one in Level} == known


@pytest.mark.parametrize(
    ("kind", "inputs", "phase", "otype", "action", "reason"),
    [
        (ActionKind.CLUSTER_CREATE, {}, "end", "CLUSTER", "CLUSTER_CREATE", "done"),
        (ActionKind.NODE_CREATE, {"operation": "x"}, "error", "NODE", "NODE_CREATE", "done"),
        (ActionKind.NODE_OPERATION, {"operation": "restart"}, "start", "NODE", "restart", "0123abcd"),
    ],
)
def test_of_an_action(
    kind: ActionKind, inputs: dict[str, Any], phase: str, otype: str, action: str, reason: str
) -> None:
    done = queued(
        kind, "t", OWNER, action_id="0123abcd-ef", cause=Cause.REQUEST, now=1.0, inputs=inputs, cluster_id="c"
    )
    event = of_action(done, "web", phase, Level.INFO, "done", event_id="e", now=2.0)
    assert (event.otype, event.oid, event.oname, event.cluster_id) == (otype, "t", "web", "c")
    assert (event.action, event.status, event.status_reason) == (action, phase, reason)
    assert (event.meta_data, event.user, event.project) == ({"action_id": "0123abcd-ef"}, "u", "p")


@pytest.mark.parametrize(("level", "status"), [(Level.INFO, "end"), (Level.WARN, "error"), (Level.ERROR, "error")])
def test_of_what_no_action_caused(level: Level, status: str) -> None:
    said: dict[str, Any] = {
        "cluster_id": "c",
        "kind": "K",
        "level": level,
        "reason": "why",
        "event_id": "e",
        "now": 2.0,
    }
    node = of_node(OWNER, node_id="n", node_name="web-0", **said)
    assert (node.otype, node.oid, node.oname, node.status, node.meta_data) == ("NODE", "n", "web-0", status, {})
    cluster = of_cluster(OWNER, cluster_name="web", **said, data={"a": 1})
    assert (cluster.otype, cluster.oid, cluster.oname, cluster.status) == ("CLUSTER", "c", "web", status)
    assert (cluster.action, cluster.status_reason, cluster.meta_data) == ("K", "why", {"a": 1})
