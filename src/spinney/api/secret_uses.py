"""Which secrets of a project a profile names: found when the profile is made, and kept from then on.

Guaranteed: a secret of another project answers like one that does not exist; the key that is named is there now.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from spinney.domain.credential import Unusable
from spinney.domain.secret import SecretType, chosen
from spinney.errors import InvalidSpec, MultipleChoices
from spinney.profiles.container import ContainerProperties
from spinney.profiles.registry import ValidatedProfile
from spinney.store import secrets


def resolve_secrets(connection: Connection, project: str, validated: ValidatedProfile) -> set[str]:
    """The ids of those that a profile of the project names. Raises: InvalidSpec, MultipleChoices."""
    properties = validated.properties
    if not isinstance(properties, ContainerProperties):
        return set()
    found = set()
    for index, part in enumerate(properties.secrets):
        at = f"properties.secrets[{index}]"
        row = _find(connection, project, part.secret, f"{at}.secret")
        try:
            chosen(row.name, row.facts["keys"], part.key)
        except Unusable as error:
            raise InvalidSpec(f"{at}.key: {error}") from error
        found.add(row.id)
    if properties.registry_credential is not None:
        login = secrets.registry_secret(connection, properties.registry_credential, project)
        if login is not None:
            found.add(login.id)
    return found


def _find(connection: Connection, project: str, word: str, at: str) -> Row[Any]:
    try:
        row = secrets.find(connection, word, project)
    except MultipleChoices as error:
        raise MultipleChoices(f"{at}: {error.message}") from error
    if row is None:
        raise InvalidSpec(
            f"{at}: '{word}' could not be found: name a secret of your project, or make it with `spinney secret create`"
        )
    if row.type != SecretType.OPAQUE:
        raise InvalidSpec(
            f"{at}: '{row.name}' is a secret of type {row.type}, for pulling images; name it in registry_credential"
        )
    return row
