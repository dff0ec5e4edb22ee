"""Simulated Docker engines behind unix sockets and TLS ports, for real drivers and the ``docker`` command.

Guaranteed: a fault that breaks the connection breaks it, and one that never answers keeps it open until the client leaves; a
client that leaves ends its call, which has then been carried out or not. Sockets are readable by their owner alone, and are
removed when the server is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

from spinney.drivers.simulated.api import DockerApi, answer, find_route
from spinney.drivers.simulated.engine import Cutoff, Silence, SimulatedEngine
from spinney.drivers.simulated.values import EngineSettings, Refusal

_VERSIONED = re.compile(r"/v(\d{1,3})\.(\d{1,3})(/.*)")


class EngineServer:
    """One simulated Docker engine on as many sockets as wanted."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self.engine = engine
        self._api = DockerApi(engine)
        settings = engine.core.settings
        self._headers = {
            "Api-Version": settings.api_version,
            "Server": f"Docker/{settings.version} (linux)",
            "Ostype": "linux",
            "Docker-Experimental": "false",
        }
        self._runner: web.ServerRunner | None = None
        self._paths: list[Path] = []

    async def listen_unix(self, path: Path) -> None:
        _remove_socket(path)
        site = web.UnixSite(await self._running(), str(path))
        await site.start()
        _keep_private(path)
        self._paths.append(path)

    async def listen_tls(self, address: str, context: ssl.SSLContext, port: int = 0) -> int:
        """The port, chosen by the machine when 0."""
        runner = await self._running()
        known = set(runner.addresses)
        await web.TCPSite(runner, address, port, ssl_context=context).start()
        (bound,) = [one for one in runner.addresses if one not in known]
        return int(bound[1])

    async def close(self) -> None:
        self.engine.break_streams()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        for path in self._paths:
            _remove_socket(path)

    async def _running(self) -> web.ServerRunner:
        if self._runner is None:
            server = web.Server(self.handle, handler_cancellation=True, access_log=None)
            self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
            await self._runner.setup()
        return self._runner

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, whatever becomes of it."""
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            response = answer({"message": refusal.message}, refusal.status)
        except Cutoff:
            if request.transport is not None:
                request.transport.abort()
            response = web.Response(status=500)
        except Silence:
            await asyncio.Event().wait()
            raise AssertionError("an event that nobody sets is never set") from None
        if not response.prepared:
            response.headers.update(self._headers)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        versioned = _VERSIONED.fullmatch(path)
        if versioned:
            refused = _version_refusal(self.engine.core.settings, int(versioned[1]), int(versioned[2]))
            if refused is not None:
                return answer({"message": refused}, 400)
            path = versioned[3]
        found = find_route(request.method, path)
        if found is None:
            return answer({"message": "page not found"}, 404)
        handler, reference = found
        with contextlib.suppress(ConnectionResetError):
            return await handler(self._api, request, unquote(reference))
        return web.Response(status=500)


def _remove_socket(path: Path) -> None:
    if path.is_socket():
        path.unlink()


def _keep_private(path: Path) -> None:
    path.chmod(0o600)


def _version_refusal(settings: EngineSettings, major: int, minor: int) -> str | None:
    asked = (major, minor)
    newest, oldest = (
        tuple(int(part) for part in text.split(".")) for text in (settings.api_version, settings.min_api_version)
    )
    if asked > newest:
        return f"client version {major}.{minor} is too new. Maximum supported API version is {settings.api_version}"
    if asked < oldest:
        return (
            f"client version {major}.{minor} is too old. Minimum supported API version is "
            f"{settings.min_api_version}, please upgrade your client to a newer version"
        )
    return None
