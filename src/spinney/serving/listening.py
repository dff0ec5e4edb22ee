"""Where the service listens, and what clients call that place."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from spinney.config import ApiSettings
from spinney.serving.tls import Material


@dataclass(frozen=True, slots=True)
class Place:
    """``shown``: what people are told. ``url``: what clients use; empty where that is not known. ``path``: of a unix socket."""

    listener: socket.socket
    shown: str
    url: str
    path: Path | None = None

    def close(self) -> None:
        self.listener.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def listen(settings: ApiSettings, material: Material | None) -> Place:
    """Raises: OSError, with a sentence for the user."""
    if settings.unix_socket:
        path = Path(settings.unix_socket)
        return Place(
            _unix(path, int(settings.unix_socket_mode, 8)), f"unix:{path}", settings.public_url.rstrip("/"), path
        )
    listener = _tcp(settings.host, settings.port)
    address, port = listener.getsockname()[:2]
    scheme = "http" if material is None else "https"
    name = address if material is None else _called(settings.host, address, material)
    url = settings.public_url.rstrip("/") or f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}"
    return Place(listener, f"{url}/v1", url)


def _called(host: str, address: str, material: Material) -> str:
    """What a client has to call us that checks the certificate."""
    for name in (host, address):
        if name in material.names:
            return name
    if not ip_address(address).is_unspecified or not material.names:
        return host
    return material.names[0]


def _tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What is accepted inherits it: a client that fell silent is known to be gone within a minute.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 20), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
        listener.setsockopt(socket.IPPROTO_TCP, option, value)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot serve at {host}:{port}: {error.strerror}; choose another --port") from error
    return listener


def _unix(path: Path, mode: int) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        why = error.strerror or "the path is too long"
        raise OSError(error.errno, f"[api] unix_socket: cannot serve at {path}: {why}; name another") from error
    finally:
        os.umask(before)
    return listener


def _remove_stale(path: Path) -> None:
    """A socket that nobody answers at any more was left by a process that was killed."""
    if not path.is_socket():
        return
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
    raise OSError(errno.EADDRINUSE, f"[api] unix_socket: another process serves at {path}; end it, or name another")
