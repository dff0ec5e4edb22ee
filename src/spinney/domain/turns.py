"""Who is next: places that several parties share, one each in turn.

Guaranteed: a party that waits is passed over by each other party at most once for each place that becomes free; within a party
the first to come is the first to go; no more than ``each`` of one party and ``places`` of all are in at a time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from enum import Enum, auto
from typing import Generic, TypeVar

T = TypeVar("T")


class Entry(Enum):
    IN = auto()
    WAIT = auto()
    FULL = auto()


class Turns(Generic[T]):
    """``room``: how many of one party may wait. 0 is no bound, for each of the three."""

    def __init__(self, places: int, each: int, room: int) -> None:
        self._places, self._each, self._room = places, each, room
        self._inside: dict[str, int] = {}
        self._total = 0
        #: Those who wait, by party; the party whose turn is next stands first.
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()

    def enter(self, party: str, ticket: T) -> Entry:
        """WAIT: ``leave`` gives the ticket back when its turn has come."""
        queue = self._waiting.get(party)
        if not queue and self._may(party):
            self._let_in(party)
            return Entry.IN
        if queue is None:
            queue = self._waiting[party] = deque()
        if self._room and len(queue) >= self._room:
            return Entry.FULL
        queue.append(ticket)
        return Entry.WAIT

    def leave(self, party: str) -> list[T]:
        """One of the party goes; who comes in instead."""
        self._total -= 1
        self._inside[party] -= 1
        if not self._inside[party]:
            del self._inside[party]
        return self._next()

    def withdraw(self, party: str, ticket: T) -> bool:
        """Wait no longer. False: it is in already."""
        queue = self._waiting.get(party, deque())
        if ticket not in queue:
            return False
        queue.remove(ticket)
        if not queue:
            del self._waiting[party]
        return True

    def _next(self) -> list[T]:
        found: list[T] = []
        while party := next((waiting for waiting in self._waiting if self._may(waiting)), None):
            queue = self._waiting[party]
            found.append(queue.popleft())
            self._let_in(party)
            if queue:
                self._waiting.move_to_end(party)
            else:
                del self._waiting[party]
        return found

    def _may(self, party: str) -> bool:
        if self._places and self._total >= self._places:
            return False
        return not self._each or self._inside.get(party, 0) < self._each

    def _let_in(self, party: str) -> None:
        self._total += 1
        self._inside[party] = self._inside.get(party, 0) + 1
