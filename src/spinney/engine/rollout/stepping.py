"""Taking a cluster to another profile: one step of the action, within one transaction.

Each step reads who is a member and how that is, asks ``domain.rollout`` what may begin, and orders those updates. Between two
steps the action holds nothing: members come, go, are healed and moved meanwhile. A successor of an engine that died takes the
same step from the same rows.

What counts against the action's timeout is each update of a member from its own beginning, and the time for which nothing
could begin; watching, resting and pausing do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import Cluster
from spinney.domain.cluster_config import stop_timeout_before_update
from spinney.domain.event import Level
from spinney.domain.fanout import Child, Verdict
from spinney.domain.rollout.decision import advanced, asking, decide
from spinney.domain.rollout.model import Manner, Next, Progress, Start
from spinney.engine.intent import clusters, rounds
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.moving.window import PAUSE, Scene
from spinney.engine.rollout import fetching, telling, wishes
from spinney.engine.rollout.looking import Progressing, Sight, look, room
from spinney.store import rollouts, status, updates
from spinney.store.rows import CLUSTERS
from spinney.store.tables import cluster as table

#: Seconds between looks at what pauses: whoever resumes it wakes it.
_LONG = 60.0


def advance(scene: Scene, action: Action, rules: ClusterRules) -> None:
    """Take a claimed update one step further. Raises: PlacementRace."""
    found = scene.connection.execute(CLUSTERS.select().where(table.c.id == action.target).with_for_update()).first()
    if found is None:
        scene.end(action, action.target, ActionStatus.FAILED, action.outputs, "The cluster no longer exists.")
        return
    begun: tuple[Action, Cluster] | None = (action, CLUSTERS.value(found))
    if not action.data.get("begun"):
        begun = _begin(scene, action, CLUSTERS.value(found), rules)
    if begun is not None:
        _Step(scene, *begun).take()


def _begin(scene: Scene, action: Action, cluster: Cluster, rules: ClusterRules) -> tuple[Action, Cluster] | None:
    """None: it has ended with that, or waits for the one that it supersedes."""
    if not action.cancel_requested:
        if updates.stands_back(scene.connection, action, scene.now):
            return None
        return clusters.begin(scene.connection, action, cluster, rules, scene.ids, scene.now)
    verdict = Verdict(ActionStatus.CANCELLED, f"{action.action.value} was cancelled before it began.")
    clusters.conclude_with(scene.connection, action, cluster, verdict, scene.ids, scene.now)
    return None


class _Step:
    def __init__(self, scene: Scene, action: Action, cluster: Cluster) -> None:
        self._scene = scene
        self._action = action
        self._cluster = cluster
        self._progress = wishes.heed(action, Progressing.of(action), scene.now)
        self._told = Progressing.of(action)

    def take(self) -> None:
        sight = look(self._scene, self._action, self._cluster, self._progress)
        if self._action.cancel_requested:
            self._stop(sight)
        elif self._progress.back and not self._told.back:
            self._turn(sight, self._progress.back)
        elif not self._progress.fetched and not self._progress.back and not self._progress.paused:
            self._fetch(sight)
        else:
            self._decide(sight)

    # -- before anything is touched ----------------------------------------------------------------------------------

    def _fetch(self, sight: Sight) -> None:
        fetched = fetching.fetch(self._scene, sight)
        if fetched.fault:
            self._call_off(sight)
            self._conclude(sight, ActionStatus.FAILED, f"{fetched.fault}.")
            return
        if fetched.order:
            self._order(fetched.order)
        if fetched.order or fetched.waiting:
            count = len(fetched.order) + fetched.waiting
            trouble = f": {fetched.trouble}" if fetched.trouble else ""
            reason = f"The image is fetched to {count} host{'s' * (count > 1)}{trouble}"
            self._wait(sight, Next(Progress.UPDATING, sight.situation.batch, reason))
            return
        self._progress = replace(self._progress, fetched=True)
        self._decide(sight)

    # -- going on ----------------------------------------------------------------------------------------------------

    def _decide(self, sight: Sight) -> None:
        asked = asking(sight.situation)
        answers = room(self._scene, sight, asked) if asked else {}
        step = decide(replace(sight.situation, room=answers))
        match step.progress:
            case Progress.TURNING:
                self._turn(sight, step.reason)
            case Progress.DONE | Progress.FAILED:
                self._end(sight, step)
            case _:
                self._go_on(sight, step)

    def _go_on(self, sight: Sight, step: Next) -> None:
        if step.start:
            self._order(self._updates(sight, step))
            if step.batch > self._progress.batch:
                self._tell("batch", Level.INFO, telling.batch(sight, step))
        held = self._progress.held_since
        remembered = advanced(sight.situation, step)
        self._progress = replace(
            self._progress,
            batch=remembered.batch,
            planned=remembered.planned,
            promoted=remembered.promoted,
            paused=step.reason if step.progress is Progress.PAUSED else "",
            held_since=(self._scene.now if held is None else held) if step.progress is Progress.HELD else None,
        )
        if self._progress.paused and not self._told.paused:
            self._tell("paused", Level.WARN, step.reason)
        if self._progress.held_since is not None and self._told.held_since is None:
            self._tell("blocked", Level.WARN, step.reason)
        self._wait(sight, step)

    def _updates(self, sight: Sight, step: Next) -> list[Child]:
        common: dict[str, object] = {"new_profile_id": sight.target, "batch": step.batch}
        timeout = stop_timeout_before_update(self._cluster.config)
        if timeout is not None:
            common["stop_timeout"] = timeout
        if "ready_timeout" in (self._action.data.get("update") or {}):
            common["ready_timeout"] = sight.rules.ready_timeout
        return [_update(start, common) for start in step.start]

    def _turn(self, sight: Sight, because: str) -> None:
        """From now on everything goes back; new containers that have not taken over yet are not waited for."""
        self._call_off(sight)
        self._tell("rollback", Level.WARN, f"Going back: {because}")
        self._progress = wishes.turned(self._progress, because, self._scene.now)
        self._told = self._progress
        self._decide(look(self._scene, self._action, self._cluster, self._progress))

    # -- ending ------------------------------------------------------------------------------------------------------

    def _end(self, sight: Sight, step: Next) -> None:
        if self._progress.back:
            self._conclude(sight, ActionStatus.FAILED, telling.went_back(self._progress.back, step))
        elif step.progress is Progress.DONE:
            self._conclude(sight, ActionStatus.SUCCEEDED, telling.done(sight, step))
        else:
            self._conclude(sight, ActionStatus.FAILED, telling.failed(sight, step))

    def _stop(self, sight: Sight) -> None:
        """It ends where it is, once what it has begun and cannot call off has ended."""
        self._call_off(sight)
        if sight.live:
            self._wait(sight, Next(Progress.UPDATING, sight.situation.batch, "It stops when what was begun has ended"))
        else:
            self._conclude(sight, ActionStatus.CANCELLED, telling.cancelled(sight))

    def _call_off(self, sight: Sight) -> None:
        """Whatever leaves its node as it was when it is called off; a container that is being replaced gets its new one."""
        rollouts.call_off(self._scene.connection, [part.id for part in sight.live if _can_be_called_off(part)])

    def _conclude(self, sight: Sight, result: ActionStatus, reason: str) -> None:
        outputs = telling.outputs(
            sight,
            Next(Progress.DONE if result is ActionStatus.SUCCEEDED else Progress.FAILED, sight.situation.batch, reason),
            self._progress.back,
        )
        data = {**self._action.data, **self._progress.stored()}
        clusters.note(self._scene.connection, self._action, outputs=outputs, data=data)
        ended = replace(self._action, outputs=outputs, data=data)
        verdict = Verdict(result, f"{self._action.action.value}: {reason}")
        clusters.conclude_with(self._scene.connection, ended, self._cluster, verdict, self._scene.ids, self._scene.now)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _order(self, children: Sequence[Child]) -> None:
        rounds.order(self._scene.connection, self._action, children, self._scene.ids, self._scene.now)

    def _wait(self, sight: Sight, step: Next) -> None:
        now = self._scene.now
        at = now + (_LONG if step.progress is Progress.PAUSED else PAUSE)
        if step.until is not None:
            at = min(at, max(step.until, now))
        data = {**self._action.data, **self._progress.stored()}
        outputs = telling.outputs(sight, step, self._progress.back)
        self._scene.wait(self._action, data, outputs, telling.going_on(sight, step, self._progress.back), at)
        status.refresh(self._scene.connection, [self._cluster.id])

    def _tell(self, phase: str, level: Level, reason: str) -> None:
        self._scene.tell(self._action, self._cluster.name, phase, level, reason)


def _update(start: Start, common: dict[str, object]) -> Child:
    return Child(ActionKind.NODE_UPDATE, start.member_id, {**common, "manner": start.manner.value})


def _can_be_called_off(part: rollouts.Part) -> bool:
    return part.kind is ActionKind.NODE_FETCH or not part.begun or part.inputs.get("manner") == Manner.START_FIRST
