"""CPU, memory, processes and GPUs, in their old places and below ``deploy.resources``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spinney.cli.compose import values
from spinney.cli.compose.keys import Key, Keys, Read, Reading, through, walk
from spinney.cli.compose.places import Part, Scalar, Unfit, is_null
from spinney.domain.schema import NotAllowed, to_number
from spinney.profiles.container_values import to_size


def _with(reader: Callable[[Any], Any], *path: str) -> Read:
    """Read as the profile would, so that ``512m`` and ``0.5g`` are known for the same."""

    def read(part: Part, reading: Reading) -> None:
        try:
            value = reader(values.scalar(part).value)
        except NotAllowed as refused:
            raise Unfit(part.at, f"{values.scalar(part).written!r} is not allowed: {refused.allowed}") from refused
        reading.draft.put(("profile", *path), value, part.at)

    return read


def _pids(part: Part, reading: Reading) -> None:
    number = values.whole(part)
    if number < 1:
        raise Unfit(
            part.at, f"{number} is not allowed: processes are always limited here; leave it out for the usual limit"
        )
    reading.draft.put(("profile", "pids_limit"), number, part.at)


def shared_memory(part: Part, reading: Reading) -> None:
    _with(to_size, "tmpfs", "/dev/shm", "size")(part, reading)


def read_gpus(part: Part, reading: Reading) -> None:
    """``all``, or a list of one map."""
    if isinstance(part, Scalar):
        written = values.text(part)
        if written != "all":
            raise Unfit(part.at, f"{written!r} is not allowed: all, or a list with one map that has a count")
        reading.draft.put(("profile", "gpu"), "all", part.at)
        return
    devices = values.items(part)
    if len(devices) != 1:
        raise Unfit(part.at, f"{len(devices)} entries are not allowed: give one, with the number of GPUs as count")
    _device(devices[0], reading)


def _device(part: Part, reading: Reading) -> None:
    walk(part, DEVICE, reading)
    entries = values.table(part).entries
    count = entries.get("count")
    wanted = "all" if count is None else values.text(count)
    reading.draft.put(("profile", "gpu"), wanted, part.at if count is None else count.at)


def read_devices(part: Part, reading: Reading) -> None:
    """Reservations of devices: GPUs alone."""
    for one in values.items(part):
        kinds = values.table(one).entries.get("capabilities")
        if kinds is None or is_null(kinds):
            raise Unfit(one.at, "capabilities is missing: give [gpu]")
    read_gpus(part, reading)


def _capabilities(part: Part, reading: Reading) -> None:
    given = values.words(part)
    if "gpu" not in given:
        raise Unfit(part.at, f"{', '.join(given) or 'nothing'} is not allowed: only GPUs can be asked for, as [gpu]")
    if set(given) - {"gpu", "compute", "utility"}:
        raise Unfit(
            part.at, f"{', '.join(given)} is not allowed: of GPUs only compute and utility are given; write [gpu]"
        )


def _driver(part: Part, reading: Reading) -> None:
    if values.text(part) != "nvidia":
        raise Unfit(part.at, f"{values.text(part)!r} is not allowed: only nvidia")


DEVICE = Keys(
    "services.*.gpus[]",
    {
        "count": Key(None, "`gpu`", "Left out: all."),
        "capabilities": Key(_capabilities, "", "Only `[gpu]`, with or without `compute` and `utility`."),
        "driver": Key(_driver, "", "Only `nvidia`."),
    },
    {
        "device_ids": "a GPU of a certain number cannot be asked for: give a count",
        "options": "there are no options of devices here: leave it out",
    },
)
LIMITS = Keys(
    "services.*.deploy.resources.limits",
    {
        "cpus": Key(_with(to_number, "cpu", "limit"), "`cpu.limit`"),
        "memory": Key(_with(to_size, "memory", "limit"), "`memory.limit`"),
        "pids": Key(_pids, "`pids_limit`"),
    },
)
RESERVATIONS = Keys(
    "services.*.deploy.resources.reservations",
    {
        "cpus": Key(_with(to_number, "cpu", "reservation"), "`cpu.reservation`"),
        "memory": Key(_with(to_size, "memory", "reservation"), "`memory.reservation`"),
        "devices": Key(read_devices, "`gpu`", "One entry, for GPUs, with the keys of `gpus[]`."),
    },
    {"generic_resources": "hosts have no resources of that kind: use labels of hosts in deploy.placement.constraints"},
)
RESOURCES = Keys(
    "services.*.deploy.resources",
    {
        "limits": Key(through(LIMITS), "`cpu.limit`, `memory.limit`, `pids_limit`"),
        "reservations": Key(through(RESERVATIONS), "`cpu.reservation`, `memory.reservation`, `gpu`"),
    },
    inner=(LIMITS, RESERVATIONS),
)
#: Keys of a service itself.
SERVICE_KEYS = {
    "cpus": Key(_with(to_number, "cpu", "limit"), "`cpu.limit`"),
    "mem_limit": Key(_with(to_size, "memory", "limit"), "`memory.limit`"),
    "mem_reservation": Key(_with(to_size, "memory", "reservation"), "`memory.reservation`"),
    "pids_limit": Key(_pids, "`pids_limit`"),
    "shm_size": Key(shared_memory, "`tmpfs./dev/shm.size`"),
    "gpus": Key(read_gpus, "`gpu`", "`all`, or a list of one map."),
}
