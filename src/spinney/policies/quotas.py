"""Policy types ``senlin.policy.zone_placement-1.0`` and ``senlin.policy.region_placement-1.0``, for containers.

A zone or region is an attribute of hosts. The weights divide the members of the cluster among them; each container is
placed by what the others have come to, so that a group which has its share is passed over. As soft quotas these are
preferences; with ``hard`` (ours) a container waits rather than exceed them. Names are not checked against any catalogue:
hosts may come later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator

from spinney.domain import weights
from spinney.domain.action import ActionKind
from spinney.domain.placement.rules import Quota, Share
from spinney.domain.schema import Boolean, Contradiction, Integer, Line, SpecModel, at_most, between
from spinney.domain.support import Support
from spinney.policies.base import Contribution, Members, PolicyType
from spinney.policies.checking import Failed, Look, change
from spinney.policies.values import Weight, Words

_HARD = "Spinney's own: wait for room rather than exceed a share; false: a preference."


class Zone(SpecModel):
    name: Line = Field(description="Name.")
    weight: Weight = Field(100, description="Its part of the members, beside the weights of the others.")
    hosts: Words = Field(
        (),
        description="Spinney's own: names or ids of the hosts that are meant, instead of those which say it of themselves.",
    )


class Region(Zone):
    cap: Annotated[Integer, between(-1, 1_000_000, "a whole number")] = Field(
        -1, description="At most so many members; -1: as many as its weight gives."
    )


class ZoneProperties(SpecModel):
    zones: Annotated[tuple[Zone, ...], at_most(1000, "zones")] = Field(description="Zones to divide the members among.")
    hard: Boolean = Field(False, description=_HARD)

    @model_validator(mode="after")
    def _sound(self) -> ZoneProperties:
        _check(self.zones, "zones")
        return self


class RegionProperties(SpecModel):
    regions: Annotated[tuple[Region, ...], at_most(1000, "regions")] = Field(
        description="Regions to divide the members among."
    )
    hard: Boolean = Field(False, description=_HARD)

    @model_validator(mode="after")
    def _sound(self) -> RegionProperties:
        _check(self.regions, "regions")
        return self


def _check(found: tuple[Zone, ...], key: str) -> None:
    if not found:
        raise Contradiction("an empty list has nothing to place on: name at least one", at=f".{key}")
    if not any(one.weight for one in found):
        raise Contradiction("every weight is 0: at least one has to be greater", at=f".{key}")
    seen: dict[str, int] = {}
    for index, one in enumerate(found):
        if seen.setdefault(one.name, index) != index:
            at = f".{key}[{index}].name"
            raise Contradiction(f"'{one.name}' is {key}[{seen[one.name]}]'s already: name each once", at=at)


def _zone_shares(properties: ZoneProperties) -> tuple[Share, ...]:
    return tuple(Share(zone.name, zone.weight, hosts=zone.hosts) for zone in properties.zones)


def _region_shares(properties: RegionProperties) -> tuple[Share, ...]:
    return tuple(Share(region.name, region.weight, region.cap, region.hosts) for region in properties.regions)


def zone_contribution(properties: ZoneProperties) -> Contribution:
    return Contribution(quotas=(Quota("zone", _zone_shares(properties), properties.hard),))


def region_contribution(properties: RegionProperties) -> Contribution:
    return Contribution(quotas=(Quota("region", _region_shares(properties), properties.hard),))


def before_zones(properties: ZoneProperties, look: Look) -> Mapping[str, Any] | Failed:
    return _before("zone", _zone_shares(properties), properties.hard, look)


def before_regions(properties: RegionProperties, look: Look) -> Mapping[str, Any] | Failed:
    return _before("region", _region_shares(properties), properties.hard, look)


def _before(key: str, shares: Sequence[Share], hard: bool, look: Look) -> Mapping[str, Any] | Failed:
    """How many members each group gains or loses.

    Which host a new member gets the scheduler decides, by the same weights, when it is placed; who leaves is chosen by the
    numbers given here. What no group has to give comes from members that are in none.
    """
    found = change(look)
    if isinstance(found, Failed):
        return found
    present = Counter(str(getattr(member, key)) for member in look.members)
    if found.fewer or look.action.action is ActionKind.CLUSTER_SCALE_IN:
        count = min(found.fewer, len(look.members))
        parts, _ = weights.shrink(shares, present, len(look.members) - count, count)
        return {"deletion": {**look.deletion, "count": found.fewer, f"{key}s": parts}}
    parts, rest = weights.grow(shares, present, len(look.members) + found.more, found.more)
    if rest and hard:
        return Failed(
            f"of {found.more} new members {rest} would find no {key} below its weight or cap: raise a cap, name more "
            f"{key}s, or ask for fewer"
        )
    return {"creation": {**look.creation, "count": found.more, f"{key}s": parts}}


_RESIZES = frozenset({ActionKind.CLUSTER_SCALE_OUT, ActionKind.CLUSTER_SCALE_IN, ActionKind.CLUSTER_RESIZE})
_SUPPORT = (Support("EXPERIMENTAL", "2016.04"), Support("SUPPORTED", "2016.10"))

ZONE_PLACEMENT = PolicyType(
    name="senlin.policy.zone_placement",
    version="1.0",
    summary="Members divided among zones by weight.",
    properties=ZoneProperties,
    support_status=_SUPPORT,
    priority=300,
    members=Members.CONTAINERS,
    placement=zone_contribution,
    before=before_zones,
    before_kinds=_RESIZES,
)

REGION_PLACEMENT = PolicyType(
    name="senlin.policy.region_placement",
    version="1.0",
    summary="Members divided among regions by weight, with an upper limit for each.",
    properties=RegionProperties,
    support_status=_SUPPORT,
    priority=200,
    members=Members.CONTAINERS,
    placement=region_contribution,
    before=before_regions,
    before_kinds=_RESIZES,
)
