"""Secrets of projects, and which profiles name them.

Guaranteed: names are unique within a project; a secret that a profile names is not removed, and what a profile names is
recorded in the transaction that stores the profile; values leave this module sealed. Each change of a value counts its
version up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from spinney.domain.secret import Secret, SecretType
from spinney.errors import Conflict, ResourceInUse
from spinney.store.identity import Finder, Scope
from spinney.store.rows import Mapper
from spinney.store.tables import profile, secret_use
from spinney.store.tables import secret as table

SECRETS = Mapper(table, Secret, {"type": SecretType})
SHOWN = sa.select(*(column for column in SECRETS.columns if column.name != "sealed"))
FINDER = Finder("secret", table, SHOWN)

_NAMED_AT_MOST = 5


def insert(connection: Connection, secret: Secret) -> None:
    """Raises: Conflict when the name is taken in the project."""
    try:
        with connection.begin_nested():
            SECRETS.insert(connection, [secret])
    except IntegrityError as error:
        taken = sa.select(table.c.id).where(table.c.project == secret.project, table.c.name == secret.name)
        if connection.execute(taken).first() is None:
            raise
        raise Conflict(
            f"name: there is a secret '{secret.name}' already; choose another name, or replace its data."
        ) from error


def replace_value(
    connection: Connection,
    secret_id: str,
    *,
    sealed: bytes | None,
    reference: str | None,
    facts: Mapping[str, Any],
    now: float,
    user: str | None = None,
) -> None:
    """``user``: who gives the reference, and in whose name it is read from now on; None: that is as it was."""
    values: dict[str, Any] = {"sealed": sealed, "reference": reference, "facts": facts, "updated_at": now}
    if user is not None:
        values["user"] = user
    connection.execute(table.update().where(table.c.id == secret_id).values(version=table.c.version + 1, **values))


def remove(connection: Connection, found: Row[Any]) -> None:
    """``found``: a row of ``SHOWN``. Raises: ResourceInUse."""
    named_by = (
        sa.select(profile.c.name, profile.c.id)
        .join_from(secret_use, profile, secret_use.c.profile_id == profile.c.id)
        .where(secret_use.c.secret_id == found.id)
        .order_by(profile.c.name, profile.c.id)
    )
    users = [f"profile '{row.name}' ({row.id})" for row in connection.execute(named_by)]
    if users:
        more = f" and {len(users) - _NAMED_AT_MOST} more" if len(users) > _NAMED_AT_MOST else ""
        raise ResourceInUse(
            f"The secret '{found.name}' cannot be deleted: it is named by {', '.join(users[:_NAMED_AT_MOST])}{more}; "
            f"delete these first, or give the secret other data."
        )
    connection.execute(table.delete().where(table.c.id == found.id))


def load(connection: Connection, secret_id: str) -> Secret | None:
    """With what it holds, sealed."""
    return SECRETS.one(connection, table.c.id == secret_id)


def registry_secret(connection: Connection, word: str, project: str) -> Secret | None:
    """The project's login of that name or id."""
    word_fits = sa.or_(table.c.name == word, table.c.id == word)
    found = SECRETS.all(connection, word_fits, table.c.project == project, table.c.type == SecretType.REGISTRY)
    return next((one for one in found if one.name == word), found[0] if found else None)


def named_by(connection: Connection, profile_id: str) -> list[Secret]:
    """Those that a profile names, with what they hold, sealed."""
    used = sa.select(secret_use.c.secret_id).where(secret_use.c.profile_id == profile_id)
    return SECRETS.all(connection, table.c.id.in_(used))


def find(connection: Connection, word: str, project: str) -> Row[Any] | None:
    """A row of ``SHOWN`` that a profile of the project means by a name or an id. Raises: MultipleChoices."""
    return FINDER.find(connection, word, Scope(project))


def use(connection: Connection, profile_id: str, secret_ids: Collection[str]) -> None:
    """Record what a new profile names."""
    rows = [{"profile_id": profile_id, "secret_id": secret_id} for secret_id in sorted(secret_ids)]
    if rows:
        connection.execute(secret_use.insert(), rows)


def disuse(connection: Connection, profile_id: str) -> None:
    connection.execute(secret_use.delete().where(secret_use.c.profile_id == profile_id))
