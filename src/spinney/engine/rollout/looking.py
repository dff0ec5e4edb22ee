"""An update of a cluster as it stands: read from rows alone, so that whoever takes the next step sees what there is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.budget import starts_first
from spinney.domain.cluster import Cluster
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.placement.answers import Waiting
from spinney.domain.rollout.model import Attempt, Manner, Member, Rules, Situation
from spinney.domain.rollout.rules import rules_of
from spinney.engine.catalog import ContainerProfile, HostProfile
from spinney.engine.moving.window import Scene
from spinney.engine.placing.asking import discreet, load_fleet, requests_for
from spinney.engine.placing.landing import NO_ROOM, beside_itself
from spinney.profiles.in_place import in_place
from spinney.store import rollouts, standing
from spinney.store.adjusting import REPLACE as NOT_IN_PLACE
from spinney.store.rollouts import Part

Profiles = Mapping[str, ContainerProfile | HostProfile]

#: What takes a member out of service.
_OUT = (
    ActionKind.NODE_DELETE,
    ActionKind.NODE_LEAVE,
    ActionKind.NODE_EVICT,
    ActionKind.NODE_RECOVER,
    ActionKind.NODE_OPERATION,
    ActionKind.NODE_UPDATE,
)
#: How often room that was there may be taken by others before that counts as a failure.
_RACES = 3


@dataclass(frozen=True, slots=True)
class Progressing:
    """What an update remembers between two steps: the entries of its action's ``data``."""

    batch: int = 0
    #: How many that batch is to have.
    planned: int = 0
    promoted: bool = False
    #: Why it pauses; empty: it does not.
    paused: str = ""
    #: Attempts before that moment do not count any more.
    since: float = 0.0
    #: Why everything goes back; empty: it does not.
    back: str = ""
    held_since: float | None = None
    #: The image is wherever there are members.
    fetched: bool = False
    #: What was heeded last of what people wished.
    heeded: tuple[Any, ...] = ()

    @classmethod
    def of(cls, action: Action) -> Progressing:
        stored: Mapping[str, Any] = action.data.get("rollout") or {}
        known = {name: stored[name] for name in cls.__slots__ if name in stored}
        return cls(**{**known, "heeded": tuple(known.get("heeded", ()))})

    def stored(self) -> dict[str, Any]:
        return {"rollout": {name: getattr(self, name) for name in self.__slots__} | {"heeded": list(self.heeded)}}


@dataclass(frozen=True, slots=True)
class Sight:
    """``target``: the profile that members are taken to now."""

    cluster: Cluster
    target: str
    nodes: Sequence[Node]
    parts: Sequence[Part]
    profiles: Profiles
    silent: Collection[str]
    situation: Situation

    @property
    def rules(self) -> Rules:
        return self.situation.rules

    @property
    def live(self) -> list[Part]:
        return [part for part in self.parts if not part.final]


def look(scene: Scene, action: Action, cluster: Cluster, progress: Progressing) -> Sight:
    nodes = rollouts.members(scene.connection, cluster.id)
    new = str(action.inputs["new_profile_id"])
    target = cluster.profile_id if progress.back else new
    parts = rollouts.parts(scene.connection, action.id)
    profiles = scene.catalog.load(scene.connection, {target, new, *(node.profile_id for node in nodes)})
    eyes = _Eyes(scene, action, cluster, progress, parts, profiles, target, nodes)
    members = [eyes.member(node) for node in nodes]
    rules = rules_of(
        action.data.get("update") or {},
        cluster.config,
        len(nodes),
        sum(_idle(node) for node in nodes),
        timeout=float(action.timeout),
        restoring=eyes.restoring,
    )
    situation = Situation(
        members=members,
        rules=rules,
        now=scene.now,
        batch=progress.batch,
        planned=progress.planned,
        promoted=progress.promoted,
        paused=progress.paused,
        restoring=eyes.restoring,
        held_since=progress.held_since,
    )
    return Sight(cluster, target, nodes, parts, profiles, eyes.silent, situation)


