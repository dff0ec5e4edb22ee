"""Carrying a command in a container over messages between who runs it and who watches: the frames of ``domain.terminal``.

``relay`` is the side of the command, ``RemoteSession`` the other. Guaranteed: nothing is held but a piece each way, so that a
command waits for who does not read, and who writes for a command that does not; the relay ends with the command's exit code or
with why there is none, and the session is let go however it ends; a silent session is known to live, or that it does not within
``SILENCE`` seconds. Not guaranteed: that a size or an end of input overtakes the input before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from spinney import errors
from spinney.domain.container import LogChunk
from spinney.domain.terminal import (
    PIECE,
    BadFrame,
    Data,
    EndOfInput,
    Exit,
    Failure,
    Frame,
    Resize,
    Stream,
    decode,
    encode,
)
from spinney.drivers.base import ExecSession
from spinney.errors import BadRequest, HostError, HostUnreachable, SpinneyError

T = TypeVar("T")

#: Seconds between two signs of life, and without one until the other side counts as lost.
BEAT = 5.0
SILENCE = 20.0
#: Says nothing but that the session lives.
LIFE = Data(Stream.OUTPUT, b"")
_STREAMS = {"stdout": Stream.OUTPUT, "stderr": Stream.ERROR}
_NAMES = {Stream.OUTPUT: "stdout", Stream.ERROR: "stderr"}

#: The next message; None when the other side has left. May be cancelled without loss.
Receive = Callable[[], Awaitable[bytes | None]]
#: Waits while the other side does not take it. Raises ``Left`` when there is no other side.
Send = Callable[[bytes], Awaitable[None]]


class Left(Exception):
    """Whoever watched has left."""


async def relay(session: ExecSession, receive: Receive, send: Send, *, beat: float = BEAT) -> None:
    """Until the command has ended, which the last message tells, or who watches has left.

    Raises: HostError when the host is lost, BadRequest when who watches does not keep to the protocol; ``tell_failure`` is then
    to be the last message.
    """
    listening = asyncio.create_task(_listen(session, receive))
    telling = asyncio.create_task(_tell(session, send, beat))
    try:
        await asyncio.wait((listening, telling), return_when=asyncio.FIRST_COMPLETED)
        if listening.done():
            listening.result()
        with suppress(Left):
            await send(encode(await telling))
    except Left:
        return
    finally:
        for task in (listening, telling):
            task.cancel()
        await asyncio.gather(listening, telling, return_exceptions=True)
        await session.close()


async def tell_failure(send: Send, error: SpinneyError) -> None:
    with suppress(Left):
        await send(encode(Failure(error.type_name, error.message)))


async def _listen(session: ExecSession, receive: Receive) -> None:
    """Does not return: raises Left, or BadRequest when what comes is no frame."""
    while (message := await receive()) is not None:
        try:
            frame = decode(message)
        except BadFrame as error:
            raise BadRequest(f"The session is over: {error}.") from error
        match frame:
            case Data(Stream.INPUT, data):
                await session.write(data)
            case Resize():
                await session.resize(frame)
            case EndOfInput():
                await session.end_input()
            case _:
                raise BadRequest("The session is over: a message is one that only the command sends.")
    raise Left


async def _tell(session: ExecSession, send: Send, beat: float) -> Exit:
    while (chunk := await _lively(session.read(), send, beat)) is not None:
        for start in range(0, len(chunk.data), PIECE):
            await send(encode(Data(_STREAMS[chunk.stream], chunk.data[start : start + PIECE])))
    return Exit(await _lively(session.wait(), send, beat))


async def _lively(work: Coroutine[Any, Any, T], send: Send, beat: float) -> T:
    """What comes of work that may take long; meanwhile the other side hears now and then that it lives."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait((task,), timeout=beat))[0]:
            await send(encode(LIFE))
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class RemoteSession:
    """``ExecSession`` at the other end of a relay. ``close`` is called when it is let go."""

    def __init__(self, receive: Receive, send: Send, close: Callable[[], Awaitable[None]]) -> None:
        self._receive = receive
        self._send = send
        self._close = close
        self._code: int | None = None

    async def begin(self) -> None:
        """Waits until the command runs. Raises: HostError when it does not."""
        frame = await self._next()
        if isinstance(frame, Failure):
            raise named_error(frame.kind, frame.message)

    async def read(self) -> LogChunk | None:
        while self._code is None:
            frame = await self._next()
            match frame:
                case Data(Stream.OUTPUT | Stream.ERROR, data):
                    if data:
                        return LogChunk(_NAMES[frame.stream], data)
                case Exit(code):
                    self._code = code
                case Failure(kind, message):
                    raise named_error(kind, message)
                case _:
                    raise HostUnreachable("the engine that runs the command sends what makes no sense; see its version")
        return None

    async def _next(self) -> Frame:
        try:
            async with asyncio.timeout(SILENCE):
                message = await self._receive()
        except TimeoutError:
            message = None
        if message is None:
            raise HostUnreachable("the engine through which the command ran is gone; the command may run on")
        try:
            return decode(message)
        except BadFrame as error:
            raise HostUnreachable(f"the engine that runs the command does not keep to the protocol: {error}") from error

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            await self._tell(Data(Stream.INPUT, data[start : start + PIECE]))

    async def end_input(self) -> None:
        await self._tell(EndOfInput())

    async def resize(self, size: Resize) -> None:
        await self._tell(size)

    async def _tell(self, frame: Frame) -> None:
        with suppress(Left):  # reading tells why
            await self._send(encode(frame))

    async def wait(self) -> int:
        while await self.read() is not None:
            pass
        assert self._code is not None
        return self._code

    async def close(self) -> None:
        await self._close()


def named_error(kind: str, message: str) -> HostError:
    """The error of a host that another process has met."""
    found = getattr(errors, kind, HostUnreachable)
    return found(message) if isinstance(found, type) and issubclass(found, HostError) else HostUnreachable(message)
