"""From a host's address to a host that speaks with its Docker engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from spinney.clock import Clock, SystemClock
from spinney.domain import egress
from spinney.domain.credential import CredentialType
from spinney.domain.egress import NO_RULES, Chosen, Rules
from spinney.drivers.base import HostAddress
from spinney.drivers.docker.client import EngineClient, TimeLimits
from spinney.drivers.docker.connections import Connections, TlsConnections, UnixConnections
from spinney.drivers.docker.credentials import Credentials, FolderCredentials
from spinney.drivers.docker.endpoints import Endpoint, SshEndpoint, TlsEndpoint, UnixEndpoint, endpoint
from spinney.drivers.docker.host import DockerHost
from spinney.drivers.egress.guard import Guard
from spinney.errors import HostRefused


class DockerConnector:
    """Hosts by address. Each ``connect`` makes a host with connections of its own; keep it and close it."""

    def __init__(
        self,
        *,
        allowed_unix_sockets: Sequence[str] = (),
        credentials: Credentials | None = None,
        credentials_dir: Path | None = None,
        defaults: Mapping[CredentialType, str] | None = None,
        limits: TimeLimits | None = None,
        clock: Clock | None = None,
        egress: Rules = NO_RULES,
    ) -> None:
        """``allowed_unix_sockets``: paths, or patterns of them as a shell has them; none is permitted by default.

        ``credentials_dir``: where they are files, unless ``credentials`` are given. ``defaults``: by type, the credential
        for addresses that name none. ``egress``: the operator's own lists of addresses that may be approached, or not.
        """
        self._guard = Guard(egress, Chosen.BY_OPERATOR)
        self._allowed_unix_sockets = tuple(allowed_unix_sockets)
        self._credentials = credentials or FolderCredentials(credentials_dir)
        self._defaults = defaults or {}
        self._limits = limits or TimeLimits()
        self._clock = clock or SystemClock()

    def connect(self, address: HostAddress) -> DockerHost:
        """Raises HostRefused for an endpoint that is not permitted here or names no credential. Does no I/O."""
        where = endpoint(address, self._allowed_unix_sockets, self._defaults)
        if not isinstance(where, UnixEndpoint):
            self._require(where)
        client = EngineClient(_connections(where, self._credentials, self._guard), self._limits)
        return DockerHost(client, self._credentials, self._clock)

    def _require(self, where: TlsEndpoint | SshEndpoint) -> None:
        """What can be told without resolving the name; the rest is told when connecting."""
        literal = egress.literal(where.host)
        fault = literal and egress.fault(literal, where.port, self._guard.chosen, self._guard.rules)
        if fault:
            raise HostRefused(f"endpoint: {where.host} is {fault}; {egress.remedy(self._guard.chosen)}")


def _connections(where: Endpoint, credentials: Credentials, guard: Guard) -> Connections:
    match where:
        case UnixEndpoint():
            return UnixConnections(where.path)
        case TlsEndpoint():
            return TlsConnections(where, credentials, guard)
        case SshEndpoint():
            from spinney.drivers.docker.ssh import SshConnections

            return SshConnections(where, credentials, guard)
