"""Rows to frozen values and back: the one place where the two forms meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import Cluster, ClusterStatus
from spinney.domain.event import Event, Level
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.policy import Binding, Policy
from spinney.domain.profile import Profile
from spinney.domain.revision import Revision
from spinney.domain.runs import Run, RunStatus
from spinney.store import tables

V = TypeVar("V")

#: Rows per statement: the parameters of thousands at once are what a big cluster would cost in memory.
_CHUNK = 500


class Mapper(Generic[V]):
    """Between one table and one dataclass whose fields are named like its columns.

    ``enums`` tells which columns hold which enumeration; ``extra`` columns exist in the table alone.
    """

    def __init__(self, table: Table, kind: type[V], enums: Mapping[str, type] | None = None) -> None:
        self.table = table
        self._kind = kind
        self._enums = dict(enums or {})
        self.names = tuple(f.name for f in fields(kind))  # type: ignore[arg-type]  # every V is a dataclass
        self.columns = [table.c[name] for name in self.names]
        self._values = attrgetter(*self.names)

    def value(self, row: Sequence[Any], **changed: Any) -> V:
        """``changed``: fields that are to differ from the row."""
        values = dict(zip(self.names, row, strict=True))
        for name, enum in self._enums.items():
            values[name] = enum(values[name])
        values |= changed
        return self._kind(**values)

    def row(self, value: V) -> dict[str, Any]:
        return dict(zip(self.names, self._values(value), strict=True))

    def select(self) -> sa.Select[Any]:
        return sa.select(*self.columns)

    def all(self, connection: Connection, *where: sa.ColumnElement[bool]) -> list[V]:
        return [self.value(row) for row in connection.execute(self.select().where(*where)).all()]

    def one(self, connection: Connection, *where: sa.ColumnElement[bool]) -> V | None:
        row = connection.execute(self.select().where(*where)).first()
        return None if row is None else self.value(row)

    def insert(self, connection: Connection, values: Sequence[V]) -> None:
        for start in range(0, len(values), _CHUNK):
            connection.execute(self.table.insert(), [self.row(value) for value in values[start : start + _CHUNK]])


PROFILES = Mapper(tables.profile, Profile)
POLICIES = Mapper(tables.policy, Policy)
BINDINGS = Mapper(tables.binding, Binding)
CLUSTERS = Mapper(tables.cluster, Cluster, {"status": ClusterStatus})
REVISIONS = Mapper(tables.revision, Revision)
NODES = Mapper(tables.node, Node, {"status": NodeStatus, "power": PowerState})
ACTIONS = Mapper(tables.action, Action, {"action": ActionKind, "cause": Cause, "status": ActionStatus})
EVENTS = Mapper(tables.event, Event, {"level": Level})
RUNS = Mapper(tables.run, Run, {"status": RunStatus})
