"""Keys that all API processes of a deployment share, for what they have to read again themselves.

What engines alone may read is sealed otherwise (``sealing``). Here the same keys seal and unseal: a file with one Fernet key a
line, of which the first seals and all unseal. Rotating puts a new one in front; a key may be dropped once nothing is left that
was sealed with it. Guaranteed: what is sealed for one purpose does not unseal for another.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from spinney.errors import SpinneyError

_SEPARATOR = b"\x00"


class NoSuchKey(SpinneyError):
    """None of the keys at hand opens what was sealed, or there are none."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """``origin`` names where the keys come from, for messages."""

    origin: str
    _keys: MultiFernet = field(repr=False)

    def seal(self, content: bytes, purpose: str) -> bytes:
        return self._keys.encrypt(purpose.encode() + _SEPARATOR + content)

    def unseal(self, sealed: bytes, purpose: str) -> bytes:
        """Raises: NoSuchKey."""
        try:
            found, _, content = self._keys.decrypt(sealed).partition(_SEPARATOR)
        except InvalidToken as error:
            raise NoSuchKey(f"no key in {self.origin} opens it: put the key back that it was sealed with") from error
        if found != purpose.encode():
            raise NoSuchKey(f"it was sealed as {found.decode(errors='replace')}, not as {purpose}")
        return content


def read_ring(content: str, origin: str) -> KeyRing:
    """Raises: NoSuchKey."""
    lines = [line for line in map(str.strip, content.splitlines()) if line and not line.startswith("#")]
    try:
        keys = [Fernet(line) for line in lines]
    except ValueError as error:
        raise NoSuchKey(f"{origin} must hold Fernet keys alone, one a line: {error}") from error
    if not keys:
        raise NoSuchKey(f"{origin} holds no key; remove it to have one made, or put the deployment's keys back")
    return KeyRing(origin, MultiFernet(keys))


def open_ring(path: Path) -> KeyRing:
    """The keys kept in a file; one is made there at the first start. Raises: NoSuchKey."""
    try:
        if not path.exists():
            _put(path, "", anew=False)
        if path.stat().st_mode & 0o007:
            raise NoSuchKey(f"the key file {path} is open to every user of this machine: run chmod 600 {path}")
        return read_ring(path.read_text(), str(path))
    except OSError as error:
        raise NoSuchKey(
            f"the key file {path} cannot be used: {error.strerror}; see to it, or set api.key_file"
        ) from error


def rotate(path: Path, keep: int) -> int:
    """Put a new key in front of up to ``keep`` old ones, and tell how many there are. Raises: NoSuchKey, OSError."""
    open_ring(path)
    lines = [line for line in path.read_text().split() if line]
    _put(path, "\n".join(lines[:keep]), anew=True)
    return 1 + min(len(lines), keep)


def _put(path: Path, older: str, *, anew: bool) -> None:
    """Whole or not at all; at a first start the first of several that try at the same time wins."""
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(Fernet.generate_key().decode() + "\n" + (older + "\n" if older else ""))
        file.flush()
        os.fsync(file.fileno())
    if anew:
        Path(fresh).replace(path)
        return
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        Path(fresh).unlink()
