"""``Turns`` for coroutines: places that several parties share, one each in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spinney.domain.turns import Entry, Turns


class NoRoom(Exception):
    """The party's queue is full, or its turn did not come in time."""


class Lines:
    """``patience``: seconds that anybody waits at most; None: as long as it takes. The other bounds are those of ``Turns``."""

    def __init__(self, places: int, each: int, room: int = 0, patience: float | None = None) -> None:
        self._turns: Turns[asyncio.Future[None]] = Turns(places, each, room)
        self._patience = patience

    @asynccontextmanager
    async def turn(self, party: str) -> AsyncIterator[None]:
        """Raises: NoRoom."""
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = self._turns.enter(party, ticket)
        if entry is Entry.FULL:
            raise NoRoom
        if entry is Entry.WAIT:
            await self._wait(party, ticket)
        try:
            yield
        finally:
            self._leave(party)

    async def _wait(self, party: str, ticket: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(ticket)
        except BaseException as error:
            if not self._turns.withdraw(party, ticket):
                self._leave(party)
            if isinstance(error, TimeoutError):
                raise NoRoom from error
            raise

    def _leave(self, party: str) -> None:
        for admitted in self._turns.leave(party):
            admitted.set_result(None)
