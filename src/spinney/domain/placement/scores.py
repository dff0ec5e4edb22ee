"""The strategies: which of the hosts that fit is best. Two numbers each, a class and a value; smaller is better.

``spread``        the larger reserved share of CPU and memory, with this request; the smallest is best.
``binpack``       the share of the host that would stay free, the mean over CPU and memory; the least is best.
``least_utilized``  class 0: every measured share that has a threshold is below it; of these the smallest reserved share is
                  best, for below the thresholds one machine is as good as another. Class 1: measured, but not below; the
                  smallest measured share is best. Class 2: never measured, or too long ago; the smallest reserved share is
                  best. What was reserved since the measurement counts as used, so a batch does not pile up on one host.
``balanced``      class: the difference between the reserved shares of CPU and memory in whole percent; among equals, as spread.
``random``        no difference; the seed decides, see ``first_drawn``.

``weights``: ``cpu`` and ``memory`` (1 where left out) multiply the shares of spread, binpack and balanced; ``used`` (0 where
left out) is the part, 0 to 1, that measured use has in the shares of spread and balanced. A host not measured lately counts
there with what is reserved alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from spinney.domain.placement.room import Room
from spinney.domain.placement.rules import PlacementRules, Strategy

#: class and value
Score = tuple[int, float]
#: of CPU and memory
_Shares = tuple[float, float]

_BIG = 4096.0
_MASK = 2**64 - 1
_ODD = 0x9E3779B97F4A7C15


class Scorer:
    """For requests of one size under one set of rules. ``now`` is set before each batch."""

    def __init__(self, rules: PlacementRules, cpu: float, memory: int) -> None:
        self.now = 0.0
        self._rules = rules
        self._cpu = cpu
        self._memory = memory
        self._weight_cpu = rules.weights.get("cpu", 1.0)
        self._weight_memory = rules.weights.get("memory", 1.0)
        self._used = rules.weights.get("used", 0.0)
        plain = not rules.weights
        scores: dict[Strategy, Callable[[Room], Score]] = {
            Strategy.SPREAD: self._spread_plainly if plain else self._spread,
            Strategy.BINPACK: self._binpack,
            Strategy.LEAST_UTILIZED: self._least_utilized,
            Strategy.BALANCED: self._balanced,
            Strategy.RANDOM: self._nothing,
        }
        self.score = scores[rules.strategy]
        #: Whether measured use has a say, so that scores change as samples grow old.
        self.measures = rules.strategy is Strategy.LEAST_UTILIZED or (
            self._used > 0 and rules.strategy in (Strategy.SPREAD, Strategy.BALANCED)
        )

    def known_until(self, room: Room) -> float | None:
        """When the host's sample becomes too old; None: it is already, or there is none."""
        sampled = room.host.sampled_at
        if sampled is None or room.host.used_cpu is None:
            return None
        until = sampled + self._rules.thresholds.max_age
        return until if until >= self.now else None

    def _shares(self, room: Room) -> _Shares:
        return (room.cpu + self._cpu) * room.cpu_part, (room.memory + self._memory) * room.memory_part

    def _weighed(self, room: Room) -> _Shares:
        cpu, memory = self._shares(room)
        if self._used > 0 and self.known_until(room) is not None:
            used_cpu, used_memory = self._estimates(room)
            cpu += self._used * (used_cpu - cpu)
            if used_memory is not None:
                memory += self._used * (used_memory - memory)
        return cpu * self._weight_cpu, memory * self._weight_memory

    def _estimates(self, room: Room, own: int = 1) -> tuple[float, float | None]:
        """Measured shares with what was reserved since, and with this request unless ``own`` is 0."""
        host = room.host
        cpu = max((host.used_cpu or 0.0) + room.pending_cpu, 0.0) + own * self._cpu
        if host.used_memory is None:
            return cpu * room.cpu_part, None
        memory = max(host.used_memory + room.pending_memory, 0) + own * self._memory
        return cpu * room.cpu_part, memory * room.memory_part

    def _spread_plainly(self, room: Room) -> Score:
        cpu = (room.cpu + self._cpu) * room.cpu_part
        memory = (room.memory + self._memory) * room.memory_part
        return 0, (cpu if cpu > memory else memory) + _BIG - _BIG

    def _spread(self, room: Room) -> Score:
        return 0, _even(max(self._weighed(room)))

    def _binpack(self, room: Room) -> Score:
        cpu, memory = self._shares(room)
        free = self._weight_cpu * (1 - cpu) + self._weight_memory * (1 - memory)
        return 0, _even(free / (self._weight_cpu + self._weight_memory or 1))

    def _balanced(self, room: Room) -> Score:
        cpu, memory = self._weighed(room)
        return round(abs(cpu - memory) * 100), _even(max(cpu, memory))

    def _least_utilized(self, room: Room) -> Score:
        limits = self._rules.thresholds
        reserved = _even(max(self._shares(room)))
        if self.known_until(room) is None:
            return 2, reserved
        cpu, memory = self._estimates(room, own=0)
        looked_at = [
            (share, limit) for share, limit in ((cpu, limits.cpu), (memory, limits.memory)) if limit is not None
        ]
        if any(share is None for share, _ in looked_at):
            return 2, reserved
        if looked_at and all(share is not None and share < limit for share, limit in looked_at):
            return 0, reserved
        with_it = self._estimates(room)
        counted = [
            share
            for share, limit in zip(with_it, (limits.cpu, limits.memory), strict=True)
            if share is not None and (limit is not None or not looked_at)
        ]
        return 1, _even(max(counted))

    def _nothing(self, room: Room) -> Score:
        return 0, 0.0


def _even(value: float) -> float:
    """Without the last digits, in which sums differ that are the same. Rounding to decimals would cost ten times as much."""
    return value + _BIG - _BIG


def token(*words: str) -> int:
    """64 bits of a name."""
    return int.from_bytes(hashlib.blake2b("\0".join(words).encode(), digest_size=8).digest(), "big")


def first_drawn(node_token: int, host_tokens: list[int]) -> int:
    """The index of the host with the smallest draw: each is equally likely, and equal input draws the same.

    A host more or less changes the choice only if it is the one chosen.
    """
    draws = [((node_token ^ host_token) * _ODD) & _MASK for host_token in host_tokens]
    return draws.index(min(draws))
