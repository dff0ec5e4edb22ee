"""What is to be done so that what is there becomes what the file says: pure.

Guaranteed: equal arguments give equal plans; a service that is as the file has it gets no step; steps of one service are in
the order in which they have to be done: policies first, because they say how the rest goes, then fewer members, the update,
and more members. Not guaranteed: that the service allows it; it is asked before anything is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from spinney.cli.compose.whole import Deployment, OwnPolicy, Wanted
from spinney.cli.deploy import marks
from spinney.cli.deploy.present import Kept, Present, Running
from spinney.profiles.container import ContainerProperties
from spinney.profiles.in_place import different, in_place

_BUSY = frozenset({"INIT", "CREATING", "UPDATING", "RESIZING", "DELETING", "CHECKING", "RECOVERING", "OPERATING"})
_BAD = frozenset({"WARNING", "ERROR", "CRITICAL"})


class Kind(StrEnum):
    CREATE = "create"
    ATTACH = "attach"
    DETACH = "detach"
    IN_PLACE = "update"
    REPLACE = "replace"
    SETTINGS = "change"
    SCALE = "scale"
    RECOVER = "recover"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """``says``: for people. The rest is what the step needs to be done."""

    kind: Kind
    service: str
    cluster: str
    says: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    #: The id of the policy to attach or detach; None: one that is still to be made.
    policy_id: str | None = None
    policy: OwnPolicy | None = None


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """``wanted`` None: it goes; ``running`` None: it is new."""

    service: str
    cluster: str
    steps: tuple[Step, ...]
    wanted: Wanted | None = None
    running: Running | None = None
    #: The id of a profile that is right already; None: one has to be made.
    profile_id: str | None = None

    @property
    def busy(self) -> bool:
        return self.running is not None and self.running.status in _BUSY


@dataclass(frozen=True, slots=True)
class Plan:
    project: str
    services: tuple[ServicePlan, ...]
    #: Services that are there and not in the file.
    orphans: tuple[Running, ...] = ()

    @property
    def steps(self) -> list[Step]:
        return [step for one in self.services for step in one.steps]

    def of(self, service: str) -> ServicePlan:
        return next(one for one in self.services if one.service == service)


def decide(deployment: Deployment, present: Present) -> Plan:
    planned = tuple(_service(one, present) for one in deployment.services)
    named = {one.service for one in deployment.services} | set(deployment.left_out)
    orphans = tuple(running for name, running in sorted(present.running.items()) if name not in named)
    return Plan(present.project, planned, orphans)


def removal(present: Present, order: Sequence[str] = ()) -> Plan:
    """Everything goes, what came last first."""
    rank = {name: index for index, name in enumerate(order)}
    running = sorted(present.running.values(), key=lambda one: (-rank.get(one.service, -1), one.service))
    return Plan(present.project, tuple(leaving(one) for one in running))


def leaving(running: Running) -> ServicePlan:
    says = f"the cluster {running.name} with {_containers(running.desired)}"
    return ServicePlan(
        running.service,
        running.name,
        (Step(Kind.REMOVE, running.service, running.name, says),),
        running=running,
    )


def _service(wanted: Wanted, present: Present) -> ServicePlan:
    running = present.running.get(wanted.service)
    profile_id = _profile(wanted, running, present.profiles)
    if running is None:
        name = marks.cluster_name(present.project, wanted.service)
        count = 1 if wanted.replicas is None else wanted.replicas
        step = Step(Kind.CREATE, wanted.service, name, f"{_containers(count)} of {_image(wanted.spec)}")
        return ServicePlan(wanted.service, name, (step,), wanted, None, profile_id)
    steps = [*_policies(wanted, running, present), *_changes(wanted, running, profile_id, present)]
    if not steps and running.status in _BAD:
        says = f"it is {running.status}: {running.reason}" if running.reason else f"it is {running.status}"
        steps = [Step(Kind.RECOVER, wanted.service, running.name, says)]
    return ServicePlan(wanted.service, running.name, tuple(steps), wanted, running, profile_id)


def _profile(wanted: Wanted, running: Running | None, profiles: Sequence[Kept]) -> str | None:
    if running is not None and same_spec(running.spec, wanted.spec):
        return running.profile_id
    fitting = [one for one in profiles if one.service == wanted.service and same_spec(one.spec, wanted.spec)]
    return fitting[-1].id if fitting else None


def same_spec(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both mean the same, however they are spelled."""
    if one == other:
        return True
    first, second = _properties(one), _properties(other)
    return first is not None and first == second


def _properties(spec: Mapping[str, Any]) -> ContainerProperties | None:
    try:
        return ContainerProperties.model_validate(spec.get("properties"))
    except ValidationError:  # made by a service that is newer than this client
        return None


