"""What an update would do to each member: decided batch by batch by the functions that decide it when it is done, as if
everything went well and nothing else happened meanwhile. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spinney.domain.action import Action
from spinney.domain.cluster import Cluster
from spinney.domain.drain import Held
from spinney.domain.node import Node
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.model import Occupant, PlacementRequest
from spinney.domain.rollout.decision import advanced, asking, decide
from spinney.domain.rollout.model import Attempt, Manner, Member, Next, Progress, Start
from spinney.engine.catalog import ContainerProfile
from spinney.engine.moving.balance import occupant_of
from spinney.engine.moving.window import Scene
from spinney.engine.placing.asking import load_fleet, requests_for
from spinney.engine.placing.landing import beside_itself
from spinney.engine.rollout.looking import Progressing, Sight, look
from spinney.profiles.in_place import different


@dataclass(frozen=True, slots=True)
class Foretold:
    """``answer``: where its new container would be; None: there would be none. ``manner`` None: nothing would be done to it.
    ``why``: what would change, or why nothing does."""

    node: Node
    batch: int | None = None
    manner: Manner | None = None
    answer: Placed | Waiting | None = None
    why: str = ""


def foretell(scene: Scene, action: Action, cluster: Cluster, profile: ContainerProfile) -> list[Foretold]:
    """``action``: with what the cluster's policies say to it. In the order in which it would be done."""
    return _Future(scene, look(scene, action, cluster, Progressing()), profile).run()


