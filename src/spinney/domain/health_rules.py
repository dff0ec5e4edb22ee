"""What a health policy says, as values: how members are watched, what counts as ill, and what is done then."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from spinney.domain.probe_spec import Role

#: A breaker never opens for fewer.
LEAST_FAILED = 3


class Detect(StrEnum):
    """Ways of finding out. The last two are Spinney's own."""

    LIFECYCLE_EVENTS = "LIFECYCLE_EVENTS"
    NODE_STATUS_POLLING = "NODE_STATUS_POLLING"
    NODE_STATUS_POLL_URL = "NODE_STATUS_POLL_URL"
    HYPERVISOR_STATUS_POLLING = "HYPERVISOR_STATUS_POLLING"
    PROBES = "PROBES"
    DOCKER_HEALTH = "DOCKER_HEALTH"


class Operation(StrEnum):
    """What is done for a member that is ill. NOTIFY is Spinney's own."""

    REBOOT = "REBOOT"
    REBUILD = "REBUILD"
    RECREATE = "RECREATE"
    NOTIFY = "NOTIFY"


@dataclass(frozen=True, slots=True)
class UrlCheck:
    """``url`` may hold ``{nodename}``; ``expected``: a pattern to be found in the body, empty: any body will do."""

    url: str
    verify: bool = True
    #: Whether no answer means ill; else it is unknown.
    errors_count: bool = True
    expected: str = ""
    attempts: int = 3
    #: Seconds between attempts.
    pause: float = 3.0

    @property
    def timeout(self) -> float:
        return max(self.pause / 10, 1.0)


@dataclass(frozen=True, slots=True)
class Mode:
    """``url`` belongs to NODE_STATUS_POLL_URL, ``probes`` to PROBES."""

    detect: Detect
    url: UrlCheck | None = None
    probes: frozenset[Role] = frozenset()


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """``failed``: a number of members, or a share of them such as ``50%``, that may fail within ``window`` seconds before
    recovery stops; ``trial_after``: seconds until one member is tried again, 0: never."""

    failed: str = "50%"
    window: float = 300.0
    trial_after: float = 60.0

    def too_many(self, failed: int, members: int) -> bool:
        if self.failed.endswith("%"):
            over = failed * 100 > int(self.failed[:-1]) * members
        else:
            over = failed > int(self.failed)
        return over and failed >= LEAST_FAILED


@dataclass(frozen=True, slots=True)
class HealthRules:
    """``grace``: seconds after a change of a node in which polling does not call it ill."""

    interval: float
    grace: float = 0.0
    #: All modes have to find a node ill, not just one.
    every: bool = False
    modes: tuple[Mode, ...] = ()
    operation: Operation = Operation.RECREATE
    #: No new container runs before the old one is known to be gone.
    fenced: bool = False
    #: It is made anew even where the old one could not be removed.
    forced: bool = False
    #: Seconds that the old container gets to go.
    delete_timeout: int = 20
    breaker: BreakerRules = field(default_factory=BreakerRules)

    @property
    def prompt(self) -> bool:
        """What is seen as it happens is acted on at once; otherwise only what polling finds is."""
        return not self.modes or any(mode.detect is Detect.LIFECYCLE_EVENTS for mode in self.modes)

    @property
    def polled(self) -> tuple[Mode, ...]:
        return tuple(mode for mode in self.modes if mode.detect is not Detect.LIFECYCLE_EVENTS)

    @property
    def healthy_while(self) -> float:
        """Seconds without a recovery after which recoveries in a row are forgotten: a member that stays ill is found so
        again within them."""
        return self.grace + 2 * self.interval if self.polled else 0.0
