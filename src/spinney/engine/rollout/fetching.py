"""Having the new image wherever there are members, before the first of their containers is stopped.

One child for each host, about one of its members, which it does not touch. What a tag stands for is found out once for the
cluster and the profile (``carrying.resolving``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.alias import called
from spinney.domain.fanout import Child
from spinney.domain.node import Node
from spinney.engine.catalog import ContainerProfile
from spinney.engine.moving.window import Scene
from spinney.engine.rollout.looking import Sight
from spinney.store import hosts
from spinney.store.rollouts import Part


@dataclass(frozen=True, slots=True)
class Fetching:
    """``order``: what is still to be asked for; ``waiting``: how many hosts have not answered; ``trouble``: why one of them is
    tried again; ``fault``: why it is over."""

    order: tuple[Child, ...] = ()
    waiting: int = 0
    trouble: str = ""
    fault: str = ""


def fetch(scene: Scene, sight: Sight) -> Fetching:
    """Hosts that fall silent meanwhile are not waited for."""
    profile = sight.profiles.get(sight.target)
    if not isinstance(profile, ContainerProfile):
        return Fetching()
    latest = {str(part.inputs["host"]): part for part in sight.parts if part.kind is ActionKind.NODE_FETCH}
    order = []
    waiting = 0
    trouble = ""
    for node in _one_each(sight):
        assert node.host_id is not None
        part = latest.get(node.host_id)
        if part is None or part.status is ActionStatus.CANCELLED:
            inputs = {"new_profile_id": sight.target, "host": node.host_id}
            order.append(Child(ActionKind.NODE_FETCH, node.id, inputs))
        elif not part.final:
            waiting += 1
            trouble = trouble or (part.reason.rstrip(".") if part.begun else "")
        elif part.status is ActionStatus.FAILED:
            return Fetching(fault=_fault(scene, sight, profile, part))
    return Fetching(tuple(order), waiting, trouble)


def _one_each(sight: Sight) -> Sequence[Node]:
    """A member of each host on which a container is to be replaced."""
    replaced = {m.id for m in sight.situation.members if not m.updated and not m.in_place}
    found: dict[str, Node] = {}
    for node in sight.nodes:
        if node.id in replaced and node.host_id is not None and node.host_id not in sight.silent:
            found.setdefault(node.host_id, node)
    return list(found.values())


def _fault(scene: Scene, sight: Sight, profile: ContainerProfile, part: Part) -> str:
    host_id = str(part.inputs["host"])
    known = hosts.identities(scene.connection, {host_id})
    name = called(known[host_id], sight.cluster.project).name if host_id in known else "that is gone"
    image = profile.properties.image
    return f"the image {image} cannot be had on host {name}, so nothing was touched: {part.reason.rstrip('.')}"
