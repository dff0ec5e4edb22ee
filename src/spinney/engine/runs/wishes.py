"""What users ask of a cluster's runs: one more, or one less. The whole of such an action is one transaction."""

from __future__ import annotations

from typing import Any

from spinney.domain import runs as domain
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.fanout import Verdict
from spinney.domain.run_schedule import admit
from spinney.domain.runs import LIVE
from spinney.engine.runs import step
from spinney.engine.runs.scene import Scene
from spinney.store import bindings, runs

KINDS = (ActionKind.CLUSTER_RUN, ActionKind.CLUSTER_CANCEL_RUN)


def carry_out(scene: Scene, action: Action) -> tuple[Verdict, dict[str, Any]]:
    """How it ended, and its outputs."""
    begins = action.action is ActionKind.CLUSTER_RUN
    fault, number = _run(scene) if begins else _cancel(scene, int(action.inputs["number"]))
    if fault is not None:
        return Verdict(ActionStatus.FAILED, f"{action.action.value}: {fault}."), {}
    step.carry_on(scene)
    return Verdict(ActionStatus.SUCCEEDED, f"Run {number} was {'ordered' if begins else 'cancelled'}."), {"run": number}


def abandon(scene: Scene) -> None:
    """The cluster is to be deleted, and its members with it."""
    unended = runs.unended(scene.connection, [scene.cluster.id]).get(scene.cluster.id, [])
    step.give_way(scene, tuple(unended), "Its cluster is to be deleted.")


def _run(scene: Scene) -> tuple[str | None, int]:
    job = bindings.job_of(scene.connection, scene.cluster.id)
    if job is None or not job.enabled:
        return "the cluster has no enabled job policy: attach one, or enable it", 0
    unended = runs.unended(scene.connection, [scene.cluster.id]).get(scene.cluster.id, [])
    admission = admit(job.rules.overlap, unended)
    if admission.fault is not None:
        return f"{admission.fault}: wait for it, or cancel it", 0
    run = step.order(scene, job.rules, job.policy_id, None, "It was asked for.")
    step.give_way(scene, admission.cancel, f"Run {run.number} takes its place.")
    return None, run.number


def _cancel(scene: Scene, number: int) -> tuple[str | None, int]:
    run = runs.get(scene.connection, scene.cluster.id, number)
    if run is None:
        return f"the cluster has no run {number}", 0
    if run.status not in LIVE:
        return f"run {number} is {run.status.value} already", 0
    step.settle(scene, run, domain.cancelled(run, "It was cancelled.", scene.now))
    return None, number
