"""Rows for tests of the store, and databases to put them in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinney.clock import Ids, SystemClock
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import Cluster, ClusterStatus
from spinney.domain.host import Host, HostState
from spinney.domain.node import Node, NodeStatus
from spinney.store import engines, hosts, tables
from spinney.store.database import Store
from spinney.store.rows import NODES

LEASE = 10.0
_IDS = Ids(1)


class Clock(SystemClock):
    """Stands where it is put."""

    def __init__(self) -> None:
        self.moment = 1000.0

    def now(self) -> float:
        return self.moment


def in_memory(clock: Clock) -> Store:
    store = Store("sqlite://", clock, inline=True)
    tables.metadata.create_all(store.engine)
    return store


def in_file(folder: Path) -> str:
    return f"sqlite:///{folder / 'spinney.db'}"


def new_id() -> str:
    return _IDS.new()


def action(target: str = "", kind: ActionKind = ActionKind.NODE_CHECK, **fields: Any) -> Action:
    values: dict[str, Any] = {
        "id": new_id(), "name": "a", "target": target or new_id(), "action": kind, "cause": Cause.REQUEST,
        "status": ActionStatus.READY, "status_reason": "", "project": "p", "user": "u", "created_at": 1000.0,
    }  # fmt: skip
    return Action(**{**values, **fields})


def node(**fields: Any) -> Node:
    values: dict[str, Any] = {"id": new_id(), "name": "n", "profile_id": "-", "project": "p", "user": "u"}
    return Node(**{**values, **fields})


def cluster(**fields: Any) -> Cluster:
    values: dict[str, Any] = {
        "id": new_id(), "name": "c", "profile_id": "-", "project": "p", "user": "u", "status": ClusterStatus.ACTIVE,
    }  # fmt: skip
    return Cluster(**{**values, **fields})


def add_host(store: Store, *, cpu: float = 4.0, memory: int = 1000, cluster_id: str = "hosts", **fields: Any) -> str:
    owner = node(cluster_id=cluster_id, status=NodeStatus.ACTIVE)
    values: dict[str, Any] = {"state": HostState.READY, **fields}
    row = Host(
        node_id=owner.id, endpoint=f"sim://{owner.id}", name=owner.name, cluster_id=cluster_id, project="p", cpu=cpu,
        memory=memory, **values,
    )  # fmt: skip
    store.run(lambda c: (NODES.insert(c, [owner]), hosts.register(c, row)))
    return owner.id


def begin_engine(store: Store, lease: float = LEASE) -> str:
    engine_id = new_id()
    store.run(engines.begin, engine_id, "here", lease, None)
    return engine_id


def everything(store: Store) -> Mapping[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    return store.run(
        lambda c: {t.name: sorted(map(tuple, c.execute(t.select())), key=repr) for t in tables.metadata.sorted_tables}
    )
