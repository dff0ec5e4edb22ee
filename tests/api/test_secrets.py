"""Secrets: what is kept, what is refused at once, whose they are, and that nothing of them comes back."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from api.world import OURS, World, run
from spinney.domain.secret import MOST_BYTES, MOST_KEYS
from spinney.sealing import SecretKeys, open_keys
from spinney.store import credentials, tables

DATA = {"password": "s3cret", "tls.key": "line\nline"}
LOGIN = {"username": "u", "password": "s3cret", "serveraddress": "https://R.example:5000/v2/"}
REFERENCE = "https://keys.example:9311/v1/secrets/7c5cc2a8-0d3a-4a7e-9a37-4d8a2a3b1c11"


@pytest.fixture
def key(world: World, tmp_path: Any) -> SecretKeys:
    """The engines', as wiring opens it."""
    found = open_keys(tmp_path / "secret.key")
    world.store.run(credentials.register_key, found)
    return found


def ask(world: World, method: str, path: str, body: Any = None, person: str = "member") -> Any:
    return run(lambda: world.client.as_user(person).at(OURS).request(method, path, body))


def post(world: World, data: Any = None, name: str = "db", person: str = "member", **more: Any) -> Any:
    given = {"name": name, **({} if data is None else {"data": data}), **more}
    return ask(world, "POST", "/v1/secrets", {"secret": given}, person)


def patch(world: World, person: str = "member", **given: Any) -> Any:
    return ask(world, "PATCH", "/v1/secrets/db", {"secret": given}, person)


def row(world: World) -> Any:
    return world.store.run(lambda c: c.execute(sa.select(tables.secret)).one())


@pytest.mark.parametrize(("kind", "data"), [("opaque", DATA), ("registry", LOGIN)])
def test_what_is_posted_is_sealed_and_never_answered(world: World, key: SecretKeys, kind: str, data: Any) -> None:
    made = post(world, data, type=kind)
    assert made.status == 201, made.body
    shown = ask(world, "GET", "/v1/secrets/db", person="reader")
    listed = ask(world, "GET", "/v1/secrets", person="reader")
    assert shown.json["secret"] == made.json["secret"] == listed.json["secrets"][0]
    assert (shown.json["secret"]["keys"], shown.json["secret"]["version"]) == (sorted(data), 1)
    assert shown.json["secret"]["registry"] == ("r.example:5000" if kind == "registry" else None)
    for answer in (made, shown, listed):
        assert b"s3cret" not in answer.body
    stored = row(world)
    assert b"s3cret" not in stored.sealed
    assert orjson.loads(key.unseal(stored.sealed, stored.id)) == data


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "secret.data: give either data or reference"),
        ({"data": {}}, "it is empty"),
        ({"data": {"a b": "s3cret"}}, "it is no name of a key"),
        ({"data": {"../a": "s3cret"}}, "it is no name of a key"),
        ({"data": {"a": 1}}, "data.a: it must be text"),
        ({"data": {f"k{number}": "" for number in range(MOST_KEYS + 1)}}, "keys are too many"),
        ({"data": {"a": "x" * MOST_BYTES}}, "bytes are too many"),
        ({"data": LOGIN | {"projects": ["*"]}, "type": "registry"}, "data.projects"),
        ({"data": {"username": "s3cret"}, "type": "registry"}, "data.password"),
        ({"data": {"a": "s3cret"}, "type": "bogus"}, "secret.type"),
        ({"data": {"a": "s3cret"}, "name": "a/b"}, "secret.name"),
        ({"data": {"a": "s3cret"}, "value": "s3cret"}, "secret.value"),
        ({"reference": "file:///etc/passwd"}, "secret.reference"),
        ({"reference": REFERENCE}, "not connected to Barbican"),
        ({"reference": REFERENCE, "data": DATA}, "not both"),
    ],
)
def test_what_cannot_be_used_is_refused_and_not_repeated(world: World, key: SecretKeys, given: Any, words: str) -> None:
    answer = post(world, **given)
    assert answer.status == 400 and words in answer.error[2], answer.body
    assert "s3cret" not in answer.error[2]
    assert ask(world, "GET", "/v1/secrets").json == {"secrets": []}


def test_half_a_character_is_refused(world: World, key: SecretKeys) -> None:
    raw = b'{"secret": {"name": "db", "data": {"a": "\\ud800"}}}'
    assert post(world, orjson.loads(raw.replace(b"\\ud800", b"x"))["secret"]["data"]).status == 201
    answer = run(lambda: world.client.as_user("member").at(OURS).request("POST", "/v1/secrets", raw))
    assert answer.status == 400


def test_a_change_counts_the_version_up_and_replaces_everything(world: World, key: SecretKeys) -> None:
    post(world, DATA)
    sealed = row(world).sealed
    changed = patch(world, data={"other": "n3w"})
    assert changed.status == 200 and b"n3w" not in changed.body
    assert (changed.json["secret"]["version"], changed.json["secret"]["keys"]) == (2, ["other"])
    assert changed.json["secret"]["updated_at"] is not None
    stored = row(world)
    assert stored.sealed != sealed and orjson.loads(key.unseal(stored.sealed, stored.id)) == {"other": "n3w"}
    assert patch(world).error[0] == 400


