"""Credentials: what is kept, what is refused at once, and that nothing secret comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from api.world import OURS, START, World, run
from spinney.certificates import new_authority, new_client, new_server
from spinney.domain.credential import CredentialType
from spinney.sealing import SecretKeys, open_keys
from spinney.store import credentials, tables

NOW = datetime.fromtimestamp(START, UTC)
AUTHORITY = new_authority("hosts", NOW, 3650)
CLIENT = new_client(AUTHORITY, "spinney", NOW, 825)
OTHER = new_client(AUTHORITY, "other", NOW, 825)
TLS = {
    "ca": AUTHORITY.certificate_pem.decode(),
    "cert": CLIENT.certificate_pem.decode(),
    "key": CLIENT.key_pem.decode(),
}


def ssh_key(passphrase: bytes | None = None) -> tuple[str, str]:
    """Private and public, as ssh-keygen writes them."""
    key = ed25519.Ed25519PrivateKey.generate()
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8 if passphrase else serialization.PrivateFormat.OpenSSH
    private = key.private_bytes(serialization.Encoding.PEM, form, how)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()


PRIVATE, PUBLIC = ssh_key()
SSH = {"key": PRIVATE, "known_hosts": f"# comment\n10.0.0.12 {PUBLIC}\n"}
REGISTRY = {"username": "u", "password": "s3cret", "serveraddress": "https://R.example:5000/v2/", "projects": ["ours"]}
EACH = {"docker-tls": TLS, "docker-ssh": SSH, "registry": REGISTRY}


@pytest.fixture
def key(world: World, tmp_path: Any) -> SecretKeys:
    """The engines', as wiring opens it."""
    found = open_keys(tmp_path / "secret.key")
    world.store.run(credentials.register_key, found)
    return found


def post(world: World, kind: str, data: Any, name: str = "lab") -> Any:
    body = {"credential": {"name": name, "type": kind, "data": data}}
    return run(lambda: world.client.at(OURS).post("/v1/credentials", body))


def stored(world: World) -> Any:
    return world.store.run(credentials.load, "lab")


@pytest.mark.parametrize("kind", EACH)
def test_what_is_posted_is_sealed_and_never_answered(world: World, key: SecretKeys, kind: str) -> None:
    made = post(world, kind, EACH[kind])
    assert made.status == 201, made.body
    shown = run(lambda: world.client.at(OURS).get("/v1/credentials/lab"))
    listed = run(lambda: world.client.at(OURS).get("/v1/credentials"))
    assert shown.json["credential"] == made.json["credential"] == listed.json["credentials"][0]
    assert shown.json["credential"]["type"] == kind and "data" not in shown.json["credential"]
    for answer in (made, shown, listed):
        assert b"PRIVATE KEY" not in answer.body and b"s3cret" not in answer.body
    row = world.store.run(lambda c: c.execute(sa.select(tables.credential)).one())
    assert b"PRIVATE" not in row.sealed and b"s3cret" not in row.sealed
    assert orjson.loads(key.unseal(row.sealed, row.id)) == EACH[kind]


def test_facts_tell_what_it_is(world: World, key: SecretKeys) -> None:
    facts = post(world, "docker-tls", TLS, "a").json["credential"]["facts"]
    assert (facts["subject"], facts["issuer"], facts["kind"]) == ("CN=spinney", "CN=hosts", "EC secp256r1")
    assert facts["expires_at"] == (NOW + timedelta(days=825)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert facts["fingerprint"].startswith("SHA256:")
    facts = post(world, "docker-ssh", SSH, "b").json["credential"]["facts"]
    assert (facts["kind"], facts["public_key"]) == ("ssh-ed25519", PUBLIC)
    assert facts["known_hosts"] == [{"hosts": "10.0.0.12", "kind": "ssh-ed25519", "fingerprint": facts["fingerprint"]}]
    facts = post(world, "registry", REGISTRY, "c").json["credential"]["facts"]
    assert facts == {"registry": "r.example:5000", "projects": ["ours"]}


def test_what_expires_is_told_and_not_refused(world: World, key: SecretKeys) -> None:
    old = new_client(AUTHORITY, "spinney", NOW - timedelta(days=10), 9)
    data = {**TLS, "cert": old.certificate_pem.decode(), "key": old.key_pem.decode()}
    assert "the certificate expired" in post(world, "docker-tls", data).json["credential"]["warnings"][0]
    assert post(world, "docker-tls", TLS, "fresh").json["credential"]["warnings"] == []
    world.clock.moment += timedelta(days=800).total_seconds()
    (told,) = run(lambda: world.client.at(OURS).get("/v1/credentials/fresh")).json["credential"]["warnings"]
    assert "the certificate expires at" in told


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("docker-tls", {**TLS, "key": OTHER.key_pem.decode()}, "data.key: it does not belong to data.cert"),
        ("docker-tls", {**TLS, "ca": "nonsense"}, "data.ca: it holds no certificates"),
        ("docker-tls", {**TLS, "cert": TLS["key"]}, "data.cert: it holds no certificates"),
        ("docker-tls", {**TLS, "key": PRIVATE[:60]}, "data.key: it is no private key"),
        ("docker-tls", {"ca": TLS["ca"], "cert": TLS["cert"]}, "data.key: a credential of type docker-tls needs it"),
        ("docker-tls", {**TLS, "keys": "x"}, "data.keys: there is no such key"),
        ("docker-tls", {**TLS, "ca": 1}, "data.ca: it must be text"),
        ("docker-ssh", {**SSH, "key": ssh_key(b"pass")[0]}, "without a passphrase"),
        ("docker-ssh", {**SSH, "key": "x"}, "data.key: it is no SSH private key"),
        ("docker-ssh", {**SSH, "known_hosts": "# nobody\n"}, "data.known_hosts: it names no host"),
        ("docker-ssh", {**SSH, "known_hosts": "10.0.0.1 ssh-ed25519 AAAA"}, "data.known_hosts: line 1"),
        ("registry", {"username": "u"}, "data.password"),
        ("registry", {**REGISTRY, "projects": "*"}, "data.projects"),
        ("registry", {**REGISTRY, "serveraddress": "a b"}, "data.serveraddress"),
        ("bogus", {}, "credential.type"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(
    world: World, key: SecretKeys, kind: str, data: Any, words: str
) -> None:
    answer = post(world, kind, data)
    assert answer.status == 400 and words in answer.error[2], answer.body
    assert "s3cret" not in answer.error[2] and "PRIVATE KEY" not in answer.error[2]
    assert run(lambda: world.client.at(OURS).get("/v1/credentials")).json == {"credentials": []}


def test_a_servers_certificate_is_not_taken_for_a_clients(world: World, key: SecretKeys) -> None:
    server = new_server(AUTHORITY, "h", ["10.0.0.1"], NOW, 10)
    data = {**TLS, "cert": server.certificate_pem.decode(), "key": server.key_pem.decode()}
    assert "clientAuth" in post(world, "docker-tls", data).error[2]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "x" * 129])
