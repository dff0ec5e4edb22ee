"""The certificate the API serves with.

Guaranteed: TLS 1.2 and 1.3 alone, with forward secrecy; what cannot serve is found before it replaces what serves.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from spinney.clock import Clock
from spinney.config import ApiSettings
from spinney.errors import SpinneyError

#: Of TLS 1.2; 1.3 has no others.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class UnusableCertificate(SpinneyError):
    """The certificate or key that is configured cannot serve."""


@dataclass(frozen=True, slots=True)
class Material:
    """What has been found fit to serve with. ``names``: whom it is for, names before addresses."""

    certificate: Path
    key: Path
    names: tuple[str, ...]
    self_signed: bool


def examine(settings: ApiSettings, clock: Clock) -> Material | None:
    """None where TLS is not configured. Raises: UnusableCertificate."""
    if not settings.tls_certificate:
        return None
    certificate, key = Path(settings.tls_certificate), Path(settings.tls_key)
    leaf = _leaf(certificate)
    if _bare(leaf.public_key()) != _bare(_public_of(key)):
        raise UnusableCertificate(
            f"[api] tls_key: {key} is not the key of the certificate in {certificate}; give the one it was made with"
        )
    now = datetime.fromtimestamp(clock.now(), UTC)
    if leaf.not_valid_after_utc <= now:
        raise UnusableCertificate(
            f"[api] tls_certificate: {certificate} expired at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it"
        )
    if leaf.not_valid_before_utc > now:
        raise UnusableCertificate(
            f"[api] tls_certificate: {certificate} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; "
            f"see to the clock, or wait"
        )
    return Material(certificate, key, _names(leaf), leaf.issuer == leaf.subject)


def context_of(material: Material) -> ssl.SSLContext:
    """Raises: UnusableCertificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    put_into(context, material)
    return context


def put_into(context: ssl.SSLContext, material: Material) -> None:
    """Connections made from now on get this certificate. Raises: UnusableCertificate."""
    try:
        context.load_cert_chain(material.certificate, material.key)
    except (ssl.SSLError, OSError) as error:
        raise UnusableCertificate(f"[api] tls_certificate: {material.certificate} cannot serve: {error}") from error


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableCertificate(
            f"[api] {option}: {path} cannot be read ({error.strerror}); name a file that this user may read"
        ) from error


def _leaf(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_read(path, "tls_certificate"))[0]
    except ValueError as error:
        raise UnusableCertificate(
            f"[api] tls_certificate: {path} holds no certificate as PEM; the service's own must be the first in it"
        ) from error


def _public_of(path: Path) -> PublicKeyTypes:
    try:
        return load_pem_private_key(_read(path, "tls_key"), None).public_key()
    except TypeError as error:
        raise UnusableCertificate(
            f"[api] tls_key: {path} is encrypted, and nobody is there to type its password; store it without one"
        ) from error
    except ValueError as error:
        raise UnusableCertificate(f"[api] tls_key: {path} holds no private key as PEM") from error


def _bare(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [name for name in found.get_values_for_type(x509.DNSName) if not name.startswith("*")]
    return (*names, *map(str, found.get_values_for_type(x509.IPAddress)))
