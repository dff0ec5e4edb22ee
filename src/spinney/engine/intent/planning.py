"""What an action would do: read in one transaction, decided by the functions that decide when it is done, and not stored.

A plan agrees with the deed that follows as far as nothing else happens in between. Not guaranteed: what containers do when
they are started, and how long anything takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import plan
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.alias import called
from spinney.domain.cluster import Cluster
from spinney.domain.cluster_config import rebalancing
from spinney.domain.drain import Situation, decide
from spinney.domain.fanout import Refusal
from spinney.domain.grant import Grants
from spinney.domain.host import Host
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.plan import Plan, Question, QuestionKind, Step, StepKind, Unplaceable
from spinney.domain.rebalance import MAX_MOVES, Move
from spinney.domain.rollout.model import Manner
from spinney.domain.runs import finished
from spinney.domain.victims import Criteria
from spinney.engine.catalog import Catalog, ContainerProfile
from spinney.engine.intent import clusters, quotas
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.moving import draining
from spinney.engine.moving.balance import advise
from spinney.engine.moving.rebalancing import told
from spinney.engine.moving.window import Scene
from spinney.engine.placing.asking import load_fleet, requests_for
from spinney.engine.rollout.foretelling import Foretold, foretell
from spinney.errors import BadRequest
from spinney.policies import pipeline
from spinney.profiles.container_request import ContainerDefaults
from spinney.store import bindings, fleets, hosts, standing
from spinney.store.rows import CLUSTERS, NODES
from spinney.store.tables import cluster as cluster_table
from spinney.store.tables import host as host_table
from spinney.store.tables import node as table


@dataclass(frozen=True, slots=True)
class Planner:
    """Each question is read with a catalogue of its own, because readers run beside each other."""

    defaults: ContainerDefaults
    cluster: ClusterRules
    network_limit: int
    ids: Ids
    grants: Grants = field(default_factory=dict)

    def __call__(self, connection: Connection, question: Question, now: float) -> Plan:
        """Raises: BadRequest, when the action would be refused."""
        scene = Scene(connection, Catalog(self.defaults, self.grants), self.network_limit, self.ids, now)
        return _ANSWERS[question.kind](self, scene, question)

    def sizes(self, scene: Scene, question: Question) -> Plan:
        cluster = _cluster(scene, question.target)
        action = _as_action(question)
        outcome = clusters.decide(scene.connection, cluster, action, self.cluster, scene.now).outcome
        outcome = quotas.within(scene.connection, action, cluster, outcome, self.cluster.limits, lock=False)
        if isinstance(outcome, Refusal):
            raise BadRequest(f"{outcome.reason}.")
        leaving = {child.node_id for child in (*outcome.children, *outcome.later)}
        gone = [node for node in _members(scene, cluster) if node.id in leaving]
        names = _Names(scene, question, [node.host_id for node in gone])
        asked = pipeline.criteria(bindings.attached(scene.connection, cluster.id), _KINDS[question.kind])
        steps = [Step(StepKind.DELETE, n.name, names.of(n.host_id), None, _why_gone(n, asked)) for n in gone]
        made, unplaceable = self._grow(scene, question, outcome.cluster, outcome.create)
        return _plan([*steps, *made], unplaceable)

    def _grow(
        self, scene: Scene, question: Question, cluster: Cluster, count: int
    ) -> tuple[list[Step], list[Unplaceable]]:
        """The names of new nodes hold letters drawn when they are made; here their indexes stand instead."""
        profile = scene.catalog.load(scene.connection, {cluster.profile_id}).get(cluster.profile_id)
        new = [
            Node(
                id=f"new-{index:08}",
                name=f"{cluster.name} #{index}",
                profile_id=cluster.profile_id,
                cluster_id=cluster.id,
                index=index,
                project=cluster.project,
            )
            for index in range(cluster.next_index, cluster.next_index + count)
        ]
        if not isinstance(profile, ContainerProfile):
            return [Step(StepKind.CREATE, node.name, None, None, "a further host") for node in new], []
        requests = requests_for(scene.connection, [(node, profile) for node in new])
        fleet = load_fleet(scene.connection, requests, scene.network_limit, scene.now)
        answered = list(zip(new, fleet.place(requests), strict=True))
        return _placed(scene, question, StepKind.CREATE, _by_node(requests), answered)

    def update(self, scene: Scene, question: Question) -> Plan:
        """Batch by batch, in the order and the manner in which each member's turn would come."""
        cluster = _cluster(scene, question.target)
        profile_id = str(question.inputs["new_profile_id"])
        profile = scene.catalog.load(scene.connection, {profile_id}).get(profile_id)
        if not isinstance(profile, ContainerProfile):
            raise BadRequest(f"profile_id: an update to {profile_id} changes no containers; give a container profile.")
        decision = clusters.decide(scene.connection, cluster, _as_action(question), self.cluster, scene.now)
        if isinstance(decision.outcome, Refusal):
            raise BadRequest(f"{decision.outcome.reason}.")
        told = foretell(scene, decision.action, cluster, profile)
        names = _Names(scene, question, [one.node.host_id for one in told])
        steps: list[Step] = []
        unplaceable: list[Unplaceable] = []
        for kind, manner, group in _alike(told):
            asked = _by_node(requests_for(scene.connection, [(one.node, profile) for one in group]))
            answered = [(one.node, one.answer) for one in group if one.answer is not None]
            made, none = _placed(scene, question, kind, asked, answered)
            batches = {one.node.name: one.batch for one in group}
            steps += [replace(step, batch=batches[step.node], manner=manner) for step in made]
            unplaceable += none
            for one in (one for one in group if one.answer is None):
                home = names.of(one.node.host_id)
                steps.append(Step(kind, one.node.name, home, home if manner else None, one.why, one.batch, manner))
        return _plan(steps, unplaceable)

    def drain(self, scene: Scene, question: Question) -> Plan:
        """All at once: what only has to wait for its turn moves, what would never have its turn stays."""
        host, nodes = _host(scene, question.target), standing.placed_on(scene.connection, question.target)
        residents = [replace(r, busy=None, moving=False) for r in draining.residents_of(scene, host, nodes)]
        answers = draining.elsewhere(scene, host, residents, nodes)
        strict = standing.standings(scene.connection, {node.cluster_id for node in nodes})
        situation = Situation(
            [draining.with_room(host, resident, answers) for resident in residents],
            [replace(one, out=0, budget=one.members if one.budget else 0) for one in strict],
            max_in_flight=len(residents) or 1,
        )
        stays = {held.node_id: held.why for held in decide(situation).held}
        return self._away(scene, question, nodes, StepKind.MOVE, answers, stays)

    def lose(self, scene: Scene, question: Question) -> Plan:
        nodes = standing.placed_on(scene.connection, question.target)
        requests = scene.requests([node for node in nodes if not draining.ends(node)])
        asked = [one.leaving(question.target) for one in requests.values()]
        fleet = load_fleet(scene.connection, asked, scene.network_limit, scene.now)
        answers = {answer.node_id: answer for answer in fleet.place(asked)}
        return self._away(scene, question, nodes, StepKind.REPLACE, answers, {})

    def _away(
        self,
        scene: Scene,
        question: Question,
        nodes: Sequence[Node],
        kind: StepKind,
        answers: Mapping[str, Placed | Waiting | None],
        stays: Mapping[str, str],
    ) -> Plan:
        """What becomes of those on a host; told are the members of one cluster, or all of them."""
        told = sorted(
            (node for node in nodes if question.cluster_id in (None, node.cluster_id)),
            key=lambda node: (node.cluster_id, node.index, node.name),
        )
        names = _Names(scene, question, [question.target])
        going = [(n, answer) for n in told if (answer := answers.get(n.id)) is not None]
        going = [(n, answer) for n, answer in going if isinstance(answer, Waiting) or n.id not in stays]
        steps, unplaceable = _placed(scene, question, kind, scene.requests(told), going)
        moved = {node.id for node, _ in going}
        left = [node for node in told if node.id in stays and node.id not in moved]
        ending = [node for node in told if draining.ends(node) and node.id not in moved and node.id not in stays]
        steps += [Step(StepKind.DELETE, n.name, names.of(n.host_id), None, _why_ended(n)) for n in ending]
        steps += [Step(StepKind.STAY, n.name, names.of(n.host_id), None, stays[n.id]) for n in left]
        return _plan(steps, unplaceable)

    def rebalance(self, scene: Scene, question: Question) -> Plan:
        cluster = _cluster(scene, question.target)
        most = int(question.inputs.get("max_moves") or MAX_MOVES)
        advice = advise(scene, cluster, rebalancing(cluster.config), most)
        names = _Names(scene, question, [host_id for m in advice.moves for host_id in (m.source, m.target)])
        steps = tuple(
            Step(StepKind.MOVE, m.name, names.of(m.source), names.of(m.target), names.why(m)) for m in advice.moves
        )
        return Plan(told(advice), steps)


