"""Credentials: named material to approach Docker engines and registries with, held by the service.

Reading the material is pure. Guaranteed: material that was read can be used as it stands (keys have no passphrase and belong
to their certificates, every certificate parses); no secret is in an error or a ``repr``. Not guaranteed: that any host
accepts it, or that it has not expired, which is told as a warning because hosts may still have to be reached to be mended.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

#: What a credential may be called.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
NAME_SAYS = "1 to 128 letters, digits, '_', '.' and '-', the first a letter or digit"
DOCKER_HUB = "docker.io"
_NAMES_OF_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
_SOON = timedelta(days=30)
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class CredentialType(StrEnum):
    DOCKER_TLS = "docker-tls"
    DOCKER_SSH = "docker-ssh"
    REGISTRY = "registry"


#: What ``data`` of each type holds: what must be given, and what may be.
KEYS: Mapping[CredentialType, tuple[frozenset[str], frozenset[str]]] = {
    CredentialType.DOCKER_TLS: (frozenset({"ca", "cert", "key"}), frozenset()),
    CredentialType.DOCKER_SSH: (frozenset({"key", "known_hosts"}), frozenset()),
    CredentialType.REGISTRY: (frozenset({"username", "password"}), frozenset({"serveraddress", "projects"})),
}


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """PEM: who signed the hosts' certificates, our certificate (with its chain), its key."""

    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SshMaterial:
    """A private key and the hosts' public keys, as OpenSSH keeps them."""

    key: bytes = field(repr=False)
    known_hosts: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryMaterial:
    """``projects``: those that may name it in a profile; ``*`` stands for all."""

    username: str
    password: str = field(repr=False)
    registry: str = DOCKER_HUB
    projects: frozenset[str] = frozenset()


Material = TlsMaterial | SshMaterial | RegistryMaterial


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """As stored: the material sealed, beside what may be shown of it."""

    id: str
    name: str
    type: CredentialType
    sealed: bytes = field(repr=False)
    facts: Mapping[str, Any]
    user: str
    project: str
    domain: str | None
    created_at: float
    updated_at: float | None = None


class Unusable(ValueError):
    """``data`` of a credential cannot be used; the text names the key and says what is wrong and what to do."""


def read(kind: CredentialType, data: Mapping[str, Any]) -> Material:
    """The material in ``data`` as requests give it and as it is sealed. Raises: Unusable."""
    required, optional = KEYS[kind]
    for key in sorted(required - data.keys()):
        raise Unusable(f"data.{key}: a credential of type {kind} needs it")
    for key in sorted(data.keys() - required - optional):
        raise Unusable(f"data.{key[:80]}: there is no such key; {kind} has {', '.join(sorted(required | optional))}")
    for key in sorted(data.keys() - {"projects"}):
        if not isinstance(data[key], str) or not data[key].strip() or "\x00" in data[key]:
            raise Unusable(f"data.{key}: it must be text that is not empty")
    match kind:
        case CredentialType.DOCKER_TLS:
            return TlsMaterial(data["ca"].encode(), data["cert"].encode(), data["key"].encode())
        case CredentialType.DOCKER_SSH:
            return SshMaterial(data["key"].encode(), data["known_hosts"].encode())
        case CredentialType.REGISTRY:
            return _registry(data)


def _registry(data: Mapping[str, Any]) -> RegistryMaterial:
    projects = data.get("projects", [])
    if not isinstance(projects, list) or not all(isinstance(one, str) and one for one in projects):
        raise Unusable('data.projects: it must be a list of project ids, or ["*"] for all')
    address = registry_name(data.get("serveraddress", DOCKER_HUB))
    if not re.fullmatch(r"[a-z0-9.\[\]:-]+", address):
        raise Unusable("data.serveraddress: it must be the registry's name, such as registry.example:5000")
    return RegistryMaterial(
        username=data["username"], password=data["password"], registry=address, projects=frozenset(projects)
    )


def registry_name(address: str) -> str:
    """``https://Registry.example:5000/v2/`` is ``registry.example:5000``; all names of Docker Hub are one."""
    host = re.sub(r"^[a-z]+://", "", address.strip().lower()).partition("/")[0]
    return DOCKER_HUB if host in _NAMES_OF_DOCKER_HUB else host


def examine(material: Material) -> dict[str, Any]:
    """What may be shown of it. Raises: Unusable when it cannot be used."""
    match material:
        case TlsMaterial():
            return _examine_tls(material)
        case SshMaterial():
            return _examine_ssh(material)
        case RegistryMaterial():
            return {"registry": material.registry, "projects": sorted(material.projects)}


def warnings(facts: Mapping[str, Any], now: float) -> list[str]:
    """What its keeper should see to, as of now."""
    found = []
    moment = datetime.fromtimestamp(now, UTC)
    for key, what in (("expires_at", "certificate"), ("ca_expires_at", "certificate authority")):
        if key not in facts:
            continue
        end = datetime.strptime(facts[key], _STAMP).replace(tzinfo=UTC)
        if end <= moment:
            found.append(f"the {what} expired at {facts[key]}: give it a new one")
        elif end <= moment + _SOON:
            found.append(f"the {what} expires at {facts[key]}: give it a new one before")
    return found


def _examine_tls(material: TlsMaterial) -> dict[str, Any]:
    authorities = _certificates("ca", material.ca)
    leaf = _certificates("cert", material.certificate)[0]
    try:
        key = serialization.load_pem_private_key(material.key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unusable("data.key: it is no private key in PEM without a passphrase") from error
    if _public(key.public_key()) != _public(leaf.public_key()):
        raise Unusable("data.key: it does not belong to data.cert; give the key that the certificate was made for")
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(
        usage
    ):
        raise Unusable("data.cert: its extendedKeyUsage does not allow clientAuth; give the client's certificate")
    return {
        "ca_expires_at": min(_end(one) for one in authorities),
        "expires_at": _end(leaf),
        "fingerprint": "SHA256:" + leaf.fingerprint(hashes.SHA256()).hex(),
        "issuer": leaf.issuer.rfc4514_string(),
        "kind": _kind(leaf.public_key()),
        "subject": leaf.subject.rfc4514_string(),
    }


def _certificates(key: str, content: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(content)
        for one in found:
            _ = one.subject, one.extensions, one.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise Unusable(f"data.{key}: it holds no certificates in PEM, or one that is broken") from error
    return found


def _end(certificate: x509.Certificate) -> str:
    return certificate.not_valid_after_utc.strftime(_STAMP)


def _public(key: Any) -> bytes:
    """One spelling of a public key, to compare by."""
    return bytes(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def _kind(key: Any) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        return f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'DSA'} {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").removeprefix("_")


def _examine_ssh(material: SshMaterial) -> dict[str, Any]:
    public = _ssh_public(material.key)
    kind, encoded = public.split()[:2]
    return {
        "fingerprint": _ssh_fingerprint(encoded),
        "kind": kind,
        "known_hosts": _known_hosts(material.known_hosts),
        "public_key": public,
    }


def _ssh_public(content: bytes) -> str:
    says = "data.key: it is no SSH private key without a passphrase; make one with ssh-keygen -t ed25519 -N ''"
    load = (
        serialization.load_ssh_private_key
        if b"BEGIN OPENSSH PRIVATE KEY" in content
        else serialization.load_pem_private_key
    )
    try:
        # OpenSSH's own format ends with a line break, which copying loses easily.
        key: Any = load(content.strip() + b"\n", None)
        return str(
            key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, AttributeError) as error:
        raise Unusable(says) from error


def _ssh_fingerprint(encoded: str) -> str:
    digest = hashlib.sha256(base64.b64decode(encoded)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _known_hosts(content: bytes) -> list[dict[str, str]]:
    """Each known key with the hosts it is for (hashed ones as they stand)."""
    found = []
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.split()
        marker = words.pop(0) if words[0].startswith("@") else ""
        try:
            hosts, kind, encoded = words[:3]
            serialization.load_ssh_public_key(f"{kind} {encoded}".encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Unusable(
                f"data.known_hosts: line {number} is no 'host keytype key' as ssh-keyscan prints them"
            ) from error
        found.append({"hosts": f"{marker} {hosts}".strip(), "kind": kind, "fingerprint": _ssh_fingerprint(encoded)})
    if not found:
        raise Unusable(
            "data.known_hosts: it names no host; an unknown host is never trusted: run ssh-keyscan, and compare"
        )
    return found
