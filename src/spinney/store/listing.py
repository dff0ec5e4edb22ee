"""Lists: filters, order, pages, scope.

Guaranteed: the order is total (the id is always the last key) and the same on every database: nulls come first ascending
and last descending; a page that starts after a marker holds exactly what follows it in that order. Not guaranteed: that pages
taken at different times add up to one moment's list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, FromClause, Row
from sqlalchemy.sql.elements import ColumnElement

#: Filters that leave few rows of a project.
_NARROW = frozenset({"cluster_id", "target", "oid", "profile_id"})


@dataclass(frozen=True, slots=True)
class SortKey:
    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class ListQuery:
    """``filters``: column -> the values any of which fits. ``project`` None: all projects."""

    project: str | None
    filters: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    sort: tuple[SortKey, ...] = ()
    marker: str | None = None
    limit: int | None = None


def run(connection: Connection, table: FromClause, select: sa.Select[Any], query: ListQuery) -> Sequence[Row[Any]]:
    """The page of ``select``'s rows that ``query`` means; ``table`` has the columns it filters and sorts by."""
    if query.limit == 0:
        return []
    keys = [*query.sort, SortKey("id")]
    where = _conditions(table, query)
    if query.marker is not None:
        columns = [table.c[key.name] for key in keys]
        scoped = [] if query.project is None else [table.c.project == query.project]
        marked = connection.execute(sa.select(*columns).where(table.c.id == query.marker, *scoped)).first()
        if marked is not None:
            where.append(_after(table, keys, tuple(marked)))
    order = _order(table, keys)
    if query.limit is None or not query.filters:
        whole = select.where(*where).order_by(*order)
        return connection.execute(whole if query.limit is None else whole.limit(query.limit)).all()
    # Which rows first, and only then what is in them: sorting whole rows would read all that the page leaves out.
    page = sa.select(table.c.id).where(*where).order_by(*order).limit(query.limit).subquery("page")
    return connection.execute(select.where(table.c.id == page.c.id).order_by(*order)).all()


def _conditions(table: FromClause, query: ListQuery) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if query.project is not None:
        # A plain comparison would let SQLite walk through the whole project in order, past an index that finds a few.
        narrow = _NARROW & query.filters.keys()
        project: ColumnElement[Any] = sa.func.coalesce(table.c.project, "") if narrow else table.c.project
        where.append(project == query.project)
    for name, values in query.filters.items():
        column = table.c[name]
        where.append(column == values[0] if len(values) == 1 else column.in_(values))
    return where


def _order(table: FromClause, keys: Sequence[SortKey]) -> list[ColumnElement[Any]]:
    order: list[ColumnElement[Any]] = []
    for key in keys:
        column = table.c[key.name]
        if column.nullable:
            nulls = sa.case((column.is_(None), 0), else_=1)
            order.append(nulls.desc() if key.descending else nulls.asc())
        order.append(column.desc() if key.descending else column.asc())
    return order


def _after(table: FromClause, keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that come later than one with these values: later by some key, equal by all keys before it."""
    later: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for key, value in zip(keys, values, strict=True):
        column = table.c[key.name]
        beyond = _beyond(column, key.descending, value, bool(column.nullable))
        if beyond is not None:
            later.append(sa.and_(*equal, beyond))
        equal.append(column.is_(None) if value is None else column == value)
    return sa.or_(*later)


def _beyond(column: ColumnElement[Any], descending: bool, value: Any, nullable: bool) -> ColumnElement[bool] | None:
    """None: nothing comes later by this key."""
    if value is None:
        return None if descending else column.is_not(None)
    if not descending:
        return column.__gt__(value)
    before = column.__lt__(value)
    return sa.or_(before, column.is_(None)) if nullable else before
