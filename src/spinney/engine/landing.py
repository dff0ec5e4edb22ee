"""Finding a host for nodes within the transaction that claimed their actions, and storing the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from spinney.domain.action import Action, ActionKind
from spinney.domain.host import HostState
from spinney.domain.node import Node, NodeStatus
from spinney.domain.placement.scheduler import Placed, PlacementRequest, Waiting, place
from spinney.engine.catalog import ContainerProfile, HostProfile
from spinney.store import hosts, placements
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

Work = tuple[Action, Node]


@dataclass(frozen=True, slots=True)
class Landed:
    """``placed`` carries nodes as stored; ``stuck`` the others with the reason."""

    placed: tuple[Work, ...]
    stuck: tuple[tuple[Action, Node, Waiting], ...] = ()


@dataclass(frozen=True, slots=True)
class Lander:
    connection: Connection
    profiles: Mapping[str, ContainerProfile | HostProfile]
    now: float

    def land(self, pending: Sequence[Work]) -> Landed:
        """Nodes without a host are placed in one pass; each of the others gets its new generation by itself.

        Raises: PlacementRace.
        """
        landed = self._place([(a, n) for a, n in pending if n.host_id is None])
        placed, stuck = list(landed.placed), list(landed.stuck)
        for action, node in pending:
            if node.host_id is not None:
                answer = self._renew(action, node)
                if isinstance(answer, Waiting):
                    stuck.append((action, node, answer))
                else:
                    placed.append(answer)
        return Landed(tuple(placed), tuple(stuck))

    def _place(self, pending: Sequence[Work]) -> Landed:
        requests = [self._request(action, node) for action, node in pending]
        answers = self._answers(requests)
        landings: list[Landing] = []
        placed: list[Work] = []
        stuck: list[tuple[Action, Node, Waiting]] = []
        for (action, node), request, answer in zip(pending, requests, answers, strict=True):
            if isinstance(answer, Waiting):
                stuck.append((action, node, answer))
                continue
            settled = _settled(action, node, request, answer.host_id)
            landings.append(_landing(request, settled))
            placed.append((action, settled))
        placements.reserve(self.connection, landings, self.now)
        return Landed(tuple(placed), tuple(stuck))

    def _renew(self, action: Action, node: Node) -> Work | Waiting:
        """A new generation: on the same host, unless the profile changes or the host is lost."""
        home = hosts.find(self.connection, host_table.c.node_id == node.host_id)
        remembered = self._remember(action, node)
        if _profile_id(action, node) == node.profile_id and home and home[0].state not in _LOST:
            renewed = replace(node, generation=node.generation + 1, status=SHOWN_WHILE[action.action])
            values = {"generation": renewed.generation, "placed_at": self.now, "status": renewed.status}
            self.connection.execute(table.update().where(table.c.id == node.id).values(values))
            return remembered, renewed
        attempt = self.connection.begin_nested()
        placements.release(self.connection, [node])
        request = self._request(action, node)
        answer = self._answers([request])[0]
        if isinstance(answer, Waiting):
            attempt.rollback()
            return answer
        settled = _settled(action, node, request, answer.host_id)
        placements.reserve(self.connection, [_landing(request, settled)], self.now)
        attempt.commit()
        return remembered, settled

    def _remember(self, action: Action, node: Node) -> Action:
        """Which generation this action makes, and where the container before it is: for whoever resumes the action."""
        data = {**action.data, "generation": node.generation + 1, "previous_host": node.host_id}
        self.connection.execute(action_table.update().where(action_table.c.id == action.id).values(data=data))
        return replace(action, data=data)

    def _answers(self, requests: Sequence[PlacementRequest]) -> list[Placed | Waiting]:
        if not requests:
            return []
        found = placements.candidates(self.connection, requests)
        taken = placements.taken_ports(self.connection, requests, [host.node_id for host in found])
        return place(requests, found, taken)

    def _request(self, action: Action, node: Node) -> PlacementRequest:
        profile = self.profiles[_profile_id(action, node)]
        assert isinstance(profile, ContainerProfile)
        return request_for(node.id, profile)


def request_for(node_id: str, profile: ContainerProfile) -> PlacementRequest:
    return PlacementRequest(
        node_id, profile.cpu, profile.memory, profile.host_node, profile.host_cluster, profile.ports
    )


def decided(action: Action, node: Node) -> bool:
    """Whether this action has chosen the node's present generation already, before somebody resumed it."""
    return node.host_id is not None and action.data.get("generation") == node.generation


def _profile_id(action: Action, node: Node) -> str:
    return str(action.inputs.get("new_profile_id") or node.profile_id)


def _landing(request: PlacementRequest, settled: Node) -> Landing:
    assert settled.host_id is not None
    return Landing(request, settled.host_id, settled.generation, settled.status, settled.profile_id)


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
