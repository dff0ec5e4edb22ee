"""Credentials of the deployment, and the public key they are sealed with.

Credentials belong to no project: operators keep them, names are unique. Guaranteed: one that a host or a profile names is not
removed; what it holds leaves this module sealed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from spinney.domain.credential import Credential, CredentialType
from spinney.errors import Conflict, MultipleChoices, ResourceInUse
from spinney.sealing import PublicKey, SecretKeys, WrongKey
from spinney.store import sealed
from spinney.store.identity import LISTED, as_uuid, several
from spinney.store.rows import Mapper
from spinney.store.tables import credential as table
from spinney.store.tables import host, meta, node, profile

CREDENTIALS = Mapper(table, Credential, {"type": CredentialType})
SHOWN = sa.select(*(column for column in CREDENTIALS.columns if column.name != "sealed"))
COLUMNS = tuple(str(column.key) for column in SHOWN.selected_columns)

_KEY = "sealing_key"
_NAMED_AT_MOST = 5


def register_key(connection: Connection, keys: SecretKeys) -> None:
    """What an engine holds is what everybody seals for. Raises: WrongKey when things are sealed for one it does not hold."""
    known, key = sealing_key(connection), keys.public
    if known == key:
        return
    if known is not None and known.id not in keys.ids and sealed.any_there(connection):
        raise WrongKey(
            f"{keys.origin} holds key {key.id}, but the credentials of this deployment are sealed for key {known.id}: put "
            f"that key back, or, if it is lost, run `spinney db forget-key` and give each credential and secret its data anew"
        )
    if known is not None:
        forget_key(connection)
    connection.execute(meta.insert().values(key=_KEY, value=base64.b64encode(key.raw).decode()))


def forget_key(connection: Connection) -> bool:
    """The next engine that starts brings its own. False: there was none."""
    return connection.execute(meta.delete().where(meta.c.key == _KEY)).rowcount > 0


def sealing_key(connection: Connection) -> PublicKey | None:
    stored = connection.execute(sa.select(meta.c.value).where(meta.c.key == _KEY)).scalar()
    return None if stored is None else PublicKey(base64.b64decode(stored))


def find(connection: Connection, word: str) -> Row[Any] | None:
    """A row of ``SHOWN`` by id, name or the beginning of its id. Raises: MultipleChoices."""
    uuid = as_uuid(word)
    exact = connection.execute(SHOWN.where(sa.or_(table.c.id == (uuid or word), table.c.name == word))).all()
    if exact:
        return next((row for row in exact if row.id == uuid), exact[0])
    begun = connection.execute(
        SHOWN.where(table.c.id.startswith(word.lower(), autoescape=True)).limit(LISTED + 1)
    ).all()
    if len(begun) > 1:
        raise MultipleChoices(several("credential", word, begun))
    return begun[0] if begun else None


def load(connection: Connection, word: str) -> Credential | None:
    """By name or id, as hosts and profiles name it."""
    return CREDENTIALS.one(connection, sa.or_(table.c.name == word, table.c.id == word))


def insert(connection: Connection, credential: Credential) -> None:
    """Raises: Conflict when the name is taken."""
    try:
        with connection.begin_nested():
            CREDENTIALS.insert(connection, [credential])
    except IntegrityError as error:
        if connection.execute(sa.select(table.c.id).where(table.c.name == credential.name)).first() is None:
            raise
        raise Conflict(
            f"name: there is a credential '{credential.name}' already; choose another name, or replace its data."
        ) from error


def replace_material(
    connection: Connection, credential_id: str, sealed: bytes, facts: Mapping[str, Any], now: float
) -> None:
    connection.execute(
        table.update().where(table.c.id == credential_id).values(sealed=sealed, facts=facts, updated_at=now)
    )


def remove(connection: Connection, found: Row[Any]) -> None:
    """``found``: a row of ``SHOWN``. Raises: ResourceInUse."""
    users = _users(connection, {found.id, found.name})
    if users:
        more = f" and {len(users) - _NAMED_AT_MOST} more" if len(users) > _NAMED_AT_MOST else ""
        raise ResourceInUse(
            f"The credential '{found.name}' cannot be deleted: it is named by {', '.join(users[:_NAMED_AT_MOST])}{more}; "
            f"remove these first, or give the credential other data."
        )
    connection.execute(table.delete().where(table.c.id == found.id))


def _users(connection: Connection, words: set[str]) -> list[str]:
    hosts = connection.execute(
        sa.select(node.c.name)
        .join_from(host, node, host.c.node_id == node.c.id)
        .where(host.c.credential.in_(words))
        .order_by(node.c.name)
    ).scalars()
    users = [f"host '{name}'" for name in hosts]
    text = sa.cast(profile.c.spec, sa.Text)
    # Which rows may name it, by their text: names need no escaping in JSON. Then which do.
    likely = sa.select(profile.c.name, profile.c.id, profile.c.spec).where(
        sa.or_(*(text.contains(f'"{word}"', autoescape=True) for word in words))
    )
    for name, profile_id, spec in connection.execute(likely.order_by(profile.c.name, profile.c.id)):
        if words & set(_named_by(spec)):
            users.append(f"profile '{name}' ({profile_id})")
    return users


def _named_by(spec: Mapping[str, Any]) -> list[str]:
    """The credentials that a specification names, as posted."""
    properties = spec.get("properties")
    if not isinstance(properties, Mapping):
        return []
    machines = properties.get("inventory")
    holders = [properties, *(machines if isinstance(machines, list) else [])]
    return [
        str(holder[key])
        for holder in holders
        if isinstance(holder, Mapping)
        for key in ("credential", "registry_credential")
        if isinstance(holder.get(key), str)
    ]
