"""Every setting, once: as a field of a frozen dataclass with its help, from which the oslo.config options are made.

``Settings`` is made at the top of a process and passed in. Nothing imports a global configuration. Each group of fields is a
section of the configuration file; ``load`` reads files, ``options`` lists every option.
"""

from __future__ import annotations

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
from spinney.config.reading import LIBRARIES, has_section, libraries, load, options
from spinney.config.settings import Settings

__all__ = [
    "LIBRARIES",
    "ApiSettings",
    "AuditSettings",
    "AuthSettings",
    "BalancerSettings",
    "ContainerSettings",
    "DatabaseSettings",
    "DriverSettings",
    "EgressSettings",
    "EngineSettings",
    "HealthSettings",
    "HostSettings",
    "ImageSettings",
    "LimitSettings",
    "LinkSettings",
    "NetworkSettings",
    "QuotaSettings",
    "RetentionSettings",
    "SchedulerSettings",
    "Settings",
    "WebhookSettings",
    "has_section",
    "libraries",
    "load",
    "options",
]
