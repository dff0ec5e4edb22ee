"""Secrets and keys on the command line: values come from anywhere but the command line, and none is shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cli.stub import Answer, Stub
from spinney.clock import SystemClock
from spinney.domain.identity import Owner
from spinney.sealing import open_keys
from spinney.store import exec_sessions, sealed
from spinney.store.database import Store

SHOWN = {"name": "db", "id": "0123456789", "type": "opaque", "keys": ["password"], "version": 1}


class TestSecret:
    def test_values_come_from_files_variables_and_standard_input(
        self, spinney: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stub.on("POST /v1/secrets", Answer({"secret": SHOWN}, 201))
        (tmp_path / "tls.key").write_text("k3y\n")
        monkeypatch.setenv("TOKEN", "t0ken")
        sources = ("--from-file", str(tmp_path / "tls.key"), "--from-file", "password=-", "--from-env", "token=TOKEN")
        result = spinney("secret", "create", "db", *sources, input="s3cret\n")
        assert result.exit_code == 0, result.output
        assert result.stdout == "db: created, version 1 (password)\n"
        data = {"tls.key": "k3y\n", "password": "s3cret", "token": "t0ken"}
        assert stub.sent("POST")[0].body == {"secret": {"name": "db", "type": "opaque", "data": data}}

    def test_a_registry_login(self, spinney: Any, stub: Stub) -> None:
        stub.on("POST /v1/secrets", Answer({"secret": {**SHOWN, "type": "registry", "registry": "docker.io"}}, 201))
        arguments = ("--type", "registry", "--username", "u", "--password-file", "-")
        result = spinney("secret", "create", "hub", *arguments, input="s3cret\n")
        assert result.exit_code == 0 and "s3cret" not in result.output
        assert stub.sent("POST")[0].body["secret"]["data"] == {"username": "u", "password": "s3cret"}

    def test_an_update_asks_what_type_it_is(self, spinney: Any, stub: Stub) -> None:
        stub.on("GET /v1/secrets/db", {"secret": SHOWN})
        stub.on("PATCH /v1/secrets/db", {"secret": {**SHOWN, "version": 2}})
        result = spinney("secret", "update", "db", "--from-file", "password=-", input="n3w")
        assert result.stdout == "db: updated, version 2 (password)\n"
        assert stub.sent("PATCH")[0].body == {"secret": {"data": {"password": "n3w"}}}

    def test_one_that_is_elsewhere(self, spinney: Any, stub: Stub) -> None:
        stub.on("POST /v1/secrets", Answer({"secret": SHOWN}, 201))
        assert spinney("secret", "create", "db", "--reference", "https://k/v1/secrets/x").exit_code == 0
        assert stub.sent("POST")[0].body["secret"] == {
            "name": "db",
            "type": "opaque",
            "reference": "https://k/v1/secrets/x",
        }

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((), "give at least one value"),
            (("--from-file", "a=absent"), "'absent' cannot be read"),
            (("--from-file", "-"), "give KEY=FILE"),
            (("--from-env", "a=NO_SUCH_VARIABLE"), "no variable 'NO_SUCH_VARIABLE'"),
            (("--from-env", "a=PATH", "--from-env", "a=PATH"), "a is given twice"),
            (("--username", "u"), "go with --type registry"),
            (("--type", "registry"), "needs --username and --password-file"),
            (("--type", "registry", "--from-env", "a=PATH"), "alone"),
            (("--type", "bogus"), "there are opaque and registry"),
            (("--reference", "u", "--from-env", "a=PATH"), "--reference goes alone"),
        ],
    )
    def test_what_cannot_be_sent(self, spinney: Any, stub: Stub, arguments: tuple[str, ...], words: str) -> None:
        result = spinney("secret", "create", "db", *arguments)
        assert result.exit_code == 1 and words in " ".join(result.stderr.split()), result.stderr
        assert stub.sent("POST") == []

    @pytest.mark.parametrize(
        ("source", "words"), [("--from-file=a=-", "standard input"), ("--from-env=a=RAW", "the variable 'RAW'")]
    )
    def test_what_is_no_text(
        self, spinney: Any, stub: Stub, monkeypatch: pytest.MonkeyPatch, source: str, words: str
    ) -> None:
        monkeypatch.setitem(os.environb, b"RAW", b"\xff\xfe")
        result = spinney("secret", "create", "db", source, input=b"\xff\xfe")
        assert result.exit_code == 1 and f"{words} is no text; encode it first" in " ".join(result.stderr.split())
        assert stub.sent("POST") == []

    def test_list_show_and_delete(self, spinney: Any, stub: Stub) -> None:
        stub.on("GET /v1/secrets", {"secrets": [SHOWN]})
        stub.on("GET /v1/secrets/db", {"secret": SHOWN})
        stub.on("DELETE /v1/secrets/db", Answer(None, 204))
        assert "password" in spinney("secret", "list").stdout
        assert "version" in spinney("secret", "show", "db").stdout
        assert spinney("secret", "delete", "db").stdout == "db: deleted\n"


class TestKeys:
    def run(self, spinney: Any, folder: Path, *arguments: str) -> Any:
        return spinney("keys", *arguments, "--state-dir", str(folder / "state"))

    def test_rotating_and_dropping(self, spinney: Any, tmp_path: Path) -> None:
        state = tmp_path / "state"
        assert self.run(spinney, tmp_path, "list").exit_code == 0
        (old,) = open_keys(state / "secret.key").ids
        box = open_keys(state / "secret.key").public.seal(b"x", "id")
        store = Store(f"sqlite:///{state / 'spinney.db'}", SystemClock())
        store.run(_insert, box)
        store.run(_insert_used_session)
        result = self.run(spinney, tmp_path, "rotate")
        assert result.exit_code == 0 and "1 older ones open" in result.stdout, result.output
        new, kept = open_keys(state / "secret.key").ids
        assert kept == old and f"{old}  opens  1 sealed" in self.run(spinney, tmp_path, "list").stdout
        refused = self.run(spinney, tmp_path, "drop")
        assert refused.exit_code == 1 and f"1 for {old}" in " ".join(refused.stderr.split())
        ((key_id, count),) = store.run(sealed.by_key).items()
        assert (key_id, count) == (old, 1)
        (left,) = store.run(sealed.for_others, new, ("", ""), 10)
        store.run(sealed.replace, [(left, open_keys(state / "secret.key").public.seal(b"x", "id"))])
        store.close()
        assert self.run(spinney, tmp_path, "drop").exit_code == 0
        assert open_keys(state / "secret.key").ids == (new,)
        assert len((state / "api.keys").read_text().split()) == 1


def _insert(connection: Any, box: bytes) -> None:
    from spinney.store.tables import credential

    row = {"id": "id", "name": "n", "type": "registry", "sealed": box, "facts": {}, "user": "u", "project": "p"}
    connection.execute(credential.insert().values(**row, created_at=1.0))


def _insert_used_session(connection: Any) -> None:
    exec_sessions.insert(connection, "id", "hash", "node", b"box", Owner("u", "p"), 9.0)
    assert exec_sessions.use(connection, "id", 1.0)
