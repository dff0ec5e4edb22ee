"""Carrying out a plan, and waiting where a later step needs an earlier one.

Services that need each other are done one after the other, the others at once. Guaranteed: after a step that did not come to
its end no step that needs it is begun, and the exit code tells the worst of what was seen. Not guaranteed: that nothing was
done when it ends early; the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from spinney.cli import looking, output
from spinney.cli.command import Use
from spinney.cli.compose.whole import Deployment, Wanted
from spinney.cli.deploy import marks
from spinney.cli.deploy.asking import Asking, Begun, not_ready
from spinney.cli.deploy.deciding import Kind, Plan, ServicePlan, Step
from spinney.cli.deploy.present import Kept
from spinney.cli.faults import EXIT_FAILED, CliError
from spinney.cli.progress import await_goal, failure
from spinney.cli.text import duration
from spinney.cli.waiting import SETTLED_BADLY, Goal, Scene, State, Verdict, describe

_AGAIN = "What comes after was not begun. Run the same command again when that is mended: it goes on from there."


@dataclass(slots=True)
class Run:
    """``last``: of each service the step begun last; ``unseen``: what was begun and not waited for."""

    use: Use
    asking: Asking
    last: dict[str, Begun] = field(default_factory=dict)
    unseen: list[Begun] = field(default_factory=list)
    started: float = field(default_factory=monotonic)

    def remove(self, plans: Sequence[ServicePlan]) -> None:
        """Clusters, one after the other, each with what was made for it. Raises: CliError."""
        for one in plans:
            self._wait([self._begin(one, step) for step in one.steps])
            self.forget_all(one.service)

    def forget_all(self, service: str | None = None) -> None:
        """Profiles and policies of a service, or of the whole deployment, that are left when the clusters are gone."""
        present = self.asking.present
        self._forget([one for one in present.profiles if service in (None, one.service)], "profiles")
        self._forget([one for one in present.policies if service in (None, one.service)])

    def tidy(self, plan: Plan, *, thoroughly: bool) -> None:
        """Delete the policies that services no longer have; ``thoroughly``: also profiles that no revision needs."""
        present = self.asking.present
        for one in plan.services:
            if one.wanted is None or one.running is None:
                continue
            own = {marks.policy_name(present.project, one.service, policy) for policy in one.wanted.own_policies}
            self._forget([kept for kept in present.policies if kept.service == one.service and kept.name not in own])
            if thoroughly:
                needed = self._profiles_of(one.running.id) | {one.running.profile_id, one.profile_id}
                old = [kept for kept in present.profiles if kept.service == one.service and kept.id not in needed]
                self._forget(old, "profiles")

    def _profiles_of(self, cluster_id: str) -> set[str | None]:
        """Those that the cluster can go back to."""
        found = looking.found(self.use.service, "clusters", cluster_id, "revisions")
        return {one["profile_id"] for one in found or ()}

    def _forget(self, things: Iterable[Kept], path: str = "policies") -> None:
        for thing in things:
            self.asking.forget(path, thing.id)

    def carry_out(self, plan: Plan, deployment: Deployment) -> None:
        """Raises: CliError."""
        levels = deployment.levels()
        for number, level in enumerate(levels):
            for one in level:
                self._await_needs(one)
            last = number + 1 == len(levels)
            self._in_step([plan.of(one.service) for one in level], wait=self.use.wait or not last)

    def _in_step(self, plans: Sequence[ServicePlan], *, wait: bool) -> None:
        """The first steps of all services, then the second ones, and so on."""
        for number in range(max((len(one.steps) for one in plans), default=0)):
            begun = [self._begin(one, one.steps[number]) for one in plans if number < len(one.steps)]
            more = any(number + 1 < len(one.steps) for one in plans)
            if wait or more:
                self._wait(begun)
            else:
                self.unseen += begun

    def _begin(self, plan: ServicePlan, step: Step) -> Begun:
        begun = self.asking.begin(plan, step)
        self.last[step.service] = begun
        return begun

    def _await_needs(self, wanted: Wanted) -> None:
        present = self.asking.present
        for need in wanted.needs:
            begun, running = self.last.get(need.service), present.running.get(need.service)
            cluster_id = begun.cluster_id if begun is not None else running.id if running is not None else None
            if cluster_id is None:  # it was switched off, and need not be there
                continue
            step = Step(Kind.CREATE, need.service, marks.cluster_name(present.project, need.service), "")
            look = looking.at_work_on(self.use.service, cluster_id)
            self._wait([Begun(step, cluster_id, None, look, started(ready=need.healthy))], told=False)

    def _wait(self, begun: Sequence[Begun], *, told: bool = True) -> None:
        """Raises: CliError."""
        faults: list[CliError] = []
        for one in begun:
            left = max(self.use.timeout - (monotonic() - self.started), 0.0)
            name = one.step.cluster
            outcome = await_goal(replace(self.use, timeout=left), name, one.look, one.goal)
            fault = failure(name, outcome)
            if fault is not None:
                faults.append(fault)
            elif told:
                output.note(f"{name}: {outcome.verdict.says}, done in {duration(outcome.elapsed)}")
        if faults:
            codes = {one.exit_code for one in faults}
            code = EXIT_FAILED if EXIT_FAILED in codes else max(codes)
            raise CliError("\n".join([*(one.message for one in faults), _AGAIN]), code)


def started(*, ready: bool) -> Goal:
    """The members that a cluster wants are in service; with ``ready`` also by their probes and health checks."""

    def goal(scene: Scene) -> Verdict:
        if scene.subject is None:
            return Verdict(State.FAILED, "it is gone")
        if scene.working:
            return Verdict(State.PENDING, describe(scene))
        unready = not_ready(scene) if ready else 0
        if scene.status == "ACTIVE" and scene.active == scene.desired and not unready:
            return Verdict(State.REACHED, describe(scene))
        if scene.status in SETTLED_BADLY:
            return Verdict(State.FAILED, f"{describe(scene)}: {scene.subject.get('status_reason') or ''}")
        return Verdict(State.PENDING, f"{describe(scene)}, {unready} not ready" if unready else describe(scene))

    return goal
