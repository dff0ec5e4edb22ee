"""What a policy type is, and what a policy asks of placement.

A policy speaks for itself alone: its ``Contribution`` says only what its specification says, in the words of its
specification. ``merge`` makes one set of rules of what all policies of a cluster ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spinney.domain.action import ActionKind
from spinney.domain.dialect import render
from spinney.domain.placement.rules import LabelTerm, Preference, Quota, Strategy, Thresholds
from spinney.domain.schema import SpecModel
from spinney.domain.support import Support, entries
from spinney.policies.checking import Check


class Members(StrEnum):
    """What the nodes of a cluster are."""

    CONTAINERS = "containers"
    HOSTS = "hosts"


@dataclass(frozen=True, slots=True)
class Toward:
    """Together with, or apart from, the members of a cluster (a name or an id), of every cluster whose policies name the same
    group, or, with neither, of the very cluster."""

    cluster: str | None = None
    group: str | None = None
    key: str = "host"
    apart: bool = True
    hard: bool = True


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one policy asks of placement; the defaults ask for nothing. Meanings are those of ``PlacementRules``."""

    strategy: Strategy | None = None
    thresholds: Thresholds | None = None
    weights: Mapping[str, float] | None = None
    seed: int | None = None
    hosts: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    require: tuple[LabelTerm, ...] = ()
    prefer: tuple[Preference, ...] = ()
    quotas: tuple[Quota, ...] = ()
    spread_over: str | None = None
    toward: tuple[Toward, ...] = ()
    max_per_host: int | None = None
    headroom_cpu: float = 0.0
    headroom_memory: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyType:
    name: str
    version: str
    summary: str
    properties: type[SpecModel]
    support_status: tuple[Support, ...]
    #: Lower ones come first.
    priority: int
    #: A cluster has at most one policy of this type and version.
    singleton: bool = True
    #: The clusters it can be attached to; None: any.
    members: Members | None = None
    #: Its clusters want no members of their own: runs make them.
    runs: bool = False
    #: Not one of Senlin's: left out of lists unless the caller speaks Spinney's own API version.
    ours: bool = False
    #: What validated properties of this type ask of placement; None: it is not about placement.
    placement: Callable[[Any], Contribution] | None = None
    #: What is asked before actions of ``before_kinds``; None: it is about none.
    before: Check | None = None
    before_kinds: frozenset[ActionKind] = frozenset()
    #: Of those, the kinds that ``before`` refuses whatever is asked, and why: said to users before such an action is queued.
    refuses: Mapping[ActionKind, str] = field(default_factory=dict)
    #: Names of the types of which no policy stands beside one of this.
    apart_from: frozenset[str] = frozenset()
    #: After actions of these kinds, whatever came of them, the moment is noted with the binding as its ``last_op``.
    stamped_after: frozenset[ActionKind] = frozenset()
    #: What whoever attaches such a policy should know: what it cannot do here.
    remark: Callable[[Any], str] | None = None
    #: Why a cluster of this least and greatest size (-1: none) cannot have it; None: it can.
    unfit: Callable[[Any, int, int], str | None] | None = None
    #: The same as ``remark``, from the types of the cluster's other policies; empty: nothing.
    advice: Callable[[Any, Collection[str]], str] | None = None
    #: Under which name a binding of it shows which data.
    binding_data: tuple[str, Callable[[Any], Mapping[str, Any]]] | None = None

    @property
    def name_version(self) -> str:
        return f"{self.name}-{self.version}"

    def schema(self) -> dict[str, Any]:
        """The properties in the API's schema dialect; a policy's specification never changes."""
        return render(self.properties, lambda _: False)

    def support(self) -> dict[str, list[dict[str, str]]]:
        """This version's entry of the ``support_status`` map."""
        return {self.version: entries(self.support_status)}
