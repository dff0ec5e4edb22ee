"""The user's end of a command in a container: this process's input, outputs and terminal, joined to a WebSocket.

Guaranteed: bytes pass unchanged, with bounded memory each way; the terminal is as it was afterwards, however the session ends;
what a Ctrl-C means is left to the command where it has a terminal.
"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import termios
import threading
import tty
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from spinney.cli.faults import CliError, Unreachable
from spinney.domain.terminal import (
    LARGEST_FRAME,
    PIECE,
    SUBPROTOCOL,
    BadFrame,
    Data,
    EndOfInput,
    Exit,
    Failure,
    Resize,
    Stream,
    decode,
    encode,
)

_IN, _OUT, _ERR = 0, 1, 2
_PATIENCE = 30.0
_GONE = (
    "the session broke off before the command ended, which may run on: the service may have been stopped; "
    "see whether it answers, and look at the node with spinney logs"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    #: Whether our input goes to the command, and whether our terminal does.
    interactive: bool
    tty: bool


def join(url: str, context: ssl.SSLContext | None, wanted: Wanted) -> int:
    """The exit code of the command behind the URL. Raises: CliError."""
    with _raw() if wanted.tty and wanted.interactive else _as_it_is():
        return asyncio.run(_joined(url, context, wanted))


async def _joined(url: str, context: ssl.SSLContext | None, wanted: Wanted) -> int:
    try:
        # Who writes much reads no pings meanwhile, and is waited for.
        async with connect(
            url,
            ssl=context,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a name for str
            compression=None,
            max_size=LARGEST_FRAME,
            max_queue=4,
            open_timeout=_PATIENCE,
            ping_timeout=None,
            close_timeout=1.0,
        ) as socket:
            return await _talk(socket, wanted)
    except InvalidStatus as error:
        raise CliError(
            f"the service does not open the session (HTTP status {error.response.status_code}): the way there may have taken "
            "more than a minute, or a proxy between does not pass WebSockets"
        ) from error
    except (InvalidHandshake, InvalidURI, TimeoutError, OSError) as error:
        raise Unreachable(
            f"{urlsplit(url).netloc} does not take the session: {error or type(error).__name__}"
        ) from error


async def _talk(socket: ClientConnection, wanted: Wanted) -> int:
    work = [asyncio.create_task(_feed(socket, wanted))]
    if wanted.tty:
        work.append(asyncio.create_task(_follow_size(socket)))
    try:
        return await _heard(socket)
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)


async def _heard(socket: ClientConnection) -> int:
    try:
        async for message in socket:
            frame = decode(message if isinstance(message, bytes) else message.encode())
            match frame:
                case Data(Stream.OUTPUT | Stream.ERROR, data):
                    if data:
                        await asyncio.to_thread(_write, _OUT if frame.stream is Stream.OUTPUT else _ERR, data)
                case Exit(code):
                    return code
                case Failure(_, text):
                    raise CliError(text.rstrip("."))
    except ConnectionClosed as error:
        raise Unreachable(_GONE) from error
    except BadFrame as error:
        raise CliError(f"the service does not speak {SUBPROTOCOL}: {error}") from error
    except BrokenPipeError:
        return 128 + signal.SIGPIPE  # nobody reads what it prints
    raise Unreachable(_GONE)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


async def _feed(socket: ClientConnection, wanted: Wanted) -> None:
    """Our input to the command. It is read in a thread, as a file cannot be waited for, which the process does not wait for."""
    if not wanted.interactive:
        if not wanted.tty:
            await _send(socket, encode(EndOfInput()))
        return
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue(1)

    def read() -> None:
        data = b"?"
        while data:
            data = b""
            with suppress(OSError):
                data = os.read(_IN, PIECE)
            try:
                asyncio.run_coroutine_threadsafe(pieces.put(data), loop).result()
            except (RuntimeError, CancelledError):  # the session is over
                return

    threading.Thread(target=read, daemon=True).start()
    while data := await pieces.get():
        await _send(socket, encode(Data(Stream.INPUT, data)))
    await _send(socket, encode(EndOfInput()))


async def _follow_size(socket: ClientConnection) -> None:
    changed = asyncio.Event()
    changed.set()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    try:
        while await changed.wait():
            changed.clear()
            width, height = os.get_terminal_size(_OUT if os.isatty(_OUT) else _IN)
            if width and height:
                await _send(socket, encode(Resize(width, height)))
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


async def _send(socket: ClientConnection, data: bytes) -> None:
    with suppress(ConnectionClosed):  # hearing tells
        await socket.send(data)


@contextmanager
def _raw() -> Iterator[None]:
    """Each key goes to the command, as it is."""
    before = termios.tcgetattr(_IN)
    try:
        tty.setraw(_IN)
        yield
    finally:
        termios.tcsetattr(_IN, termios.TCSADRAIN, before)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield
