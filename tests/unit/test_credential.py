"""What a credential may hold, what is shown of it, and in which words the rest is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from spinney.certificates import new_authority, new_client, new_server
from spinney.domain.credential import CredentialType, Unusable, examine, read, registry_name, warnings

TLS, SSH, REGISTRY = CredentialType.DOCKER_TLS, CredentialType.DOCKER_SSH, CredentialType.REGISTRY
NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUTHORITY = new_authority("hosts", NOW, 30)
CLIENT, OTHER = new_client(AUTHORITY, "spinney", NOW, 20), new_client(AUTHORITY, "other", NOW, 20)
SERVER = new_server(AUTHORITY, "host", ["10.0.0.1"], NOW, 20)
OF_CLIENT = {
    "ca": AUTHORITY.certificate_pem.decode(),
    "cert": CLIENT.certificate_pem.decode(),
    "key": CLIENT.key_pem.decode(),
}
OF_SERVER = {"cert": SERVER.certificate_pem.decode(), "key": SERVER.key_pem.decode()}
OF_REGISTRY = {"username": "u", "password": "p"}
#: A key of nobody, made for this page.
KNOWN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBA"


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (TLS, {"ca": "x", "cert": "x"}, "data.key: a credential of type docker-tls needs it"),
        (TLS, {**OF_CLIENT, "passphrase": "x"}, "data.passphrase: there is no such key; docker-tls has ca, cert, key"),
        (
            REGISTRY,
            {**OF_REGISTRY, "server": "x"},
            "there is no such key; registry has password, projects, serveraddress",
        ),
        (REGISTRY, {**OF_REGISTRY, "password": " "}, "data.password: it must be text that is not empty"),
        (REGISTRY, {**OF_REGISTRY, "projects": "ours"}, "data.projects: it must be a list of project ids"),
        (REGISTRY, {**OF_REGISTRY, "projects": [""]}, "data.projects: it must be a list of project ids"),
        (REGISTRY, {**OF_REGISTRY, "serveraddress": "a b"}, "data.serveraddress: it must be the registry's name"),
        (TLS, {**OF_CLIENT, "ca": "no PEM"}, "data.ca: it holds no certificates in PEM"),
        (TLS, {**OF_CLIENT, "key": "no PEM"}, "data.key: it is no private key in PEM without a passphrase"),
        (TLS, {**OF_CLIENT, "key": OTHER.key_pem.decode()}, "data.key: it does not belong to data.cert"),
        (TLS, {**OF_CLIENT, **OF_SERVER}, "data.cert: its extendedKeyUsage does not allow clientAuth"),
        (
            SSH,
            {"key": "no key", "known_hosts": f"h {KNOWN}"},
            "data.key: it is no SSH private key without a passphrase",
        ),
        (
            SSH,
            {"key": OF_CLIENT["key"], "known_hosts": f"# one\nh {KNOWN}\nh ssh-rsa x"},
            "line 3 is no 'host keytype key'",
        ),
        (SSH, {"key": OF_CLIENT["key"], "known_hosts": "# none\n\n"}, "data.known_hosts: it names no host"),
    ],
)
def test_what_is_refused(kind: CredentialType, data: dict[str, Any], words: str) -> None:
    with pytest.raises(Unusable) as refused:
        examine(read(kind, data))
    assert words in str(refused.value)


def test_what_is_shown() -> None:
    tls = examine(read(TLS, OF_CLIENT))
    assert (tls["kind"], tls["expires_at"][:10], tls["ca_expires_at"][:10]) == (
        "EC secp256r1",
        "2026-01-21",
        "2026-01-31",
    )
    ssh = examine(read(SSH, {"key": OF_CLIENT["key"], "known_hosts": f"\n@revoked h {KNOWN}"}))
    assert ssh["kind"] == "ecdsa-sha2-nistp256"
    assert [(one["hosts"], one["kind"]) for one in ssh["known_hosts"]] == [("@revoked h", "ssh-ed25519")]
    shown = examine(
        read(REGISTRY, {**OF_REGISTRY, "serveraddress": "https://R.example:5000/v2/", "projects": ["b", "a"]})
    )
    assert shown == {"registry": "r.example:5000", "projects": ["a", "b"]}
    assert registry_name("https://index.docker.io/v1/") == registry_name("docker.io")


def test_it_is_said_when_a_certificate_is_about_to_expire() -> None:
    facts = examine(read(TLS, OF_CLIENT))
    ends = datetime(2026, 1, 21, tzinfo=UTC).timestamp()
    assert "the certificate expires at 2026-01-21" in " ".join(warnings(facts, ends - 1))
    assert "the certificate expired at 2026-01-21" in " ".join(warnings(facts, ends))
    assert warnings({}, ends) == []
