"""What an engine works with, and its running."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from spinney import standalone
from spinney.clock import Clock, Ids
from spinney.config import Settings, has_section
from spinney.domain import subnets
from spinney.drivers.balancer.provided import provided
from spinney.drivers.base import HostConnector
from spinney.drivers.docker.client import TimeLimits
from spinney.drivers.docker.connector import DockerConnector
from spinney.drivers.docker.credentials import Credentials, FolderCredentials
from spinney.drivers.egress.client import Outgoing
from spinney.drivers.exporter.client import NodeExporter
from spinney.engine.balancing.elsewhere import UNTRUSTED
from spinney.engine.balancing.octavia import Api as Octavia
from spinney.engine.carrying.credentials import StoreCredentials
from spinney.engine.carrying.secrets import ReferenceReader, Secrets
from spinney.engine.catalog import Catalog
from spinney.engine.context import EngineContext
from spinney.engine.cycle import Rules
from spinney.engine.doorbell import Doorbell, LocalDoorbell, SqliteDoorbell
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.looking.access import LocalAccess
from spinney.engine.looking.reach import Place, TlsPlace, UnixPlace
from spinney.engine.supervisor import Engine
from spinney.engine.trusting import TrustedSessions
from spinney.engine.watching.measuring import known_stats
from spinney.sealing import SecretKeys, open_keys
from spinney.store import credentials
from spinney.store.database import Store
from spinney.wiring.parts import allowances_of, default_credentials, egress_rules, link_tls, make_limits


def open_credentials(settings: Settings, store: Store, clock: Clock) -> Credentials:
    """Those in the database, then those in files. For engines alone: it opens the key. Raises: WrongKey."""
    keys = open_engine_keys(settings)
    store.run(credentials.register_key, keys)
    logins = Secrets(store, keys)
    return StoreCredentials(store, keys, logins, clock, FolderCredentials(settings.driver.credentials_dir))


def engine_key_file(settings: Settings) -> Path:
    given = settings.driver.key_file
    return Path(given) if given else settings.state_dir / "secret.key"


def open_engine_keys(settings: Settings) -> SecretKeys:
    """Raises: WrongKey."""
    return open_keys(engine_key_file(settings))


def make_connector(settings: Settings, store: Store, clock: Clock) -> HostConnector:
    patience = settings.health.suspect_after
    limits = TimeLimits(
        change=settings.driver.call_timeout,
        pull_silence=settings.driver.pull_silence,
        # A silent event stream is asked for a sign of life, so that a host is known to be silent in time.
        silence=patience * 0.6,
        heartbeat=patience * 0.4,
    )
    return DockerConnector(
        allowed_unix_sockets=settings.driver.unix_sockets,
        credentials=open_credentials(settings, store, clock),
        defaults=default_credentials(settings),
        limits=limits,
        clock=clock,
        egress=egress_rules(settings),
    )


def make_references(settings: Settings, store: Store) -> ReferenceReader | None:
    """Raises: BadConfiguration."""
    if not has_section(settings.files, "barbican"):
        return None
    from spinney.drivers.openstack.barbican import Barbican  # keystoneauth is large

    if not has_section(settings.files, "service_user"):
        return Barbican(settings.files)
    from spinney.drivers.openstack.trusts import Trusts

    trusted = TrustedSessions(store, Trusts(settings.files).session, settings.auth.delegated_roles)
    return Barbican(settings.files, trusted)


def make_octavia(settings: Settings, store: Store) -> Octavia | None:
    """Raises: BadConfiguration."""
    signing_in, url = has_section(settings.files, "service_user"), settings.balancer.octavia_url
    if settings.balancer.kind == "haproxy" or not (signing_in or url):
        return None
    from spinney.drivers.openstack import octavia  # keystoneauth is large

    if not signing_in:
        return octavia.Octavia(url)
    from spinney.drivers.openstack.trusts import Trusts

    trusted = TrustedSessions(store, Trusts(settings.files).session, settings.auth.delegated_roles, UNTRUSTED)
    return octavia.Octavia(url, trusted, octavia.own_session(settings.files))


def engine_context(
    settings: Settings, store: Store, connector: HostConnector, doorbell: Doorbell, clock: Clock, ids: Ids
) -> EngineContext:
    allowed = allowances_of(settings)
    octavia = make_octavia(settings, store)
    return EngineContext(
        store=store,
        clock=clock,
        ids=ids,
        connector=connector,
        doorbell=doorbell,
        rules=Rules(
            Catalog(allowed.containers, allowed.grants),
            ClusterRules(
                settings.api.max_nodes_per_cluster,
                allowed.limits,
                "" if octavia is not None else provided(settings.balancer).missing,
            ),
            subnets.count(settings.network),
            allowed,
        ),
        limits=make_limits(settings, store, clock),
        deployment=store.run(standalone.deployment_id, ids.new()),
        hostname=socket.gethostname(),
        keys=open_engine_keys(settings),
        references=make_references(settings, store),
        octavia=octavia,
        settings=settings.engine,
        health=settings.health,
        retention=settings.retention,
        network=settings.network,
        hosts=settings.hosts,
        scheduler=settings.scheduler,
        balancer=settings.balancer,
        exporter=NodeExporter(clock, egress_rules(settings)),
        outgoing=Outgoing(egress_rules(settings)),
        # How many it asks at a time is bounded where it is used; waiting must not use up the time for an answer.
        poller=Outgoing(egress_rules(settings), together=0, to_one=0),
    )


def local_access(context: EngineContext) -> LocalAccess:
    """Looks into hosts, and gives what the engine beside it has measured there."""
    return LocalAccess(context.store, context.connector, partial(known_stats, context))


def engine_place(settings: Settings, ids: Ids) -> Place:
    """Where an engine serves API processes."""
    tls = link_tls(settings)
    if tls is None or not settings.link.address:
        return UnixPlace(settings.state_dir / f"engine-{ids.new()[:8]}.sock")
    return TlsPlace(*settings.link.place, tls)


def make_doorbell(settings: Settings, store: Store, clock: Clock) -> LocalDoorbell:
    if store.url.get_backend_name() == "sqlite" and store.url.database:
        return SqliteDoorbell(store.url.database, clock)
    return LocalDoorbell()


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[None]:
    task = asyncio.create_task(engine.run(), name="engine")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if engine.context.exporter is not None:
            await engine.context.exporter.close()
        if engine.context.outgoing is not None:
            await engine.context.outgoing.close()
        if engine.context.poller is not None:
            await engine.context.poller.close()


@asynccontextmanager
async def watching(bell: LocalDoorbell) -> AsyncIterator[None]:
    if not isinstance(bell, SqliteDoorbell):
        yield
        return
    task = asyncio.create_task(bell.watch(), name="doorbell")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        bell.close()
