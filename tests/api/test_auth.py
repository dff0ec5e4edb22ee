"""Authentication strategies."""

from __future__ import annotations

import asyncio

import pytest

from api.client import basic
from spinney.api.auth import HttpBasic, NoAuth, Request, no_auth, standalone_caller
from spinney.domain.identity import Caller
from spinney.errors import Unauthorized

CALLER = standalone_caller()


def authenticate(strategy: HttpBasic | NoAuth, **headers: str) -> Caller:
    given = {name.encode(): value.encode() for name, value in headers.items()}
    return asyncio.run(strategy.authenticate(Request(given, "GET", "/v1/nodes")))


def test_the_right_password() -> None:
    strategy = HttpBasic("admin", "pa:ß", CALLER)
    for given in (basic("admin", "pa:ß"), basic("admin", "pa:ß").replace("Basic", "bAsIc")):
        assert authenticate(strategy, authorization=given) == CALLER
    assert "admin" in CALLER.roles and CALLER.project == "default"


@pytest.mark.parametrize(
    "given", ["", "Basic", "Basic !!!", "Bearer x", basic("admin", "wrong"), basic("other", "right"), basic("", "")]
)
def test_anything_else(given: str) -> None:
    with pytest.raises(Unauthorized):
        authenticate(HttpBasic("admin", "right", CALLER), authorization=given)


@pytest.mark.parametrize("listen", ["127.0.0.1", "::1", "[::1]", "localhost", "127.9.9.9", "/run/spinney.sock"])
def test_no_authentication_where_only_this_machine_can_reach(listen: str) -> None:
    assert authenticate(no_auth(listen, CALLER), host="127.0.0.1:8777") == CALLER


@pytest.mark.parametrize("listen", ["0.0.0.0", "", "::", "10.0.0.1", "example.org"])
def test_and_nowhere_else(listen: str) -> None:
    with pytest.raises(ValueError, match="http_basic"):
        no_auth(listen, CALLER)


@pytest.mark.parametrize("host", ["localhost", "localhost:8777", "127.0.0.1", "[::1]:8777", ""])
def test_hosts_that_are_this_machine(host: str) -> None:
    assert authenticate(NoAuth(CALLER), host=host) == CALLER


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8777", "10.0.0.1", "[2001:db8::1]:80"])
def test_a_page_in_a_browser_comes_under_a_name_of_its_own(host: str) -> None:
    with pytest.raises(Unauthorized):
        authenticate(NoAuth(CALLER), host=host)
