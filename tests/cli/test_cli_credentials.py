"""Credentials, certificates for hosts, and shares on the command line, against a stub of the service."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from cli.stub import Answer, Stub, fault
from spinney.certificates import new_authority, new_client, read_pair, signed_by
from spinney.domain.credential import CredentialType, examine, read

SHOWN = {
    "name": "lab",
    "id": "0123456789",
    "type": "docker-tls",
    "facts": {"subject": "CN=spinney", "expires_at": "2030-01-01T00:00:00Z"},
    "warnings": [],
}


def folder(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / name.replace("_pem", ".pem")).write_text(content)
    return path


class TestCredential:
    def test_a_folder_is_sent_and_nothing_of_it_is_shown(self, spinney: Any, stub: Stub, tmp_path: Path) -> None:
        stub.on("POST /v1/credentials", Answer({"credential": SHOWN}, 201))
        path = folder(tmp_path / "c", ca_pem="CA", cert_pem="CERT", key_pem="KEY")
        result = spinney("credential", "add", "lab", "--type", "docker-tls", "--from", str(path))
        assert result.exit_code == 0, result.output
        assert result.stdout == "lab: added (CN=spinney)\n"
        data = {"ca": "CA", "cert": "CERT", "key": "KEY"}
        assert stub.sent("POST")[0].body == {"credential": {"name": "lab", "type": "docker-tls", "data": data}}

    def test_single_files_go_before_the_folder(self, spinney: Any, stub: Stub, tmp_path: Path) -> None:
        stub.on("POST /v1/credentials", Answer({"credential": {**SHOWN, "type": "docker-ssh"}}, 201))
        path = folder(tmp_path / "c", id="KEY", other="OTHER", known_hosts="KNOWN")
        arguments = ("--type", "docker-ssh", "--from", str(path), "--key", str(path / "other"))
        assert spinney("credential", "add", "ops", *arguments).exit_code == 0
        assert stub.sent("POST")[0].body["credential"]["data"] == {"key": "OTHER", "known_hosts": "KNOWN"}

    def test_a_password_comes_from_standard_input(self, spinney: Any, stub: Stub) -> None:
        stub.on("POST /v1/credentials", Answer({"credential": {**SHOWN, "type": "registry"}}, 201))
        arguments = ("--type", "registry", "--username", "u", "--password-file", "-", "--project", "*")
        result = spinney("credential", "add", "hub", *arguments, input="s3cret\n")
        assert result.exit_code == 0 and "s3cret" not in result.output
        assert stub.sent("POST")[0].body["credential"]["data"] == {
            "username": "u",
            "password": "s3cret",
            "projects": ["*"],
        }

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--type", "docker-tls"), "needs --ca: give --ca, --cert, --key, or --from"),
            (("--type", "docker-ssh", "--key", "absent"), "--key: 'absent' cannot be read"),
            (("--type", "docker-ssh", "--ca", "x"), "--ca is nothing that a credential of type docker-ssh takes"),
            (("--type", "registry", "--username", "u"), "--password-file"),
            (("--type", "docker-tls", "--from", "absent"), "No such file"),
        ],
    )
    def test_what_cannot_be_sent(self, spinney: Any, stub: Stub, arguments: tuple[str, ...], words: str) -> None:
        result = spinney("credential", "add", "lab", *arguments)
        assert result.exit_code == 1 and words in " ".join(result.stderr.split())
        assert stub.sent("POST") == []

    def test_rotating_asks_for_what_its_type_needs(self, spinney: Any, stub: Stub, tmp_path: Path) -> None:
        stub.on("GET /v1/credentials/lab", {"credential": SHOWN})
        stub.on("PATCH /v1/credentials/lab", {"credential": {**SHOWN, "warnings": ["it expires soon"]}})
        path = folder(tmp_path / "c", ca_pem="CA", cert_pem="CERT", key_pem="KEY")
        result = spinney("credential", "rotate", "lab", "--from", str(path))
        assert result.exit_code == 0 and "it expires soon" in result.stderr
        assert stub.sent("PATCH")[0].body == {"credential": {"data": {"ca": "CA", "cert": "CERT", "key": "KEY"}}}

    def test_listing_and_removing(self, spinney: Any, stub: Stub) -> None:
        stub.on("GET /v1/credentials", {"credentials": [SHOWN]})
        assert "CN=spinney" in spinney("credential", "list").stdout
        stub.on("DELETE /v1/credentials/lab", fault(409, "it is named by host 'metal'", "ResourceInUse"))
        result = spinney("credential", "remove", "lab")
        assert result.exit_code == 1 and "host 'metal'" in result.stderr


class TestHostCerts:
    def test_what_it_makes_fits_together(self, run: Any, tmp_path: Path) -> None:
        target = tmp_path / "pki"
        result = run("host", "certs", str(target), "--host", "d1=10.0.0.11,d1.example", "--host", "10.0.0.12")
        assert result.exit_code == 0, result.output
        authority = read_pair((target / "ca.pem").read_bytes(), (target / "ca-key.pem").read_bytes()).certificate
        for name, addresses in (("d1", ["10.0.0.11"]), ("10.0.0.12", ["10.0.0.12"])):
            server = read_pair(
                (target / name / "server-cert.pem").read_bytes(), (target / name / "server-key.pem").read_bytes()
            ).certificate
            assert signed_by(server, authority)
            alternatives = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert alternatives.get_values_for_type(x509.IPAddress) == [ip_address(one) for one in addresses]
            assert (target / name / "ca.pem").read_bytes() == (target / "ca.pem").read_bytes()
        data = {key: (target / "client" / f"{key}.pem").read_text() for key in ("ca", "cert", "key")}
        assert examine(read(CredentialType.DOCKER_TLS, data))["subject"] == "CN=spinney"
        files = [path for path in target.rglob("*") if path.is_file()]
        assert len(files) == 2 + 3 + 2 * 5 and {path.stat().st_mode & 0o777 for path in files} == {0o600}
        settings = json.loads((target / "d1" / "daemon.json").read_text())
        assert settings["hosts"] == ["unix:///var/run/docker.sock", "tcp://10.0.0.11:2376"]
        assert settings["tlsverify"] is True
        assert "spinney credential add racks --type docker-tls" in result.stdout
        assert "spinney host add tcp://10.0.0.11:2376 --name d1" in result.stdout
        assert "PRIVATE KEY" not in result.output

    def test_again_it_keeps_the_authority_and_the_client(self, run: Any, tmp_path: Path) -> None:
        target = tmp_path / "pki"
        run("host", "certs", str(target), "--host", "d1=10.0.0.11")
        kept = {path: path.read_bytes() for path in target.rglob("*.pem")}
        assert run("host", "certs", str(target), "--host", "d2=10.0.0.12").exit_code == 0
        assert {path: path.read_bytes() for path in kept} == kept
        assert run("host", "certs", str(target), "--host", "d1=10.0.0.11").exit_code == 0
        changed = {path.name for path in kept if path.read_bytes() != kept[path]}
        assert changed == {"server-cert.pem", "server-key.pem"}

    def test_a_client_of_another_authority_or_near_its_end_is_made_anew(self, run: Any, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        target = tmp_path / "pki"
        run("host", "certs", str(target))
        authority = read_pair((target / "ca.pem").read_bytes(), (target / "ca-key.pem").read_bytes())
        for made in (new_client(new_authority("x", now, 9), "x", now, 90), new_client(authority, "x", now, 9)):
            (target / "client" / "cert.pem").write_bytes(made.certificate_pem)
            (target / "client" / "key.pem").write_bytes(made.key_pem)
            run("host", "certs", str(target))
            found = x509.load_pem_x509_certificate((target / "client" / "cert.pem").read_bytes())
            assert signed_by(found, authority.certificate)
            assert found.not_valid_after_utc > now + timedelta(days=800)

    def test_importing_keeps_or_rotates(self, spinney: Any, stub: Stub, tmp_path: Path) -> None:
        stub.on("GET /v1/credentials/lab", fault(404, "none", "ResourceNotFound"), {"credential": SHOWN})
        stub.on("POST /v1/credentials", Answer({"credential": SHOWN}, 201))
        stub.on("PATCH /v1/credentials/lab", {"credential": SHOWN})
        target = str(tmp_path / "pki")
        first = spinney("host", "certs", target, "--host", "10.0.0.1", "--import", "lab")
        assert first.exit_code == 0 and "lab: added" in first.stdout and "credential add" not in first.stdout
        assert "--credential lab" in first.stdout
        assert "lab: rotated" in spinney("host", "certs", target, "--import", "lab").stdout
        sent = stub.sent("POST")[0].body["credential"]["data"], stub.sent("PATCH")[0].body["credential"]["data"]
        assert sent[0] == sent[1] and sent[0]["ca"] == (tmp_path / "pki" / "ca.pem").read_text()

    @pytest.mark.parametrize(
        ("host", "words"),
        [
            ("a b=10.0.0.1", "no name for a host"),
            ("../x=10.0.0.1", "no name for a host"),
            ("client=10.0.0.1", "no name for a host"),
            ("d1=", "neither an IP address nor a host name"),
            ("d1=10.0.0.1,-x", "neither an IP address nor a host name"),
        ],
    )
    def test_what_is_no_host(self, run: Any, tmp_path: Path, host: str, words: str) -> None:
        result = run("host", "certs", str(tmp_path / "pki"), "--host", host)
        assert result.exit_code == 1 and words in " ".join(result.stderr.split())
        assert not (tmp_path / "pki").exists()

    def test_a_broken_authority_is_told(self, run: Any, tmp_path: Path) -> None:
        folder(tmp_path / "pki", ca_pem="garbage").joinpath("ca-key.pem").write_text("garbage")
        result = run("host", "certs", str(tmp_path / "pki"))
        assert result.exit_code == 1 and "are no authority" in " ".join(result.stderr.split())

    def test_openssl_takes_them(self, run: Any, tmp_path: Path) -> None:
        target = tmp_path / "pki"
        run("host", "certs", str(target), "--host", "localhost=127.0.0.1,localhost")
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        server.load_cert_chain(target / "localhost" / "server-cert.pem", target / "localhost" / "server-key.pem")
        client.load_cert_chain(target / "client" / "cert.pem", target / "client" / "key.pem")
        for context in (server, client):
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(target / "ca.pem")
        assert handshake(server, client, "127.0.0.1") == "spinney"
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server, client, "127.0.0.2")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, address: str) -> str:
    """Over memory; the name in the client's certificate as the server sees it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=address),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    pending = list(ends)
    while pending:
        for end in list(pending):
            try:
                end.do_handshake()
                pending.remove(end)
            except ssl.SSLWantReadError:
                continue
    subject: Any = ends[1].getpeercert()
    return str(subject["subject"][0][0][1])


class TestShares:
    def test_sharing_and_its_end(self, spinney: Any, stub: Stub) -> None:
        one = {"cluster_id": "c1", "project_id": "p2", "created_at": "2026-01-01T00:00:00Z"}
        stub.on("POST /v1/clusters/racks/shares", Answer({"share": one}, 201))
        stub.on("GET /v1/clusters/racks/shares", {"shares": [one]})
        stub.on("DELETE /v1/clusters/racks/shares/%2A", Answer(status=204))
        result = spinney("cluster", "share", "racks", "--with", "p2")
        assert result.stdout == "racks: shared with project p2\n"
        assert stub.sent("POST")[0].body == {"share": {"project_id": "p2"}}
        assert "p2" in spinney("cluster", "shares", "racks").stdout
        assert spinney("cluster", "unshare", "racks", "--with", "*").stdout == (
            "racks: no longer shared with all projects\n"
        )

    def test_what_others_share(self, spinney: Any, stub: Stub) -> None:
        shared = {"name": "racks", "id": "c1", "status": "ACTIVE", "zones": ["z1"], "hosts": [{"name": "host-1"}]}
        stub.on("GET /v1/shared-clusters", {"clusters": [shared]})
        assert "host-1" in spinney("cluster", "shared").stdout
