"""Tables of keys: for each map of a Compose file which keys are taken, what they become, and why others are not there.

Guaranteed by ``walk``: a key is read by its entry or is a fault; only extensions of others (``x-…``) are passed over, which is
what Compose has them for.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from spinney.cli.compose import values
from spinney.cli.compose.draft import Draft
from spinney.cli.compose.places import Faults, Part, Scalar, Spot, Unfit

EXTENSION = "x-"
OURS = "x-spinney-"


@dataclass(frozen=True, slots=True)
class Context:
    """What a file is read with. ``read`` gives the text of a file by its path, which is relative to the Compose file's folder;
    None: there is none."""

    variables: Mapping[str, str]
    read: Callable[[str], str | None]
    #: Names of the Compose profiles that are switched on.
    profiles: frozenset[str] = frozenset()
    #: For services that name no hosts themselves.
    host_cluster: str | None = None
    #: Instead of what the file says.
    project: str | None = None
    #: Where nothing else gives the project a name.
    folder: PurePosixPath = PurePosixPath("/")


@dataclass(frozen=True, slots=True)
class Need:
    """A service that comes first."""

    service: str
    at: Spot
    healthy: bool
    required: bool


@dataclass(slots=True)
class Reading:
    """One service being read."""

    context: Context
    faults: Faults
    draft: Draft
    #: Of the file: names of its secrets to what they are called in the project; None: that could not be read.
    secrets: Mapping[str, SecretSource | None]
    environment: dict[str, tuple[str, Spot]] = field(default_factory=dict)
    from_files: dict[str, tuple[str, Spot]] = field(default_factory=dict)
    needs: list[Need] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    #: Names or ids of policies that are there already.
    policies: list[tuple[str, Spot]] = field(default_factory=list)
    inline: int = 0


@dataclass(frozen=True, slots=True)
class SecretSource:
    name: str
    key: str | None


Read = Callable[[Part, Reading], None]


@dataclass(frozen=True, slots=True)
class Key:
    #: None: it is looked at elsewhere.
    read: Read | None
    #: What it is in Spinney.
    becomes: str
    #: What should be known of it.
    says: str = ""


@dataclass(frozen=True, slots=True)
class Keys:
    """``of``: the path of the map, for the reference."""

    of: str
    known: Mapping[str, Key]
    #: Keys of Compose that have no counterpart here -> why, and what to do instead.
    refused: Mapping[str, str] = field(default_factory=dict)
    inner: tuple[Keys, ...] = ()


def walk(part: Part, keys: Keys, reading: Reading) -> None:
    for name, inner in values.table(part).entries.items():
        with reading.faults.caught():
            key = keys.known.get(name)
            if key is not None:
                if key.read is not None:
                    key.read(inner, reading)
            elif not name.startswith(EXTENSION) or name.startswith(OURS):
                raise Unfit(inner.at, refusal(name, keys))


def refusal(name: str, keys: Keys) -> str:
    reason = keys.refused.get(name)
    if reason is not None:
        return reason
    near = difflib.get_close_matches(name, [*keys.known, *keys.refused], n=1)
    told = f"did you mean {near[0]}?" if near else f"there are {', '.join(keys.known)}"
    return f"there is no such key; {told}"


def straight(path: tuple[str, ...], read: Callable[[Part], object]) -> Read:
    """One value to one place."""
    return lambda part, reading: reading.draft.put(path, read(part), part.at)


def as_it_is(*path: str) -> Read:
    """A value that the profile reads itself, in whatever scalar form it came."""
    return lambda part, reading: reading.draft.put(path, values.scalar(part).value, part.at)


def whole_part(*path: str) -> Read:
    return lambda part, reading: reading.draft.put_part(path, part)


def listed(*path: str) -> Read:
    """A list of texts."""

    def read(part: Part, reading: Reading) -> None:
        reading.draft.mark(path, part.at, [])
        for index, one in enumerate(values.items(part)):
            reading.draft.put((*path, index), values.text(one), one.at)

    return read


def through(keys: Keys) -> Read:
    """A map with a table of its own; null stands for an empty one."""

    def read(part: Part, reading: Reading) -> None:
        if not (isinstance(part, Scalar) and part.value is None):
            walk(part, keys, reading)

    return read
