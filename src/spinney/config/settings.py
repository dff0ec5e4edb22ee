"""All settings of a process, and the sections they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinney.config.balancer import BalancerSettings
from spinney.config.groups import (
    ApiSettings,
    AuditSettings,
    AuthSettings,
    ContainerSettings,
    DatabaseSettings,
    DriverSettings,
    EgressSettings,
    EngineSettings,
    HealthSettings,
    HostSettings,
    ImageSettings,
    LimitSettings,
    LinkSettings,
    NetworkSettings,
    QuotaSettings,
    RetentionSettings,
    SchedulerSettings,
    WebhookSettings,
)


@dataclass(frozen=True, slots=True)
class Settings:
    state_dir: Path
    #: Where it was read from, for the libraries that have sections of their own in there.
    files: tuple[Path, ...] = ()
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    hosts: HostSettings = field(default_factory=HostSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    link: LinkSettings = field(default_factory=LinkSettings)
    driver: DriverSettings = field(default_factory=DriverSettings)
    container: ContainerSettings = field(default_factory=ContainerSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    egress: EgressSettings = field(default_factory=EgressSettings)
    quota: QuotaSettings = field(default_factory=QuotaSettings)
    images: ImageSettings = field(default_factory=ImageSettings)
    balancer: BalancerSettings = field(default_factory=BalancerSettings)

    @property
    def database_url(self) -> str:
        return self.database.connection or f"sqlite:///{self.state_dir / 'spinney.db'}"


GROUPS: dict[str, type[Any]] = {
    "database": DatabaseSettings,
    "api": ApiSettings,
    "limits": LimitSettings,
    "audit": AuditSettings,
    "auth": AuthSettings,
    "engine": EngineSettings,
    "health": HealthSettings,
    "hosts": HostSettings,
    "scheduler": SchedulerSettings,
    "retention": RetentionSettings,
    "link": LinkSettings,
    "driver": DriverSettings,
    "container": ContainerSettings,
    "network": NetworkSettings,
    "webhook": WebhookSettings,
    "egress": EgressSettings,
    "quota": QuotaSettings,
    "images": ImageSettings,
    "balancer": BalancerSettings,
}
