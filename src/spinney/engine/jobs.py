"""What is left of an action once everything that can be decided is decided and stored: one thing to do on one host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from spinney.domain.action import Action
from spinney.domain.host import Host
from spinney.domain.node import Node
from spinney.engine.catalog import ContainerProfile, HostProfile
from spinney.profiles.docker_host import Machine


class Task(StrEnum):
    CREATE = "create"
    #: Remove the previous container and make the one of the node's present generation.
    RECREATE = "recreate"
    #: Start again, or restart, the container that is there.
    REBOOT = "reboot"
    DELETE = "delete"
    CHECK = "check"
    OPERATE = "operate"
    #: Make the container on another host, and remove the one before it once the new one is ready.
    MOVE = "move"
    #: End the container to make room: the node waits.
    EVICT = "evict"
    #: A cancelled creation: remove what it may have made.
    UNDO = "undo"
    #: A move that is not to be: remove what it may have made, and let the container before it serve.
    CALL_OFF = "call-off"
    HOST_JOIN = "host-join"
    HOST_CHECK = "host-check"
    #: Whether its Docker engine answers to another credential.
    HOST_TRY = "host-try"


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
    #: Where an earlier container of the node may be, when not on ``host``.
    previous_host: Host | None = None
    subnet_index: int | None = None
    #: Of a move: two containers of the node must never run at the same time.
    at_most_one: bool = False
    #: Its image's tag is resolved once for its whole cluster.
    pin: bool = False
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
    def deadline(self) -> float:
        """Seconds since the epoch."""
        assert self.action.start_time is not None
        return self.action.start_time + self.action.timeout
