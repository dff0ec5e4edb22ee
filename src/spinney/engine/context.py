"""What one engine process is given; wiring makes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from spinney.clock import Clock, Ids
from spinney.config import (
    BalancerSettings,
    EngineSettings,
    HealthSettings,
    HostSettings,
    NetworkSettings,
    RetentionSettings,
    SchedulerSettings,
)
from spinney.drivers.base import HostConnector, MetricsReader
from spinney.drivers.egress.client import Sender
from spinney.engine.autoscaling.wanted import Wanted
from spinney.engine.balancing.names import Resolve, resolve
from spinney.engine.balancing.octavia import Api as Octavia
from spinney.engine.carrying.secrets import ReferenceReader
from spinney.engine.cycle import Rules
from spinney.engine.doorbell import Doorbell
from spinney.engine.watching.checks import Checks
from spinney.engine.watching.measurements import Measurements
from spinney.sealing import SecretKeys
from spinney.store.database import Store
from spinney.store.limits import Limits, OwnLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineContext:
    store: Store
    clock: Clock
    ids: Ids
    connector: HostConnector
    doorbell: Doorbell
    rules: Rules
    deployment: str
    hostname: str
    #: What everything sealed for engines opens with.
    keys: SecretKeys
    settings: EngineSettings
    health: HealthSettings
    retention: RetentionSettings
    network: NetworkSettings
    hosts: HostSettings = field(default_factory=HostSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    balancer: BalancerSettings = field(default_factory=BalancerSettings)
    #: Shared with whoever looks into hosts for the API.
    measurements: Measurements = field(default_factory=Measurements)
    #: What is to be found out about members of autoscaled clusters.
    wanted: Wanted = field(default_factory=Wanted)
    #: What health policies say.
    checks: Checks = field(default_factory=Checks)
    #: Where the limits of projects come from.
    limits: Limits = field(default_factory=OwnLimits)
    #: The addresses behind the names of hosts, for load balancers.
    resolve: Resolve = resolve
    #: None: there is none.
    octavia: Octavia | None = None
    #: None: secrets that are kept elsewhere cannot be had.
    references: ReferenceReader | None = None
    #: None: metrics URLs of hosts are not read.
    exporter: MetricsReader | None = None
    #: None: messages to hooks stay in the outbox.
    outgoing: Sender | None = None
    #: None: what a health policy would ask a URL stays unknown.
    poller: Sender | None = None
    #: Where other processes reach this engine's host access; None when nobody needs to.
    address: str | None = None
