"""Finding a host for nodes within the transaction that claimed their actions, and storing the choice with its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.action import Action, ActionKind
from spinney.domain.host import HostState
from spinney.domain.node import Node, NodeStatus
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.placement.rules import SETBACKS_TOO_MANY
from spinney.engine.catalog import ContainerProfile, HostProfile
from spinney.engine.jobs import beside
from spinney.engine.placing.asking import discreet, load_fleet, requests_for, store_decisions
from spinney.store import fleets, hosts, placements
from spinney.store.placements import Landing
from spinney.store.tables import action as action_table
from spinney.store.tables import host as host_table
from spinney.store.tables import node as table

_LOST = (HostState.SUSPECT, HostState.LOST)

#: What a node shows while an action of a kind works on it; other kinds leave its status as it is.
SHOWN_WHILE = {
    ActionKind.NODE_CREATE: NodeStatus.CREATING,
    ActionKind.NODE_DELETE: NodeStatus.DELETING,
    ActionKind.NODE_UPDATE: NodeStatus.UPDATING,
    ActionKind.NODE_RECOVER: NodeStatus.RECOVERING,
    ActionKind.NODE_OPERATION: NodeStatus.OPERATING,
}

#: In the outputs of an action that failed: no host had room, and why.
NO_ROOM = "no_room"

Work = tuple[Action, Node]
Profiles = Mapping[str, ContainerProfile | HostProfile]


@dataclass(frozen=True, slots=True)
class Stuck:
    """No host fits; ``decision_id`` is where the reasons are stored."""

    action: Action
    node: Node
    answer: Waiting
    decision_id: str


@dataclass(frozen=True, slots=True)
class Landed:
    """``placed`` carries nodes as stored; ``stuck`` the others with the reason."""

    placed: tuple[Work, ...]
    stuck: tuple[Stuck, ...] = ()


class Lander:
    """For one transaction."""

    def __init__(self, connection: Connection, profiles: Profiles, network_limit: int, ids: Ids, now: float) -> None:
        self._connection = connection
        self._profiles = profiles
        self._network_limit = network_limit
        self._ids = ids
        self._now = now

    def land(self, pending: Sequence[Work]) -> Landed:
        """Nodes without a host are placed in one pass, and so are those that get a further container beside the one they
        have, and those that give up their room for another.

        Raises: PlacementRace.
        """
        landed = [
            self._place([(a, n) for a, n in pending if n.host_id is None]),
            self._move([(a, n) for a, n in pending if beside(a) and n.host_id is not None]),
            self._renew([(a, n) for a, n in pending if not beside(a) and n.host_id is not None]),
        ]
        placed = [one for part in landed for one in part.placed]
        return Landed(tuple(placed), tuple(one for part in landed for one in part.stuck))

    def _place(self, pending: Sequence[Work]) -> Landed:
        requests = self._requests(pending)
        choices, stuck = self._choose(pending, requests)
        landings: list[Landing] = []
        placed: list[Work] = []
        for action, node, request, choice, decision_id in choices:
            settled = _settled(action, node, request, choice.host_id)
            landings.append(_landing(request, settled, decision_id, choice.step))
            placed.append((action, settled))
        placements.reserve(self._connection, landings, self._now)
        return Landed(tuple(placed), tuple(stuck))

    def _move(self, pending: Sequence[Work]) -> Landed:
        """Room for a further container, while the node stays where it is."""
        requests = [
            self._further(request, action, node)
            for request, (action, node) in zip(self._requests(pending), pending, strict=True)
        ]
        choices, stuck = self._choose(pending, requests)
        landings: list[Landing] = []
        placed: list[Work] = []
        for action, node, request, choice, decision_id in choices:
            remembered = self._remember(action, node, to=choice.host_id)
            moving = replace(node, generation=node.generation + 1, profile_id=_profile_id(action, node))
            landings.append(
                Landing(
                    request, choice.host_id, moving.generation, node.status, node.profile_id, decision_id, choice.step
                )
            )
            placed.append((remembered, moving))
        placements.hold_room(self._connection, landings)
        return Landed(tuple(placed), tuple(stuck))

    def _further(self, request: PlacementRequest, action: Action, node: Node) -> PlacementRequest:
        assert node.host_id is not None
        if action.action is not ActionKind.NODE_MOVE:
            present = self._profiles.get(node.profile_id)
            return beside_itself(request, node.host_id, present)
        leaving = request.leaving(node.host_id)
        return replace(
            leaving, exclude=leaving.exclude | set(action.inputs.get("exclude", ())), only=action.inputs.get("to")
        )

    def _renew(self, pending: Sequence[Work]) -> Landed:
        """A new generation: on the same host, unless the profile changes, the host is lost or fails this workload again and
        again."""
        at_home: list[Work] = []
        leaving: list[Work] = []
        for action, node in pending:
            stays = _profile_id(action, node) == node.profile_id and self._home_will_do(action, node)
            (at_home if stays else leaving).append((action, node))
        placed = [self._stay(action, node) for action, node in at_home]
        together = self._anew(leaving)
        if together is None:  # who finds no room keeps the old: that is found out one by one
            alone = [one for work in leaving if (one := self._anew([work])) is not None]
            together = Landed(
                tuple(work for one in alone for work in one.placed), tuple(s for one in alone for s in one.stuck)
            )
        return Landed((*placed, *together.placed), together.stuck)

    def _stay(self, action: Action, node: Node) -> Work:
        remembered = self._remember(action, node)
        renewed = replace(node, generation=node.generation + 1, status=SHOWN_WHILE[action.action])
        values = {"generation": renewed.generation, "placed_at": self._now, "status": renewed.status}
        self._connection.execute(table.update().where(table.c.id == node.id).values(values))
        return remembered, renewed

    def _anew(self, pending: Sequence[Work]) -> Landed | None:
        """Nodes that give up their rooms before they ask for new ones; None: not all of several find one, and nothing was
        changed."""
        if not pending:
            return Landed(())
        attempt = self._connection.begin_nested()
        placements.release(self._connection, [node for _, node in pending])
        requests = self._requests(pending)
        choices, stuck = self._choose(pending, requests)
        if stuck:
            attempt.rollback()
            return None if len(pending) > 1 else Landed((), (self._kept(stuck[0]),))
        settled = [_settled(action, node, request, choice.host_id) for action, node, request, choice, _ in choices]
        landings = [
            _landing(request, node, decision_id, choice.step)
            for node, (_, _, request, choice, decision_id) in zip(settled, choices, strict=True)
        ]
        placements.reserve(self._connection, landings, self._now)
        attempt.commit()
        before = {node.id: node for _, node in pending}
        return Landed(
            tuple(
                (self._remember(action, before[node.id]), node)
                for node, (action, *_) in zip(settled, choices, strict=True)
            )
        )

    def _kept(self, stuck: Stuck) -> Stuck:
        """The same with its reasons stored: what was stored with them was undone."""
        stored = store_decisions(self._connection, [stuck.answer], self._ids, self._now)
        return replace(stuck, decision_id=stored[id(stuck.answer.decision)])

    def _home_will_do(self, action: Action, node: Node) -> bool:
        home = hosts.find(self._connection, host_table.c.node_id == node.host_id)
        if home and (action.inputs.get("fenced") or str(action.inputs.get("operation")).upper() == "REBUILD"):
            return True
        if not home or home[0].state in _LOST:
            return False
        failures = fleets.setbacks(self._connection, {node.profile_id}, self._now).get(node.host_id or "", {})
        return failures.get(node.profile_id, 0) < SETBACKS_TOO_MANY

    def _remember(self, action: Action, node: Node, **more: str) -> Action:
        """Which generation this action makes, where the container before it is and how long that gets to stop: for whoever
        resumes the action."""
        data = {**action.data, "generation": node.generation + 1, "previous_host": node.host_id, **more}
        present = self._profiles.get(node.profile_id)
        if isinstance(present, ContainerProfile):
            data["stop_timeout"] = present.stop_timeout
        self._connection.execute(action_table.update().where(action_table.c.id == action.id).values(data=data))
        return replace(action, data=data)

    def _requests(self, pending: Sequence[Work]) -> list[PlacementRequest]:
        wanted = []
        for action, node in pending:
            profile = self._profiles[_profile_id(action, node)]
            assert isinstance(profile, ContainerProfile)
            wanted.append((node, profile))
        return requests_for(self._connection, wanted)

    def _choose(
        self, pending: Sequence[Work], requests: Sequence[PlacementRequest]
    ) -> tuple[list[tuple[Action, Node, PlacementRequest, Placed, str]], list[Stuck]]:
        if not requests:
            return [], []
        fleet = load_fleet(self._connection, requests, self._network_limit, self._now)
        answers = discreet(self._connection, requests, fleet.place(requests))
        stored = store_decisions(self._connection, answers, self._ids, self._now)
        choices: list[tuple[Action, Node, PlacementRequest, Placed, str]] = []
        stuck: list[Stuck] = []
        for (action, node), request, answer in zip(pending, requests, answers, strict=True):
            decision_id = stored[id(answer.decision)]
            if isinstance(answer, Placed):
                choices.append((action, node, request, answer, decision_id))
            else:
                stuck.append(Stuck(action, node, answer, decision_id))
        return choices, stuck


def beside_itself(
    request: PlacementRequest, host_id: str, present: ContainerProfile | HostProfile | None
) -> PlacementRequest:
    """For a further container of a node on that host, there or elsewhere. Two with fixed ports are never on one host, so that
    the ports of each are told apart."""
    fixed = bool(request.ports) or (isinstance(present, ContainerProfile) and bool(present.ports))
    return request.leaving(host_id) if fixed else request.staying(host_id)


def decided(action: Action, node: Node) -> bool:
    """Whether this action has chosen the node's present generation already, before somebody resumed it."""
    return node.host_id is not None and action.data.get("generation") == node.generation


def _profile_id(action: Action, node: Node) -> str:
    return str(action.inputs.get("new_profile_id") or node.profile_id)


def _landing(request: PlacementRequest, settled: Node, decision_id: str, step: int) -> Landing:
    assert settled.host_id is not None
    return Landing(request, settled.host_id, settled.generation, settled.status, settled.profile_id, decision_id, step)


def _settled(action: Action, node: Node, request: PlacementRequest, host_id: str) -> Node:
    return replace(
        node,
        status=SHOWN_WHILE[action.action],
        host_id=host_id,
        generation=node.generation + 1,
        reserved_cpu=request.cpu,
        reserved_memory=request.memory,
        profile_id=_profile_id(action, node),
    )
