"""Which addresses are permitted, and what is said of the others; and that names of credentials lead nowhere else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from spinney.domain.credential import CredentialType
from spinney.drivers.base import HostAddress
from spinney.drivers.docker.connector import DockerConnector
from spinney.drivers.docker.credentials import FolderCredentials, registry_of
from spinney.drivers.docker.endpoints import SshEndpoint, TlsEndpoint, UnixEndpoint, endpoint
from spinney.errors import HostRefused

ALLOWED = ("/run/docker.sock", "/srv/*/docker.sock")


@pytest.mark.parametrize(
    ("written", "credential", "meant"),
    [
        ("unix:///run/docker.sock", None, UnixEndpoint("/run/docker.sock")),
        ("unix:///srv/a/docker.sock", None, UnixEndpoint("/srv/a/docker.sock")),
        ("tcp://h.example", "c", TlsEndpoint("h.example", 2376, "c")),
        ("tcp://[fd00::1]:1234", "c", TlsEndpoint("fd00::1", 1234, "c")),
        ("ssh://me@h.example", "c", SshEndpoint("me", "h.example", 22, "c")),
        ("ssh://me@10.0.0.1:2222/", "c", SshEndpoint("me", "10.0.0.1", 2222, "c")),
    ],
)
def test_permitted_addresses(written: str, credential: str | None, meant: object) -> None:
    assert endpoint(HostAddress(written, credential), ALLOWED) == meant


@pytest.mark.parametrize(
    ("written", "credential", "says"),
    [
        ("unix:///run/other.sock", None, "not permitted"),
        ("unix:///srv/a/../../run/x/docker.sock", None, "not permitted"),
        ("unix:///srv/../run/docker.sock", None, "not permitted"),
        ("unix://run/docker.sock", None, "absolute path"),
        ("unix://", None, "absolute path"),
        ("tcp://h.example:2375", None, "credential"),
        ("ssh://me@h.example", None, "credential"),
        ("ssh://h.example", "c", "user"),
        ("ssh://me:secret@h.example", "c", "password"),
        ("tcp://h.example/path", "c", "not understood"),
        ("tcp://h.example?x=1", "c", "query"),
        ("tcp://:2376", "c", "not understood"),
        ("tcp://h.example:99999", "c", "no URL"),
        ("http://h.example", "c", "unix:///path, tcp://"),
        ("fd://", None, "not understood"),
        ("", None, "not understood"),
    ],
)
def test_refused_addresses(written: str, credential: str | None, says: str) -> None:
    with pytest.raises(HostRefused, match=says):
        DockerConnector(allowed_unix_sockets=ALLOWED).connect(HostAddress(written, credential))


def test_the_default_credential_of_a_type_serves_endpoints_that_name_none() -> None:
    defaults = {CredentialType.DOCKER_TLS: "lab", CredentialType.DOCKER_SSH: "ops"}
    assert endpoint(HostAddress("tcp://h.example"), (), defaults) == TlsEndpoint("h.example", 2376, "lab")
    assert endpoint(HostAddress("tcp://h.example", "own"), (), defaults) == TlsEndpoint("h.example", 2376, "own")
    assert endpoint(HostAddress("ssh://me@h.example"), (), defaults) == SshEndpoint("me", "h.example", 22, "ops")


def test_no_unix_socket_is_permitted_by_default() -> None:
    with pytest.raises(HostRefused, match="not permitted"):
        DockerConnector().connect(HostAddress("unix:///var/run/docker.sock"))


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(HostRefused) as raised:
        endpoint(HostAddress("tcp://me:s3cret@h.example", "c"), ())
    assert "s3cret" not in raised.value.message


@pytest.mark.parametrize("name", ["../other", "/etc", "a/b", "", ".", "..", ".hidden", "a\nb", "x" * 200])
def test_a_name_of_a_credential_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(HostRefused, match="not the name"):
        asyncio.run(FolderCredentials(tmp_path / "in").tls(name))


def test_a_missing_file_is_named_and_its_path_is_not(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "ca.pem").touch()
    with pytest.raises(HostRefused, match=r"cert\.pem") as raised:
        asyncio.run(FolderCredentials(tmp_path).tls("c"))
    assert str(tmp_path) not in raised.value.message
    with pytest.raises(HostRefused, match="holds none"):
        asyncio.run(FolderCredentials(None).tls("c"))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"username": "u"}', '{"username": "u", "password": "s3cret", "projects": "*"}']
)
def test_a_broken_registry_credential_is_told_without_its_secret(tmp_path: Path, content: str) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "registry.json").write_text(content)
    with pytest.raises(HostRefused, match=r"registry\.json") as raised:
        asyncio.run(FolderCredentials(tmp_path).registry("r", "p"))
    assert "s3cret" not in raised.value.message


@pytest.mark.parametrize("projects", ['["*"]', '["p"]', '["q", "p"]'])
def test_projects_that_may_name_a_registry_credential(tmp_path: Path, projects: str) -> None:
    (tmp_path / "r").mkdir()
    text = f'{{"username": "u", "password": "s3cret", "projects": {projects}}}'
    (tmp_path / "r" / "registry.json").write_text(text)
    credential = asyncio.run(FolderCredentials(tmp_path).registry("r", "p"))
    assert credential.material.username == "u" and "s3cret" not in repr(credential)


def test_a_credential_of_other_projects_answers_like_an_absent_one(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "registry.json").write_text('{"username": "u", "password": "s3cret", "projects": ["q"]}')
    with pytest.raises(HostRefused) as foreign:
        asyncio.run(FolderCredentials(tmp_path).registry("r", "p"))
    (tmp_path / "r" / "registry.json").unlink()
    with pytest.raises(HostRefused) as absent:
        asyncio.run(FolderCredentials(tmp_path).registry("r", "p"))
    assert foreign.value.message == absent.value.message


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("web", "docker.io"),
        ("library/web:1", "docker.io"),
        ("index.docker.io/library/web", "docker.io"),
        ("localhost/web", "localhost"),
        ("r.example:5000/a/web@sha256:00", "r.example:5000"),
        ("Evil/web", "evil"),
    ],
)
def test_the_registry_of_an_image(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry
