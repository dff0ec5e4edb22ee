"""Certificates for tests: an authority, and folders in the layout of Docker and of our credentials."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM
_PLAIN = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Authority:
    """A certificate authority, with a new key unless one is given."""

    def __init__(self, name: str, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))

    @classmethod
    def kept_in(cls, file: Path, name: str) -> Authority:
        """One whose key is in this file, which is made when it is not there."""
        if file.exists():
            key = serialization.load_pem_private_key(file.read_bytes(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            return cls(name, key)
        made = cls(name)
        file.touch(0o600)
        file.write_bytes(made._key.private_bytes(_PEM, *_PLAIN))
        return made

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType, days: int = 30
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=days))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256())

    def issue(
        self, folder: Path, name: str, *, trusts: Authority | None = None, addresses: Sequence[str] = ("127.0.0.1",)
    ) -> Path:
        """A folder with ``ca.pem`` (of ``trusts``, else our own), ``cert.pem`` and ``key.pem``.

        Each file is put in place whole, so that a reader meets the old or the new one.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            key,
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        )
        folder.mkdir(parents=True, exist_ok=True)
        _put(folder / "ca.pem", (trusts or self).certificate.public_bytes(_PEM))
        _put(folder / "cert.pem", certificate.public_bytes(_PEM))
        _put(folder / "key.pem", key.private_bytes(_PEM, *_PLAIN))
        return folder


def _put(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.touch(0o600)
    new.write_bytes(content)
    new.replace(file)
