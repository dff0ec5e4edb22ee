"""Hosts by mutual TLS and by SSH, as their operator makes them: certificates, credentials, hosts, all through the command line.

The Docker engine, its TLS and the OpenSSH server are real.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import docker_engine
import openssh
from docker_engine import PrivateEngine
from openssh import SshServer
from system.running import SPINNEY, Service, fresh, spinney

CONFIGURATION = """
[health]
suspect_after = 1

[driver]
default_ssh_credential = ops

[egress]
allow = 127.0.0.0/8
"""


@dataclass(frozen=True)
class Site:
    """A service without hosts, and a Docker engine that it can reach by TLS and by SSH."""

    service: Service
    certificates: Path
    rogue: Path
    endpoint: str
    ssh: SshServer

    def says(self, *arguments: str, code: int = 0) -> str:
        """The command's output on one line."""
        done = spinney(self.service, *arguments)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "PRIVATE KEY" not in done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())


def certs(folder: Path, *arguments: str) -> Path:
    subprocess.run((*SPINNEY, "host", "certs", str(folder), *arguments), check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("secure")
    ours, rogue = certs(folder / "ours", "--host", "there=127.0.0.1"), certs(folder / "rogue")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    files = ours / "there"
    options = (
        *("--tlsverify", f"--tlscacert={files}/ca.pem", f"--tlscert={files}/server-cert.pem"),
        *(f"--tlskey={files}/server-key.pem", f"--host={endpoint}", "--iptables=false"),
    )
    with PrivateEngine(*options) as engine, openssh.running(folder, engine.socket) as ssh:
        docker_engine.demo_image(engine.socket)
        service = Service(folder, engine.socket, CONFIGURATION)
        service.start("--no-local-host")
        try:
            yield Site(service, ours, rogue, endpoint, ssh)
        finally:
            service.close()


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    yield running
    for host in running.service.api.get("/hosts"):
        running.says("host", "remove", host["id"], "--wait")
    for profile in running.service.api.get("/profiles"):
        running.says("profile", "delete", profile["id"])
    for credential in running.service.api.get("/credentials"):
        if credential["name"] != "ops":
            running.says("credential", "remove", credential["id"])


def test_certificates_credential_and_host_by_tls(site: Site) -> None:
    name = fresh("lab")
    kept = site.says("host", "certs", str(site.certificates), "--import", name)
    assert f"{name}: added (CN=spinney)" in kept
    assert "added" in site.says("host", "add", site.endpoint, "--name", "there", "--credential", name, "--wait")
    assert site.service.api.get("/hosts")[0]["state"] == "ready"
    held = site.says("credential", "remove", name, code=1)
    assert "it is named by host 'there', profile 'prof-there'" in held


def test_a_rotated_credential_is_used_without_a_restart(site: Site) -> None:
    site.says("credential", "add", "lab", "--type", "docker-tls", "--from", str(site.certificates / "client"))
    site.says("host", "add", site.endpoint, "--name", "there", "--credential", "lab", "--wait")
    site.says("credential", "rotate", "lab", "--from", str(site.rogue / "client"))
    site.service.until_host_is("suspect", "there")
    site.says("credential", "rotate", "lab", "--from", str(site.certificates / "client"))
    site.service.until_host_is("ready", "there")


def test_a_host_without_the_right_certificate_is_refused(site: Site) -> None:
    # A name of its own: what a name stood for may be used for two seconds more.
    site.says("credential", "add", "rogue", "--type", "docker-tls", "--from", str(site.rogue / "client"))
    for arguments, words in (
        (("--credential", "rogue"), "not signed by ca.pem of the credential"),
        (("--credential", "none"), "credential none: this service holds no file ca.pem for it"),
        ((), "a tcp endpoint needs a credential: name one of type docker-tls"),
    ):
        assert words in site.says("host", "add", site.endpoint, "--name", "there", *arguments, code=1)
    assert site.service.api.get("/hosts") == []


def test_a_host_by_ssh_with_its_key_checked(site: Site) -> None:
    keys = ("--key", str(site.ssh.user_key), "--known-hosts")
    wrong = str(site.ssh.known_hosts("other_key"))
    site.says("credential", "add", "ops", "--type", "docker-ssh", *keys, wrong)
    refused = site.says("host", "add", site.ssh.endpoint, "--name", "there", code=1)
    assert "the SSH host key of the host is not in known_hosts of credential ops" in refused
    site.says("credential", "rotate", "ops", *keys, str(site.ssh.known_hosts()))
    site.service.until(
        lambda: spinney(site.service, "host", "add", site.ssh.endpoint, "--name", "there").returncode,
        lambda code: code == 0,
    )
    site.service.until_host_is("ready", "there")
    profile = site.service.profile(host_cluster=None, host_node="there")
    node = site.service.node(profile)
    site.service.until_node_is("ACTIVE", node)
    site.service.delete("node", node)
    site.says("profile", "delete", profile)


def test_a_key_that_the_host_does_not_know(site: Site) -> None:
    other = str(site.ssh.folder / "other_key")
    known = ("--known-hosts", str(site.ssh.known_hosts()))
    site.says("credential", "add", "stranger", "--type", "docker-ssh", "--key", other, *known)
    refused = site.says("host", "add", site.ssh.endpoint, "--name", "x", "--credential", "stranger", code=1)
    assert "the host refused SSH user 'root' with the key of credential stranger" in refused
