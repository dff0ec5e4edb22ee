"""Digests of simulated images: one of an image ``sim/…`` holds its tag, because there the tag says what the program does.

So a container made of such an image by its digest does what it does by its tag, on every host and in every process. Guaranteed
for tags of up to 23 characters; not for longer ones.
"""

from __future__ import annotations

import hashlib
import re

_BYTES = 32
#: So many bytes of a digest are told by chance at least, and one tells how long the tag is.
_LONGEST = _BYTES - 8 - 1
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_TELLING = "sim/"


def digest_of(reference: str, edition: str = "") -> str:
    """Of ``reference``, which has a tag and not the default registry; ``edition`` tells apart what the tag has stood for."""
    drawn = hashlib.sha256(reference.encode() + edition.encode()).digest()
    tag = reference.rpartition(":")[2].encode() if reference.startswith(_TELLING) else b""
    if 0 < len(tag) <= _LONGEST:
        drawn = drawn[: _BYTES - 1 - len(tag)] + tag + bytes([len(tag)])
    return "sha256:" + drawn.hex()


def tagged(reference: str) -> str:
    """The same image by its tag, where the digest holds one; else as it is. Without the default registry."""
    repository, at, digest = reference.partition("@sha256:")
    if not at or not repository.startswith(_TELLING) or len(digest) != 2 * _BYTES:
        return reference
    held = bytes.fromhex(digest)
    length = held[-1]
    if not 0 < length <= _LONGEST:
        return reference
    tag = held[-1 - length : -1].decode("latin-1")
    return f"{repository.partition(':')[0]}:{tag}" if _TAG.fullmatch(tag) else reference
