"""Connections for bytes both ways, as Docker makes of a request that it upgrades.

Apart from aiohttp, because each way of such a connection must be able to end alone, so that a program which reads to the end
of its input can still answer. asyncio cannot do that over TLS: it closes both ways at once. Here TLS is done in memory over a
plain connection, and its ``close_notify`` ends one way, as the Docker engine understands it.

Guaranteed: a name that is not the host's, or a certificate that its authority did not sign, raises before anything is sent;
reading can be cancelled without losing bytes; what is written waits while the other side does not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from spinney.domain.terminal import PIECE
from spinney.drivers.egress.guard import Guard

_LARGEST_HEAD = 1 << 16


class Pipe:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        #: What was read with the head of the answer and is no part of it.
        self._early = b""

    async def read(self) -> bytes:
        """What has come, of any length; nothing at the end."""
        if self._early:
            early, self._early = self._early, b""
            return early
        return await self._read()

    async def read_head(self) -> bytes:
        """Up to and with the empty line. Raises: ConnectionError."""
        head = b""
        while b"\r\n\r\n" not in head:
            more = await self.read()
            if not more or len(head) > _LARGEST_HEAD:
                raise ConnectionResetError("what answers is no HTTP")
            head += more
        head, _, self._early = head.partition(b"\r\n\r\n")
        return head

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> None:
        """Nothing more is written; the other side may go on."""
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.transport.abort()

    async def _read(self) -> bytes:
        return await self._reader.read(PIECE)


class TlsPipe(Pipe):
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext, host: str
    ) -> None:
        super().__init__(reader, writer)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def shake_hands(self) -> None:
        try:
            while not self._shaken():
                await self._feed()
        finally:
            self._send()  # in the end, what tells the other side why it is refused

    def _shaken(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    async def _read(self) -> bytes:
        while (data := self._decrypted()) is None:
            await self._feed()
        return data

    def _decrypted(self) -> bytes | None:
        """What is there to read; None: nothing yet."""
        try:
            return self._tls.read(PIECE)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""

    async def write(self, data: bytes) -> None:
        self._tls.write(data)
        self._send()
        await self._writer.drain()

    async def end(self) -> None:
        # The farewell is answered only when the other side ends too. What has come and is not read yet must not be met
        # while it is looked for, as nothing may follow a farewell.
        unread = self._incoming.read()
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._incoming.write(unread)
        self._send()

    def _send(self) -> None:
        """Without waiting: who reads must not wait until the other side does."""
        self._writer.write(self._outgoing.read())

    async def _feed(self) -> None:
        self._send()
        data = await self._reader.read(PIECE)
        if not data:
            raise ConnectionResetError("the other side closed the connection without a farewell")
        self._incoming.write(data)


async def unix_pipe(path: str) -> Pipe:
    return Pipe(*await asyncio.open_unix_connection(path))


async def tls_pipe(host: str, port: int, context: ssl.SSLContext, guard: Guard) -> Pipe:
    pipe = TlsPipe(*await asyncio.open_connection(sock=await guard.connect(host, port)), context, host)
    try:
        keep_alive(pipe._writer.transport)
        await pipe.shake_hands()
    except BaseException:
        pipe.close()
        raise
    return pipe


def keep_alive(transport: asyncio.BaseTransport | None) -> None:
    """Have the kernel notice within a minute that the other side of a silent connection is gone."""
    raw = transport.get_extra_info("socket") if transport else None
    if raw is not None and raw.family != socket.AF_UNIX:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in ((socket.TCP_KEEPIDLE, 20), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
            raw.setsockopt(socket.IPPROTO_TCP, option, seconds)
