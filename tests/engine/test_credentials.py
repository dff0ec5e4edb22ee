"""Credentials of the database as engines read them: in time, of the right type, and never somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from spinney.domain.credential import Credential, CredentialType
from spinney.drivers.docker.credentials import FolderCredentials
from spinney.engine.carrying.credentials import FRESH, StoreCredentials
from spinney.engine.carrying.secrets import Secrets
from spinney.errors import HostRefused, HostUnreachable
from spinney.sealing import SecretKeys, WrongKey, open_keys
from spinney.store import credentials, migrate, tables
from spinney.store.database import Store


class HandClock:
    moment = 1000.0

    def now(self) -> float:
        return self.moment

    def monotonic(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += seconds


class Vault:
    """A database, a folder, and what an engine reads of them."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.folder = folder / "files"
        self.folder.mkdir()
        self.store = Store(f"sqlite:///{folder / 'test.db'}", self.clock)
        migrate.upgrade(self.store)
        self.key = open_keys(folder / "secret.key")
        self.store.run(credentials.register_key, self.key)
        self.held = self.reader(self.key)

    def reader(self, key: SecretKeys) -> StoreCredentials:
        secrets = Secrets(self.store, key)
        return StoreCredentials(self.store, key, secrets, self.clock, FolderCredentials(self.folder))

    def keep(self, name: str, kind: CredentialType = CredentialType.DOCKER_TLS, **data: Any) -> None:
        credential = Credential(
            id=f"id-{name}",
            name=name,
            type=kind,
            sealed=self.sealed(f"id-{name}", **data),
            facts={},
            user="u",
            project="p",
            domain=None,
            created_at=1.0,
        )
        self.store.run(credentials.insert, credential)

    def sealed(self, credential_id: str, **data: Any) -> bytes:
        return self.key.public.seal(orjson.dumps(data or TLS), credential_id)

    def replace(self, name: str, **data: Any) -> None:
        sealed = self.sealed(f"id-{name}", **data)
        self.store.run(credentials.replace_material, f"id-{name}", sealed, {}, self.clock.moment)

    def tls(self, name: str) -> bytes:
        return asyncio.run(self.held.tls(name)).key

    def file(self, name: str, **files: str) -> None:
        (self.folder / name).mkdir()
        for file, content in files.items():
            (self.folder / name / file.replace("_", ".")).write_text(content)


TLS = {"ca": "CA", "cert": "CERT", "key": "KEY"}


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault(tmp_path)
    yield made
    made.store.close()


def test_by_name_or_id_and_before_files_of_the_same_name(vault: Vault) -> None:
    vault.keep("lab")
    vault.file("lab", ca_pem="x", cert_pem="x", key_pem="FILE")
    vault.file("old", ca_pem="x", cert_pem="x", key_pem="FILE")
    assert vault.tls("lab") == vault.tls("id-lab") == b"KEY"
    assert vault.tls("old") == b"FILE"
    with pytest.raises(HostRefused, match="spinney credential add"):
        vault.tls("none")


