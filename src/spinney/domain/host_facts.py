"""What changed about a machine since its Docker engine was last asked: pure.

Guaranteed: equal facts give no change; every field that differs is one change, the labels one per label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spinney.domain.host import Host

_EPSILON = 1e-9
#: Told in these words; the others by their field's name.
_WORDS: Mapping[str, str] = {
    "version": "Docker engine",
    "api_version": "API version",
    "cpu": "cores",
    "memory": "bytes of memory",
    "os": "operating system",
    "arch": "architecture",
    "cgroup": "cgroup version",
    "cgroup_driver": "cgroup driver",
    "storage_driver": "storage driver",
    "live_restore": "live restore",
    "network_plugins": "network plug-ins",
    "volume_plugins": "volume plug-ins",
    "log_drivers": "log drivers",
    "gpus": "GPUs",
}
_ID = "engine_id"


@dataclass(frozen=True, slots=True)
class Change:
    what: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.what} {_told(self.was)} → {_told(self.now)}"


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Between two sets of facts as they are stored. Which Docker engine it is, is not among them: see ``replaced``."""
    found: list[Change] = []
    for name, now in after.items():
        was = before.get(name)
        if name == "labels":
            found += _label_changes(was or {}, now or {})
        elif name not in before or name == _ID or was == now:
            continue  # a fact that this version is the first to ask about is no change of the machine
        else:
            found.append(Change(_WORDS.get(name, name), was, now))
    return found


def _label_changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield Change(f"label {key}", before.get(key), after.get(key))


def replaced(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether another Docker engine answers than before: a new machine, or one whose Docker engine lost its state."""
    return bool(before.get(_ID)) and before[_ID] != after.get(_ID)


def _told(value: Any) -> str:
    if value is None or value == "" or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def overfull(host: Host) -> str:
    """A sentence when more is reserved on a host than it has to give, as after its capacity was lowered; "" otherwise."""
    short = []
    if host.reserved_cpu > host.cpu + _EPSILON:
        short.append(f"{host.reserved_cpu:g} of {host.cpu:g} cores")
    if host.reserved_memory > host.memory:
        short.append(f"{host.reserved_memory / 2**20:.0f} of {host.memory / 2**20:.0f} MiB of memory")
    if not short:
        return ""
    return f"{' and '.join(short)} are reserved: nothing new is placed there until less is; drain it to have it emptied"
