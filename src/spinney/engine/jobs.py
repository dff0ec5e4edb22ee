"""What is left of an action once everything that can be decided is decided and stored: one thing to do on one host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from spinney.domain.action import Action, ActionKind
from spinney.domain.container import ContainerLimits
from spinney.domain.host import Host
from spinney.domain.lifecycle import Launch, Stay, waited
from spinney.domain.node import Node
from spinney.domain.rollout.model import Manner
from spinney.engine.catalog import ContainerProfile, HostProfile
from spinney.profiles.docker_host import Machine


class Task(StrEnum):
    CREATE = "create"
    #: Remove the previous container and make the one of the node's present generation.
    RECREATE = "recreate"
    #: Change what the container that is there may use, without disturbing it.
    ADJUST = "adjust"
    #: Start again, or restart, the container that is there.
    REBOOT = "reboot"
    DELETE = "delete"
    CHECK = "check"
    OPERATE = "operate"
    #: Make a further container of the node, there or elsewhere, that takes the place of its present one once it is ready.
    MOVE = "move"
    #: Remove the one whose place was taken.
    LEAVE = "leave"
    #: Have the image on a host.
    FETCH = "fetch"
    #: End the container to make room: the node waits.
    EVICT = "evict"
    #: A cancelled creation: remove what it may have made.
    UNDO = "undo"
    #: A move that is not to be: remove what it may have made, and let the present container serve.
    CALL_OFF = "call-off"
    HOST_JOIN = "host-join"
    HOST_CHECK = "host-check"
    #: Whether its Docker engine answers to another credential.
    HOST_TRY = "host-try"


@dataclass(frozen=True, slots=True)
class Leftover:
    """The container whose place another one has taken, since that moment."""

    host_id: str
    container_id: str
    stop_timeout: int
    since: float

    def stored(self) -> dict[str, Any]:
        return {
            "left": {
                "host": self.host_id,
                "container": self.container_id,
                "stop_timeout": self.stop_timeout,
                "since": self.since,
            }
        }


def leftover(action: Action) -> Leftover | None:
    """What the action has still to remove; None: its node has not been handed over to a new container."""
    left: Mapping[str, Any] | None = action.data.get("left")
    if left is None:
        return None
    return Leftover(left["host"], left["container"], int(left["stop_timeout"]), float(left["since"]))


def beside(action: Action) -> bool:
    """Whether it makes a further container beside the node's present one."""
    starting = action.action is ActionKind.NODE_UPDATE and action.inputs.get("manner") == Manner.START_FIRST
    return starting or action.action is ActionKind.NODE_MOVE


_OPERATIONS = {
    "stop": "its user has it stopped",
    "restart": "its user has it started again",
    "pause": "its user has it paused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``node`` is the node as stored when the job was made; its placement is the one to act on."""

    task: Task
    action: Action
    node: Node
    profile: ContainerProfile | HostProfile
    #: Where to act; of a move, where it leads.
    host: Host | None = None
    #: Where the container is whose place is taken, or where an earlier one may be that is not on ``host``.
    previous_host: Host | None = None
    subnet_index: int | None = None
    #: Of a move: two containers of the node must never run at the same time.
    at_most_one: bool = False
    #: Of an adjustment: what the Docker engine is told; None: nothing.
    limits: ContainerLimits | None = None
    #: Its image's tag must be resolved once for its whole cluster.
    pin: bool = False
    #: What it was resolved to; None: it was not.
    digest: str | None = None
    #: Of fetching: what the member's present container is made from.
    present: ContainerProfile | None = None
    #: What is to be asked when its new container runs; None: nothing, or that is over.
    launch: Launch | None = None
    #: How that went.
    launched: Stay | None = None
    #: What a joining host node takes.
    machine: Machine | None = None

    @property
    def container_profile(self) -> ContainerProfile:
        assert isinstance(self.profile, ContainerProfile)
        return self.profile

    @property
    def out_of_service(self) -> str:
        """Why its node serves nobody while it is carried out; empty: it serves as before."""
        match self.task:
            case Task.DELETE:
                return "its container is being removed"
            case Task.EVICT:
                return "its container has to leave its host"
            case Task.RECREATE if not self.action.inputs.get("check"):
                return "its container is being made anew"
            case Task.REBOOT if not self.action.inputs.get("check"):
                return "its container is being started again"
            case Task.MOVE if self.at_most_one:
                return "its container is moving to another host"
            case Task.OPERATE:
                return _OPERATIONS.get(str(self.action.inputs.get("operation")), "")
        return ""

    @property
    def left(self) -> Leftover | None:
        return leftover(self.action)

    @property
    def stop_timeout(self) -> int:
        """Seconds that the container gets to stop: as the action, a health policy or a deletion policy says, else as the
        profile says that it was made from."""
        inputs = self.action.inputs
        told = inputs.get("stop_timeout", inputs.get("delete_timeout"))
        told = told or (self.action.data.get("deletion") or {}).get("grace_period")
        return int(told or self.action.data.get("stop_timeout") or self.container_profile.stop_timeout)

    @property
    def ready_within(self) -> float | None:
        """Seconds that the new container has to become ready; None: nobody has said."""
        told = self.action.inputs.get("ready_timeout")
        return None if told is None else float(told)

    @property
    def may_be_unready(self) -> bool:
        """Of a move: the present container is not ready either, so nothing is lost by not waiting for the new one."""
        return self.action.action is ActionKind.NODE_MOVE and not self.node.ready and not self.at_most_one

    @property
    def deadline(self) -> float:
        """Seconds since the epoch. A node that was handed over has as long again to leave the old container; what others were
        waited for does not count."""
        assert self.action.start_time is not None
        since = self.action.start_time if self.left is None else self.left.since
        return since + self.action.timeout + waited(self.action)
