"""The way to a Docker engine through SSH.

One connection per host, over which asyncssh forwards a socket in a private folder to the remote Docker socket: 14 ms for the
first request and nothing for further ones, where ``docker system dial-stdio`` starts a program on the host for each
connection. It is made again after it was lost, or when the credential holds something else than before. A module of its own,
because whoever has no such host need not load asyncssh.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import asyncssh

from spinney.domain.credential import SshMaterial
from spinney.drivers.docker.connections import Halfway, Retired, Way, new_session
from spinney.drivers.docker.credentials import Credentials
from spinney.drivers.docker.endpoints import SshEndpoint
from spinney.drivers.docker.faults import transport_error
from spinney.drivers.docker.pipe import unix_pipe
from spinney.drivers.egress.guard import AddressNotPermitted, Guard
from spinney.errors import HostRefused, HostUnreachable

REMOTE_SOCKET = "/run/docker.sock"
_PREFIX = "spinney-ssh-"
SSH_KEEPALIVE = 10.0
SSH_KEEPALIVES_MISSED = 3


def _sweep() -> None:
    """Remove the folders of processes that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        with suppress(OSError):
            if pid.isdigit() and left.stat().st_uid == os.getuid() and not Path(f"/proc/{pid}").exists():
                shutil.rmtree(left)


class SshConnections:
    def __init__(
        self,
        endpoint: SshEndpoint,
        credentials: Credentials,
        guard: Guard,
        *,
        remote_socket: str = REMOTE_SOCKET,
        connect_limit: float = 10,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._guard = guard
        self._remote_socket = remote_socket
        self._connect_limit = connect_limit
        self._connecting = asyncio.Lock()
        self._tunnel: _Tunnel | None = None
        self._material: SshMaterial | None = None
        self._retired = Retired()
        self._halfway = Halfway()

    async def way(self) -> Way:
        material = await self._current()
        tunnel = self._usable(material)
        if tunnel is None:
            async with self._connecting:
                tunnel = self._usable(material)
                if tunnel is None:
                    fresh = await self._dig(material)
                    self._replace(fresh, material)
                    tunnel = fresh
        return tunnel.way

    async def _current(self) -> SshMaterial:
        """What the credential holds, or what the tunnel was made with while that is being replaced."""
        try:
            material = await self._credentials.ssh(self._endpoint.credential)
            if material != self._material:
                ssh_keys(material, self._endpoint.credential)
        except HostRefused:
            if self._material is None or not self._halfway.tolerable():
                raise
            return self._material
        self._halfway.end()
        return material

    def _usable(self, material: SshMaterial) -> _Tunnel | None:
        return None if self._tunnel is None or self._tunnel.lost or material != self._material else self._tunnel

    def _replace(self, fresh: _Tunnel, material: SshMaterial) -> None:
        before, self._tunnel, self._material = self._tunnel, fresh, material
        if before is not None:
            self._retired.add(before.close)

    async def _dig(self, material: SshMaterial) -> _Tunnel:
        where = self._endpoint
        key, known_hosts = ssh_keys(material, where.credential)
        try:
            async with asyncio.timeout(self._connect_limit):
                connection = await asyncssh.connect(
                    where.host,
                    where.port,
                    sock=await self._guard.connect(where.host, where.port),
                    username=where.user,
                    client_keys=[key],
                    known_hosts=known_hosts,
                    config=None,
                    agent_path=None,
                    preferred_auth="publickey",
                    gss_host=None,
                    keepalive_interval=SSH_KEEPALIVE,
                    keepalive_count_max=SSH_KEEPALIVES_MISSED,
                )
            return await _Tunnel.through(connection, self._remote_socket)
        except AddressNotPermitted as error:
            raise transport_error(error) from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostRefused(
                f"the SSH host key of the host is not in known_hosts of credential {where.credential}; "
                "if the host is the right one, ask the operator to add its key there"
            ) from error
        except asyncssh.PermissionDenied as error:
            raise HostRefused(
                f"the host refused SSH user {where.user!r} with the key of credential {where.credential}; "
                "add the public key to that user's authorized_keys"
            ) from error
        except (asyncssh.Error, OSError) as error:
            raise HostUnreachable(
                f"the host does not answer by SSH ({type(error).__name__}); check that it is up and that its SSH server runs"
            ) from error

    async def close(self) -> None:
        async with self._connecting:
            await self._retired.close()
            tunnel, self._tunnel = self._tunnel, None
            if tunnel is not None:
                await tunnel.close()


def ssh_keys(material: SshMaterial, credential: str) -> tuple[asyncssh.SSHKey, asyncssh.SSHKnownHosts]:
    try:
        return asyncssh.import_private_key(material.key), asyncssh.import_known_hosts(material.known_hosts.decode())
    except (ValueError, asyncssh.Error) as error:
        raise HostRefused(
            f"credential {credential}: its key is no private key without a passphrase, or its known_hosts is malformed; "
            "ask the operator to replace them"
        ) from error


class _Tunnel:
    """One SSH connection and the socket it forwards."""

    def __init__(self, connection: asyncssh.SSHClientConnection, folder: str, path: str) -> None:
        self._connection = connection
        self._folder = folder
        session = new_session(aiohttp.UnixConnector(path, limit=0))
        self.way = Way(session, "http://docker", partial(unix_pipe, path))

    @classmethod
    async def through(cls, connection: asyncssh.SSHClientConnection, remote_socket: str) -> _Tunnel:
        _sweep()
        folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
        path = f"{folder}/docker.sock"
        try:
            await connection.forward_local_path(path, remote_socket)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            connection.abort()
            raise
        return cls(connection, folder, path)

    @property
    def lost(self) -> bool:
        return self._connection.is_closed()

    async def close(self) -> None:
        await self.way.close()
        self._connection.abort()
        await self._connection.wait_closed()
        shutil.rmtree(self._folder, ignore_errors=True)
