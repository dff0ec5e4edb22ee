"""What stands between an authenticated request and its handler, so that no project slows another.

Guaranteed, in one API process: a project's requests beyond its rate are spaced out, and those beyond its places wait in a queue
of its own, of bounded length; at the database the projects take turns. Refusals are held back for a moment, so that whoever
repeats at once does not keep the service busy with refusing. Not guaranteed: any order among requests of one project, and
limits across API processes: each has its own.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from spinney.clock import Clock, processor_time
from spinney.config import LimitSettings
from spinney.domain import rate
from spinney.domain.rate import Rate, Refusal
from spinney.errors import SpinneyError, TooManyRequests
from spinney.queueing import Lines, NoRoom
from spinney.store.database import Transactions

P = ParamSpec("P")
T = TypeVar("T")

#: Of all projects and of one, what is at the database at a time. Writes that wait are committed together, so more are welcome.
_READS, _READS_EACH = 8, 4
_WRITES, _WRITES_EACH = 64, 16
#: Seconds for which a refusal is held back, and a request may wait for its turn.
_HELD_BACK = 1.0
_PATIENCE = 30.0
#: For how many a request counts that changes something.
_CHANGE = 5
#: Seconds of a processor at the database that count for one request.
_SHARE = 0.002
_NO_PROJECT = "@"
#: Failed authentications that are forgiven each second.
_FORGIVEN = 0.5
#: Projects or addresses remembered; one forgotten begins with its whole burst.
_REMEMBERED = 20_000


class Paces:
    """How far ahead each of many is."""

    def __init__(self, of: Rate) -> None:
        self._rate = of
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def ask(self, key: str, now: float, patience: float = 0.0, cost: int = 1) -> float:
        """Seconds to wait; raises TooManyRequests for more than ``patience``."""
        found = rate.ask(self._full_at.get(key, 0.0), now, self._rate, patience, cost)
        if isinstance(found, Refusal):
            raise too_many("requests at a time", found.after)
        self._full_at[key] = found.full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > _REMEMBERED:
            self._full_at.popitem(last=False)
        return found.delay

    def charge(self, key: str, now: float, cost: float) -> None:
        """For what has passed already."""
        if key in self._full_at:
            self._full_at[key] = rate.charge(self._full_at[key], now, self._rate, cost)

    def spent(self, key: str, now: float) -> float | None:
        """After how many seconds there is some left; None: there is."""
        found = rate.ask(self._full_at.get(key, 0.0), now, self._rate)
        return found.after if isinstance(found, Refusal) else None


class Company:
    """Who else is there: the last two projects that asked for something, and when."""

    def __init__(self, within: float) -> None:
        self._within = within
        self._last = self._before = ("", -math.inf)

    def meet(self, project: str, now: float) -> bool:
        """Whether another project has asked lately. Those without one are nobody's company."""
        if not project or project.startswith(_NO_PROJECT):
            return False
        if self._last[0] != project:
            self._before = self._last
        self._last = (project, now)
        return self.others(project, now)

    def others(self, project: str, now: float) -> bool:
        other = self._before if self._last[0] == project else self._last
        return now - other[1] <= self._within


class Gate:
    """``project`` may be any word that stands for who asks."""

    def __init__(self, clock: Clock, limits: LimitSettings) -> None:
        self._clock = clock
        self._limits = limits
        self._paces = Paces(Rate(limits.rate, limits.burst))
        self._shared_paces = Paces(Rate(limits.shared_rate, limits.shared_burst))
        self._company = Company(limits.shared_after)
        self._failures = Paces(Rate(_FORGIVEN if limits.failed_authentications else 0, limits.failed_authentications))
        self._lines = Lines(0, limits.concurrent, limits.queue, _PATIENCE)
        self.reads, self.writes = Lines(_READS, _READS_EACH), Lines(_WRITES, _WRITES_EACH)
        self._streams: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, project: str, *, changing: bool = False) -> AsyncIterator[None]:
        """Wait for the project's turn. Raises: TooManyRequests."""
        try:
            delay = self._delay(project, _CHANGE if changing else 1)
        except TooManyRequests:
            await self._clock.sleep(_HELD_BACK)
            raise
        if delay:
            await self._clock.sleep(delay)
        try:
            async with self._lines.turn(project):
                yield
        except NoRoom as error:
            raise too_many("requests at work", _HELD_BACK) from error

    def _delay(self, project: str, cost: int) -> float:
        """Raises: TooManyRequests."""
        now = self._clock.monotonic()
        room = max(self._limits.queue, 1)
        delay = self._paces.ask(project, now, room / self._limits.rate) if self._limits.rate else 0.0
        if self._company.meet(project, now) and self._limits.shared_rate:
            delay = max(delay, self._shared_paces.ask(project, now, room / self._limits.shared_rate, cost))
        return delay

    @contextmanager
    def stream(self, project: str) -> Iterator[None]:
        """One of the streams the project may have open. Raises: TooManyRequests."""
        opened = self._streams.get(project, 0)
        if self._limits.streams and opened >= self._limits.streams:
            raise TooManyRequests(
                f"The project has {opened} log followers and terminals open, which is all it may have; end some."
            ).after(_HELD_BACK)
        self._streams[project] = opened + 1
        try:
            yield
        finally:
            self._streams[project] -= 1
            if not self._streams[project]:
                del self._streams[project]

    async def check_address(self, address: str) -> None:
        """Raises: TooManyRequests for an address from which too many authentications have failed."""
        after = self._failures.spent(address, self._clock.monotonic())
        if after is not None:
            await self._clock.sleep(_HELD_BACK)
            raise TooManyRequests(
                f"Too many authentications from {address or 'your address'} have failed; try again in "
                f"{math.ceil(after)} s with valid credentials."
            ).after(after)

    def failed(self, address: str) -> None:
        """An authentication from there has failed."""
        if self._failures.spent(address, self._clock.monotonic()) is None:
            self._failures.ask(address, self._clock.monotonic())

    def share(self, store: Transactions, project: str) -> Transactions:
        """The database as one project may use it: in turn with the others."""
        return _Shared(store, self, project)

    def charge(self, project: str, seconds: float) -> None:
        """What was asked has taken that much of a processor at the database: a large list counts for many small ones."""
        now = self._clock.monotonic()
        if self._company.others(project, now):
            self._shared_paces.charge(project, now, seconds / _SHARE)


class _Shared:
    def __init__(self, store: Transactions, gate: Gate, project: str) -> None:
        self._store, self._gate, self._project = store, gate, project

    async def transact(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._gate.writes.turn(self._project):
            return await self._charged(self._store.transact, fn, args, kwargs)

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._gate.reads.turn(self._project):
            return await self._charged(self._store.read, fn, args, kwargs)

    async def _charged(self, use: Any, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        used = 0.0

        def run(connection: Connection) -> T:
            nonlocal used
            begun = processor_time()
            try:
                return fn(connection, *args, **kwargs)
            finally:
                used += processor_time() - begun

        try:
            found: T = await use(run)
            return found
        finally:
            self._gate.charge(self._project, used)


def too_many(what: str, after: float) -> SpinneyError:
    message = f"The project has too many {what}; send fewer, or try again in {math.ceil(after)} s."
    return TooManyRequests(message).after(after)


def key_of(project: str, address: str) -> str:
    """Who is counted: the project, or the address where there is none."""
    return project or f"{_NO_PROJECT}{address}"
