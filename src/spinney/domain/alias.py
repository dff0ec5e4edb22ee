"""What a host is called before people of another project.

Whoever may use a host cluster because it is shared with them sees its hosts by alias: ``host-3`` is the member with index 3.
Indices are given once and never again, so an alias means the same host for as long as that is a member, whoever else comes or
goes. Guaranteed: neither the id nor the name of a host comes out of here for anybody but its own project and operators.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ALIAS = re.compile(r"host-([1-9][0-9]{0,9})")
#: A host that is no member of a cluster any more, but still runs a container of others.
NAMELESS = "host"


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """What has to be known of a host to call it by something. ``index``: of its node, in its cluster."""

    id: str
    name: str
    project: str
    index: int


@dataclass(frozen=True, slots=True)
class Called:
    """How a host is shown: the same alias twice, or what it is."""

    id: str
    name: str


def alias(index: int) -> str:
    return f"host-{index}" if index > 0 else NAMELESS


def index_of(word: str) -> int | None:
    """The index of the member that an alias means; None when the word is no alias."""
    found = _ALIAS.fullmatch(word)
    return int(found[1]) if found else None


def called(host: HostIdentity, viewer: str, *, operator: bool = False) -> Called:
    """``viewer``: the project that asks."""
    if operator or host.project == viewer:
        return Called(host.id, host.name)
    return Called(alias(host.index), alias(host.index))