class _Eyes:
    def __init__(
        self,
        scene: Scene,
        action: Action,
        cluster: Cluster,
        progress: Progressing,
        parts: Sequence[Part],
        profiles: Profiles,
        target: str,
        nodes: Sequence[Node],
    ) -> None:
        self.silent = standing.silent_hosts(scene.connection)
        self.restoring = bool(progress.back or action.inputs.get("rollback"))
        self._target = target
        self._new = str(action.inputs["new_profile_id"])
        self._back = bool(progress.back)
        self._strict = not starts_first(cluster.config)
        self._profiles = profiles
        self._now = scene.now
        self._batch = progress.batch
        self._connection = scene.connection
        ours = {part.id for part in parts}
        self._working = standing.at_work(scene.connection, [node.id for node in nodes], without=ours)
        #: By profile: whether what it differs in from the new one can be changed in place.
        self._alike: dict[str, bool] = {}
        self._updates: dict[str, list[Part]] = {}
        for part in parts:
            live_or_counts = not part.final or part.created_at >= progress.since
            if part.kind is ActionKind.NODE_UPDATE and live_or_counts:
                self._updates.setdefault(part.node_id, []).append(part)

    def member(self, node: Node) -> Member:
        updates = self._updates.get(node.id, [])
        under_way = next((Manner(part.inputs["manner"]) for part in updates if not part.final), None)
        attempt = None if under_way is not None else _attempt(updates)
        working = self._working.get(node.id, [])
        out = any(kind in _OUT or (kind is ActionKind.NODE_MOVE and self._strict) for kind in working)
        out = out or under_way in (Manner.STOP_FIRST, Manner.REPLACE)
        in_reach = node.host_id not in self.silent
        ready = node.ready and node.power is PowerState.RUNNING
        ailment, repaired = _ailment(node), False
        if attempt is not None and node.repaired_at is not None and node.repaired_at > attempt.ended_at:
            repaired = True
            if attempt.batch == self._batch:
                ailment = rollouts.last_ailment(self._connection, node.id, node.repaired_at) or ailment
        return Member(
            id=node.id,
            name=node.name,
            # On the way back only those go that were updated.
            updated=node.profile_id != self._new if self._back else node.profile_id == self._target,
            serving=ready and in_reach and not out,
            ready=ready,
            ready_at=node.ready_at or node.placed_at or node.init_at,
            broken=node.status is NodeStatus.ERROR,
            repaired=repaired,
            ailment=ailment,
            excused=_excuse(node, in_reach=in_reach),
            busy=working[0].value if working else "",
            under_way=under_way,
            attempt=attempt,
            in_place=in_reach and self._in_place(node, updates),
            in_reach=in_reach,
        )

    def _in_place(self, node: Node, updates: Sequence[Part]) -> bool:
        before, after = self._profiles.get(node.profile_id), self._profiles.get(self._target)
        if isinstance(after, HostProfile):
            return True
        if before is None or after is None or node.status is not NodeStatus.ACTIVE or node.physical_id is None:
            return False
        if node.profile_id not in self._alike:
            self._alike[node.profile_id] = in_place(before.properties, after.properties)
        return self._alike[node.profile_id] and not any(NOT_IN_PLACE in part.outputs for part in updates)


def _idle(node: Node) -> bool:
    """Nobody expects it to serve."""
    return node.power is not PowerState.RUNNING or node.waiting_since is not None


def _ailment(node: Node) -> str:
    return (node.status_reason if node.status is NodeStatus.ERROR else node.ready_reason).rstrip(".")


def _excuse(node: Node, *, in_reach: bool) -> str:
    if node.power is not PowerState.RUNNING:
        return f"its user has it {node.power.value}"
    if node.waiting_since is not None:
        return "it waits for room"
    return "" if in_reach else "its host does not answer"


def _attempt(updates: Sequence[Part]) -> Attempt | None:
    """The latest that counts. That room was taken by others, or that a container could not be changed where it is, only means
    that it is tried in another way."""
    crowded = [part for part in updates if NO_ROOM in part.outputs and part.inputs["manner"] == Manner.START_FIRST]
    moot = {part.id for part in crowded[: _RACES - 1]} | {
        part.id for part in updates if NOT_IN_PLACE in part.outputs and part.inputs["manner"] == Manner.IN_PLACE
    }
    counting = [part for part in updates if part.id not in moot]
    if not counting:
        return None
    last = counting[-1]
    failed = last.status is not ActionStatus.SUCCEEDED
    return Attempt(int(last.inputs["batch"]), last.ended_at, failed, last.reason.rstrip(".") if failed else "")


def room(scene: Scene, sight: Sight, member_ids: Sequence[str]) -> dict[str, str]:
    """For each of the members why no host has room for a further container of it; empty: one has."""
    after = sight.profiles.get(sight.target)
    if not isinstance(after, ContainerProfile):
        return {}
    by_id = {node.id: node for node in sight.nodes}
    nodes = [by_id[member_id] for member_id in member_ids if by_id[member_id].host_id is not None]
    if not nodes:
        return {}
    made = [(replace(node, profile_id=sight.target), after) for node in nodes]
    requests = [
        beside_itself(request, node.host_id or "", sight.profiles.get(node.profile_id))
        for request, node in zip(requests_for(scene.connection, made), nodes, strict=True)
    ]
    fleet = load_fleet(scene.connection, requests, scene.network_limit, scene.now)
    answers = discreet(scene.connection, requests, fleet.place(requests))
    return {answer.node_id: answer.summary if isinstance(answer, Waiting) else "" for answer in answers}
