"""What may come of a job."""

from __future__ import annotations

from dataclasses import dataclass

from spinney.domain.container import Container, HostFacts
from spinney.domain.host import Host
from spinney.domain.node import PowerState


@dataclass(frozen=True, slots=True)
class Made:
    """A container is there and was looked at; None: it is gone again."""

    container: Container | None
    #: The end of its output, when it ended at once.
    last_words: str = ""
    #: It was waited for: whether it became ready, or why it did not.
    ready: bool = False
    unfit: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """A further container of the node, which can take the place of the present one."""

    container: Container


@dataclass(frozen=True, slots=True)
class Left:
    """The container whose place was taken is gone, or out of reach."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The image is there."""


@dataclass(frozen=True, slots=True)
class CalledOff:
    pass


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The container has what its new profile gives it."""


@dataclass(frozen=True, slots=True)
class Removed:
    #: The host could not be asked: the reaper removes the container when the host is back.
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    container: Container | None


@dataclass(frozen=True, slots=True)
class Operated:
    container: Container | None
    power: PowerState | None


@dataclass(frozen=True, slots=True)
class Joined:
    host: Host
    facts: HostFacts


@dataclass(frozen=True, slots=True)
class StillGood:
    facts: HostFacts


@dataclass(frozen=True, slots=True)
class Tried:
    """The Docker engine answers to the new credential."""


Result = Tried | Made | Adjusted | Ready | Left | Fetched | CalledOff | Removed | Seen | Operated | Joined | StillGood