def test_a_secret_kept_elsewhere(world: World, key: SecretKeys) -> None:
    object.__setattr__(world.client.app._deps, "references", True)
    made = post(world, reference=REFERENCE).json["secret"]
    assert (made["reference"], made["keys"]) == (REFERENCE, ["value"])
    assert row(world).sealed is None
    back = patch(world, data=DATA).json["secret"]
    assert (back["reference"], back["keys"]) == (None, sorted(DATA))
    assert post(world, name="hub", type="registry", reference=REFERENCE).error[0] == 400


def test_names_are_taken_once_in_a_project(world: World, key: SecretKeys) -> None:
    assert post(world, DATA).status == 201
    assert post(world, DATA).error[:2] == (409, "Conflict")
    assert post(world, DATA, person="stranger").status == 201


def test_another_projects_secret_is_not_there(world: World, key: SecretKeys) -> None:
    post(world, DATA)
    assert ask(world, "GET", "/v1/secrets", person="stranger").json == {"secrets": []}
    for method, body in (("GET", None), ("PATCH", {"secret": {"data": DATA}}), ("DELETE", None)):
        assert ask(world, method, "/v1/secrets/db", body, "stranger").error[:2] == (404, "ResourceNotFound")


def test_without_an_engine_nobody_could_unseal_it(world: World) -> None:
    status, _, message = post(world, DATA).error
    assert status == 409 and "no engine has run" in message


def test_without_our_version_there_are_none(world: World) -> None:
    assert run(lambda: world.client.get("/v1/secrets")).status == 404


SPEC: dict[str, Any] = {"image": "web", "host_cluster": "metal"}


class TestProfiles:
    """That name secrets."""

    @pytest.fixture(autouse=True)
    def _hosts(self, world: World, key: SecretKeys) -> None:
        world.cluster(world.profile("racks", "host.docker-1.0"), "metal")

    def profile(self, world: World, person: str = "member", path: str = "/v1/profiles", **properties: Any) -> Any:
        spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": SPEC | properties}
        given = {"spec": spec} if path.endswith("validate") else {"name": "web", "spec": spec}
        return ask(world, "POST", path, {"profile": given}, person)

    def test_a_secret_stays_while_a_profile_names_it(self, world: World) -> None:
        secret = post(world, DATA).json["secret"]
        made = self.profile(world, secrets=[{"secret": "db", "key": "password", "env": "PASSWORD"}])
        assert made.status == 201, made.body
        status, kind, message = ask(world, "DELETE", f"/v1/secrets/{secret['id']}").error
        assert (status, kind) == (409, "ResourceInUse") and "profile 'web'" in message
        assert patch(world, data=DATA).status == 200
        assert ask(world, "DELETE", f"/v1/profiles/{made.json['profile']['id']}").status == 204
        assert ask(world, "DELETE", "/v1/secrets/db").status == 204

    @pytest.mark.parametrize("path", ["/v1/profiles", "/v1/profiles/validate"])
    @pytest.mark.parametrize(
        ("part", "words"),
        [
            ({"secret": "none", "env": "A"}, "properties.secrets[0].secret: 'none' could not be found"),
            (
                {"secret": "db", "env": "A"},
                "properties.secrets[0].key: secret 'db' has several keys (password, tls.key)",
            ),
            ({"secret": "db", "key": "x", "env": "A"}, "properties.secrets[0].key: secret 'db' has no key 'x'"),
            ({"secret": "hub", "env": "A"}, "properties.secrets[0].secret: 'hub' is a secret of type registry"),
        ],
    )
    def test_what_it_names_must_be_there(self, world: World, path: str, part: Any, words: str) -> None:
        post(world, DATA)
        post(world, LOGIN, "hub", type="registry")
        status, kind, message = self.profile(world, path=path, secrets=[part]).error
        assert (status, kind) == (400, "InvalidSpec") and words in message

    def test_another_projects_secret_cannot_be_named(self, world: World) -> None:
        post(world, DATA, person="stranger")
        answer = self.profile(world, secrets=[{"secret": "db", "key": "password", "env": "A"}])
        assert "'db' could not be found" in answer.error[2]

    def test_a_registry_login_is_used_too(self, world: World) -> None:
        post(world, LOGIN, "hub", type="registry")
        assert self.profile(world, registry_credential="hub").status == 201
        assert ask(world, "DELETE", "/v1/secrets/hub").error[0] == 409
        # One that the operator keeps, or that is not there yet.
        assert self.profile(world, registry_credential="other").status == 201


def test_there_is_a_quota(world: World, key: SecretKeys) -> None:
    assert ask(world, "PUT", "/v1/quotas/ours", {"quota": {"secrets": 1}}, "admin").status == 200
    assert post(world, DATA).status == 201
    assert post(world, DATA, "other").error[:2] == (403, "OverQuota")


def test_a_reference_is_followed_for_who_gave_it(world: World, key: SecretKeys) -> None:
    """Else one member could have the service read what only another may."""
    object.__setattr__(world.client.app._deps, "references", True)
    assert post(world, reference=REFERENCE).json["secret"]["user"] == "member"
    assert patch(world, "admin", reference=REFERENCE).json["secret"]["user"] == "admin"
    assert patch(world, "member", data=DATA).json["secret"]["user"] == "admin"
