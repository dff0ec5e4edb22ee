"""Limits that Keystone keeps for all services of a cloud, read through oslo.limit in a thread.

Keystone's limits are small whole numbers: cores are whole, memory is in MiB. A resource that is not registered there has the
limit 0, as oslo.limit has it everywhere.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from spinney.domain.quota import CPU, MEMORY, RESOURCES, Amounts
from spinney.errors import LimitsUnknown

#: The names under which limits are registered in Keystone.
REGISTERED: Mapping[str, str] = {name: name for name in RESOURCES} | {CPU: "cores", MEMORY: "memory_mib"}
_MIB = 2**20


def in_our_terms(found: Mapping[str, int]) -> dict[str, float]:
    limits = {name: found.get(theirs, 0) for name, theirs in REGISTERED.items()}
    return {name: float(limit * _MIB if name == MEMORY and limit > 0 else limit) for name, limit in limits.items()}


class KeystoneLimits:
    """``files`` hold the section ``[oslo_limit]``: how to log in, and which endpoint the limits are registered for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._enforcer: Any = None

    async def fetch(self, project: str) -> Amounts:
        """Raises: LimitsUnknown."""
        return await asyncio.to_thread(self._fetch, project)

    def _fetch(self, project: str) -> Amounts:
        try:
            with self._lock:  # openstacksdk's sessions are not made for several threads
                if self._enforcer is None:
                    self._enforcer = self._open()
                everybodys = self._enforcer.get_registered_limits(None)
                own = self._enforcer.get_project_limits(project, None)
        except Exception as error:  # keystoneauth, openstacksdk and oslo.limit have a tree of errors each
            raise LimitsUnknown(
                f"The limits of project {project} could not be read from Keystone ({type(error).__name__}); try again, or have "
                f"the operator look at [oslo_limit] and the service's log."
            ) from error
        return in_our_terms({**dict(everybodys), **dict(own)})

    def _open(self) -> Any:
        from oslo_config import cfg
        from oslo_limit import limit

        # oslo.limit reads the configuration object of the whole process, which nothing of ours does.
        cfg.CONF([], project="spinney", default_config_files=[str(one) for one in self._files], default_config_dirs=[])
        return limit.Enforcer(_usage, cache=False)


def _usage(project: str | None, names: Collection[str]) -> dict[str, int]:
    """oslo.limit wants to be able to ask. It is not let decide: usage is counted where it is reserved, under a lock."""
    return dict.fromkeys(names, 0)