_ANSWERS: Mapping[QuestionKind, Callable[[Planner, Scene, Question], Plan]] = {
    QuestionKind.SCALE_OUT: Planner.sizes,
    QuestionKind.SCALE_IN: Planner.sizes,
    QuestionKind.RESIZE: Planner.sizes,
    QuestionKind.UPDATE: Planner.update,
    QuestionKind.DRAIN: Planner.drain,
    QuestionKind.LOSE: Planner.lose,
    QuestionKind.REBALANCE: Planner.rebalance,
}

_KINDS = {
    QuestionKind.UPDATE: ActionKind.CLUSTER_UPDATE,
    QuestionKind.SCALE_OUT: ActionKind.CLUSTER_SCALE_OUT,
    QuestionKind.SCALE_IN: ActionKind.CLUSTER_SCALE_IN,
    QuestionKind.RESIZE: ActionKind.CLUSTER_RESIZE,
}


def _as_action(question: Question) -> Action:
    return Action(
        id="",
        name="",
        target=question.target,
        action=_KINDS[question.kind],
        cause=Cause.REQUEST,
        status=ActionStatus.READY,
        status_reason="",
        inputs=question.inputs,
    )


def _cluster(scene: Scene, cluster_id: str) -> Cluster:
    found = CLUSTERS.one(scene.connection, cluster_table.c.id == cluster_id)
    assert found is not None
    return found


