"""What API processes and engines are both made of: database, keys, the way to hosts, limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from spinney.clock import Clock
from spinney.config import Settings
from spinney.domain import egress, grant
from spinney.domain.credential import CredentialType
from spinney.drivers.balancer.provided import provided
from spinney.drivers.openstack.limits import KeystoneLimits
from spinney.engine.looking.reach import LinkTls
from spinney.errors import BadConfiguration
from spinney.keyring import KeyRing, open_ring
from spinney.profiles.allowances import Allowances, allowances
from spinney.store import migrate
from spinney.store.database import Store
from spinney.store.limits import CopiedLimits, Limits, OwnLimits


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


def open_api_keys(settings: Settings) -> KeyRing:
    """Raises: NoSuchKey."""
    return open_ring(api_key_file(settings))


def api_key_file(settings: Settings) -> Path:
    given = settings.api.key_file
    return Path(given) if given else settings.state_dir / "api.keys"


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
        return replace(allowances(settings, grants), own_image=provided(settings.balancer).reference)
    except ValueError as error:
        raise BadConfiguration(str(error)) from error


def make_limits(settings: Settings, store: Store, clock: Clock) -> Limits:
    if settings.quota.driver == "local":
        return OwnLimits()
    return CopiedLimits(store, clock, KeystoneLimits(settings.files).fetch, settings.quota.cache_time)


def link_tls(settings: Settings) -> LinkTls | None:
    link = settings.link
    return LinkTls(Path(link.tls_ca), Path(link.tls_certificate), Path(link.tls_key)) if link.tls_ca else None
