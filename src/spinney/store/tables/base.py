"""What all tables share. Times are seconds since the epoch as double precision; ids are UUIDs as text."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, String

metadata = MetaData()


def id_column(name: str, **kw: object) -> Column[str]:
    return Column(name, String(36), **kw)  # type: ignore[arg-type]  # Column's own keywords, passed through


def owned() -> list[Column[str]]:
    return [
        Column("user", String(64), nullable=False),
        Column("project", String(64), nullable=False),
        Column("domain", String(64)),
    ]
