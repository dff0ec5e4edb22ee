"""Certificates for trying mutual TLS with simulated hosts: an authority of their own, one server, one client.

Guaranteed: nothing made here is trusted by anything that was not given its ``ca.pem``; keys are readable by their owner
alone. ``client`` has the layout of a TLS credential of the service and of ``DOCKER_CERT_PATH``.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spinney.certificates import Pair, new_authority, new_client, new_server

_DAYS = 30


@dataclass(frozen=True, slots=True)
class Pki:
    """Folders, each with ``ca.pem``, ``cert.pem`` and ``key.pem`` (``ca`` has no ``ca.pem``: it is one)."""

    ca: Path
    server: Path
    client: Path

    def server_context(self) -> ssl.SSLContext:
        """TLS that only clients with a certificate of the same authority get through."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca / "cert.pem"))
        context.load_cert_chain(self.server / "cert.pem", self.server / "key.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_pki(folder: Path, now: datetime) -> Pki:
    """Write all of it, replacing what was there."""
    pki = Pki(folder / "ca", folder / "server", folder / "client")
    authority = new_authority("Simulated hosts: authority", now, _DAYS)
    _write(pki.ca, authority)
    _write(pki.server, new_server(authority, "simulated-host", ("localhost", "127.0.0.1"), now, _DAYS))
    _write(pki.client, new_client(authority, "spinney", now, _DAYS))
    for folder in (pki.server, pki.client):
        (folder / "ca.pem").write_bytes(authority.certificate_pem)
    return pki


def _write(folder: Path, made: Pair) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "cert.pem").write_bytes(made.certificate_pem)
    path = folder / "key.pem"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(made.key_pem)