def test_what_replaces_it_is_used_in_time_and_the_database_is_not_asked_each_time(vault: Vault) -> None:
    vault.keep("lab")
    asked = []
    sa.event.listen(vault.store.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    assert [vault.tls("lab") for _ in range(20)] == [b"KEY"] * 20
    assert sum("credential" in statement for statement in asked) == 1
    vault.replace("lab", **{**TLS, "key": "NEW"})
    assert vault.tls("lab") == b"KEY"
    vault.clock.moment += FRESH + 0.1
    assert vault.tls("lab") == b"NEW"


def test_one_that_is_added_or_removed_is_noticed(vault: Vault) -> None:
    vault.file("lab", ca_pem="x", cert_pem="x", key_pem="FILE")
    assert vault.tls("lab") == b"FILE"
    vault.keep("lab")
    vault.clock.moment += FRESH + 0.1
    assert vault.tls("lab") == b"KEY"
    row = vault.store.run(credentials.find, "lab")
    assert row is not None
    vault.store.run(credentials.remove, row)
    vault.clock.moment += FRESH + 0.1
    assert vault.tls("lab") == b"FILE"


def test_a_credential_of_another_type_is_told_as_such(vault: Vault) -> None:
    vault.keep("ops", CredentialType.DOCKER_SSH, key="K", known_hosts="H")
    with pytest.raises(HostRefused, match="it is of type docker-ssh, and this endpoint needs one of type docker-tls"):
        vault.tls("ops")
    assert asyncio.run(vault.held.ssh("ops")).known_hosts == b"H"


def test_a_registry_credential_is_for_its_projects_alone(vault: Vault) -> None:
    vault.keep("hub", CredentialType.REGISTRY, username="u", password="s3cret", projects=["a"])
    vault.keep("tls")
    assert asyncio.run(vault.held.registry("hub", "a")).material.username == "u"
    messages = set()
    for name in ("hub", "tls", "none"):
        with pytest.raises(HostRefused) as raised:
            asyncio.run(vault.held.registry(name, "b"))
        messages.add(raised.value.message.replace(name, ""))
    assert len(messages) == 1


def test_a_key_that_is_not_the_right_one_is_told(vault: Vault, tmp_path: Path) -> None:
    vault.keep("lab")
    other = open_keys(tmp_path / "other.key")
    vault.held = vault.reader(other)
    with pytest.raises(HostRefused, match=r"lab cannot be unsealed: it was sealed for key .*spinney credential rotate"):
        vault.tls("lab")


def test_sealed_data_does_not_move_to_another_credential(vault: Vault) -> None:
    vault.keep("lab")
    vault.keep("other", **{**TLS, "key": "OTHER"})

    def swap(connection: sa.Connection) -> None:
        table = tables.credential
        sealed = connection.execute(sa.select(table.c.sealed).where(table.c.name == "other")).scalar_one()
        connection.execute(table.update().where(table.c.name == "lab").values(sealed=sealed))

    vault.store.run(swap)
    with pytest.raises(HostRefused, match="belongs to another object"):
        vault.tls("lab")


def test_a_database_that_does_not_answer(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.keep("lab")
    assert vault.tls("lab") == b"KEY"

    async def broken(*_: object) -> None:
        raise OperationalError("select", {}, Exception("gone"))

    monkeypatch.setattr(vault.store, "read", broken)
    vault.clock.moment += FRESH + 0.1
    assert vault.tls("lab") == b"KEY"
    with pytest.raises(HostUnreachable, match="the database does not answer"):
        vault.tls("unknown")


class TestKeys:
    def test_an_engine_with_another_key_does_not_start(self, vault: Vault, tmp_path: Path) -> None:
        vault.keep("lab")
        vault.store.run(credentials.register_key, vault.key)
        other = open_keys(tmp_path / "other.key")
        with pytest.raises(WrongKey, match=f"are sealed for key {vault.key.public.id}.*spinney db forget-key"):
            vault.store.run(credentials.register_key, other)
        assert vault.store.run(credentials.sealing_key) == vault.key.public

    def test_without_credentials_any_key_will_do(self, vault: Vault, tmp_path: Path) -> None:
        other = open_keys(tmp_path / "other.key")
        vault.store.run(credentials.register_key, other)
        assert vault.store.run(credentials.sealing_key) == other.public

    def test_a_lost_key_is_forgotten_and_credentials_are_rotated(self, vault: Vault, tmp_path: Path) -> None:
        vault.keep("lab")
        assert vault.store.run(credentials.forget_key)
        assert not vault.store.run(credentials.forget_key)
        vault.key = open_keys(tmp_path / "other.key")
        vault.store.run(credentials.register_key, vault.key)
        vault.held = vault.reader(vault.key)
        with pytest.raises(HostRefused):
            vault.tls("lab")
        vault.replace("lab")
        vault.clock.moment += FRESH + 0.1
        assert vault.tls("lab") == b"KEY"
