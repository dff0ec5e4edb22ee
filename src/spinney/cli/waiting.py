"""Deciding whether something waited for has come true, from what is observed.

A goal is a pure function from one ``Scene`` to a ``Verdict``. The action row alone never decides: that it SUCCEEDED is not
believed until the objects show it, and a FAILED one does not matter when the objects are what was asked for. It decides one
thing, whether somebody is still at work. ``FAILED`` is only said of something final.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from spinney.cli.faults import Refused, Unreachable

Seen = Mapping[str, Any]

FINAL_ACTIONS = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
SETTLED_BADLY = frozenset({"WARNING", "ERROR", "CRITICAL"})
#: States of an update in which it begins nothing.
_STANDING = frozenset({"paused", "canary", "held"})
#: What a cluster shows whose size may be another in a moment, or is too small.
_UNSIZED = frozenset({"CREATING", "RESIZING", "DELETING", "ERROR"})
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 1.0
SLOWEST_PAUSE = 5.0


class State(Enum):
    PENDING = "pending"
    REACHED = "reached"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    state: State
    says: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One look at the service. ``subject`` is the cluster, node or host; None when there is none (any more)."""

    subject: Seen | None
    members: Sequence[Seen] = ()
    action: Seen | None = None

    @property
    def status(self) -> str:
        return str((self.subject or {}).get("status") or (self.subject or {}).get("state") or "gone")

    @property
    def active(self) -> int:
        return sum(1 for member in self.members if member.get("status") == "ACTIVE")

    @property
    def complete(self) -> bool:
        """All members that the cluster wants are in service, or are being taken to another profile, which is somebody
        else's business; so the cluster's own status need not be ACTIVE. Never of a single node."""
        held = sum(1 for member in self.members if member.get("status") in ("ACTIVE", "UPDATING"))
        return held == (self.subject or {}).get("desired_capacity")

    @property
    def desired(self) -> int:
        return int((self.subject or {}).get("desired_capacity") or 0)

    @property
    def working(self) -> bool:
        return self.action is not None and self.action.get("status") not in FINAL_ACTIONS

    @property
    def gave_up(self) -> bool:
        return self.action is not None and self.action.get("status") in ("FAILED", "CANCELLED")

    @property
    def failing(self) -> list[Seen]:
        return [member for member in self.members if member.get("status") in SETTLED_BADLY]

    @property
    def missing(self) -> list[Seen]:
        """Members that are not in service and say why: failed ones, and those which wait for room."""
        return [m for m in self.members if m.get("status") != "ACTIVE" and m.get("status_reason")]

    @property
    def watched(self) -> Sequence[Seen]:
        """The nodes this is about: the members, or the node itself."""
        alone = self.subject is not None and "physical_id" in self.subject
        return [self.subject] if alone and self.subject is not None else self.members


Goal = Callable[[Scene], Verdict]


def describe(scene: Scene) -> str:
    """Where things are, in a few words."""
    if scene.subject is None:
        return "gone"
    words = [scene.status]
    if "desired_capacity" in scene.subject:
        words.append(f"{scene.active} of {scene.desired} members ACTIVE")
        in_error = sum(1 for member in scene.members if member.get("status") == "ERROR")
        if in_error:
            words.append(f"{in_error} in ERROR")
    return ", ".join([*words, *_update(scene.action)])


def _update(action: Seen | None) -> list[str]:
    """How far an update of a cluster is; what it waits for where it does not go on by itself."""
    told = (action or {}).get("outputs")
    if not isinstance(told, Mapping) or "state" not in told or "batch" not in told:
        return []
    words = [f"batch {told['batch']} of {told.get('of')}"] if told["batch"] else []
    words.append(f"{told.get('done')} of {told.get('total')} {'restored' if told.get('rolling_back') else 'updated'}")
    if told.get("failed"):
        words.append(f"{told['failed']} failed")
    if told["state"] in _STANDING:
        words.append(f"{told['state']}: {told.get('reason')}")
    elif not told["batch"] and told.get("reason"):  # nothing was begun yet: this is all there is to tell
        words.append(str(told["reason"]))
    return words


def _pending(scene: Scene) -> Verdict:
    return Verdict(State.PENDING, describe(scene))


def _reached(scene: Scene) -> Verdict:
    return Verdict(State.REACHED, describe(scene))


