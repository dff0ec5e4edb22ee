"""Somebody outside is asked before a serving container stops and after a new one has started, and the work waits for them.

An action that waits has a *stay* in its ``data``: until when, what follows if nobody answers, and in the end whether somebody
did. The stay is all that is needed to go on, whoever claims the action next. Guaranteed: of one action each transition is
waited for once; what was waited is not counted as the action's own time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from spinney.clock import iso
from spinney.domain.action import Action, ActionKind, Cause
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.rollout.model import Manner

#: In the ``data`` of actions: of those that wait, or have waited, their stays; of the deletion of a cluster the hook that holds
#: for its members, because the policy is detached with the cluster.
STAYS, BEFORE_STOP = "lifecycle", "before_stop"
_SERVING = (NodeStatus.ACTIVE, NodeStatus.WARNING)
_ENDING = (ActionKind.NODE_DELETE, ActionKind.NODE_EVICT)
#: Updates that stop nothing that serves, or not yet.
_GENTLE = (Manner.START_FIRST, Manner.IN_PLACE, Manner.REPLACE)
_STOPPING = ("stop", "restart")


class Transition(StrEnum):
    TERMINATION = "termination"
    LAUNCH = "launch"


class OnTimeout(StrEnum):
    CONTINUE = "continue"
    ABANDON = "abandon"


@dataclass(frozen=True, slots=True)
class Hook:
    """``secret``: NAME or NAME/KEY of the project's secret that signs; empty: none does. ``timeout`` in seconds."""

    url: str
    secret: str
    timeout: int
    on_timeout: OnTimeout

    def stored(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Hook:
        return cls(**{**stored, "on_timeout": OnTimeout(stored["on_timeout"])})


class Answer(StrEnum):
    WAITED_FOR = "waited for"
    COMPLETED = "completed"
    TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True)
class Stay:
    """Moments are seconds since the epoch; ``lasted`` is known when it is over."""

    since: float
    deadline: float
    on_timeout: OnTimeout
    answer: Answer = Answer.WAITED_FOR
    lasted: float = 0.0

    @property
    def over(self) -> bool:
        return self.answer is not Answer.WAITED_FOR

    @property
    def abandoned(self) -> bool:
        return self.answer is Answer.TIMED_OUT and self.on_timeout is OnTimeout.ABANDON

    def ended(self, action: Action, now: float) -> Stay:
        """An action that is let go in time is ready earlier than its deadline; nothing else distinguishes the two."""
        answer = Answer.COMPLETED if action.ready_at < self.deadline else Answer.TIMED_OUT
        return replace(self, answer=answer, lasted=now - self.since)

    def unanswered(self, what: str) -> str:
        """Why an action ends that was abandoned."""
        within = f"{self.deadline - self.since:g} s"
        return f"nobody completed its lifecycle action within {within}, and the hook says to abandon {what}"


def begin(hook: Hook, now: float) -> Stay:
    return Stay(now, now + hook.timeout, hook.on_timeout)


def stay_of(data: Mapping[str, Any], transition: Transition) -> Stay | None:
    stored = (data.get(STAYS) or {}).get(transition.value)
    if stored is None:
        return None
    given = {**stored, "on_timeout": OnTimeout(stored["on_timeout"]), "answer": Answer(stored["answer"])}
    return Stay(**given)


def with_stay(data: Mapping[str, Any], transition: Transition, stay: Stay) -> dict[str, Any]:
    return {**data, STAYS: {**(data.get(STAYS) or {}), transition.value: asdict(stay)}}


def waited(action: Action) -> float:
    """Seconds that the action has waited for others."""
    return sum(float(stored["lasted"]) for stored in (action.data.get(STAYS) or {}).values())


def waiting_reason(stay: Stay) -> str:
    return f"Waits for complete_lifecycle until {iso(stay.deadline)}."


def about_to_stop(action: Action, node: Node, *, one_at_a_time: bool, in_place: bool) -> str | None:
    """The id of the serving container that the action would stop next; None: none. ``one_at_a_time``: two containers of
    the node must never run at once; ``in_place``: an update changes the container that is there.

    Healing does not count: it acts on what does not serve any more. Nor does force, which is for what cannot be waited for.
    """
    left = action.data.get("left")
    if left is not None:
        return str(left["container"])
    serving = node.status in _SERVING and node.power is PowerState.RUNNING
    stops = _stops(action, one_at_a_time=one_at_a_time, in_place=in_place)
    return node.physical_id if serving and stops else None


def _stops(action: Action, *, one_at_a_time: bool, in_place: bool) -> bool:
    kind, inputs = action.action, action.inputs
    if kind in _ENDING:
        return not inputs.get("force")
    if kind is ActionKind.NODE_UPDATE:
        return bool(inputs.get("new_profile_id")) and inputs.get("manner") not in _GENTLE and not in_place
    if kind is ActionKind.NODE_MOVE:
        return one_at_a_time
    if kind is ActionKind.NODE_RECOVER:
        return action.cause is not Cause.HEALING and not inputs.get("check")
    return kind is ActionKind.NODE_OPERATION and inputs.get("operation") in _STOPPING


def told_already(action: Action) -> bool:
    """A deletion policy has had it wait before: it is not asked about twice."""
    return action.cause is Cause.HOOKED and STAYS not in action.data


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to be asked when the new container of an action runs; the ids are of the secret that signs."""

    hook: Hook
    secret_id: str | None = None
    secret_key: str | None = None


def message(
    action: Action, node_name: str, container_id: str | None, transition: Transition, deadline: float
) -> dict[str, Any]:
    """What is posted; the token completes the action."""
    return {
        "lifecycle_action_token": action.id,
        "node_id": action.target,
        "node_name": node_name,
        "resource_id": container_id,
        "lifecycle_transition_type": transition.value,
        "cluster_id": action.cluster_id,
        "deadline": iso(deadline),
    }
