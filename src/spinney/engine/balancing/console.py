"""The line to a load balancer's container: a command that stays there and answers questions (``drivers/balancer/control``).

Guaranteed: one question at a time, each with an answer of its own or an error; a line on which an answer did not come, or did
not come in time, is given up and opened anew with the next question.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

from spinney.domain.terminal import ExecRequest
from spinney.drivers.balancer.image import CONTROL
from spinney.drivers.base import ExecSession
from spinney.engine.carrying.hosts import Connected
from spinney.errors import ContainerRefused, HostBroken, HostError, HostUnreachable

#: Seconds for one answer.
_PATIENCE = 15.0
_LONGEST = 1 << 22


class Refused(Exception):
    """What the load balancer said to something that it did not do."""


class Console:
    def __init__(self, host: Connected, container_id: str) -> None:
        self._host = host
        self._container_id = container_id
        self._session: ExecSession | None = None

    async def ask(self, verb: str, what: str = "") -> str:
        """Raises: Refused, HostError."""
        tag = secrets.token_hex(8)
        answered = False
        try:
            async with asyncio.timeout(_PATIENCE):
                if self._session is None:
                    async with self._host.slot() as docker:
                        self._session = await docker.exec(self._container_id, ExecRequest((CONTROL,)))
                await self._session.write(f"{tag} {verb} {what}".rstrip().encode() + b"\n")
                said, code = await self._answer(self._session, tag)
            answered = True
        except TimeoutError:
            raise HostUnreachable(f"the load balancer did not answer within {_PATIENCE:g} s") from None
        finally:
            if not answered:
                await self.close()
        if code:
            raise Refused(said.strip())
        return said

    async def _answer(self, session: ExecSession, tag: str) -> tuple[str, int]:
        heard = b""
        end = f"\n{tag} ".encode()
        while True:
            chunk = await session.read()
            if chunk is None:
                said = heard.decode(errors="replace").strip()[-300:]
                raise ContainerRefused(f"the load balancer's container does not answer questions{said and ': '}{said}")
            heard += chunk.data if chunk.stream == "stdout" else b""
            if len(heard) > _LONGEST:
                raise HostBroken("the load balancer says more than it can have to say")
            text, found, code = heard.rpartition(end)
            if found and code.endswith(b"\n"):
                return text.decode(errors="replace"), int(code) if code.strip().isdigit() else 1

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(HostError):
                await session.close()
