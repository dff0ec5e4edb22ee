"""Is a member well, what to do when it is not, and which containers nobody owns. Decided by state, not by story."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum

from spinney.config import HealthSettings
from spinney.domain.container import LABEL_HELPER, LABEL_KEEPER, LABEL_PROBER, Container, ContainerState
from spinney.domain.health_rules import HealthRules, Operation
from spinney.domain.node import Node, PowerState
from spinney.domain.retry import backoff

#: How the status reason of a member begins that its health policy finds ill. Only that policy calls it well again.
COMPLAINT = "Its health policy finds it ill: "


class RestartPolicy(StrEnum):
    """What the user wants when a container ends by itself. ``always`` is ours to do, never Docker's."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "no"


class Ailment(StrEnum):
    GONE = "gone"
    ENDED = "ended"
    UNHEALTHY = "unhealthy"
    #: It is paused, or is not, against the wanted power state.
    WRONG_POWER = "wrong-power"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    ailment: Ailment
    text: str
    failed: bool = True  # False: it ended with exit code 0


@dataclass(frozen=True, slots=True)
class Repair:
    operation: str  # REBOOT: bring what is there into the wanted state | RECREATE: make it anew
    at: float
    repairs: int


def diagnose(node: Node, container: Container | None) -> Diagnosis | None:
    """None: all is as wanted. ``container`` is what the Docker engine has now under the node's ``physical_id``."""
    if container is None:
        return Diagnosis(Ailment.GONE, "the container was removed behind Spinney's back")
    state = container.state
    if node.power is PowerState.STOPPED:
        if state in (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING):
            return Diagnosis(Ailment.WRONG_POWER, f"the container is {state.value}, wanted is {node.power.value}")
        return None
    if state in (ContainerState.EXITED, ContainerState.DEAD, ContainerState.CREATED, ContainerState.REMOVING):
        return Diagnosis(Ailment.ENDED, _ending(container), failed=container.exit_code != 0 or container.oom_killed)
    if (state is ContainerState.PAUSED) != (node.power is PowerState.PAUSED) and state is not ContainerState.RESTARTING:
        return Diagnosis(Ailment.WRONG_POWER, f"the container is {state.value}, wanted is {node.power.value}")
    # Docker calls what does not run unhealthy too.
    if node.power is PowerState.RUNNING and container.health == "unhealthy":
        return Diagnosis(Ailment.UNHEALTHY, "the container's health check reports unhealthy")
    return None


def _ending(container: Container) -> str:
    if container.oom_killed:
        return "the container ran out of memory and was killed (give it more memory in the profile)"
    if container.exit_code == 137:
        return "the container was killed (exit code 137)"
    if container.exit_code in (126, 127):
        what = "cannot be run" if container.exit_code == 126 else "is not in the image"
        return f"the container ended with exit code {container.exit_code}: its command {what}; correct command or entrypoint"
    error = f": {container.error}" if container.error else ""
    return f"the container ended with exit code {container.exit_code}{error}"


def repair(
    node: Node, diagnosis: Diagnosis, *, healing: bool, policy: RestartPolicy, settings: HealthSettings, now: float
) -> Repair | None:
    """What healing does, and when: at once the first time, with growing delays while it keeps failing.

    The count of repairs starts anew once the member was left alone for the good period.
    """
    if not healing or may_end(diagnosis, policy):
        return None
    earlier = _in_a_row(node, settings.good_period, now)
    worn_out = earlier >= settings.restarts_before_recreate and diagnosis.ailment is not Ailment.WRONG_POWER
    anew = diagnosis.ailment is Ailment.GONE or worn_out
    delay = backoff(earlier, settings.repair_delay, settings.repair_ceiling)
    return Repair("RECREATE" if anew else "REBOOT", now + delay, earlier + 1)


def recovery(
    rules: HealthRules,
    node: Node,
    diagnosis: Diagnosis,
    *,
    policy: RestartPolicy,
    settings: HealthSettings,
    now: float,
) -> Repair | None:
    """The same where a health policy says what is done. A power state that is not as wanted is set right, whatever it says;
    what is to be restarted and is gone is made anew on its host."""
    if rules.operation is Operation.NOTIFY or may_end(diagnosis, policy):
        return None
    earlier = _in_a_row(node, max(settings.good_period, rules.healthy_while), now)
    operation = rules.operation
    if diagnosis.ailment is Ailment.WRONG_POWER:
        operation = Operation.REBOOT
    elif diagnosis.ailment is Ailment.GONE and operation is Operation.REBOOT:
        operation = Operation.REBUILD
    delay = backoff(earlier, settings.repair_delay, settings.repair_ceiling)
    return Repair(operation.value, now + delay, earlier + 1)


def may_end(diagnosis: Diagnosis, policy: RestartPolicy) -> bool:
    """Whether it has ended, and its profile does not want it started again for that."""
    return diagnosis.ailment is Ailment.ENDED and (
        policy is RestartPolicy.NEVER or (policy is RestartPolicy.ON_FAILURE and not diagnosis.failed)
    )


def _in_a_row(node: Node, good_period: float, now: float) -> int:
    """Repairs in a row so far."""
    quiet = node.repaired_at is None or now - node.repaired_at >= good_period
    return 0 if quiet else node.repairs


def changed_at(node: Node) -> float:
    """When it was last created, updated, recovered or moved."""
    return max(moment or 0.0 for moment in (node.created_at, node.updated_at, node.placed_at, node.init_at))


def is_orphan(container: Container, owner: Node | None, host_id: str, *, busy: bool, coming: bool = False) -> bool:
    """Whether a container that bears our deployment label belongs to nobody.

    ``owner`` is the node its label names, as the database has it now; ``busy``: an action works on that node, so that what
    is being made need not be recorded yet; ``coming``: the node is on its way to this host.
    """
    if owner is None or (owner.host_id != host_id and not coming):
        return True
    return container.id != owner.physical_id and not busy


def _is_helper(container: Container) -> bool:
    # Keepers and probers are made of the helper's image, and have its label from there.
    return LABEL_HELPER in container.labels and not {LABEL_KEEPER, LABEL_PROBER} & set(container.labels)


def _is_useful_prober(container: Container, up: Set[str]) -> bool:
    """One that is not asked any more ends by itself; one that never ran, or whose container is gone, may not."""
    return container.id in up and container.labels.get(LABEL_PROBER) in up


def orphans(
    containers: Iterable[Container],
    nodes: Mapping[str, Node],
    busy: frozenset[str],
    host_id: str,
    coming: frozenset[str] = frozenset(),
    *,
    helped: bool = False,
) -> list[Container]:
    """``containers``: all that are there. ``helped``: the host is to have our host helper, which belongs to no node."""
    containers = list(containers)
    up = {one.id for one in containers if one.state in (ContainerState.RUNNING, ContainerState.PAUSED)}
    return [
        container
        for container in containers
        if not (helped and _is_helper(container))
        and not _is_useful_prober(container, up)
        and is_orphan(
            container,
            nodes.get(container.node_id or ""),
            host_id,
            busy=(container.node_id or "") in busy,
            coming=(container.node_id or "") in coming,
        )
    ]
