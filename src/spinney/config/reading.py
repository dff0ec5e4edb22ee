"""Reading configuration files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinney.config.balancer import BalancerSettings
from spinney.config.groups import (
    ApiSettings,
    AuthSettings,
    EgressSettings,
    HostSettings,
    LimitSettings,
    LinkSettings,
    NetworkSettings,
    QuotaSettings,
    WebhookSettings,
)
from spinney.config.settings import GROUPS, Settings

if TYPE_CHECKING:
    from oslo_config import cfg


#: Sections that OpenStack's libraries read themselves, as in the configuration of every other service.
LIBRARIES = ("keystone_authtoken", "oslo_policy", "oslo_limit", "service_user", "barbican")


def libraries(files: Sequence[Path]) -> cfg.ConfigOpts:
    """The files as such a library wants them; it registers its options itself."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    conf([], project="spinney", default_config_files=[str(file) for file in files], default_config_dirs=[])
    return conf


def has_section(files: Sequence[Path], section: str) -> bool:
    """Whether one of the files has it, so that a library is only loaded where it is wanted."""
    from oslo_config import cfg

    found: dict[str, dict[str, Any]] = {}
    for file in files:
        cfg.ConfigParser(str(file), found).parse()
    return section in found


def options() -> dict[str, list[cfg.Opt]]:
    """oslo.config options by section."""
    from oslo_config import cfg  # only processes that read files pay for it

    kinds: dict[type, Any] = {
        str: cfg.StrOpt,
        bool: cfg.BoolOpt,
        int: cfg.IntOpt,
        float: cfg.FloatOpt,
        tuple: cfg.ListOpt,
    }

    def option(item: Any) -> Any:
        kind = kinds.get(type(item.default), cfg.StrOpt)
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        return kind(
            item.name, default=str(default) if isinstance(default, Path) else default, help=item.metadata["help"]
        )

    return {section: [option(item) for item in fields(group)] for section, group in GROUPS.items()}


