"""Acting for users who are not there any more, by trusts of a real Keystone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from keystoneauth1 import exceptions

from cloud.keystone import PASSWORD, Keystone
from spinney.drivers.openstack.trusts import Trusts
from spinney.errors import BadConfiguration, DelegationRefused, IdentityUnavailable

pytestmark = pytest.mark.integration


def section(url: str, **more: str) -> str:
    options = {
        "auth_type": "password",
        "auth_url": url,
        "username": "spinney",
        "password": PASSWORD,
        "user_domain_id": "default",
        "project_name": "service",
        "project_domain_id": "default",
        "timeout": "10",
        **more,
    }
    return "[service_user]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())


@pytest.fixture
def trusts(keystone: Keystone, tmp_path: Path) -> Trusts:
    (tmp_path / "spinney.conf").write_text(section(keystone.url))
    return Trusts([tmp_path / "spinney.conf"])


def made(trusts: Trusts, keystone: Keystone, user: str, project: str, *roles: str, token: str | None = None) -> str:
    given = token or keystone.token(user, project)
    return asyncio.run(trusts.make(given, keystone.id("user", user), keystone.id("project", project), roles))


def test_a_trust_outlives_the_token_it_was_made_with(keystone: Keystone, trusts: Trusts) -> None:
    keystone.user("trusting", "alpha", "member", "reader")
    token = keystone.token("trusting", "alpha")
    trust = made(trusts, keystone, "trusting", "alpha", "reader", token=token)
    keystone.revoke(token)
    session = trusts.session(trust)
    assert session.get_project_id() == keystone.id("project", "alpha")
    assert session.get_user_id() == keystone.id("user", "trusting")
    assert asyncio.run(trusts.works(trust))


def test_it_gives_the_roles_asked_for_alone(keystone: Keystone, trusts: Trusts) -> None:
    keystone.user("careful", "alpha", "member", "reader")
    session = trusts.session(made(trusts, keystone, "careful", "alpha", "reader"))
    assert session.auth.get_access(session).role_names == ["reader"]
    with pytest.raises(DelegationRefused, match="needed roles"):
        made(trusts, keystone, "careful", "alpha", "admin")


def test_it_ends_with_its_user_and_with_the_role(keystone: Keystone, trusts: Trusts) -> None:
    user = keystone.user("leaving", "alpha", "member")
    trust = made(trusts, keystone, "leaving", "alpha", "member")
    keystone.ask("PATCH", f"/users/{user}", {"user": {"enabled": False}})
    assert not asyncio.run(trusts.works(trust))
    with pytest.raises(exceptions.ClientException):
        trusts.session(trust).get_token()


@pytest.mark.parametrize("unrestricted", [False, True])
def test_an_application_credential_delegates_nothing(keystone: Keystone, trusts: Trusts, unrestricted: bool) -> None:
    user = f"automat-{unrestricted}"
    keystone.user(user, "alpha", "member")
    credential = keystone.application_credential(user, "alpha", unrestricted=unrestricted)
    with pytest.raises(DelegationRefused, match="signing in"):
        made(trusts, keystone, user, "alpha", "member", token=keystone.credential_token(credential))


def test_a_token_that_is_none(keystone: Keystone, trusts: Trusts) -> None:
    with pytest.raises(DelegationRefused):
        made(trusts, keystone, "alpha-member", "alpha", "member", token="nonsense")


def test_no_keystone(keystone: Keystone, tmp_path: Path) -> None:
    (tmp_path / "spinney.conf").write_text(section("http://127.0.0.1:9/v3"))
    with pytest.raises(IdentityUnavailable):
        asyncio.run(Trusts([tmp_path / "spinney.conf"]).make("x", "u", "p", ["member"]))


def test_a_section_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "spinney.conf").write_text("[service_user]\nauth_type = v3token\nauth_url = http://127.0.0.1:9/v3\n")
    with pytest.raises(BadConfiguration, match="only a user can be trusted"):
        Trusts([tmp_path / "spinney.conf"])