class _Future:
    def __init__(self, scene: Scene, sight: Sight, profile: ContainerProfile) -> None:
        self._sight = sight
        self._nodes = {node.id: node for node in sight.nodes}
        made = [replace(node, profile_id=sight.target) for node in sight.nodes]
        after = requests_for(scene.connection, [(node, profile) for node in made])
        before = scene.requests(sight.nodes)
        self._after = {request.node_id: request for request in after}
        self._held = {
            node.id: occupant_of(node, before[node.id])
            for node in sight.nodes
            if node.host_id is not None and node.id in before
        }
        self._fleet = load_fleet(scene.connection, [*after, *before.values()], scene.network_limit, scene.now)
        self._told: list[Foretold] = []
        idle = [replace(member, busy="", under_way=None) for member in sight.situation.members]
        self._situation = replace(sight.situation, members=idle)

    def run(self) -> list[Foretold]:
        held: Sequence[Held] = ()
        # Each round something begins, or time passes or the canary is promoted once before it does.
        for _ in range(3 * len(self._nodes) + 3):
            step = decide(replace(self._situation, room=self._room(asking(self._situation))))
            if step.progress is Progress.CANARY:
                self._situation = replace(self._situation, promoted=True)
            elif step.progress in (Progress.WATCHING, Progress.RESTING):
                self._situation = replace(self._situation, now=max(step.until or 0.0, self._situation.now))
            elif step.start:
                self._begin(step)
            else:
                held = step.held
                break
        return [*self._told, *self._left(held)]

    def _left(self, held: Iterable[Held]) -> list[Foretold]:
        whys = {one.node_id: one.why for one in held}
        done = {one.node.id for one in self._told}
        updated = {member.id for member in self._sight.situation.members if member.updated}
        return [
            Foretold(
                node, why="it has that profile" if node.id in updated else whys.get(node.id, "its turn does not come")
            )
            for node in self._sight.nodes
            if node.id not in done
        ]

    # -- one step ----------------------------------------------------------------------------------------------------

    def _begin(self, step: Next) -> None:
        starting = [start for start in step.start if start.manner is Manner.START_FIRST]
        answers = self._beside([self._nodes[start.member_id] for start in starting])
        for start in starting:
            if isinstance(answers[start.member_id], Placed):
                self._leave(start.member_id)
        answers |= self._anew([s.member_id for s in step.start if s.manner in (Manner.STOP_FIRST, Manner.REPLACE)])
        for start in step.start:
            if start.manner is Manner.IN_PLACE:
                answers[start.member_id] = self._in_its_place(start.member_id)
        impossible = {
            start.member_id
            for start in step.start
            if start.manner is Manner.IN_PLACE and answers[start.member_id] is None
        }
        for start in step.start:
            if start.member_id not in impossible:
                self._told.append(self._one(start, step.batch, answers[start.member_id]))
        begun = {start.member_id for start in step.start} - impossible
        members = [self._later(member, step.batch, begun, impossible) for member in self._situation.members]
        situation = advanced(self._situation, step) if begun else self._situation
        self._situation = replace(situation, members=members)

    def _one(self, start: Start, batch: int, answer: Placed | Waiting | None) -> Foretold:
        node = self._nodes[start.member_id]
        if start.manner is not Manner.IN_PLACE:
            return Foretold(node, batch, start.manner, answer)
        before, after = self._sight.profiles[node.profile_id], self._sight.profiles[self._sight.target]
        assert isinstance(before, ContainerProfile) and isinstance(after, ContainerProfile)
        changed = different(before.properties, after.properties)
        return Foretold(node, batch, start.manner, why=f"{', '.join(changed)} can be changed while it runs")

    def _later(self, member: Member, batch: int, begun: set[str], impossible: set[str]) -> Member:
        if member.id in impossible:
            return replace(member, in_place=False)
        if member.id not in begun:
            return member
        now = self._situation.now
        well = replace(member, updated=True, ready=True, serving=True, broken=False, repaired=False, ready_at=now)
        return replace(well, attempt=Attempt(batch, now))

    # -- room --------------------------------------------------------------------------------------------------------

    def _room(self, member_ids: Sequence[str]) -> dict[str, str]:
        """Why no host has room for a further container of each; empty: one has. Nothing of it is kept."""
        answers = self._beside([self._nodes[member_id] for member_id in member_ids])
        for node_id, answer in answers.items():
            if isinstance(answer, Placed):
                self._fleet.leave(_occupant(self._after[node_id], answer.host_id))
        return {node_id: answer.summary if isinstance(answer, Waiting) else "" for node_id, answer in answers.items()}

    def _beside(self, nodes: Sequence[Node]) -> dict[str, Placed | Waiting | None]:
        requests = [
            beside_itself(self._after[node.id], node.host_id, self._sight.profiles.get(node.profile_id))
            for node in nodes
            if node.host_id is not None
        ]
        return {answer.node_id: answer for answer in self._fleet.place(requests)}

    def _anew(self, member_ids: Sequence[str]) -> dict[str, Placed | Waiting | None]:
        """All rooms are given up before they are asked for anew; if not all find one, one after the other."""
        answers = self._swap(member_ids)
        if len(member_ids) > 1 and any(isinstance(answer, Waiting) for answer in answers.values()):
            for node_id, answer in answers.items():
                if isinstance(answer, Placed):
                    self._fleet.leave(_occupant(self._after[node_id], answer.host_id))
                    self._return(node_id)
            answers = {}
            for member_id in member_ids:
                answers |= self._swap([member_id])
        return dict(answers)

    def _swap(self, member_ids: Sequence[str]) -> dict[str, Placed | Waiting]:
        """Who finds no room keeps the old."""
        for member_id in member_ids:
            self._leave(member_id)
        requests = [self._after[member_id] for member_id in member_ids]
        answers = {answer.node_id: answer for answer in self._fleet.place(requests)}
        for node_id, answer in answers.items():
            if isinstance(answer, Waiting):
                self._return(node_id)
        return answers

    def _in_its_place(self, member_id: str) -> Placed | None:
        """With what its container is to have, where it is; None: there is no room for that."""
        self._leave(member_id)
        (answer,) = self._fleet.place([replace(self._after[member_id], only=self._nodes[member_id].host_id)])
        if isinstance(answer, Placed):
            return answer
        self._return(member_id)
        return None

    def _return(self, node_id: str) -> None:
        if node_id in self._held:
            self._fleet.enter(self._held[node_id])

    def _leave(self, node_id: str) -> None:
        if node_id in self._held:
            self._fleet.leave(self._held[node_id])


def _occupant(request: PlacementRequest, host_id: str) -> Occupant:
    return Occupant(host_id, request.cpu, request.memory, request.workload, request.ports, request.project)