def load(state_dir: Path, files: Sequence[Path] = (), overrides: Iterable[tuple[str, str, Any]] = ()) -> Settings:
    """Settings from files, with ``(section, option, value)`` on top. Raises ValueError with a sentence for the user."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    for section, found in options().items():
        conf.register_opts(found, group=section)
    try:
        conf([], project="spinney", default_config_files=[str(file) for file in files], default_config_dirs=[])
        for file in files:
            _check_known(file)
        for section, name, value in overrides:
            conf.set_override(name, value, group=section)
        groups = {section: _group(conf, section, kind) for section, kind in GROUPS.items()}
        for section, group in groups.items():
            _check_least(section, group)
        _check_auth(groups["auth"])
        _check_network(groups["network"])
        _check_watermarks(groups["hosts"])
        _check_measuring(groups["hosts"])
        _check_api(groups["api"])
        _check_limits(groups["limits"])
        _check_quota(groups["quota"])
        _check_egress(groups["egress"])
        _check_link(groups["link"])
        _check_webhook(groups["webhook"])
        _check_balancer(groups["balancer"])
    except (cfg.Error, ValueError) as error:
        raise ValueError(f"configuration: {error}") from error
    return Settings(state_dir=state_dir, files=tuple(files), **groups)


def _check_known(file: Path) -> None:
    """oslo.config passes over what it does not know, so that a misspelt option would keep its default in silence."""
    from oslo_config import cfg

    known = {section: [item.name for item in fields(group)] for section, group in GROUPS.items()}
    found: dict[str, dict[str, Any]] = {}
    cfg.ConfigParser(str(file), found).parse()
    # One of those may name another section to find its credentials in.
    elsewhere = {name for section in LIBRARIES for name in found.get(section, {}).get("auth_section", [])}
    for written, options_of in found.items():
        section = written.lower()
        if section in LIBRARIES or written in elsewhere:
            continue
        if section not in known:
            raise ValueError(f"{file}: [{written}] is no section{_nearest(section, known)}")
        for option in options_of:
            if option not in known[section]:
                owner = next((other for other, names in known.items() if option in names), None)
                hint = f"; it belongs into [{owner}]" if owner else _nearest(option, known[section])
                raise ValueError(f"{file}: [{section}] has no option {option}{hint}")


def _nearest(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"


def _check_least(section: str, group: Any) -> None:
    for item in fields(group):
        least, value = item.metadata["least"], getattr(group, item.name)
        if least is not None and not value >= least:  # so that nan is refused too
            raise ValueError(f"[{section}] {item.name}: {value:g} is not possible; give at least {least:g}")


def _check_auth(auth: AuthSettings) -> None:
    if auth.strategy not in ("keystone", "http_basic", "none"):
        raise ValueError(f"[auth] strategy: {auth.strategy} is none; give keystone, http_basic or none")
    if auth.token_cache_time < 0 or auth.token_cache_size < 1:
        raise ValueError(
            f"[auth] token_cache_time {auth.token_cache_time:g} and token_cache_size {auth.token_cache_size} are not possible; "
            f"give at least 0 seconds and 1 token"
        )
    for name in ("htpasswd_file", "users_file"):
        if getattr(auth, name) and auth.strategy != "http_basic":
            raise ValueError(
                f"[auth] {name}: strategy {auth.strategy} has no such file; choose http_basic, or leave it out"
            )
    if auth.users_file and not auth.htpasswd_file:
        raise ValueError(
            f"[auth] users_file: {auth.users_file} needs an htpasswd_file beside it, with the users' passwords"
        )


def _check_network(network: NetworkSettings) -> None:
    try:
        pool = ip_network(network.pool)
    except ValueError as error:
        raise ValueError(
            f"[network] pool: {network.pool} is no subnet ({error}); give one such as 10.201.0.0/16"
        ) from error
    if not pool.prefixlen <= network.prefix <= pool.max_prefixlen - 3:
        raise ValueError(
            f"[network] prefix: {network.prefix} does not cut {network.pool} into subnets with room for containers; "
            f"give {pool.prefixlen} to {pool.max_prefixlen - 3}"
        )


def _check_egress(settings: EgressSettings) -> None:
    for name in ("allow", "deny"):
        for written in getattr(settings, name):
            try:
                ip_network(written)
            except ValueError as error:
                raise ValueError(
                    f"[egress] {name}: {written} is no range of addresses ({error}); give one such as 192.0.2.0/24"
                ) from error


def _check_link(link: LinkSettings) -> None:
    files = {"tls_ca": link.tls_ca, "tls_certificate": link.tls_certificate, "tls_key": link.tls_key}
    missing = [name for name, file in files.items() if not file]
    if 0 < len(missing) < len(files):
        raise ValueError(
            f"[link] {missing[0]}: it is empty, while others of {', '.join(files)} are given; give all three"
        )
    if not link.address:
        return
    if missing:
        raise ValueError(f"[link] address: {link.address} is served by mutual TLS alone; give {', '.join(files)} too")
    host, port = link.place
    if not host or not 1 <= port <= 65535:
        raise ValueError(
            f"[link] address: {link.address} is no HOST:PORT; give one such as 10.0.0.5:8779 or [fd00::5]:8779"
        )


def _check_webhook(settings: WebhookSettings) -> None:
    if settings.base_url and not re.fullmatch(r"https?://[A-Za-z0-9._:\[\]/~-]+", settings.base_url):
        raise ValueError(
            f"[webhook] base_url: {settings.base_url} is no root of URLs; give one such as https://clusters.example.org"
        )
    if not 1 <= settings.rate_limit <= 6000:
        raise ValueError(f"[webhook] rate_limit: {settings.rate_limit} is not possible; give 1 to 6000 a minute")


def _check_balancer(balancer: BalancerSettings) -> None:
    if balancer.kind not in ("auto", "haproxy", "octavia"):
        raise ValueError(f"[balancer] kind: {balancer.kind} is none; give auto, haproxy or octavia")
    if balancer.octavia_url and not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", balancer.octavia_url):
        raise ValueError(
            f"[balancer] octavia_url: {balancer.octavia_url} is no URL; give one such as https://cloud.example:9876"
        )
    if balancer.image and balancer.image_archive:
        raise ValueError(
            f"[balancer] image: {balancer.image} is given beside image_archive {balancer.image_archive}, which has a name of "
            f"its own; give one of them"
        )
    if not 0 <= balancer.drain_time <= 3600:
        raise ValueError(f"[balancer] drain_time: {balancer.drain_time:g} is not possible; give 0 to 3600 seconds")


def _check_quota(quota: QuotaSettings) -> None:
    if quota.driver not in ("local", "unified"):
        raise ValueError(f"[quota] driver: {quota.driver} is not known; give local or unified")
    for item in fields(quota):
        value = getattr(quota, item.name)
        if isinstance(value, int | float) and value < 0 and (value != -1 or item.name == "cache_time"):
            raise ValueError(f"[quota] {item.name}: {value:g} is not possible; give a number, or -1 for no limit")


def _check_watermarks(settings: HostSettings) -> None:
    low, high = settings.image_low_watermark, settings.image_high_watermark
    if high and not 0 < low <= high <= 1:
        raise ValueError(
            f"[hosts] image_high_watermark: {high:g} above image_low_watermark {low:g} is not possible; give shares of the "
            f"disk between 0 and 1, the low one below the high one, or 0 as image_high_watermark to remove no images"
        )


def _check_measuring(settings: HostSettings) -> None:
    if settings.helper not in ("none", "plain", "full"):
        raise ValueError(f"[hosts] helper: {settings.helper} is no mode of the host helper; give none, plain or full")
    if not 0.1 <= settings.sample_interval <= 30:
        raise ValueError(
            f"[hosts] sample_interval: {settings.sample_interval:g} is not possible; give 0.1 to 30 seconds"
        )


def _check_api(api: ApiSettings) -> None:
    for proxy in api.trusted_proxies:
        try:
            ip_network(proxy)
        except ValueError as error:
            raise ValueError(
                f"[api] trusted_proxies: {proxy} is no address and no subnet ({error}); give some such as 192.0.2.7 or "
                f"192.0.2.0/24"
            ) from error
    if bool(api.tls_certificate) != bool(api.tls_key):
        given, missing = ("tls_certificate", "tls_key") if api.tls_certificate else ("tls_key", "tls_certificate")
        raise ValueError(f"[api] {given}: it does nothing without {missing}; give both, or none")
    if api.tls_authority and not api.tls_certificate:
        raise ValueError("[api] tls_authority: it does nothing without tls_certificate; give both, or none")
    if not re.fullmatch(r"0?[0-7]{3}", api.unix_socket_mode):
        raise ValueError(
            f"[api] unix_socket_mode: {api.unix_socket_mode} are no permissions; give three octal digits such as 660"
        )
    if api.public_url and not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", api.public_url):
        raise ValueError(f"[api] public_url: {api.public_url} is no URL; give one such as https://cloud.example:8777")
    numbers = ("max_header_bytes", "max_connections", "max_connections_per_address")
    for name in (*numbers, "request_timeout", "idle_timeout", "handler_timeout"):
        if getattr(api, name) <= 0:
            raise ValueError(f"[api] {name}: {getattr(api, name):g} is not possible; give more than 0")


def _check_limits(limits: LimitSettings) -> None:
    for item in fields(limits):
        value = getattr(limits, item.name)
        if value < 0:
            raise ValueError(f"[limits] {item.name}: {value:g} is not possible; give 0 for no limit, or more")
    for rate, burst, least in (("rate", "burst", 1), ("shared_rate", "shared_burst", 5)):
        if getattr(limits, rate) and getattr(limits, burst) < least:
            raise ValueError(
                f"[limits] {burst}: {getattr(limits, burst)} lets nothing through; give at least {least}, or 0 as {rate} "
                f"for no limit"
            )


def _group(conf: cfg.ConfigOpts, section: str, kind: type[Any]) -> Any:
    values = {}
    for item in fields(kind):
        value = conf[section][item.name]
        values[item.name] = type(item.default)(value) if isinstance(item.default, (tuple, Path)) else value
    return kind(**values)
