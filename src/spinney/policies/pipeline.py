"""The policies of one cluster consulted before and after an action: pure.

Guaranteed: only enabled policies are asked, in ascending priority; each sees what those before it have set in the action's
``data``; the first that fails ends the asking, and its name is in the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spinney.clock import iso
from spinney.domain.action import Action, ActionKind
from spinney.domain.member import Member
from spinney.domain.placement.rules import Share
from spinney.domain.victims import Criteria
from spinney.policies.attaching import Attached
from spinney.policies.base import Contribution
from spinney.policies.checking import Failed, Look
from spinney.policies.deletion import DeletionProperties


@dataclass(frozen=True, slots=True)
class Checked:
    """``action`` with what the policies have set; ``fault``: why it must not be carried out."""

    action: Action
    fault: str | None = None


def asked_before(attached: Iterable[Attached], kind: ActionKind) -> list[Attached]:
    return [one for one in attached if one.enabled and kind in one.policy.kind.before_kinds]


def before(attached: Iterable[Attached], look: Look) -> Checked:
    """``attached`` in ascending priority; ``look`` with the action as it was asked for."""
    action = look.action
    asked = asked_before(attached, action.action)
    for one in asked:
        inputs = {**action.inputs, "last_op": iso(one.last_op)}
        action = replace(action, inputs=inputs)
        check = one.policy.kind.before
        assert check is not None
        found = check(one.policy.properties, replace(look, action=action, last_op=one.last_op))
        if isinstance(found, Failed):
            fault = _not_allowed(one, found.reason)
            return Checked(replace(action, data={**action.data, "status": "ERROR", "reason": fault}), fault)
        action = replace(action, data={**action.data, **found})
    if asked:
        action = replace(action, data={**action.data, "status": "OK", "reason": "The policies allow it."})
    return Checked(action)


def refusal(attached: Iterable[Attached], kind: ActionKind) -> str | None:
    """Why none of the cluster's actions of the kind is carried out, whatever it asks for; None: that is to be seen."""
    found = ((one, one.policy.kind.refuses.get(kind)) for one in attached if one.enabled)
    return next((_not_allowed(one, why) for one, why in found if why is not None), None)


def _not_allowed(by: Attached, why: str) -> str:
    return f"policy '{by.name}' does not allow it: {why}"


def criteria(attached: Iterable[Attached], kind: ActionKind) -> Criteria | None:
    """What decides who goes in such an action; None: no policy does. Of several the last one asked counts."""
    asked = [one.policy.properties for one in asked_before(attached, kind)]
    found = [one.criteria for one in asked if isinstance(one, DeletionProperties)]
    return Criteria(found[-1]) if found else None


def stamped(attached: Iterable[Attached], kind: ActionKind) -> list[str]:
    """The policies whose bindings note the end of an action of the kind."""
    return [one.policy_id for one in attached if one.enabled and kind in one.policy.kind.stamped_after]


def grouped(members: Sequence[Member], attached: Iterable[Attached]) -> list[Member]:
    """Members counted for the zones and regions as the enabled policies mean them: one whose hosts a policy names has those
    hosts, and no others."""
    asked = [one.policy.contribution() for one in attached if one.enabled]
    shares = {key: _naming_hosts(asked, key) for key in ("zone", "region")}
    if not any(shares.values()):
        return list(members)
    zones, regions = shares["zone"], shares["region"]
    return [replace(one, zone=_group(one, one.zone, zones), region=_group(one, one.region, regions)) for one in members]


def _group(member: Member, own: str | None, shares: Sequence[Share]) -> str | None:
    named = (share.name for share in shares if member.host_name in share.hosts or member.host_id in share.hosts)
    return next(named, None if own in {share.name for share in shares} else own)


def _naming_hosts(asked: Iterable[Contribution | None], key: str) -> list[Share]:
    quotas = [quota for one in asked if one is not None for quota in one.quotas if quota.key == key]
    return [share for quota in quotas for share in quota.shares if share.hosts]
