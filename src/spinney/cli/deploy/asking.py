"""Asking the service for one step of a plan, and how to see when it is done.

Profiles and policies that a step needs are made with it, unless an earlier run has made them. Nothing is waited for here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spinney.cli import looking, waiting
from spinney.cli.cluster_policies import bound, unbound
from spinney.cli.compose.whole import OwnPolicy, Wanted
from spinney.cli.deploy import marks
from spinney.cli.deploy.deciding import Kind, ServicePlan, Step, settings
from spinney.cli.deploy.present import Present
from spinney.cli.faults import CliError, Refused
from spinney.cli.transport import Service
from spinney.cli.waiting import Goal, Scene, State, Verdict


@dataclass(frozen=True, slots=True)
class Begun:
    step: Step
    cluster_id: str
    action: str | None
    look: Callable[[], Scene]
    goal: Goal


@dataclass(frozen=True, slots=True)
class Asking:
    service: Service
    present: Present

    def begin(self, plan: ServicePlan, step: Step) -> Begun:
        """Raises: Refused."""
        if step.kind is Kind.CREATE:
            return self._create(plan, step)
        assert plan.running is not None  # all other steps are about clusters that are there
        cluster_id = plan.running.id
        if step.kind in (Kind.ATTACH, Kind.DETACH):
            return self._bind(plan, step, cluster_id)
        if step.kind is Kind.REMOVE:
            return self._begun(step, cluster_id, self.service.delete("clusters", cluster_id), waiting.gone())
        if step.kind is Kind.RECOVER:
            action = self._act(cluster_id, {"recover": {"check_capacity": True}})
            return self._begun(step, cluster_id, action, waiting.healthy(whatever_the_action=True))
        if step.kind is Kind.SCALE:
            return self._scale(step, cluster_id)
        return self._update(plan, step, cluster_id)

    def _begun(self, step: Step, cluster_id: str, action: str | None, goal: Goal) -> Begun:
        return Begun(step, cluster_id, action, looking.at_cluster(self.service, cluster_id, action), ready_too(goal))

    def _act(self, cluster_id: str, body: Mapping[str, Any]) -> str:
        reply, _ = self.service.post("clusters", cluster_id, "actions", body=body)
        return str(reply["action"])

    def _create(self, plan: ServicePlan, step: Step) -> Begun:
        wanted = _wanted(plan)
        named = [self.present.named[word] for word, _ in wanted.named_policies]
        policies = [*named, *(self.policy(wanted, one) for one in wanted.own_policies)]
        desired = 1 if wanted.replicas is None else wanted.replicas
        given = {
            "desired_capacity": desired,
            "min_size": wanted.min_size,
            "max_size": wanted.max_size,
            "config": dict(wanted.config) or None,
            "policies": [{"policy_id": one} for one in policies] or None,
        }
        body = {
            "name": step.cluster,
            "profile_id": self.profile(plan),
            "metadata": {**wanted.labels, **marks.mark(self.present.project, wanted.service, tuple(named))},
            **{key: value for key, value in given.items() if value is not None},
        }
        reply, action = self.service.post("clusters", body={"cluster": body})
        made = looking.unwrapped(reply)
        self._yield_to_others(made, wanted.service)
        return self._begun(step, made["id"], action, waiting.sized(desired))

    def _yield_to_others(self, made: Mapping[str, Any], service: str) -> None:
        """Where two runs at once make the same cluster, the later one takes its own back; of the same second both do."""
        for row in self.service.get("clusters", query={"name": made["name"]})["clusters"]:
            same = marks.service_of(row["metadata"], self.present.project) == service
            if same and row["id"] != made["id"] and row["init_at"] <= made["init_at"]:
                self.service.delete("clusters", made["id"], body={"force": True})
                raise CliError(
                    f"somebody else deploys {self.present.project} at this moment: {made['name']} is there already "
                    f"({row['id'][:8]}), and the second one was taken back. Run the same command again when that is done"
                )

    def _bind(self, plan: ServicePlan, step: Step, cluster_id: str) -> Begun:
        policy_id = step.policy_id
        if policy_id is None:
            assert step.policy is not None
            policy_id = self.policy(_wanted(plan), step.policy)
        attach = step.kind is Kind.ATTACH
        action = self._act(cluster_id, {f"policy_{step.kind}": {"policy_id": policy_id}})
        look = looking.at_binding(self.service, cluster_id, policy_id, action)
        return Begun(step, cluster_id, action, look, bound() if attach else unbound)

    def _update(self, plan: ServicePlan, step: Step, cluster_id: str) -> Begun:
        assert plan.running is not None
        asked: dict[str, Any] = settings(_wanted(plan), plan.running, self.present)
        members: dict[str, Any] = {}
        if step.kind is not Kind.SETTINGS:
            members = {"profile_id": self.profile(plan)}
            asked |= members
        _, action = self.service.patch("clusters", cluster_id, body={"cluster": asked})
        return self._begun(step, cluster_id, action, waiting.matches(asked, members))

    def _scale(self, step: Step, cluster_id: str) -> Begun:
        sizes = dict(step.sizes)
        desired = sizes.pop("desired_capacity", None)
        exact = {} if desired is None else {"adjustment_type": "EXACT_CAPACITY", "number": desired}
        action = self._act(cluster_id, {"resize": {**exact, **sizes, "strict": True}})
        goal = waiting.matches(sizes, {}) if desired is None else waiting.sized(desired)
        return self._begun(step, cluster_id, action, goal)

    # --- profiles and policies ----------------------------------------------------------------------------------------

    def profile(self, plan: ServicePlan) -> str:
        """The id of the profile that the service is to have."""
        if plan.profile_id is not None:
            return plan.profile_id
        wanted, project = _wanted(plan), self.present.project
        body = {
            "name": marks.profile_name(project, wanted),
            "spec": dict(wanted.spec),
            "metadata": marks.mark(project, wanted.service),
        }
        reply, _ = self.service.post("profiles", body={"profile": body})
        return str(looking.unwrapped(reply)["id"])

    def policy(self, wanted: Wanted, policy: OwnPolicy) -> str:
        project = self.present.project
        name = marks.policy_name(project, wanted.service, policy)
        for one in self.present.policies:
            if (one.service, one.name) == (wanted.service, name):
                return one.id
        body = {"name": name, "spec": marks.described(project, wanted.service, policy.spec)}
        reply, _ = self.service.post("policies", body={"policy": body})
        return str(looking.unwrapped(reply)["id"])

    def forget(self, path: str, thing_id: str) -> None:
        """Delete a profile or policy, unless something uses it."""
        try:
            self.service.delete(path, thing_id)
        except Refused as error:
            if error.status not in (404, 409):
                raise


def _wanted(plan: ServicePlan) -> Wanted:
    assert plan.wanted is not None  # only what the file has is made and changed
    return plan.wanted


def not_ready(scene: Scene) -> int:
    """How many members run and may not be given work yet; of a service that does not tell, none."""
    told = [(member.get("data") or {}) for member in scene.members]
    return sum(not (data.get("readiness") or {}).get("ready", True) and "power" not in data for data in told)


def ready_too(goal: Goal) -> Goal:
    """Reached when the members are ready as well."""

    def both(scene: Scene) -> Verdict:
        verdict = goal(scene)
        unready = not_ready(scene) if verdict.state is State.REACHED else 0
        return Verdict(State.PENDING, f"{verdict.says}, {unready} not ready") if unready else verdict

    return both