def test_names_are_those_of_folders(world: World, key: SecretKeys, name: str) -> None:
    assert post(world, "docker-tls", TLS, name).error[:2] == (400, "HTTPBadRequest")


def test_rotation_replaces_what_is_sealed(world: World, key: SecretKeys) -> None:
    before = post(world, "docker-tls", TLS).json["credential"]
    data = {**TLS, "cert": OTHER.certificate_pem.decode(), "key": OTHER.key_pem.decode()}
    sealed = stored(world).sealed
    changed = run(lambda: world.client.at(OURS).patch("/v1/credentials/lab", {"credential": {"data": data}}))
    after = changed.json["credential"]
    assert after["facts"]["subject"] == "CN=other" and after["id"] == before["id"] and after["updated_at"]
    assert stored(world).sealed != sealed
    wrong = run(lambda: world.client.at(OURS).patch("/v1/credentials/lab", {"credential": {"data": SSH}}))
    assert wrong.error[0] == 400
    assert orjson.loads(key.unseal(stored(world).sealed, before["id"])) == data


def test_a_name_is_taken_once(world: World, key: SecretKeys) -> None:
    post(world, "docker-tls", TLS)
    assert post(world, "docker-ssh", SSH).error[:2] == (409, "Conflict")


def test_nobody_to_unseal(world: World) -> None:
    status, _, message = post(world, "docker-tls", TLS).error
    assert status == 409 and "no engine has run" in message


class TestDeleting:
    def delete(self, world: World, word: str = "lab") -> Any:
        return run(lambda: world.client.at(OURS).delete(f"/v1/credentials/{word}"))

    def test_one_that_nobody_names(self, world: World, key: SecretKeys) -> None:
        world.host("metal", credential="other")
        found = post(world, "docker-tls", TLS).json["credential"]
        assert self.delete(world, found["id"]).status == 204
        assert self.delete(world, found["id"]).error[:2] == (404, "ResourceNotFound")

    @pytest.mark.parametrize("by", ["name", "id"])
    def test_a_host_names_it(self, world: World, key: SecretKeys, by: str) -> None:
        found = post(world, "docker-tls", TLS).json["credential"]
        world.host("metal", credential=found[by])
        status, kind, message = self.delete(world).error
        assert (status, kind) == (409, "ResourceInUse") and "host 'metal'" in message

    @pytest.mark.parametrize(
        "properties",
        [
            {"endpoint": "tcp://h:1", "credential": "lab"},
            {"inventory": [{"endpoint": "unix:///s"}, {"endpoint": "tcp://h:1", "credential": "lab"}]},
            {"image": "web", "registry_credential": "lab"},
        ],
    )
    def test_a_profile_names_it(self, world: World, key: SecretKeys, properties: Any) -> None:
        post(world, "docker-tls", TLS)
        world.change(tables.profile, world.profile("racks").id, spec={"properties": properties})
        assert "profile 'racks'" in self.delete(world).error[2]

    def test_what_only_looks_like_a_name_of_it(self, world: World, key: SecretKeys) -> None:
        post(world, "docker-tls", TLS)
        world.change(tables.profile, world.profile("racks").id, spec={"properties": {"zone": "lab", "image": "lab"}})
        assert self.delete(world).status == 204

    def test_the_default_of_the_deployment(self, world: World, key: SecretKeys) -> None:
        post(world, "docker-tls", TLS)
        deps = world.client.app._deps
        object.__setattr__(deps, "default_credentials", {CredentialType.DOCKER_TLS: "lab"})
        assert "default" in self.delete(world).error[2]


def test_without_our_version_there_are_none(world: World) -> None:
    assert run(lambda: world.client.get("/v1/credentials")).status == 404
