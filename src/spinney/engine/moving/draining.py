"""Draining hosts: one step of the action, within one transaction.

Each step reads who is on the host and what works on them, asks ``domain.drain`` what may begin, and orders those moves. A
successor of an engine that died takes the same step from the same rows. ``draining`` is shown exactly while a drain is alive;
when it ends, whichever way, the host stays cordoned and says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from spinney.domain import drain
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.drain import Next, Progress, Resident, Situation
from spinney.domain.event import Level
from spinney.domain.host import Duty, Host, HostState
from spinney.domain.node import Node
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.retry import backoff
from spinney.domain.runs import place_of
from spinney.engine.moving.window import PAUSE, Scene
from spinney.engine.placing.asking import load_fleet
from spinney.store import duties, hosts, standing, status
from spinney.store.standing import Failure
from spinney.store.tables import host as host_table

#: Why a host is not open while it is drained.
MOVED_AWAY = "its containers are moved away"
#: Seconds before a failed move is tried again; doubles while it keeps failing.
_RETRY = 2.0
_RETRY_CEILING = 60.0
#: Residents for which the scheduler is asked at a time, until enough moves are found.
_ASKED = 64
_SILENT = (HostState.SUSPECT, HostState.LOST)
#: What takes a node off its host, by whether it ends there.
_WAY_OUT = {False: ActionKind.NODE_MOVE, True: ActionKind.NODE_DELETE}


def advance(scene: Scene, action: Action) -> None:
    """Take a claimed drain one step further. Raises: PlacementRace."""
    found = hosts.find(scene.connection, host_table.c.node_id == action.target)
    if not found:
        scene.end(action, action.target, ActionStatus.FAILED, action.outputs, "The host is no longer registered.")
        return
    host = found[0]
    if not action.data:
        scene.tell(action, host.name, "start", Level.INFO, "")
        if not action.cancel_requested:
            duties.set_duty(scene.connection, host.node_id, Duty.DRAINING, MOVED_AWAY, scene.now)
    nodes = standing.placed_on(scene.connection, host.node_id)
    situation = look(scene, action, host, nodes)
    situation, step = choose(scene, host, nodes, situation)
    if step.progress in (Progress.MOVING, Progress.HELD):
        _go_on(scene, action, host, nodes, situation, step)
    else:
        _conclude(scene, action, host, situation, step)


def look(scene: Scene, action: Action, host: Host, nodes: Sequence[Node]) -> Situation:
    """All but whether there is room elsewhere."""
    deadline = action.inputs.get("deadline")
    assert action.start_time is not None
    residents = residents_of(scene, host, nodes, standing.failures(scene.connection, action.id))
    return Situation(
        residents=sorted(residents, key=lambda resident: not resident.moving),
        standings=standing.standings(scene.connection, {node.cluster_id for node in nodes}),
        max_in_flight=action.inputs.get("max_in_flight") or drain.MAX_IN_FLIGHT,
        now=scene.now,
        deadline=None if deadline is None else action.start_time + deadline,
        stopping=action.cancel_requested,
        arriving=standing.arriving_at(scene.connection, host.node_id),
        ending=len(standing.ordered_by(scene.connection, action.id) - {node.id for node in nodes}),
    )


def residents_of(
    scene: Scene, host: Host, nodes: Sequence[Node], failures: Mapping[str, Failure] | None = None
) -> list[Resident]:
    """``failures`` of moves so far, by node."""
    busy = standing.at_work(scene.connection, [node.id for node in nodes])
    silent = host.state in _SILENT
    residents = []
    for node in nodes:
        kinds = busy.get(node.id, [])
        failure = (failures or {}).get(node.id)
        moving = _WAY_OUT[ends(node)] in kinds
        residents.append(
            Resident(
                node.id,
                node.name,
                node.cluster_id,
                serving=standing.serves(node) and not silent,
                in_reach=not silent,
                moving=moving,
                busy=kinds[0].value if kinds and not moving else None,
                failed=None if failure is None else failure.reason,
                retry_at=0.0 if failure is None else failure.at + backoff(failure.times, _RETRY, _RETRY_CEILING),
            )
        )
    return residents


def ends(node: Node) -> bool:
    """A member of a run is not moved: it would have to begin anew anyhow, which its run sees to, wherever there is room."""
    return place_of(node.data) is not None


def choose(scene: Scene, host: Host, nodes: Sequence[Node], situation: Situation) -> tuple[Situation, Next]:
    """What begins next. The scheduler is asked for no more residents than it takes to fill the window."""
    free = situation.max_in_flight - sum(resident.moving for resident in situation.residents) - situation.ending
    asked: list[Resident] = []
    step = drain.decide(replace(situation, residents=()))
    for first in range(0, len(situation.residents), _ASKED):
        chunk = situation.residents[first : first + _ASKED]
        answers = elsewhere(scene, host, chunk, nodes)
        asked += [with_room(host, resident, answers) for resident in chunk]
        step = drain.decide(replace(situation, residents=asked))
        if len(step.start) >= free and step.progress is Progress.MOVING:
            break
    return replace(situation, residents=[*asked, *situation.residents[len(asked) :]]), step


#: None: the profile allows no other host.
Elsewhere = Mapping[str, Placed | Waiting | None]


def elsewhere(scene: Scene, host: Host, residents: Sequence[Resident], nodes: Sequence[Node]) -> Elsewhere:
    """Where the scheduler would put the residents now, by node; those at work are not asked for."""
    free = {resident.node_id for resident in residents if not resident.moving and resident.busy is None}
    free -= {node.id for node in nodes if ends(node)}
    requests = [
        request.leaving(host.node_id)
        for request in scene.requests([node for node in nodes if node.id in free]).values()
        if request.host_node != host.node_id
    ]
    fleet = load_fleet(scene.connection, requests, scene.network_limit, scene.now)
    return {**dict.fromkeys(free), **{answer.node_id: answer for answer in fleet.place(requests)}}


def with_room(host: Host, resident: Resident, answers: Elsewhere) -> Resident:
    """The resident, with the reason when no other host would take it."""
    if resident.node_id not in answers:
        return resident
    answer = answers[resident.node_id]
    if answer is None:
        why = f"its profile wants this very host (host_node: {host.name}); update it to a profile that does not"
        return replace(resident, no_room=why)
    return replace(resident, no_room=answer.summary) if isinstance(answer, Waiting) else resident


def _go_on(scene: Scene, action: Action, host: Host, nodes: Sequence[Node], situation: Situation, step: Next) -> None:
    by_id = {node.id: node for node in nodes}
    # Whoever the node belongs to may see these: nothing here names the host, which may be somebody else's.
    inputs: Mapping[str, Any] = {"exclude": [], "to": None, "reason": "its host is being drained"}
    going = [by_id[node_id] for node_id in step.start]
    scene.order_moves(action, [(node, inputs) for node in going if not ends(node)])
    scene.order_ends(action, [node for node in going if ends(node)], "its host is being drained")
    total = max(int(action.data.get("total", 0)), len(situation.residents))
    held = {one.node_id for one in step.held}
    if held - set(action.data.get("held", ())):
        scene.tell(action, host.name, "blocked", Level.WARN, drain.reasons(step.held))
    at = scene.now + PAUSE
    if situation.deadline is not None and scene.now < situation.deadline:
        at = min(at, situation.deadline)
    moving = [r.name for r in situation.residents if r.moving or r.node_id in step.start]
    scene.wait(
        action,
        {"total": total, "held": sorted(held)},
        outputs(total, len(situation.residents), moving, step),
        drain.told(total, situation, step),
        at,
    )


def _conclude(scene: Scene, action: Action, host: Host, situation: Situation, step: Next) -> None:
    left = len(situation.residents)
    total = max(int(action.data.get("total", 0)), left)
    gone = f"{total - left} of {total} containers have left"
    if step.progress is Progress.EMPTY:
        result, reason, duty_reason = ActionStatus.SUCCEEDED, f"The host is empty: {gone}.", "drained"
        if host.state in _SILENT and total:
            reason = f"{gone}; the host does not answer, and what still runs there is removed when it is back."
            duty_reason = "drained while it did not answer: what still runs there is removed when it is back"
    elif step.progress is Progress.STOPPED:
        result, reason = ActionStatus.CANCELLED, f"The drain was stopped; {gone}."
        duty_reason = f"its drain was stopped with {left} containers left"
    else:
        deadline = action.inputs["deadline"]
        result = ActionStatus.FAILED
        reason = f"Not drained within {deadline} s; {gone}, these have not: {drain.reasons(step.held, most=10)}"
        duty_reason = f"its drain ran out of time with {left} containers left"
    duties.drain_ended(scene.connection, host.node_id, duty_reason, scene.now)
    status.refresh(scene.connection, {resident.cluster_id for resident in situation.residents})
    scene.end(action, host.name, result, outputs(total, left, [], step), reason)


def outputs(total: int, left: int, moving: Sequence[str], step: Next) -> dict[str, Any]:
    """What the API shows of a drain."""
    return {"total": total, "left": left, "moving": list(moving), "held": drain.as_mapping(step.held)}
