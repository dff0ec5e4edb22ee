"""Sealing secrets so that only who holds the deployment's private keys can read them.

A sealed box: a fresh X25519 key agrees on a secret with the deployment's public key, from which HKDF-SHA256 makes the key for
AES-256-GCM. Whoever seals (the API) needs the public key alone; the private ones stay with the engines, in a file of one or
more: the first is sealed for, all open. Rotating puts a new one in front; engines then seal what there is anew, and an old one
may be dropped once nothing is left that was sealed for it.

Guaranteed: a box opens only with its key and under the context it was sealed for, so that boxes cannot be exchanged in the
database; what fails says which of the two keys was at hand. Not guaranteed: who sealed it; writing to the database is a
right of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from spinney import keyfile
from spinney.errors import SpinneyError

_VERSION = b"\x01"
_ID = 8
_PUBLIC = 32
#: Each box has a key of its own, so its one nonce never repeats under a key.
_NONCE = bytes(12)
_PEM = re.compile(rb"-----BEGIN [^-\n]+-----.*?-----END [^-\n]+-----", re.DOTALL)


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
    """One of them. ``origin`` names where it comes from, for messages."""

    origin: str
    _private: X25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        return PublicKey(self._private.public_key().public_bytes_raw())

    def unseal(self, box: bytes, context: str) -> bytes:
        """Raises: WrongKey."""
        version, rest = box[:1], box[1 + _ID :]
        if version != _VERSION or sealed_for(box) != self.public.id:
            raise WrongKey(f"it was sealed for key {sealed_for(box)}, and {self.origin} holds key {self.public.id}")
        once, ciphertext = rest[:_PUBLIC], rest[_PUBLIC:]
        key = _key(self._private.exchange(X25519PublicKey.from_public_bytes(once)), once, self.public.raw)
        try:
            return AESGCM(key).decrypt(_NONCE, ciphertext, context.encode())
        except InvalidTag as error:
            raise WrongKey("what is stored was changed, or belongs to another object") from error


def sealed_for(box: bytes) -> str:
    """The id of the key that opens it."""
    return box[1 : 1 + _ID].hex()


class SecretKeys:
    """The keys at hand; those of a file are read again when one is asked for that is not among them."""

    def __init__(self, origin: str, keys: Sequence[SecretKey], path: Path | None = None) -> None:
        self.origin = origin
        self._keys = tuple(keys)
        self._path = path
        self._stamp = _stamp(path)

    def __repr__(self) -> str:
        return f"SecretKeys({self.origin!r}, {self.ids})"

    @property
    def public(self) -> PublicKey:
        """What is to be sealed for."""
        return self._keys[0].public

    @property
    def ids(self) -> tuple[str, ...]:
        """The one that is sealed for first."""
        return tuple(key.public.id for key in self._keys)

    def unseal(self, box: bytes, context: str) -> bytes:
        """Raises: WrongKey."""
        wanted = sealed_for(box)
        if wanted not in self.ids:
            self.refresh()
        for key in self._keys:
            if key.public.id == wanted:
                return key.unseal(box, context)
        held = ", ".join(self.ids)
        raise WrongKey(f"it was sealed for key {wanted}, and {self.origin} holds key {held}")

    def refresh(self) -> None:
        """Read the file again if it has changed. Raises: WrongKey, and goes on with the keys of before."""
        stamp = _stamp(self._path)
        if self._path is not None and stamp != self._stamp:
            self._keys = open_keys(self._path)._keys
            self._stamp = stamp


def _stamp(path: Path | None) -> tuple[int, int] | None:
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_ino)


def _key(shared: bytes, once: bytes, recipient: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=once + recipient, info=b"spinney sealed box 1").derive(shared)


def open_keys(path: Path) -> SecretKeys:
    """The keys kept in a file; one is made there at the first start. Raises: WrongKey."""
    try:
        if not path.exists():
            _put(path, b"", anew=False)
        if path.stat().st_mode & 0o007:
            raise WrongKey(f"the secret key {path} is open to every user of this machine: run chmod 600 {path}")
        return SecretKeys(str(path), read_keys(path.read_bytes(), str(path)), path)
    except OSError as error:
        raise WrongKey(
            f"the secret key {path} cannot be used: {error.strerror}; see to it, or set driver.key_file"
        ) from error


def read_keys(content: bytes, origin: str) -> list[SecretKey]:
    """From PEM, one block after another. Raises: WrongKey."""
    found = [_read(block, origin) for block in _PEM.findall(content)]
    if not found:
        raise WrongKey(f"{origin} holds no private key in PEM: put the deployment's key back")
    return found


def _read(block: bytes, origin: str) -> SecretKey:
    try:
        private = serialization.load_pem_private_key(block, None)
    except (ValueError, TypeError) as error:
        raise WrongKey(f"{origin} holds no private key in PEM: put the deployment's key back") from error
    if not isinstance(private, X25519PrivateKey):
        raise WrongKey(f"{origin} holds a key of another kind than X25519: put the deployment's key back")
    return SecretKey(origin, private)


def rotate(path: Path) -> SecretKeys:
    """Put a new key in front of those there are. Raises: WrongKey, OSError."""
    if path.exists():
        open_keys(path)
        _put(path, path.read_bytes(), anew=True)
    return open_keys(path)


def drop(path: Path, ids: Collection[str]) -> SecretKeys:
    """Take these keys out of the file; the first one stays. Raises: WrongKey, OSError."""
    content = path.read_bytes()
    open_keys(path)
    first, *others = _PEM.findall(content)
    kept = [first, *(block for block in others if _read(block, str(path)).public.id not in ids)]
    keyfile.write(path, b"\n".join(kept) + b"\n", anew=True)
    return open_keys(path)


def _put(path: Path, older: bytes, *, anew: bool) -> None:
    fresh = X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    keyfile.write(path, fresh + older, anew=anew)
