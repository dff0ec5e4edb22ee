"""Which images containers may be made of: pure.

Names are compared as Docker engines read them, not as they are spelled: ``nginx``, ``docker.io/library/nginx`` and
``index.docker.io/library/nginx:latest`` are one repository; registries are compared in lower case, international ones in
their ASCII form, IPv6 addresses in their shortest spelling, without port 443. Guaranteed: what cannot be read fits nothing. Not
guaranteed: that two names of one registry (an alias, its address) are known to be one; each has to be listed.

Patterns have the form of names, without tag and digest. ``*`` stands for any part of one word between slashes, in a registry
of one word between dots; a registry ``*`` is any registry; ``**`` at the end is everything below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any

HUB = "docker.io"
_OFFICIAL = "library"
_ALIASES = ("index.docker.io",)
_SECURE_PORT = 443
_REGISTRY = re.compile(r"(?P<host>\[[0-9a-f:]+\]|[^:\[\]/]+)(?::(?P<port>[0-9]{1,5}|\*))?")
_WORD = re.compile(r"[a-z0-9._*-]+")
_LABELS = re.compile(r"[a-z0-9*-]+(?:\.[a-z0-9*-]+)*")
_ALL_BELOW = "**"
MOST_PATTERNS = 200


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name, taken apart. ``registry`` is a host with its port where that is not 443."""

    registry: str
    repository: tuple[str, ...]
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        return "/".join((self.registry, *self.repository))


@dataclass(frozen=True, slots=True)
class Pattern:
    text: str
    registry: str
    path: tuple[str, ...]

    def fits(self, reference: Reference) -> bool:
        return self._registry_fits(reference.registry) and self._path_fits(reference.repository)

    def _registry_fits(self, registry: str) -> bool:
        if self.registry == "*":
            return True
        host, port = _split_port(self.registry)
        given_host, given_port = _split_port(registry)
        if port not in ("*", given_port):
            return False
        if "*" not in host or given_host.startswith("["):
            return host == given_host
        wanted, given = host.split("."), given_host.split(".")
        return len(wanted) == len(given) and all(map(_word_fits, wanted, given))

    def _path_fits(self, path: Sequence[str]) -> bool:
        if self.path[-1] == _ALL_BELOW:
            head = self.path[:-1]
            return len(path) > len(head) and all(map(_word_fits, head, path[: len(head)]))
        return len(path) == len(self.path) and all(map(_word_fits, self.path, path))


@dataclass(frozen=True, slots=True)
class ImageRule:
    """``allow`` None: any repository."""

    allow: tuple[str, ...] | None = None
    require_digest: bool = False
    #: A tag is resolved once for a whole cluster.
    pin: bool = False

    def fault(self, image: str) -> str | None:
        """Why no container may be made of the image; None: one may."""
        reference = parse(image)
        if reference is None:
            return f"{image} is no image's name"
        if self.allow is not None and not any(pattern(text).fits(reference) for text in self.allow):
            allowed = ", ".join(self.allow[:5]) + (f" and {len(self.allow) - 5} more" if self.allow[5:] else "")
            return f"images of {reference.name} are not allowed here: allowed are {allowed or 'none'}"
        if self.require_digest and reference.digest is None:
            return f"{image} has no digest and one is required here: write {image.partition('@')[0]}@sha256:…"
        return None


def merged(deployment: ImageRule, *rules: Mapping[str, Any]) -> ImageRule:
    """The deployment's settings, with what each of the rules says in their place: later ones count more."""
    values: dict[str, Any] = {name: getattr(deployment, name) for name in ImageRule.__slots__}
    for rule in rules:
        values |= {name: rule[name] for name in ImageRule.__slots__ if rule.get(name) is not None}
    allow = values["allow"]
    return ImageRule(**{**values, "allow": None if allow is None else tuple(allow)})


@lru_cache(maxsize=4096)
def parse(image: str) -> Reference | None:
    """As a Docker engine reads it."""
    name, at, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if (at and not digest) or (colon and not tag):
        return None
    registry, path = _split(f"{head}{slash}{last}".split("/"))
    found = _registry(registry)
    if found is None or "*" in name or not path or not all(_WORD.fullmatch(word) for word in path):
        return None
    return Reference(found, tuple(path), tag or None, digest or None)


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern:
    """Raises ValueError with what is wrong and what to write."""
    says = "write [registry[:port]/]path as in registry.example.org/team/*, docker.io/library/nginx or */**"
    words = text.strip().split("/")
    if "@" in text or ":" in words[-1]:
        raise ValueError(f"'{text}' names a tag or digest, which rules do not look at; leave that out")
    if words == [_ALL_BELOW]:
        return Pattern(text, "*", (_ALL_BELOW,))
    registry, path = ("*", words[1:]) if words[0] == "*" and len(words) > 1 else _split(words)
    found = "*" if registry == "*" else _registry(registry)
    if found is None or not path:
        raise ValueError(f"'{text[:255]}' is no pattern of images: {says}")
    for index, word in enumerate(path):
        below = word == _ALL_BELOW and index == len(path) - 1
        if not below and (not _WORD.fullmatch(word) or _ALL_BELOW in word):
            raise ValueError(f"'{text[:255]}' is no pattern of images, because of '{word[:80]}': {says}")
    return Pattern(text, found, tuple(path))


def _split(words: list[str]) -> tuple[str, list[str]]:
    """Registry and path: the first word is a registry if it could be no other, which capitals make it too."""
    first = words[0]
    if len(words) == 1 or not (any(sign in first for sign in ".:") or first == "localhost" or first != first.lower()):
        path = [_OFFICIAL, *words] if len(words) == 1 else words
        return HUB, path
    rest = words[1:]
    if first.lower() in (HUB, *_ALIASES) and len(rest) == 1:
        rest = [_OFFICIAL, *rest]
    return first, rest


def _registry(text: str) -> str | None:
    """In the one spelling that is compared; None: it is none."""
    found = _REGISTRY.fullmatch(text.lower())
    if found is None:
        return None
    host = _host(found["host"])
    if host is None:
        return None
    port = found["port"]
    if port is None:
        return HUB if host in _ALIASES else host
    # With a port, docker.io is a machine like any other, and not the registry that its name stands for.
    if port != "*" and int(port) == _SECURE_PORT and host not in (HUB, *_ALIASES):
        return host
    return f"{host}:{port if port == '*' else int(port)}"


def _host(text: str) -> str | None:
    if text.startswith("["):
        try:
            return f"[{IPv6Address(text[1:-1]).compressed}]"
        except ValueError:
            return None
    if not text.isascii():
        try:
            text = text.encode("idna").decode()
        except UnicodeError:
            return None
    return text if _LABELS.fullmatch(text) else None


def _split_port(registry: str) -> tuple[str, str]:
    host, colon, port = registry.rpartition(":")
    return (host, port) if colon and not port.endswith("]") else (registry, "")


def _word_fits(wanted: str, given: str) -> bool:
    """Each ``*`` any number of signs. Without backtracking: the pieces between are looked for one after the other."""
    head, *pieces = wanted.split("*")
    if not pieces:
        return wanted == given
    *middle, tail = pieces
    if len(given) < len(head) + len(tail) or not given.startswith(head) or not given.endswith(tail):
        return False
    at, end = len(head), len(given) - len(tail)
    for piece in middle:
        found = given.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
