"""What stands before keystonemiddleware: the memory of tokens. The whole chain with a real Keystone is in tests/cloud."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from api.world import StoppedClock
from spinney.api.auth import Request
from spinney.api.auth.keystone import Keystone, open_middleware
from spinney.clock import iso
from spinney.config import AuthSettings
from spinney.domain.identity import Caller
from spinney.errors import Forbidden, IdentityUnavailable, Unauthorized


@dataclass
class Middleware:
    """The same WSGI as keystonemiddleware, for whatever token."""

    clock: StoppedClock
    lifetime: float = 3600
    status: str = "200 OK"
    known: dict[str, Any] = field(default_factory=dict)
    paths: tuple[str, ...] | None = None
    asked: list[str] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event | None = None

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.asked.append(environ["HTTP_X_AUTH_TOKEN"])
        self.begun.set()
        if self.hold is not None:
            assert self.hold.wait(20)
        body: dict[str, Any] = {"expires_at": (iso(self.clock.now() + self.lifetime) or "").replace("Z", ".000000Z")}
        if self.paths is not None:
            body["application_credential"] = {"access_rules": [{"path": path} for path in self.paths]}
        environ["keystone.token_info"] = {"token": body}
        environ.update({"HTTP_X_USER_ID": "u1", "HTTP_X_USER_NAME": "ann", "HTTP_X_ROLES": "member,reader"})
        environ.update({"HTTP_X_PROJECT_ID": "p1", "HTTP_X_PROJECT_NAME": "shop", "HTTP_X_PROJECT_DOMAIN_ID": "d1"})
        environ.update(self.known)
        allowed = self.paths is None or environ["PATH_INFO"] in self.paths
        start(self.status if allowed else "401 Unauthorized", [])
        return [b""]


class Side:
    def __init__(self, **settings: Any) -> None:
        self.clock = StoppedClock()
        self.middleware = Middleware(self.clock)
        given = AuthSettings(strategy="keystone", **settings)
        self.strategy = Keystone(self.middleware, "http://id/v3", given, self.clock)

    async def ask(self, token: str = "t1", path: str = "/v1/nodes", **headers: str) -> Caller:
        given = {
            b"x-auth-token": token.encode(),
            **{k.replace("_", "-").encode(): v.encode() for k, v in headers.items()},
        }
        return await self.strategy.authenticate(Request(given, "GET", path))

    def now(self, token: str = "t1", path: str = "/v1/nodes", **headers: str) -> Caller:
        return asyncio.run(self.ask(token, path, **headers))


def test_who_it_is() -> None:
    side = Side()
    caller = side.now()
    assert (caller.owner.user, caller.project, caller.owner.domain) == ("u1", "p1", "d1")
    assert (caller.user_name, caller.project_name, caller.roles) == ("ann", "shop", {"member", "reader"})
    assert caller.token == "t1" and "t1" not in repr(caller)
    assert side.strategy.challenge == 'Keystone uri="http://id/v3"'


def test_a_token_is_remembered_for_a_while_and_never_beyond_its_end() -> None:
    side = Side(token_cache_time=30)
    for seconds, asked in ((0, 1), (29, 1), (1, 2), (29, 2)):
        side.clock.moment += seconds
        side.now()
        assert len(side.middleware.asked) == asked
    side.middleware.lifetime = 10
    side.now("t2")
    side.clock.moment += 11
    side.middleware.status = "401 Unauthorized"
    with pytest.raises(Unauthorized, match="expired, revoked"):
        side.now("t2")


def test_nothing_is_remembered_when_told_so_or_when_it_is_over() -> None:
    for side in (Side(token_cache_time=0), Side()):
        side.middleware.lifetime = 3600 if side.strategy._settings.token_cache_time == 0 else -5
        side.now()
        side.now()
        assert len(side.middleware.asked) == 2


def test_not_more_than_so_many_are_remembered() -> None:
    side = Side(token_cache_size=2)
    for token in ("t1", "t2", "t3", "t3", "t2", "t1"):
        side.now(token)
    assert side.middleware.asked == ["t1", "t2", "t3", "t1"]


def test_a_service_token_makes_it_another_question() -> None:
    side = Side()
    side.now()
    side.now(x_service_token="s")
    side.now(x_service_token="s")
    assert len(side.middleware.asked) == 2


def test_requests_at_a_time_with_one_token_ask_once_and_outlive_who_asked_first() -> None:
    side = Side()
    side.middleware.hold = threading.Event()

    async def body() -> None:
        requests = [asyncio.create_task(side.ask()) for _ in range(20)]
        await asyncio.to_thread(side.middleware.begun.wait, 20)
        requests[0].cancel()
        assert side.middleware.hold is not None
        side.middleware.hold.set()
        callers = await asyncio.gather(*requests[1:])
        assert len(side.middleware.asked) == 1 and {caller.project for caller in callers} == {"p1"}

    asyncio.run(body())


def test_a_credential_with_access_rules_is_asked_about_for_each_request() -> None:
    side = Side()
    side.middleware.paths = ("/v1/nodes",)
    side.middleware.hold = threading.Event()

    async def body() -> None:
        requests = [asyncio.create_task(side.ask(path=path)) for path in ("/v1/nodes", "/v1/clusters", "/v1/nodes")]
        await asyncio.to_thread(side.middleware.begun.wait, 20)
        assert side.middleware.hold is not None
        side.middleware.hold.set()
        first, second, third = await asyncio.gather(*requests, return_exceptions=True)
        assert isinstance(first, Caller) and isinstance(second, Unauthorized) and isinstance(third, Caller)

    asyncio.run(body())
    with pytest.raises(Unauthorized):
        side.now(path="/v1/clusters")
    with pytest.raises(Unauthorized):
        side.now(path="/v1%2Fnodes")
    side.now()


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"HTTP_X_PROJECT_ID": ""}, "has no scope"),
        ({"HTTP_X_PROJECT_ID": "", "HTTP_X_DOMAIN_ID": "d"}, "for a domain"),
        ({"HTTP_X_PROJECT_ID": "", "HTTP_OPENSTACK_SYSTEM_SCOPE": "all"}, "for the system"),
    ],
)
def test_a_token_has_to_be_for_a_project(known: dict[str, str], words: str) -> None:
    side = Side()
    side.middleware.known = known
    with pytest.raises(Forbidden, match=f"{words}; .*OS_PROJECT_NAME"):
        side.now()


@pytest.mark.parametrize("status", ["503 Service Unavailable", "500 Oops"])
def test_keystone_being_away_is_no_fault_of_the_token(status: str, caplog: pytest.LogCaptureFixture) -> None:
    side = Side()
    side.middleware.status = status
    with pytest.raises(IdentityUnavailable, match="does not answer"):
        side.now()
    side.middleware.known = {"keystone.token_info": None}
    assert "could not be asked" in caplog.text


def test_what_the_middleware_raises_is_no_fault_of_the_token() -> None:
    side = Side()

    def broken(environ: dict[str, Any], start: object) -> Iterable[bytes]:
        raise OSError("memcached is away")

    side.strategy._middleware = broken
    with pytest.raises(IdentityUnavailable):
        side.now()


def test_no_token_asks_nobody() -> None:
    side = Side()
    with pytest.raises(Unauthorized, match="X-Auth-Token"):
        side.now("")
    assert not side.middleware.asked


@pytest.mark.parametrize("header", ["X-Auth-Token", "X-Service-Token"])
def test_what_is_too_long_for_a_token_is_none_and_asks_nobody(header: str) -> None:
    side = Side()
    with pytest.raises(Unauthorized, match=header):
        side.now(**({"token": "a" * 8001} if header == "X-Auth-Token" else {"x_service_token": "a" * 8001}))
    assert not side.middleware.asked
    assert side.now("a" * 8000)


@pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")
def test_the_middleware_is_made_from_its_own_section(tmp_path: Path) -> None:
    file = tmp_path / "spinney.conf"
    file.write_text("[auth]\nstrategy = keystone\n")
    with pytest.raises(ValueError, match=r"\[keystone_authtoken\] auth_type: it is missing"):
        open_middleware([file])
    file.write_text(
        "[keystone_authtoken]\nauth_type = password\nauth_url = http://127.0.0.1:1/v3\nusername = s\npassword = p\n"
    )
    assert open_middleware([file])[1] == "http://127.0.0.1:1/v3"
    file.write_text(
        "[keystone_authtoken]\nauth_section = service\nwww_authenticate_uri = http://public/v3\n"
        "[service]\nauth_type = password\nauth_url = http://127.0.0.1:1/v3\nusername = s\npassword = p\n"
    )
    assert open_middleware([file])[1] == "http://public/v3"
