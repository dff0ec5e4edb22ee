"""Types of specifications, of profiles and of policies alike: which are listed, and what is read of a specification first."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from spinney.domain.schema import NotAllowed, to_text
from spinney.errors import ESchema, ResourceNotFound, SpinneyError


class SpecType(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def name_version(self) -> str: ...

    @property
    def ours(self) -> bool: ...

    def schema(self) -> dict[str, Any]: ...

    def support(self) -> dict[str, list[dict[str, str]]]: ...


K = TypeVar("K", bound=SpecType)


def the(noun: str, types: Mapping[str, K], name_version: str) -> K:
    """``noun``: what clients call such types. Raises: ResourceNotFound."""
    kind = types.get(name_version)
    if kind is not None:
        return kind
    given = name_version[:255]
    near = difflib.get_close_matches(given, list(types), n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(sorted(types))}."
    raise ResourceNotFound(f"The {noun} '{given}' could not be found. {hint}")


def listed(types: Mapping[str, K], *, with_ours: bool) -> list[K]:
    """By name and version; ours only for callers who speak Spinney's own API version."""
    return [kind for _, kind in sorted(types.items()) if with_ours or not kind.ours]


def support_status(types: Mapping[str, SpecType], name: str) -> dict[str, list[dict[str, str]]]:
    """All versions of one type, as its show answers."""
    return {
        version: entries for kind in types.values() if kind.name == name for version, entries in kind.support().items()
    }


def word(spec: Mapping[str, Any], key: str, wrong: type[SpinneyError]) -> str:
    """Raises: ESchema when it is not given, else ``wrong``."""
    if spec.get(key) is None:
        raise ESchema(f"spec.{key}: this is required and was not given")
    try:
        return to_text(spec[key])
    except NotAllowed as error:
        raise wrong(f"spec.{key}: {error.allowed} is needed") from error
