"""Callers known by tokens of the OpenStack Identity service, through keystonemiddleware.

The middleware is called in a thread, round an application that does nothing, and is configured as in every
other service by the section [keystone_authtoken]. Before it is a short memory by token.

Guaranteed: no token is believed beyond its expiry, nor longer than ``[auth] token_cache_time`` after Keystone (or the
middleware's memcached, if one is configured) was asked; requests that come at a time with one token ask once. A token made
from an application credential with access rules is asked about for each request, since the rules are about requests. When
Keystone cannot be asked, the answer is a 503, and says nothing about the token. Tokens are kept in memory under a keyed hash.
Not guaranteed: that a revoked token is refused at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from spinney.api.auth.base import Request
from spinney.clock import Clock
from spinney.config import AuthSettings, libraries
from spinney.domain.identity import Caller, Owner
from spinney.errors import Forbidden, IdentityUnavailable, SpinneyError, Unauthorized

_SECTION = "keystone_authtoken"
#: Where the middleware finds the cache to use.
_CACHE = "spinney.no_cache"
#: Questions to Keystone at a time.
_AT_A_TIME = 8
#: Bytes: servers before Keystone refuse a longer line unread, which looks as if Keystone failed; so no token is as long.
_LONGEST = 8000
#: Seconds without an answer after which one is given up, when the configuration does not say.
_PATIENCE = 10

log = logging.getLogger(__name__)

Environ = dict[str, Any]
Middleware = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Known:
    """Whose token it is, and until when that may be believed, on the wall clock."""

    caller: Caller
    expires: float
    #: It is for some requests alone.
    limited: bool


@dataclass(frozen=True, slots=True)
class _Remembered:
    caller: Caller
    expires: float
    until: float  # on the monotonic clock


class Keystone:
    """``middleware``: as ``open_middleware`` makes it."""

    def __init__(self, middleware: Middleware, identity_url: str, settings: AuthSettings, clock: Clock) -> None:
        self._middleware = middleware
        self._url = identity_url
        self._settings = settings
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, _Remembered] = {}
        self._asked: dict[bytes, asyncio.Task[Known]] = {}
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="keystone")

    @property
    def challenge(self) -> str:
        return f'Keystone uri="{self._url}"'

    async def authenticate(self, request: Request) -> Caller:
        token = request.headers.get(b"x-auth-token", b"").strip()
        if not token:
            raise Unauthorized("X-Auth-Token: a token of the identity service is needed in this header.")
        service_token = request.headers.get(b"x-service-token", b"").strip()
        for name, given in (("X-Auth-Token", token), ("X-Service-Token", service_token)):
            if len(given) > _LONGEST:
                raise Unauthorized(
                    f"{name}: no token is longer than {_LONGEST} bytes, and this has {len(given)}; give the token alone."
                )
        key = hashlib.blake2b(token + b"\0" + service_token, key=self._key).digest()
        found = self._remembered.get(key)
        if found is not None and found.until > self._clock.monotonic() and found.expires > self._clock.now():
            return found.caller
        running = self._asked.get(key)
        if running is not None:
            with suppress(Unauthorized):  # which may have been about that other request alone
                known = await asyncio.shield(running)
                if not known.limited:
                    return known.caller
        return (await asyncio.shield(self._ask(key, token, service_token, request))).caller

    def _ask(self, key: bytes, token: bytes, service_token: bytes, request: Request) -> asyncio.Task[Known]:
        """A question that goes on when the request that put it is gone."""
        environ = _environ(token, service_token, request)
        task = asyncio.create_task(self._validate(environ, token.decode("latin-1")))
        self._asked.setdefault(key, task)

        def answered(done: asyncio.Task[Known]) -> None:
            if self._asked.get(key) is done:
                del self._asked[key]
            if not done.cancelled() and done.exception() is None:
                self._remember(key, done.result())

        task.add_done_callback(answered)
        return task

    async def _validate(self, environ: Environ, token: str) -> Known:
        loop = asyncio.get_running_loop()
        try:
            status, seen = await loop.run_in_executor(self._threads, _call, self._middleware, environ)
        except Exception as error:
            log.exception("the identity service could not be asked")
            raise _unavailable() from error
        if status == 401:
            raise Unauthorized(
                "X-Auth-Token: the identity service does not know this token, or it is expired, revoked or not for such a "
                "request; ask for a new one."
            )
        if status != 200:
            log.error("the identity service could not be asked: the middleware answers %d", status)
            raise _unavailable()
        return known_by(seen, token)

    def _remember(self, key: bytes, known: Known) -> None:
        if known.limited or self._settings.token_cache_time <= 0 or known.expires <= self._clock.now():
            return
        self._remembered.pop(key, None)  # the oldest come first
        while len(self._remembered) >= self._settings.token_cache_size:
            del self._remembered[next(iter(self._remembered))]
        until = self._clock.monotonic() + self._settings.token_cache_time
        self._remembered[key] = _Remembered(known.caller, known.expires, until)


class _NoCache:
    def get(self, key: str) -> None:
        """Nothing is known."""

    def set(self, key: str, value: object, **options: object) -> None:
        """It is not kept."""


def _unavailable() -> SpinneyError:
    return IdentityUnavailable(
        "The identity service does not answer, so that no token can be checked; try again later."
    )


def _environ(token: bytes, service_token: bytes, request: Request) -> Environ:
    environ: Environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        # A quoted slash stays quoted, as it ends no segment here either.
        "PATH_INFO": "%2F".join(unquote(part, "latin-1") for part in request.path.replace("%2f", "%2F").split("%2F")),
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        _CACHE: _NoCache(),
        "HTTP_X_AUTH_TOKEN": token.decode("latin-1"),
    }
    if service_token:
        environ["HTTP_X_SERVICE_TOKEN"] = service_token.decode("latin-1")
    return environ


def _call(middleware: Middleware, environ: Environ) -> tuple[int, Environ]:
    """The status, and what the middleware has written into the environment of the application behind it."""
    seen: list[int] = []

    def start(status: str, headers: object, *rest: object) -> None:
        seen.append(int(status.split()[0]))

    answer = middleware(environ, start)
    for _ in answer:
        pass
    with suppress(AttributeError):
        answer.close()  # type: ignore[attr-defined]  # WSGI's answers may have it
    return seen[0], environ


def _application(environ: Environ, start: Callable[..., Any]) -> list[bytes]:
    """What the middleware guards: who gets here is let in."""
    start("200 OK", [("Content-Length", "0")])
    return [b""]


def known_by(environ: Environ, token: str) -> Known:
    """Raises: Forbidden, when the token is for no project."""
    project = environ.get("HTTP_X_PROJECT_ID")
    if not project:
        scope = "the system" if environ.get("HTTP_OPENSTACK_SYSTEM_SCOPE") else "a domain"
        found = f"it is for {scope}" if scope == "the system" or environ.get("HTTP_X_DOMAIN_ID") else "it has no scope"
        raise Forbidden(
            f"X-Auth-Token: the token has to be for a project, and {found}; ask the identity service for one with a "
            f"project (for the openstack command: OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME)."
        )
    body = environ["keystone.token_info"]["token"]
    credential = body.get("application_credential") or {}
    return Known(
        Caller(
            Owner(environ["HTTP_X_USER_ID"], project, environ.get("HTTP_X_PROJECT_DOMAIN_ID")),
            frozenset(role for role in environ.get("HTTP_X_ROLES", "").split(",") if role),
            user_name=environ.get("HTTP_X_USER_NAME", ""),
            project_name=environ.get("HTTP_X_PROJECT_NAME", ""),
            token=token,
        ),
        expires=datetime.fromisoformat(body["expires_at"]).timestamp(),
        limited=credential.get("access_rules") is not None,
    )


def open_middleware(files: Sequence[Path]) -> tuple[Middleware, str]:
    """The middleware as the files configure it, and the address of Keystone to tell callers. Raises: ValueError."""
    try:
        from keystoneauth1 import loading
        from keystoneauth1.exceptions import ClientException
        from keystonemiddleware import auth_token
    except ImportError as error:
        raise ValueError(
            "[auth] strategy: keystone needs the package keystonemiddleware; install it with: pip install 'spinney[keystone]'"
        ) from error
    conf = libraries(files)
    for group, found in auth_token.list_opts():
        conf.register_opts(found, group=group)
    loading.register_auth_conf_options(conf, _SECTION)  # also in the section that auth_section names
    given = conf[_SECTION]
    if not (given.auth_type or given.auth_section):
        raise ValueError(f"[{_SECTION}] auth_type: it is missing; give password, and the service user to go with it")
    # A refusal by the middleware itself tells Keystone's silence from a bad token; without this it does not.
    conf.set_override("delay_auth_decision", False, group=_SECTION)
    conf.set_default("http_connect_timeout", _PATIENCE, group=_SECTION)
    conf.set_default("service_type", "clustering", group=_SECTION)
    if not given.memcached_servers:  # its own memory in the process would only keep revoked tokens longer
        conf.set_default("cache", _CACHE, group=_SECTION)
    try:
        middleware = auth_token.AuthProtocol(_application, {"oslo_config_config": conf})
    except (ClientException, ImportError) as error:
        raise ValueError(f"[{_SECTION}] cannot be used: {error}") from error
    url = given.www_authenticate_uri or conf[given.auth_section or _SECTION].get("auth_url") or ""
    return middleware, url
