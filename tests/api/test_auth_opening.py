"""From the configuration file to how callers are known, and what is left for clients to find the service by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from spinney import standalone
from spinney.api.auth import HttpBasic, NoAuth
from spinney.api.auth.htpasswd import Htpasswd
from spinney.clock import SystemClock
from spinney.config import load
from spinney.errors import BadConfiguration
from spinney.wiring.apis import make_authenticator, make_rules


def settings(folder: Path, text: str) -> Any:
    file = folder / "spinney.conf"
    file.write_text(text)
    return load(folder, [file])


def cloud(folder: Path, text: str) -> dict[str, Any] | None:
    standalone.write_clouds(folder, "http://127.0.0.1:1", settings(folder, text).auth)
    path = folder / "clouds.yaml"
    return yaml.safe_load(path.read_text())["clouds"]["spinney"] if path.exists() else None


def htpasswd(folder: Path) -> str:
    (folder / "htpasswd").write_text(f"ann:{bcrypt.hashpw(b'a', bcrypt.gensalt(4)).decode()}\n")
    return f"[auth]\nhtpasswd_file = {folder}/htpasswd\n"


def test_each_strategy_is_opened_with_a_cloud_file_that_fits(tmp_path: Path) -> None:
    for text, kind, auth_type, known in (
        ("", HttpBasic, "http_basic", {"endpoint", "username", "password"}),
        ("[auth]\nstrategy = none\n", NoAuth, "none", {"endpoint"}),
        (htpasswd(tmp_path), Htpasswd, "http_basic", {"endpoint"}),
    ):
        assert isinstance(make_authenticator(settings(tmp_path, text), SystemClock()), kind)
        found = cloud(tmp_path, text)
        assert found is not None and found["auth_type"] == auth_type and set(found["auth"]) == known
    assert cloud(tmp_path, "[auth]\nstrategy = keystone\n") is None, "what an earlier strategy left is gone"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[auth]\nstrategy = none\n[api]\nhost = 0.0.0.0\n", "loopback"),
        ("[auth]\nhtpasswd_file = /nowhere\n", "/nowhere cannot be read"),
        ("[oslo_policy]\npolicy_file = gone.yaml\n", "gone.yaml does not exist"),
    ],
)
def test_what_cannot_be_meant_keeps_the_service_from_starting(tmp_path: Path, text: str, words: str) -> None:
    given = settings(tmp_path, text)
    with pytest.raises(BadConfiguration, match=words):
        make_rules(given, SystemClock())
        make_authenticator(given, SystemClock())


def test_no_authentication_on_a_unix_socket(tmp_path: Path) -> None:
    text = f"[auth]\nstrategy = none\n[api]\nhost = 0.0.0.0\nunix_socket = {tmp_path}/api.sock\n"
    assert isinstance(make_authenticator(settings(tmp_path, text), SystemClock()), NoAuth)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strategy = keyston", "keystone, http_basic or none"),
        ("strategy = keystone\nhtpasswd_file = /x", "choose http_basic"),
        ("users_file = /x", "needs an htpasswd_file"),
        ("token_cache_time = -1", "token_cache_time"),
    ],
)
def test_settings_that_contradict_each_other(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(tmp_path, f"[auth]\n{text}\n")


def test_sections_of_libraries_are_theirs(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "[keystone_authtoken]\nauth_section = who\nanything = 1\n[who]\nusername = x\n[oslo_limit]\nendpoint_id = 1\n",
    )
    assert found.files == (tmp_path / "spinney.conf",)
    with pytest.raises(ValueError, match=r"\[who\] is no section"):
        settings(tmp_path, "[who]\nusername = x\n")
