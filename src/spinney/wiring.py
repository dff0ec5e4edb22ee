"""The composition root: the one place that knows which database, driver, doorbell and authentication are used."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import yaml

from spinney import serving, standalone
from spinney.api.auth import Authenticator, HttpBasic, no_auth, standalone_caller
from spinney.api.auth.htpasswd import Htpasswd
from spinney.api.auth.keystone import Keystone, open_middleware
from spinney.api.delegating import Delegation
from spinney.api.rules import AccessRules, policy_files
from spinney.api.wire import Deps
from spinney.clock import Clock, Ids, SystemClock
from spinney.config import Settings, has_section
from spinney.domain import egress, grant, subnets
from spinney.domain.credential import CredentialType
from spinney.drivers.base import HostAccess, HostConnector
from spinney.drivers.docker.client import TimeLimits
from spinney.drivers.docker.connector import DockerConnector
from spinney.drivers.docker.credentials import Credentials, FolderCredentials
from spinney.drivers.egress.client import Outgoing
from spinney.drivers.exporter.client import NodeExporter
from spinney.drivers.openstack.limits import KeystoneLimits
from spinney.engine.access import LocalAccess
from spinney.engine.catalog import Catalog
from spinney.engine.clusters import ClusterRules
from spinney.engine.context import EngineContext
from spinney.engine.credentials import StoreCredentials
from spinney.engine.cycle import Rules
from spinney.engine.doorbell import Doorbell, LocalDoorbell, SqliteDoorbell
from spinney.engine.link import EngineService, RemoteAccess
from spinney.engine.measuring import known_stats
from spinney.engine.planning import Planner
from spinney.engine.reach import LinkTls, Place, TlsPlace, UnixPlace
from spinney.engine.secrets import ReferenceReader, Secrets
from spinney.engine.supervisor import Engine
from spinney.engine.trusting import TrustedSessions
from spinney.errors import BadConfiguration
from spinney.keyring import KeyRing, open_ring
from spinney.profiles.allowances import Allowances, allowances
from spinney.sealing import SecretKeys, open_keys
from spinney.store import credentials, engines, migrate
from spinney.store.database import Store
from spinney.store.limits import CopiedLimits, Limits, OwnLimits

#: Seconds for which a thread keeps the interpreter while others want it.
_TURN = 0.0005


def settle_memory() -> None:
    """What is loaded by now stays; looking through it for garbage again and again cost a fifth of all processor time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    # What answers requests must not wait for threads that decide and write longer than a request takes.
    sys.setswitchinterval(_TURN)


def open_store(settings: Settings, clock: Clock) -> Store:
    """The database, migrated."""
    store = Store(settings.database_url, clock)
    migrate.upgrade(store)
    return store


def default_credentials(settings: Settings) -> dict[CredentialType, str]:
    """By type, the credential of endpoints that name none."""
    given = {
        CredentialType.DOCKER_TLS: settings.driver.default_tls_credential,
        CredentialType.DOCKER_SSH: settings.driver.default_ssh_credential,
    }
    return {kind: name for kind, name in given.items() if name}


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


def open_api_keys(settings: Settings) -> KeyRing:
    """Raises: NoSuchKey."""
    return open_ring(api_key_file(settings))


def api_key_file(settings: Settings) -> Path:
    given = settings.api.key_file
    return Path(given) if given else settings.state_dir / "api.keys"


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


def egress_rules(settings: Settings) -> egress.Rules:
    return egress.rules(settings.egress.allow, settings.egress.deny)


def allowances_of(settings: Settings) -> Allowances:
    """With the grants of the file that is configured. Raises: BadConfiguration."""
    file, grants = settings.container.grants_file, {}
    if file:
        try:
            grants = grant.load(yaml.safe_load(Path(file).read_text()))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise BadConfiguration(f"[container] grants_file: {file}: {error}") from error
    try:
        return allowances(settings, grants)
    except ValueError as error:
        raise BadConfiguration(str(error)) from error


def make_limits(settings: Settings, store: Store, clock: Clock) -> Limits:
    if settings.quota.driver == "local":
        return OwnLimits()
    return CopiedLimits(store, clock, KeystoneLimits(settings.files).fetch, settings.quota.cache_time)


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


def make_delegation(settings: Settings, store: Store, clock: Clock) -> Delegation | None:
    """Raises: BadConfiguration."""
    if settings.auth.strategy != "keystone" or not has_section(settings.files, "service_user"):
        return None
    from spinney.drivers.openstack.trusts import Trusts

    return Delegation(store, clock, Trusts(settings.files), settings.auth.delegated_roles)


def engine_context(
    settings: Settings, store: Store, connector: HostConnector, doorbell: Doorbell, clock: Clock, ids: Ids
) -> EngineContext:
    allowed = allowances_of(settings)
    return EngineContext(
        store=store,
        clock=clock,
        ids=ids,
        connector=connector,
        doorbell=doorbell,
        rules=Rules(
            Catalog(allowed.containers, allowed.grants),
            ClusterRules(settings.api.max_nodes_per_cluster, allowed.limits),
            subnets.count(settings.network),
            allowed,
        ),
        limits=make_limits(settings, store, clock),
        deployment=store.run(standalone.deployment_id, ids.new()),
        hostname=socket.gethostname(),
        keys=open_engine_keys(settings),
        references=make_references(settings, store),
        settings=settings.engine,
        health=settings.health,
        retention=settings.retention,
        network=settings.network,
        hosts=settings.hosts,
        scheduler=settings.scheduler,
        exporter=NodeExporter(clock, egress_rules(settings)),
        outgoing=Outgoing(egress_rules(settings)),
    )


def local_access(context: EngineContext) -> LocalAccess:
    """Looks into hosts, and gives what the engine beside it has measured there."""
    return LocalAccess(context.store, context.connector, partial(known_stats, context))


def make_authenticator(settings: Settings, clock: Clock) -> Authenticator:
    """Raises: BadConfiguration."""
    auth = settings.auth
    try:
        if auth.strategy == "keystone":
            return Keystone(*open_middleware(settings.files), auth, clock)
        if auth.strategy == "none":
            return no_auth(settings.api.unix_socket or settings.api.host, standalone_caller())
        if auth.htpasswd_file:
            return Htpasswd(Path(auth.htpasswd_file), Path(auth.users_file) if auth.users_file else None)
    except ValueError as error:
        raise BadConfiguration(str(error)) from error
    return HttpBasic(standalone.USER, standalone.password(settings.state_dir), standalone_caller())


def make_rules(settings: Settings, clock: Clock) -> AccessRules:
    """Raises: BadConfiguration."""
    try:
        return AccessRules(policy_files(settings.files), clock)
    except ValueError as error:
        raise BadConfiguration(str(error)) from error


def api_deps(
    settings: Settings, store: Store, access: HostAccess, ring: Callable[[], None], clock: Clock, ids: Ids
) -> Deps:
    allowed = allowances_of(settings)
    rules = ClusterRules(settings.api.max_nodes_per_cluster, allowed.limits)
    return Deps(
        store=store,
        clock=clock,
        ids=ids,
        settings=settings.api,
        pace=settings.limits,
        authenticator=make_authenticator(settings, clock),
        rules=make_rules(settings, clock),
        access=access,
        keys=open_api_keys(settings),
        allowed=allowed,
        limits=make_limits(settings, store, clock),
        planner=Planner(allowed.containers, rules, subnets.count(settings.network), ids, allowed.grants),
        default_credentials=default_credentials(settings),
        references=has_section(settings.files, "barbican"),
        delegation=make_delegation(settings, store, clock),
        webhook=settings.webhook,
        ring=ring,
    )


async def run_standalone(settings: Settings, local_engine: Path | None, say: Callable[[str], None]) -> None:
    """API and engine in one process, until SIGTERM or SIGINT. Raises: standalone.StateDirInUse, OSError."""
    with standalone.exclusive(settings.state_dir):
        clock, ids = SystemClock(), Ids()
        if local_engine is not None:
            permitted = (*settings.driver.unix_sockets, str(local_engine))
            settings = replace(settings, driver=replace(settings.driver, unix_sockets=permitted))
        store = open_store(settings, clock)
        try:
            # Whoever held a claim on this state directory is dead: nobody else can have the lock.
            store.run(engines.take_over, everything=True)
            connector, bell = make_connector(settings, store, clock), LocalDoorbell()
            context = engine_context(settings, store, connector, bell, clock, ids)
            if local_engine is not None:
                store.run(standalone.register_local_host, local_engine, ids, clock.now())
            access = local_access(context)
            deps = api_deps(settings, store, access, bell.ring, clock, ids)
            async with _running(Engine(context)):
                await _serve_api(settings, deps, say)
            await access.close()
        finally:
            store.close()


async def run_api(settings: Settings, say: Callable[[str], None]) -> None:
    """An API process; engines run beside it on the same database."""
    with standalone.shared(settings.state_dir):
        clock, ids = SystemClock(), Ids()
        store = open_store(settings, clock)
        try:
            access = RemoteAccess(store, link_tls(settings))
            deps = api_deps(settings, store, access, lambda: None, clock, ids)
            await _serve_api(settings, deps, say)
        finally:
            store.close()


async def run_engine(settings: Settings, say: Callable[[str], None]) -> None:
    """An engine process, woken by commits of others on the same SQLite file."""
    with standalone.shared(settings.state_dir):
        clock, ids = SystemClock(), Ids()
        store = open_store(settings, clock)
        try:
            connector = make_connector(settings, store, clock)
            bell = _doorbell(settings, store, clock)
            context = engine_context(settings, store, connector, bell, clock, ids)
            access = local_access(context)
            place = engine_place(settings, ids)
            service = EngineService(access, place)
            await service.start()
            try:
                settle_memory()
                stop = _stop_signal()
                async with _running(Engine(replace(context, address=place.address))), _watching(bell):
                    say("spinney engine ready")
                    await stop.wait()
            finally:
                await service.stop()
                await access.close()
        finally:
            store.close()


def link_tls(settings: Settings) -> LinkTls | None:
    link = settings.link
    return LinkTls(Path(link.tls_ca), Path(link.tls_certificate), Path(link.tls_key)) if link.tls_ca else None


def engine_place(settings: Settings, ids: Ids) -> Place:
    """Where an engine serves API processes."""
    tls = link_tls(settings)
    if tls is None or not settings.link.address:
        return UnixPlace(settings.state_dir / f"engine-{ids.new()[:8]}.sock")
    return TlsPlace(*settings.link.place, tls)


def _doorbell(settings: Settings, store: Store, clock: Clock) -> LocalDoorbell:
    if store.url.get_backend_name() == "sqlite" and store.url.database:
        return SqliteDoorbell(store.url.database, clock)
    return LocalDoorbell()


@asynccontextmanager
async def _running(engine: Engine) -> AsyncIterator[None]:
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


@asynccontextmanager
async def _watching(bell: LocalDoorbell) -> AsyncIterator[None]:
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


async def _serve_api(settings: Settings, deps: Deps, say: Callable[[str], None]) -> None:
    """Serve until a signal asks to stop."""
    settle_memory()
    _stop_signal()  # the server has handlers of its own, and hands the signal back to these when it has ended
    await serving.serve(settings, deps, say)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
