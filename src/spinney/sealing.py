"""Sealing secrets so that only who holds the deployment's private key can read them.

A sealed box: a fresh X25519 key agrees on a secret with the deployment's public key, from which HKDF-SHA256 makes the key for
AES-256-GCM. Whoever seals (the API) needs the public key alone; the private one stays with the engines, in a file.

Guaranteed: a box opens only with its key and under the context it was sealed for, so that boxes cannot be exchanged in the
database; what fails says which of the two keys was at hand. Not guaranteed: who sealed it; writing to the database is a
right of its own.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from spinney.errors import SpinneyError

_VERSION = b"\x01"
_ID = 8
_PUBLIC = 32
#: Each box has a key of its own, so its one nonce never repeats under a key.
_NONCE = bytes(12)


class WrongKey(SpinneyError):
    """The key at hand is not the one that was needed."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    raw: bytes

    @property
    def id(self) -> str:
        """A short name for people: which key is meant."""
        return hashlib.sha256(self.raw).digest()[:_ID].hex()

    def seal(self, content: bytes, context: str) -> bytes:
        once = X25519PrivateKey.generate()
        public = once.public_key().public_bytes_raw()
        key = _key(once.exchange(X25519PublicKey.from_public_bytes(self.raw)), public, self.raw)
        return _VERSION + bytes.fromhex(self.id) + public + AESGCM(key).encrypt(_NONCE, content, context.encode())


@dataclass(frozen=True, slots=True)
class SecretKey:
    """``origin`` names where it comes from, for messages."""

    origin: str
    _private: X25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        return PublicKey(self._private.public_key().public_bytes_raw())

    def unseal(self, box: bytes, context: str) -> bytes:
        """Raises: WrongKey."""
        version, sealed_for, rest = box[:1], box[1 : 1 + _ID].hex(), box[1 + _ID :]
        if version != _VERSION or sealed_for != self.public.id:
            raise WrongKey(f"it was sealed for key {sealed_for}, and {self.origin} holds key {self.public.id}")
        once, ciphertext = rest[:_PUBLIC], rest[_PUBLIC:]
        key = _key(self._private.exchange(X25519PublicKey.from_public_bytes(once)), once, self.public.raw)
        try:
            return AESGCM(key).decrypt(_NONCE, ciphertext, context.encode())
        except InvalidTag as error:
            raise WrongKey("what is stored was changed, or belongs to another object") from error


def _key(shared: bytes, once: bytes, recipient: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=once + recipient, info=b"spinney sealed box 1").derive(shared)


def open_key(path: Path) -> SecretKey:
    """The key kept in a file; made there at the first start. Raises: WrongKey."""
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o007:
            raise WrongKey(f"the secret key {path} is open to every user of this machine: run chmod 600 {path}")
        return read_key(path.read_bytes(), str(path))
    except OSError as error:
        raise WrongKey(
            f"the secret key {path} cannot be used: {error.strerror}; see to it, or set driver.key_file"
        ) from error


def read_key(content: bytes, origin: str) -> SecretKey:
    """From PEM. Raises: WrongKey."""
    try:
        private = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise WrongKey(f"{origin} holds no private key in PEM: put the deployment's key back") from error
    if not isinstance(private, X25519PrivateKey):
        raise WrongKey(f"{origin} holds a key of another kind than X25519: put the deployment's key back")
    return SecretKey(origin, private)


def _make(path: Path) -> None:
    """Whole or not at all, and the first of several that try at the same time wins."""
    content = X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        Path(fresh).unlink()
