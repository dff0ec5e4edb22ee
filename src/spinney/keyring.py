"""Keys that all API processes of a deployment share, for what they have to read again themselves.

What engines alone may read is sealed otherwise (``sealing``). Here the same keys seal and unseal: a file with one Fernet key a
line, of which the first seals and all unseal. Rotating puts a new one in front; a key may be dropped once nothing is left that
was sealed with it. Guaranteed: what is sealed for one purpose does not unseal for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from spinney import keyfile
from spinney.errors import SpinneyError

_SEPARATOR = b"\x00"


class NoSuchKey(SpinneyError):
    """None of the keys at hand opens what was sealed, or there are none."""


class KeyRing:
    """The keys at hand, the first of which seals; those of a file are read again when it changes."""

    def __init__(self, origin: str, keys: Sequence[str], path: Path | None = None) -> None:
        """``origin`` names where the keys come from, for messages. Raises: ValueError."""
        self.origin = origin
        self._path = path
        self._stamp = _stamp(path)
        self._take(keys)

    def __repr__(self) -> str:
        return f"KeyRing({self.origin!r}, {self.ids})"

    def _take(self, keys: Sequence[str]) -> None:
        self._first = Fernet(keys[0])
        self._all = MultiFernet([self._first, *(Fernet(key) for key in keys[1:])])
        #: Short names of the keys for people, the one that seals first.
        self.ids = tuple(hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys)

    def seal(self, content: bytes, purpose: str) -> bytes:
        self._refresh()
        return self._all.encrypt(purpose.encode() + _SEPARATOR + content)

    def unseal(self, sealed: bytes, purpose: str) -> bytes:
        """Raises: NoSuchKey."""
        found, _, content = self._open(sealed).partition(_SEPARATOR)
        if found != purpose.encode():
            raise NoSuchKey(f"it was sealed as {found.decode(errors='replace')}, not as {purpose}")
        return content

    def sealed_anew(self, sealed: bytes) -> bytes | None:
        """By the first key; None: it is so already. Raises: NoSuchKey."""
        try:
            self._first.decrypt(sealed)
        except InvalidToken:
            self._open(sealed)
            return self._all.rotate(sealed)
        return None

    def _open(self, sealed: bytes) -> bytes:
        try:
            return self._all.decrypt(sealed)
        except InvalidToken:
            self._refresh()
        try:
            return self._all.decrypt(sealed)
        except InvalidToken as error:
            raise NoSuchKey(f"no key in {self.origin} opens it: put the key back that it was sealed with") from error

    def _refresh(self) -> None:
        """A file that cannot be read now leaves the keys of before."""
        stamp = _stamp(self._path)
        if self._path is not None and stamp not in (None, self._stamp):
            with suppress(NoSuchKey):
                self._take(_keys(self._path))
            self._stamp = stamp


def _stamp(path: Path | None) -> tuple[int, int] | None:
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_ino)


def read_ring(content: str, origin: str) -> KeyRing:
    """Raises: NoSuchKey."""
    return KeyRing(origin, _parsed(content, origin))


def _parsed(content: str, origin: str) -> list[str]:
    lines = [line for line in map(str.strip, content.splitlines()) if line and not line.startswith("#")]
    try:
        for line in lines:
            Fernet(line)
    except ValueError as error:
        raise NoSuchKey(f"{origin} must hold Fernet keys alone, one a line: {error}") from error
    if not lines:
        raise NoSuchKey(f"{origin} holds no key; remove it to have one made, or put the deployment's keys back")
    return lines


def open_ring(path: Path) -> KeyRing:
    """The keys kept in a file; one is made there at the first start. Raises: NoSuchKey."""
    return KeyRing(str(path), _keys(path), path)


def _keys(path: Path) -> list[str]:
    try:
        if not path.exists():
            _put(path, [Fernet.generate_key().decode()], anew=False)
        if path.stat().st_mode & 0o007:
            raise NoSuchKey(f"the key file {path} is open to every user of this machine: run chmod 600 {path}")
        return _parsed(path.read_text(), str(path))
    except OSError as error:
        raise NoSuchKey(
            f"the key file {path} cannot be used: {error.strerror}; see to it, or set api.key_file"
        ) from error


def rotate(path: Path, keep: int) -> int:
    """Put a new key in front of up to ``keep`` old ones, and tell how many there are. Raises: NoSuchKey, OSError."""
    kept = [Fernet.generate_key().decode(), *_keys(path)[:keep]]
    _put(path, kept, anew=True)
    return len(kept)


def drop(path: Path) -> None:
    """Leave the first key alone. Raises: NoSuchKey, OSError."""
    _put(path, _keys(path)[:1], anew=True)


def _put(path: Path, keys: Sequence[str], *, anew: bool) -> None:
    keyfile.write(path, "".join(f"{key}\n" for key in keys).encode(), anew=anew)