def _failed(scene: Scene) -> Verdict:
    """With the reason nearest to what went wrong."""
    reason = (scene.subject or {}).get("status_reason") or (scene.subject or {}).get("state_reason") or ""
    if scene.gave_up and scene.action is not None:
        why = "" if scene.missing else f": {scene.action.get('status_reason') or reason}"  # the members tell it better
        reason = f"its action {scene.action.get('status')}{why}"
    return Verdict(State.FAILED, f"{describe(scene)}{f': {reason}' if reason else ''}")


def sized(target: int | None = None) -> Goal:
    """The cluster has as many members in service as it wants, whatever else goes on there.

    With a ``target`` that number is what it has to want, and the action's own opinion does not matter. Without one the
    action has to have SUCCEEDED, since nobody else knows which size was meant.
    """

    def goal(scene: Scene) -> Verdict:
        if scene.subject is None:
            return _failed(scene)
        if scene.working:
            return _pending(scene)
        if scene.complete and scene.status not in _UNSIZED:
            meant = not scene.gave_up if target is None else scene.desired == target
            return _reached(scene) if meant else _failed(scene)
        if scene.status in SETTLED_BADLY or (scene.gave_up and scene.status == "ACTIVE"):
            return _failed(scene)
        return _pending(scene)

    return goal


def healthy(whatever_the_action: bool) -> Goal:
    """The cluster and all its members are ACTIVE, or an update goes on with them, once the action is final.

    A cancelled check says nothing of the members, so it fails; a recovery that gave up while somebody else healed the cluster
    (``whatever_the_action``) is as good as one that succeeded.
    """

    def goal(scene: Scene) -> Verdict:
        if scene.subject is None:
            return _failed(scene)
        if scene.working:
            return _pending(scene)
        if scene.gave_up and not whatever_the_action:
            return _failed(scene)
        if (scene.status == "ACTIVE" or (scene.complete and scene.status != "ERROR")) and not scene.failing:
            return _reached(scene)
        if scene.status in SETTLED_BADLY or scene.gave_up:
            return _failed(scene)
        return _pending(scene)

    return goal


def matches(fields: Mapping[str, Any], members: Mapping[str, Any]) -> Goal:
    """The cluster or node has these values; with ``members``, its ACTIVE members too, and nobody is left behind."""

    def goal(scene: Scene) -> Verdict:
        if scene.subject is None:
            return _failed(scene)
        if scene.working:
            return _pending(scene)
        right = _holds(scene.subject, fields)
        if members:
            right = right and all(m.get("status") == "ACTIVE" and _holds(m, members) for m in scene.members)
        if right and (not members or scene.status not in SETTLED_BADLY):
            return _reached(scene)
        if scene.gave_up or scene.status in SETTLED_BADLY:
            return _failed(scene)
        return _pending(scene)

    return goal


def _holds(seen: Seen, fields: Mapping[str, Any]) -> bool:
    for key, wanted in fields.items():
        value = seen.get(key)
        if isinstance(wanted, Mapping):
            if not isinstance(value, Mapping) or any(value.get(k) != v for k, v in wanted.items()):
                return False
        elif value != wanted:
            return False
    return True


def membership(present: Collection[str], absent: Collection[str]) -> Goal:
    """These nodes (by id) are members, those are not."""

    def goal(scene: Scene) -> Verdict:
        if scene.subject is None:
            return _failed(scene)
        if scene.working:
            return _pending(scene)
        there = {str(member.get("id")) for member in scene.members}
        if there.issuperset(present) and there.isdisjoint(absent):
            return _reached(scene)
        return _failed(scene) if scene.gave_up else _pending(scene)

    return goal


def gone() -> Goal:
    """The object answers 404."""

    def goal(scene: Scene) -> Verdict:
        if scene.subject is None:
            return _reached(scene)
        if scene.gave_up and scene.status != "DELETING":
            return _failed(scene)
        return _pending(scene)

    return goal


def active() -> Goal:
    """A single node is ACTIVE, once the action is final. A failed action is no matter when it is."""

    def goal(scene: Scene) -> Verdict:
        if scene.subject is None:
            return _failed(scene)
        if scene.working:
            return _pending(scene)
        if scene.status == "ACTIVE":
            return _reached(scene)
        if scene.status in SETTLED_BADLY or scene.gave_up:
            return _failed(scene)
        return _pending(scene)

    return goal


