"""The control group that holds every process of one host of the bed, on kernels with version 1, version 2 or both.

What the machine does not offer is left out: without a memory controller a host's memory is not limited.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from testbed.waiting import until

_OURS = ("memory", "cpu", "cpuacct", "pids", "freezer")
_OF_TREE = ("cpuset", "cpu", "io", "memory", "pids")
#: Processes of the host itself live in a leaf, because version 2 wants none beside the groups of containers.
_LEAF = "host"
#: The bed's weight beside single processes of the machine, so that it is not as slow as one of them when that is busy.
_WEIGHT_V1, _WEIGHT_V2 = 8 * 1024, 800


def _mounts(kind: str) -> Iterator[tuple[Path, set[str]]]:
    """Where hierarchies of this kind are mounted, and their controllers."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        where, _, about = line.partition(" - ")
        found, _, options = about.split(maxsplit=2)
        if found == kind:
            yield Path(where.split()[4]), set(options.split(","))


def frozen_in(text: str) -> bool:
    """What ``freezer.state`` of version 1 and ``cgroup.events`` of version 2 say."""
    return text.strip() == "FROZEN" or "frozen 1" in text


class Group:
    """The control group ``name`` in every hierarchy."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._v1 = {controller: path for path, found in _mounts("cgroup") for controller in found & set(_OURS)}
        self._all = [path for kind in ("cgroup", "cgroup2") for path, _ in _mounts(kind)]
        self._v2 = None if self._v1 else next((path for path, _ in _mounts("cgroup2")), None)
        if not self._v1 and self._v2 is None:
            raise RuntimeError("no control groups are mounted on this machine; hosts of a bed cannot be kept apart")

    def _used(self) -> list[Path]:
        tops = [self._v2] if self._v2 is not None else sorted(set(self._v1.values()))
        return [top / self.name for top in tops]

    def _file(self, controller: str, v1: str, v2: str) -> Path | None:
        if self._v2 is not None:
            return self._v2 / self.name / v2
        top = self._v1.get(controller)
        return None if top is None else top / self.name / v1

    def create(self, memory: int | None = None) -> None:
        for path in self._used():
            (path / _LEAF).mkdir(parents=True, exist_ok=True)
        if self._v2 is not None:
            path = self._v2
            for part in ("", *Path(self.name).parts):
                path /= part
                for controller in _OF_TREE:
                    with contextlib.suppress(OSError):
                        (path / "cgroup.subtree_control").write_text(f"+{controller}")
        weight = self._file("cpu", "../cpu.shares", "../cpu.weight")
        if weight is not None and weight.exists():
            weight.write_text(str(_WEIGHT_V1 if self._v2 is None else _WEIGHT_V2))
        limit = self._file("memory", "memory.limit_in_bytes", "memory.max")
        if memory and limit is not None:
            limit.write_text(str(memory))

    def within(self, *command: str) -> list[str]:
        """The command line that runs ``command`` as a process of this group."""
        script = 'until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
        return ["sh", "-c", script, "sh", *(str(path / _LEAF) for path in self._used()), "--", *command]

    def pids(self) -> list[int]:
        """All of them, those in containers too, as this process numbers them."""
        found: list[int] = []
        for folder, _folders, _files in os.walk(self._used()[0]):  # goes on where one vanishes meanwhile
            with contextlib.suppress(OSError):
                found += map(int, Path(folder, "cgroup.procs").read_text().split())
        return found

    def freeze(self) -> None:
        self._set_frozen(True)

    def thaw(self) -> None:
        self._set_frozen(False)

    def _set_frozen(self, wanted: bool) -> None:
        switch = self._file("freezer", "freezer.state", "cgroup.freeze")
        if switch is None:
            raise RuntimeError("the machine has no freezer controller; a host cannot hang")
        if switch.exists() and self.frozen is not wanted:
            states = ("THAWED", "FROZEN") if self._v2 is None else ("0", "1")
            switch.write_text(states[wanted])
            until(f"{self.name} to {'freeze' if wanted else 'thaw'}", lambda: self.frozen is wanted)

    @property
    def frozen(self) -> bool:
        state = self._file("freezer", "freezer.state", "cgroup.events")
        return state is not None and state.exists() and frozen_in(state.read_text())

    def cpu_seconds(self) -> float:
        """What the host's processes have used since it was made."""
        used = self._file("cpuacct", "cpuacct.usage", "cpu.stat")
        if used is None:
            return 0.0
        text = used.read_text()
        found = re.search(r"usage_usec (\d+)", text)
        return int(found[1]) / 1e6 if found else int(text) / 1e9

    def memory(self) -> int:
        """Bytes in use, without the page cache that would be dropped first."""
        usage = self._file("memory", "memory.usage_in_bytes", "memory.current")
        detail = self._file("memory", "memory.stat", "memory.stat")
        if usage is None or detail is None:
            return 0
        cache = re.search(r"^(?:total_)?inactive_file (\d+)", detail.read_text(), re.MULTILINE)
        return max(0, int(usage.read_text()) - (int(cache[1]) if cache else 0))

    def remove(self) -> None:
        """Once no process is left in it. Also where containers made groups in hierarchies that we do not use."""
        for top in self._all:
            until(f"{top / self.name} to empty", partial(_removed, top / self.name), seconds=10)

    def remove_parent(self) -> None:
        """The group of all hosts, once each host's own is gone."""
        for top in self._all:
            until("the bed's control group to empty", partial(_removed, top / Path(self.name).parent))


def _removed(top: Path) -> bool:
    for path in sorted((p for p in top.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
        with contextlib.suppress(OSError):
            path.rmdir()
    with contextlib.suppress(OSError):
        top.rmdir()
    return not top.exists()
