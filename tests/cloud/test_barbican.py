"""Secrets that are kept in a real Barbican, on a real Keystone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud import barbican
from cloud.keystone import PASSWORD, Keystone, Unobtainable, call, configuration
from spinney.clock import SystemClock
from spinney.domain.identity import Owner
from spinney.drivers.openstack.barbican import Barbican
from spinney.drivers.openstack.trusts import Trusts
from spinney.engine.trusting import TrustedSessions
from spinney.errors import BadConfiguration, SecretUnavailable, SecretUnusable
from spinney.store.database import Store
from system.running import Program

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def kept(keystone: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[barbican.Barbican]:
    try:
        with barbican.running(tmp_path_factory.mktemp("barbican"), keystone) as made:
            yield made
    except Unobtainable as error:
        pytest.skip(str(error))


def reader(keystone: Keystone, folder: Path, password: str = PASSWORD, **more: str) -> Barbican:
    options = {
        "auth_type": "password",
        "auth_url": keystone.url,
        "username": "spinney",
        "password": password,
        "user_domain_name": "Default",
        "project_name": "service",
        "project_domain_name": "Default",
        **more,
    }
    file = folder / "spinney.conf"
    file.write_text("[barbican]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))
    return Barbican([file])


def read(found: Barbican, reference: str, user: str) -> str:
    return asyncio.run(found.read(reference, Owner(user, "any", None)))


def test_what_its_maker_lets_the_service_read_is_read(
    keystone: Keystone, kept: barbican.Barbican, tmp_path: Path
) -> None:
    reference = kept.keep("geheim ü".encode(), "alpha-member", "alpha", "spinney")
    member = keystone.id("user", "alpha-member")
    assert read(reader(keystone, tmp_path), reference, member) == "geheim ü"
    # Whatever host the reference names, the configured one is asked.
    elsewhere = reference.replace(kept.url, "http://127.0.0.1:9")
    assert read(reader(keystone, tmp_path), elsewhere, member) == "geheim ü"
    direct = reader(keystone, tmp_path, endpoint_override=f"{kept.url}/v1")
    assert read(direct, reference, member) == "geheim ü"


def test_others_get_the_same_answer_as_for_what_is_not_there(
    keystone: Keystone, kept: barbican.Barbican, tmp_path: Path
) -> None:
    readable = kept.keep(b"s3cret", "alpha-member", "alpha", "spinney")
    unreadable = kept.keep(b"s3cret", "alpha-member", "alpha")
    absent = f"{kept.url}/v1/secrets/7c5cc2a8-0d3a-4a7e-9a37-4d8a2a3b1c11"
    member, stranger = (keystone.id("user", name) for name in ("alpha-member", "beta-member"))
    said = set()
    for reference, user in ((readable, stranger), (unreadable, member), (absent, member)):
        with pytest.raises(SecretUnusable) as raised:
            read(reader(keystone, tmp_path), reference, user)
        said.add(raised.value.message.replace(reference.rpartition("/")[2], ""))
    assert len(said) == 1 and "s3cret" not in said.pop()


def test_what_is_no_text_is_told(keystone: Keystone, kept: barbican.Barbican, tmp_path: Path) -> None:
    reference = kept.keep(b"\xff\xfe\x00", "alpha-member", "alpha", "spinney")
    with pytest.raises(SecretUnusable, match="is no text"):
        read(reader(keystone, tmp_path), reference, keystone.id("user", "alpha-member"))


def test_a_key_manager_that_does_not_answer_is_waited_for(
    keystone: Keystone, kept: barbican.Barbican, tmp_path: Path
) -> None:
    reference = kept.keep(b"s3cret", "alpha-member", "alpha", "spinney")
    member = keystone.id("user", "alpha-member")
    with pytest.raises(SecretUnavailable, match="is tried again"):
        read(reader(keystone, tmp_path, endpoint_override="http://127.0.0.1:9"), reference, member)
    with pytest.raises(SecretUnavailable, match="does not know the service's own user"):
        read(reader(keystone, tmp_path, password="wrong"), reference, member)


def test_a_section_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    file = tmp_path / "spinney.conf"
    file.write_text("[barbican]\nauth_type = no-such\n")
    with pytest.raises(BadConfiguration, match=r"\[barbican\]"):
        Barbican([file])


def test_a_reference_is_read_in_its_makers_name_after_the_token_is_gone(
    keystone: Keystone, kept: barbican.Barbican, tmp_path: Path
) -> None:
    """From a request to a value: the API has the caller trust the service, an engine's reader uses the trust."""
    keystone.user("keeper", "alpha", "member")
    keystone.user("other", "alpha", "member")
    reference = kept.keep(b"of keeper", "keeper", "alpha")  # no ACL: nobody was let read it
    login = {"auth_type": "password", "auth_url": keystone.url, "username": "spinney", "password": PASSWORD}
    login |= {"user_domain_id": "default", "project_name": "service", "project_domain_id": "default"}
    options = "".join(f"{name} = {value}\n" for name, value in login.items())
    file = tmp_path / "spinney.conf"
    file.write_text(f"{configuration(keystone)}\n[service_user]\n{options}\n[barbican]\n{options}")
    state = tmp_path / "state"
    program = Program(tmp_path, "api", "--state-dir", str(state), "--config-file", str(file), "--port", "0")
    try:
        url = program.until_says(r"spinney ready: (http://\S+)/v1")
        token = keystone.token("keeper", "alpha")
        sent = {"X-Auth-Token": token, "OpenStack-API-Version": "clustering 1.14, spinney 1.0"}
        made = call("POST", f"{url}/v1/secrets", {"secret": {"name": "far", "reference": reference}}, sent)
        assert made.status == 201, made
        credential = keystone.credential_token(keystone.application_credential("keeper", "alpha"))
        refused = call(
            "POST",
            f"{url}/v1/secrets",
            {"secret": {"name": "farther", "reference": reference}},
            {**sent, "X-Auth-Token": credential},
        )
        # Keeper's trust is there already, so that nothing has to be delegated anew.
        assert refused.status == 201, refused
    finally:
        assert program.terminate() == 0, program.output
    keystone.revoke(token)
    store = Store(f"sqlite:///{state / 'spinney.db'}", SystemClock())
    try:
        sessions = TrustedSessions(store, Trusts([file]).session, ["member"])
        found = Barbican([file], sessions)
        owner = Owner(keystone.id("user", "keeper"), keystone.id("project", "alpha"), "default")
        assert asyncio.run(found.read(reference, owner)) == "of keeper"
        stranger = Owner(keystone.id("user", "other"), keystone.id("project", "alpha"), "default")
        with pytest.raises(SecretUnusable, match="does not let the service read it"):
            asyncio.run(found.read(reference, stranger))
        keystone.ask("PATCH", f"/users/{owner.user}", {"user": {"enabled": False}})
        with pytest.raises(SecretUnusable, match="token from signing in"):
            asyncio.run(
                Barbican([file], TrustedSessions(store, Trusts([file]).session, ["member"])).read(reference, owner)
            )
    finally:
        store.close()
