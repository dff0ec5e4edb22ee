"""What a host is called before people of another project.

Whoever may use a host cluster because it is shared with them sees its hosts by alias: ``host-3`` is the member with index 3.
Indices are given once and never again, so an alias means the same host for as long as that is a member, whoever else comes or
goes. Guaranteed: neither the id nor the name of a host comes out of here for anybody but its own project and operators.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: What a name may consist of: what stands between other characters in a sentence is a word.
_WORD = re.compile(r"[A-Za-z0-9._~\-\u4e00-\u9fa5]+")
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


def conceal(text: str, hosts: Iterable[HostIdentity], viewer: str) -> str:
    """The sentence with the alias of each of these hosts that is not the viewer's, wherever its name stands as a word."""
    names = {host.name: alias(host.index) for host in hosts if host.project != viewer}

    def told(match: re.Match[str]) -> str:
        word = match[0]
        bare = word if word in names else word.rstrip(".")
        return names.get(bare, bare) + word[len(bare) :]

    return _WORD.sub(told, text) if names else text
