"""How long this engine may still act, on a clock that never steps back.

Docker has no fencing: what is sent to it late cannot be refused there. So every call to a host asks here first. The margin
covers the time between asking and the request leaving the machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from spinney.clock import Clock
from spinney.errors import LeaseLost


@dataclass(slots=True)
class Lease:
    engine_id: str
    duration: float
    clock: Clock
    _good_until: float = 0.0

    def renewed(self, asked_at: float) -> None:
        """``asked_at``: monotonic time before the renewal was sent, which is never later than the database's clock ran."""
        self._good_until = asked_at + self.duration * 0.8

    @property
    def good(self) -> bool:
        return self.clock.monotonic() < self._good_until

    def require(self) -> None:
        """Raises: LeaseLost."""
        if not self.good:
            raise LeaseLost(f"engine session {self.engine_id} was not renewed in time")
