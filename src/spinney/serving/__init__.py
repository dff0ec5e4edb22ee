"""Serving the API: sockets, TLS, the bounds of HTTP, and signals.

SIGTERM and SIGINT end it; SIGHUP has it read its certificate again and reopen the audit log. Guaranteed: a certificate that
cannot serve does not replace one that does; that is logged, and connections go on with the old one.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from spinney import standalone
from spinney.api.app import build_app
from spinney.api.audit import AuditFile
from spinney.api.origin import Proxies
from spinney.api.wire import Deps
from spinney.config import Settings
from spinney.domain.terminal import LARGEST_FRAME
from spinney.serving import tls
from spinney.serving.listening import Place, listen
from spinney.serving.protocol import Doorkeeper, Guarded, Upgraded
from spinney.serving.tls import Material, UnusableCertificate

log = logging.getLogger(__name__)

#: Seconds that open requests (log followers, mostly) get to end when the process is asked to stop.
_GRACE = 3
#: Seconds in which TLS must have been agreed on.
_HANDSHAKE = 10.0


async def serve(settings: Settings, deps: Deps, say: Callable[[str], None]) -> None:
    """Until a signal asks to stop. Raises: UnusableCertificate, OSError."""
    material = tls.examine(settings.api, deps.clock)
    context = None if material is None else tls.context_of(material)
    audit = AuditFile(settings.audit.file)
    audit.open()
    app = build_app(deps)
    place = listen(settings.api, material)
    try:
        if place.url:
            standalone.write_clouds(settings.state_dir, place.url, settings.auth, _authority(settings, material))
        server = Server(app, settings, place, context, lambda: say(f"spinney ready: {place.shown}"))
        with _on_hangup(partial(_reload, settings, deps, context, audit)):
            await server.serve()
    finally:
        place.close()
        await app.close()
        audit.close()


class Server(uvicorn.Server):
    """uvicorn on our socket, with our bounds. Tells when it serves."""

    def __init__(
        self, app: Any, settings: Settings, place: Place, context: ssl.SSLContext | None, ready: Callable[[], None]
    ) -> None:
        api = settings.api
        config = uvicorn.Config(
            app,
            lifespan="off",
            http=Guarded,
            ws=Upgraded,
            ws_max_size=LARGEST_FRAME,
            # Who does not read takes no ping either, and is waited for; terminals have signs of life of their own.
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=api.idle_timeout,  # type: ignore[arg-type]  # seconds: whatever a timer takes
            timeout_graceful_shutdown=_GRACE,
        )
        super().__init__(config)
        self._doorkeeper = Doorkeeper(api, Proxies(api.trusted_proxies).trusts)
        self._place, self._context, self._ready = place, context, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        make = partial(
            Guarded, self._doorkeeper, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        self.servers = [
            await asyncio.get_running_loop().create_server(
                make,
                sock=self._place.listener,
                ssl=self._context,
                backlog=self.config.backlog,
                ssl_handshake_timeout=None if self._context is None else _HANDSHAKE,
            )
        ]
        self.started = True
        self._ready()


def _authority(settings: Settings, material: Material | None) -> Path | None:
    """What clients are to check the certificate with; None: what they trust anyway."""
    if material is None:
        return None
    if settings.api.tls_authority:
        return Path(settings.api.tls_authority).absolute()
    return material.certificate.absolute() if material.self_signed else None


def _reload(settings: Settings, deps: Deps, context: ssl.SSLContext | None, audit: AuditFile) -> None:
    try:
        audit.reopen()
        material = tls.examine(settings.api, deps.clock)
        if context is not None and material is not None:
            tls.context_of(material)
            tls.put_into(context, material)
            log.warning("serving with the certificate that is in %s now", material.certificate)
    except (UnusableCertificate, OSError) as error:
        log.error("the certificate was not read again, the old one still serves: %s", error)


@contextmanager
def _on_hangup(act: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, act)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