def operated() -> Goal:
    """The operation SUCCEEDED and left nothing in OPERATING or ERROR."""

    def goal(scene: Scene) -> Verdict:
        if scene.subject is None:
            return _failed(scene)
        if scene.working:
            return _pending(scene)
        statuses = {scene.status, *(str(member.get("status")) for member in scene.members)}
        if scene.gave_up or "ERROR" in statuses:
            return _failed(scene)
        return _pending(scene) if "OPERATING" in statuses else _reached(scene)

    return goal


def status_is(wanted: str) -> Goal:
    """For ``spinney wait``: a status and nothing else; ACTIVE means all wanted members too.

    ``action`` is any live action on the cluster. With none, ERROR and CRITICAL are final: nobody is at work on it.
    """

    def goal(scene: Scene) -> Verdict:
        if scene.subject is None:
            return _reached(scene) if wanted == "DELETED" else _failed(scene)
        if scene.status == wanted and (wanted != "ACTIVE" or scene.active == scene.desired):
            return _reached(scene)
        if scene.status in ("ERROR", "CRITICAL") and scene.action is None:
            return _failed(scene)
        return _pending(scene)

    return goal


def reasons(members: Sequence[Seen], most: int = 5) -> list[str]:
    """Why members failed, the same reason said once."""
    by_reason: dict[str, list[str]] = {}
    for member in members:
        reason = str(member.get("status_reason") or "no reason given")
        by_reason.setdefault(reason, []).append(str(member.get("name") or member.get("id")))
    lines = []
    for reason, names in list(by_reason.items())[:most]:
        who = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        lines.append(f"{who}: {reason}")
    if len(by_reason) > most:
        lines.append(f"and {len(by_reason) - most} more reasons: see `spinney node list`")
    return lines


#: What a node says before anything was tried.
_AT_FIRST = "Initializing"
#: A node first seen in one of these still bears the reason of what was done to it before.
_BUSY = frozenset({"UPDATING", "DELETING", "OPERATING", "CHECKING"})


class News:
    """What nodes that are not in service say of themselves.

    A node does not tell since when it has its reason, so the newest is the one that changed last between two looks.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._told: dict[str, str] = {}  # the newest last

    def newest(self, scene: Scene) -> str:
        down = set()
        for node in scene.watched:
            name, status, reason = str(node.get("id")), node.get("status"), str(node.get("status_reason") or "")
            if status != "ACTIVE":
                down.add(name)
            first = name not in self._known
            if self._known.get(name) == reason:
                continue
            self._known[name] = reason
            self._told.pop(name, None)
            if status != "ACTIVE" and reason not in ("", _AT_FIRST) and not (first and status in _BUSY):
                self._told[name] = reason
        return next((reason for name, reason in reversed(self._told.items()) if name in down), "")


class Watcher(Protocol):
    def show(self, scene: Scene, says: str, elapsed: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """``verdict`` is PENDING when time ran out."""

    verdict: Verdict
    scene: Scene
    elapsed: float


def pause_after(turn: int, look_took: float) -> float:
    """Longer each time, and longer for a service that has much to tell."""
    steady = min(FIRST_PAUSE * 1.3**turn, LONGEST_PAUSE)
    return max(steady, min(4 * look_took, SLOWEST_PAUSE))


def wait_for(
    look: Callable[[], Scene],
    goal: Goal,
    timeout: float,
    watcher: Watcher,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Look until the goal decides or the time is over. A service that is away for a while is waited for as well."""
    started = now()
    scene, verdict = Scene(None), Verdict(State.PENDING, "nothing seen yet")
    turn = 0
    while True:
        looked = now()
        try:
            scene = look()
            verdict = goal(scene)
        except (Unreachable, Refused) as error:
            if turn == 0 or (isinstance(error, Refused) and error.status < 500):
                raise
            verdict = Verdict(State.PENDING, f"no answer for the moment: {error.message}")
        elapsed = now() - started
        if verdict.state is not State.PENDING:
            return Outcome(verdict, scene, elapsed)
        watcher.show(scene, verdict.says, elapsed)
        if elapsed >= timeout:
            return Outcome(verdict, scene, elapsed)
        sleep(min(pause_after(turn, now() - looked), max(timeout - elapsed, 0.0)))
        turn += 1
