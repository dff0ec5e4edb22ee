"""A record of the core as the value that callers see.

Guaranteed: a value is made once and kept until its record changes, so that looking at ten thousand containers is cheap; and a
listing tells no more than a real one does (no times, no restart count, no error, the exit code only of what has exited).
"""

from __future__ import annotations

from datetime import UTC, datetime

from spinney.domain.container import Container, ContainerState, HostFacts
from spinney.drivers.simulated.values import ContainerRecord, EngineSettings


def inspected(record: ContainerRecord) -> Container:
    seen = record.seen
    if seen is None:
        request = record.request
        seen = record.seen = Container(
            record.id,
            record.name,
            request.labels,
            record.state,
            request.image.reference,
            record.health,
            record.exit_code,
            record.oom_killed,
            record.error,
            record.started_at,
            record.finished_at,
            record.restart_count,
            () if record.address is None else (record.address,),
            record.ports,
        )
    return seen


def listed(record: ContainerRecord) -> Container:
    seen = record.listed
    if seen is None:
        request = record.request
        addresses = () if record.address is None else (record.address,)
        seen = record.listed = Container(
            record.id,
            record.name,
            request.labels,
            record.state,
            request.image.reference,
            record.health,
            record.exit_code if record.state is ContainerState.EXITED else None,
            addresses=addresses,
            ports=record.ports,
        )
    return seen


KERNEL = "6.1.0-simulated"
OPERATING_SYSTEM = "Simulated Linux"
LOG_DRIVERS = ("json-file", "local", "none", "syslog", "journald", "fluentd", "gelf")


def runtimes(settings: EngineSettings) -> tuple[str, ...]:
    return ("nvidia", "runc") if settings.gpus else ("runc",)


def facts_of(settings: EngineSettings, engine_id: str) -> HostFacts:
    return HostFacts(
        engine_id=engine_id,
        version=settings.version,
        api_version=settings.api_version,
        os="linux",
        arch="x86_64",
        kernel=KERNEL,
        cpu=settings.cpu,
        memory=settings.memory,
        hostname=settings.name,
        storage_driver="overlay2",
        cgroup="2",
        cgroup_driver="systemd",
        rootless=settings.rootless,
        live_restore=settings.live_restore,
        runtimes=runtimes(settings),
        network_plugins=("bridge", "host", "null"),
        volume_plugins=("local",),
        log_drivers=LOG_DRIVERS,
        gpus=settings.gpus,
        labels=settings.labels,
    )


def stamp(moment: float) -> str:
    """As Docker writes times: nine digits of fraction and a Z."""
    whole = int(moment)
    nanoseconds = min(999_999_999, round((moment - whole) * 1e9))
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
