"""What an API process works with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spinney import standalone
from spinney.api.auth import Authenticator, HttpBasic, no_auth, standalone_caller
from spinney.api.auth.htpasswd import Htpasswd
from spinney.api.auth.keystone import Keystone, open_middleware
from spinney.api.delegating import Delegation
from spinney.api.rules import AccessRules, policy_files
from spinney.api.wire import Deps
from spinney.clock import Clock, Ids
from spinney.config import Settings, has_section
from spinney.domain import subnets
from spinney.drivers.base import HostAccess
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.intent.planning import Planner
from spinney.errors import BadConfiguration
from spinney.store.database import Store
from spinney.wiring.parts import allowances_of, default_credentials, make_limits, open_api_keys


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


def make_delegation(settings: Settings, store: Store, clock: Clock) -> Delegation | None:
    """Raises: BadConfiguration."""
    if settings.auth.strategy != "keystone" or not has_section(settings.files, "service_user"):
        return None
    from spinney.drivers.openstack.trusts import Trusts

    return Delegation(store, clock, Trusts(settings.files), settings.auth.delegated_roles)


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
        balancer_kind=settings.balancer.kind,
        webhook=settings.webhook,
        ring=ring,
    )