# --- policies ---------------------------------------------------------------------------------------------------------


def _policies(wanted: Wanted, running: Running, present: Present) -> list[Step]:
    named = [present.named[word] for word, _ in wanted.named_policies]
    own = {one.name: one.id for one in present.policies if one.service == wanted.service}
    new = [
        (policy, own.get(marks.policy_name(present.project, wanted.service, policy))) for policy in wanted.own_policies
    ]
    kept = {*named, *(found for _, found in new if found is not None)}
    ours = {*own.values(), *running.named_policies}
    there = set(running.policies)

    def step(kind: Kind, says: str, policy_id: str | None, policy: OwnPolicy | None = None) -> Step:
        return Step(kind, wanted.service, running.name, says, policy_id=policy_id, policy=policy)

    going = [one for one in running.policies if one in ours and one not in kept]
    return [
        *(step(Kind.DETACH, f"policy {present.names.get(one, one[:8])}", one) for one in going),
        *(step(Kind.ATTACH, f"policy {present.names.get(one, one[:8])}", one) for one in named if one not in there),
        *(
            step(Kind.ATTACH, f"policy {marks.policy_name(present.project, wanted.service, policy)}", found, policy)
            for policy, found in new
            if found is None or found not in there
        ),
    ]


# --- the cluster ------------------------------------------------------------------------------------------------------


def _changes(wanted: Wanted, running: Running, profile_id: str | None, present: Present) -> list[Step]:
    steps: list[Step] = []

    def step(kind: Kind, says: str, sizes: Mapping[str, int] | None = None) -> None:
        steps.append(Step(kind, wanted.service, running.name, says, sizes or {}))

    updates = profile_id != running.profile_id
    after = _sizes(wanted, running)
    if updates and running.status == "ERROR" and running.min_size:
        # A cluster in ERROR takes no update; with fewer than its least size wanted, it is one in WARNING.
        step(Kind.SCALE, "least size 0, so that it can be updated", {"min_size": 0})
        after |= {"min_size": running.min_size if wanted.min_size is None else wanted.min_size}
    fewer = after.get("desired_capacity", running.desired) < running.desired
    if after and fewer:
        step(Kind.SCALE, _sizes_say(running, after), after)
    if updates:
        kind, says = _update(wanted, running, after["desired_capacity"] if fewer else running.desired)
        step(kind, says)
    else:
        differing = settings(wanted, running, present)
        if differing:
            step(Kind.SETTINGS, ", ".join(sorted(differing)))
    if after and not fewer:
        step(Kind.SCALE, _sizes_say(running, after), after)
    return steps


def settings(wanted: Wanted, running: Running, present: Present) -> dict[str, Any]:
    """What is stored with the cluster and moves nothing."""
    named = tuple(present.named[word] for word, _ in wanted.named_policies)
    metadata = {**wanted.labels, **marks.mark(present.project, wanted.service, named)}
    found: dict[str, Any] = {}
    if metadata != running.metadata:
        found["metadata"] = metadata
    if dict(wanted.config) != running.config:
        found["config"] = dict(wanted.config)
    return found


def _sizes(wanted: Wanted, running: Running) -> dict[str, int]:
    asked = {
        "desired_capacity": (wanted.replicas, running.desired),
        "min_size": (wanted.min_size, running.min_size),
        "max_size": (wanted.max_size, running.max_size),
    }
    return {key: wish for key, (wish, now) in asked.items() if wish is not None and wish != now}


def _sizes_say(running: Running, sizes: Mapping[str, int]) -> str:
    words = {"desired_capacity": "members", "min_size": "least size", "max_size": "greatest size"}
    before = {"desired_capacity": running.desired, "min_size": running.min_size, "max_size": running.max_size}
    return ", ".join(f"{words[key]} {_size(before[key])} → {_size(value)}" for key, value in sizes.items())


def _size(value: int) -> str:
    return "∞" if value < 0 else str(value)


def _update(wanted: Wanted, running: Running, count: int) -> tuple[Kind, str]:
    before, after = _properties(running.spec), _properties(wanted.spec)
    if before is None or after is None:
        return Kind.REPLACE, f"{_containers(count)} by new ones"
    what = ", ".join(different(before, after))
    if in_place(before, after):
        return Kind.IN_PLACE, f"{what}: {_containers(count)} changed in place"
    return Kind.REPLACE, f"{what}: {_containers(count)} by new ones{_images(before, after)}"


def _images(before: ContainerProperties, after: ContainerProperties) -> str:
    return "" if before.image == after.image else f" ({before.image} → {after.image})"


def _image(spec: Mapping[str, Any]) -> str:
    return str(spec["properties"]["image"])


def _containers(count: int) -> str:
    return "1 container" if count == 1 else f"{count} containers"
