"""Secrets that are kept in a real Barbican, on a real Keystone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud import barbican
from cloud.keystone import PASSWORD, Keystone, Unobtainable
from spinney.domain.identity import Owner
from spinney.drivers.openstack.barbican import Barbican
from spinney.errors import BadConfiguration, SecretUnavailable, SecretUnusable

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
    with pytest.raises(SecretUnavailable, match="Unauthorized"):
        read(reader(keystone, tmp_path, password="wrong"), reference, member)


def test_a_section_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    file = tmp_path / "spinney.conf"
    file.write_text("[barbican]\nauth_type = no-such\n")
    with pytest.raises(BadConfiguration, match=r"\[barbican\]"):
        Barbican([file])
