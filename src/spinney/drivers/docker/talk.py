"""Questions to one container of the host helper's image, over one line that stays open, many at a time.

Guaranteed: the line is opened with the first question, and again with the first one after it broke; what was asked over a line
that breaks or says nonsense fails with it; a question that is given up leaves nothing behind. How long an answer may take
is the asker's to limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable

from spinney.domain.probe import ProbeRequest
from spinney.drivers.docker.line import Line
from spinney.drivers.helper import probing
from spinney.drivers.helper.hearing import Ear, Hearing, Listing, Telling
from spinney.drivers.helper.probing import Exchange
from spinney.errors import HostUnreachable


class Talk:
    def __init__(self, call: Callable[[], Awaitable[Line]]) -> None:
        self._call = call
        self._opening = asyncio.Lock()
        self._conversation: _Conversation | None = None

    @property
    def is_open(self) -> bool:
        return self._conversation is not None and not self._conversation.is_over

    async def open(self) -> _Conversation:
        async with self._opening:
            if self._conversation is None or self._conversation.is_over:
                self._conversation = _Conversation(await self._call())
            return self._conversation

    async def ask(self, kind: str) -> list[str]:
        """The lines of its answer."""
        listing = Listing()
        await (await self.open()).exchange(listing, lambda tag: f"{kind} {tag}\n")
        return listing.lines

    async def probe(self, request: ProbeRequest, container_id: str = "-", pid: int = 0) -> Exchange:
        """``pid``: of a process of that container; none: in the network namespace of the helper itself."""
        telling = Telling(request)
        conversation = await self.open()
        await conversation.exchange(telling, lambda tag: probing.question(tag, request, container_id, pid))
        return telling.exchange

    async def hang_up(self) -> None:
        """What is being asked fails; the next question opens a new line."""
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            await conversation.close()


class _Conversation:
    """One line, and who waits for what."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._hearing = Hearing()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._listener = asyncio.get_running_loop().create_task(self._listen())

    @property
    def is_over(self) -> bool:
        return self._listener.done()

    async def exchange(self, ear: Ear, question: Callable[[str], str]) -> None:
        tag = secrets.token_hex(8)
        answered = self._waiting[tag] = asyncio.get_running_loop().create_future()
        self._hearing.expect(tag, ear)
        try:
            await self._line.send(question(tag).encode("ascii"))
            await answered
        finally:
            del self._waiting[tag]
            self._hearing.forget(tag)
            if answered.done() and not answered.cancelled():
                answered.exception()  # known now, though nobody may have waited for it any more

    async def close(self) -> None:
        self._listener.cancel()
        await asyncio.gather(self._listener, return_exceptions=True)

    async def _listen(self) -> None:
        error: Exception = HostUnreachable(
            "the line to the host helper was given up; what was asked can be asked again"
        )
        try:
            while True:
                for tag in self._hearing.feed(await self._line.receive()):
                    if not self._waiting[tag].done():
                        self._waiting[tag].set_result(None)
        except Exception as problem:
            error = problem
        finally:
            for answered in self._waiting.values():
                if not answered.done():
                    answered.set_exception(error)
            with contextlib.suppress(Exception):
                await self._line.close()
