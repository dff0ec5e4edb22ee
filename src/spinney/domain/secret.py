"""Secrets: values that a project keeps for its containers, its registries and its hooks.

Reading what a request gives is pure. Guaranteed: what was checked can be used as it stands (names of keys fit a file name and
a message, a registry secret has what a login needs), it is bounded in number and size, and no value is in an error or a
``repr``. Not guaranteed: that a registry accepts it, or that what a reference leads to exists.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from spinney.domain.credential import CredentialType, RegistryMaterial, Unusable, read

MOST_KEYS = 64
#: Bytes of all keys and values together.
MOST_BYTES = 256 * 1024
#: The one key of a secret that is kept elsewhere.
PAYLOAD = "value"
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_KEY_SAYS = "1 to 253 letters, digits, '_', '.' and '-', the first a letter, digit or '_'"
_REFERENCE = re.compile(
    r"https?://[A-Za-z0-9.:\[\]_-]{1,255}(?:/[A-Za-z0-9._-]{1,64}){0,8}/secrets/"
    r"(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
)
_LONGEST_REFERENCE = 512
HIDDEN = "(secret)"
#: A value that is shorter is not looked for: it would be found in any text.
_SHORTEST = 4
#: Letters of a beginning that is taken for one where a text was cut.
_BEGINNING = 8
_CUT = "…"


class SecretType(StrEnum):
    OPAQUE = "opaque"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """As stored: the values sealed, or elsewhere, beside what may be shown."""

    id: str
    name: str
    type: SecretType
    sealed: bytes | None = field(repr=False)
    reference: str | None
    facts: Mapping[str, Any]
    version: int
    user: str
    project: str
    domain: str | None
    created_at: float
    updated_at: float | None = None


def examine(kind: SecretType, data: Mapping[str, Any]) -> dict[str, Any]:
    """What may be shown of it. Raises: Unusable."""
    if kind is SecretType.REGISTRY:
        return {"keys": sorted(data), "registry": registry(data).registry}
    if not data:
        raise Unusable("data: it is empty; give at least one key with its value")
    if len(data) > MOST_KEYS:
        raise Unusable(f"data: {len(data)} keys are too many; {MOST_KEYS} are allowed")
    size = 0
    for key, value in sorted(data.items()):
        if not _KEY.fullmatch(key):
            raise Unusable(f"data.{key[:80]!r}: it is no name of a key: {_KEY_SAYS}")
        if not isinstance(value, str):
            raise Unusable(f"data.{key}: it must be text")
        try:
            size += len(key) + len(value.encode())
        except UnicodeEncodeError:
            raise Unusable(f"data.{key}: it holds half a character (a lone surrogate); give whole text") from None
    if size > MOST_BYTES:
        raise Unusable(f"data: {size} bytes are too many; {MOST_BYTES} are allowed, so keep several secrets instead")
    return {"keys": sorted(data)}


def registry(data: Mapping[str, Any]) -> RegistryMaterial:
    """The login in a registry secret. Raises: Unusable."""
    if "projects" in data:
        raise Unusable("data.projects: a secret belongs to its own project; leave it out")
    found = read(CredentialType.REGISTRY, data)
    assert isinstance(found, RegistryMaterial)
    return found


def reference_id(reference: str) -> str | None:
    """The id of the secret that a Barbican reference names; None: it is no such reference."""
    found = _REFERENCE.fullmatch(reference) if len(reference) <= _LONGEST_REFERENCE else None
    return None if found is None else found["id"]


def chosen(name: str, keys: Sequence[str], key: str | None) -> str:
    """The key that is meant: the one named, or the only one there is. Raises: Unusable."""
    shown = ", ".join(sorted(keys)[:10])
    if key is None and len(keys) == 1:
        return keys[0]
    if key is None:
        raise Unusable(f"secret '{name}' has several keys ({shown}); name the one that is meant with key")
    if key not in keys:
        raise Unusable(f"secret '{name}' has no key '{key}'; it has {shown}")
    return key


def conceal(text: str, values: Iterable[str]) -> str:
    """The text without these values, in whichever of the usual spellings they are in it."""
    forms = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
    for form in forms:
        text = text.replace(form, HIDDEN)
    if text.endswith(_CUT):
        rest = text.removesuffix(_CUT)
        for form in forms:
            for length in range(len(form) - 1, _BEGINNING - 1, -1):
                if rest.endswith(form[:length]):
                    return f"{rest[:-length]}{HIDDEN}{_CUT}"
    return text


def _forms(value: str) -> Iterator[str]:
    """Itself, its lines, and what other programs make of it when they quote it."""
    raw = value.encode(errors="replace")
    encoded = base64.b64encode(raw).decode()
    spellings = {
        value,
        value.strip(),
        " ".join(value.split()),
        *(line.strip() for line in value.splitlines() if len(line.strip()) >= _BEGINNING),
        encoded,
        encoded.rstrip("="),
        base64.urlsafe_b64encode(raw).decode(),
        raw.hex(),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        quote(value, safe=""),
    }
    return (one for one in spellings if len(one) >= _SHORTEST)