def _host(scene: Scene, host_id: str) -> Host:
    (found,) = hosts.find(scene.connection, host_table.c.node_id == host_id)
    return found


def _members(scene: Scene, cluster: Cluster) -> list[Node]:
    found = NODES.all(scene.connection, table.c.cluster_id == cluster.id)
    return sorted(found, key=lambda node: (node.index, node.id))


def _alike(told: Sequence[Foretold]) -> list[tuple[StepKind, str | None, list[Foretold]]]:
    """In their order, neighbours of which the same is told together."""
    found = []
    for (kind, manner), group in groupby(told, lambda one: (_STEPS[one.manner], one.manner)):
        found.append((kind, None if manner is None else manner.value, list(group)))
    return found


_STEPS = {
    None: StepKind.STAY,
    Manner.IN_PLACE: StepKind.CHANGE,
    Manner.START_FIRST: StepKind.REPLACE,
    Manner.STOP_FIRST: StepKind.REPLACE,
    Manner.REPLACE: StepKind.REPLACE,
}


class _Names:
    """What hosts are called before whoever asks."""

    def __init__(self, scene: Scene, question: Question, ids: Iterable[str | None]) -> None:
        self._viewer = question.viewer
        self._known = hosts.identities(scene.connection, {host_id for host_id in ids if host_id is not None})

    def of(self, host_id: str | None) -> str | None:
        if host_id is None or host_id not in self._known:
            return None
        return called(self._known[host_id], self._viewer or "", operator=self._viewer is None).name

    def why(self, move: Move) -> str:
        """How full hosts are is nobody's business but their owner's."""
        if self._viewer is not None and any(self._known[h].project != self._viewer for h in (move.source, move.target)):
            return "its hosts become more evenly filled"
        source, source_after, target, target_after = move.fills
        left, taken = self.of(move.source), self.of(move.target)
        return f"{left} {source:.0%} → {source_after:.0%} full, {taken} {target:.0%} → {target_after:.0%}"


def _by_node(requests: Sequence[PlacementRequest]) -> dict[str, PlacementRequest]:
    return {request.node_id: request for request in requests}


def _placed(
    scene: Scene,
    question: Question,
    kind: StepKind,
    asked: Mapping[str, PlacementRequest],
    answered: Sequence[tuple[Node, Placed | Waiting]],
) -> tuple[list[Step], list[Unplaceable]]:
    """Reasons name hosts: of hosts of others they are not told."""
    homes = [node.host_id for node, _ in answered]
    names = _Names(scene, question, [*homes, *(a.host_id for _, a in answered if isinstance(a, Placed))])
    owners = {host.project for host in fleets.candidates(scene.connection, asked.values())}
    foreign = question.viewer is not None and bool(owners - {question.viewer})
    steps: list[Step] = []
    unplaceable: list[Unplaceable] = []
    for node, answer in answered:
        if isinstance(answer, Placed):
            reason = "as its placement rules say" if foreign else answer.summary
            steps.append(Step(kind, node.name, names.of(node.host_id), names.of(answer.host_id), reason))
        else:
            unplaceable.append(Unplaceable(node.name, answer, foreign))
    return steps, unplaceable


def _why_ended(node: Node) -> str:
    return "it has ended, and its log goes" if finished(node) else "its run begins it anew elsewhere"


def _why_gone(node: Node, asked: Criteria | None) -> str:
    if node.tainted:
        return "tainted"
    if asked is not None and node.status is NodeStatus.ACTIVE:
        return asked.told
    if standing.serves(node):
        return Criteria.YOUNGEST_FIRST.told
    if node.status is NodeStatus.ACTIVE:
        return "it is not ready" if node.power is PowerState.RUNNING else f"it is {node.power.value}"
    return f"it is {node.status.value}"


def _plan(steps: Sequence[Step], unplaceable: Sequence[Unplaceable]) -> Plan:
    return Plan(plan.summary(steps, unplaceable), tuple(steps), tuple(unplaceable))
