"""Which version a request speaks, and the documents that say which there are.

Senlin's versions are 1.0 to 1.14; Spinney's own additions are a second entry of the same header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from spinney.errors import HTTPBadRequest, InvalidGlobalAPIVersion

LATEST_MINOR = 14
LATEST_OURS = 0
_VERSION = re.compile(r"([1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")
_HEADER = "OpenStack-API-Version"


@dataclass(frozen=True, slots=True)
class Versions:
    """``minor`` of clustering 1.x; ``ours`` the minor of spinney 1.x, None when it was not asked for."""

    minor: int = 0
    ours: int | None = None

    @property
    def header(self) -> bytes:
        text = f"clustering 1.{self.minor}"
        return (text if self.ours is None else f"{text}, spinney 1.{self.ours}").encode()


@lru_cache(maxsize=256)
def negotiate(header: bytes | None) -> Versions:
    """Raises: HTTPBadRequest for what is no version, InvalidGlobalAPIVersion for one not spoken here."""
    minor, ours = 0, None
    for entry in (header or b"").decode("latin-1").split(","):
        service, _, version = entry.strip().partition(" ")
        if service == "clustering":
            minor = _minor(service, version.strip(), LATEST_MINOR)
        elif service == "spinney":
            ours = _minor(service, version.strip(), LATEST_OURS)
    return Versions(minor, ours)


def _minor(service: str, version: str, latest: int) -> int:
    if version.lower() == "latest":
        return latest
    match = _VERSION.fullmatch(version)
    if match is None:
        raise HTTPBadRequest(
            f"{_HEADER}: '{version[:40]}' is not a version of {service}; give one such as '{service} 1.{latest}', or "
            f"'{service} latest'."
        )
    major, minor = int(match[1]), int(match[2])
    if major != 1 or minor > latest:
        raise InvalidGlobalAPIVersion(
            f"{_HEADER}: version {version} of {service} is not spoken here; versions 1.0 to 1.{latest} are."
        )
    return minor


def document(base_url: str) -> dict[str, Any]:
    return {
        "id": "1.0",
        "links": [
            {"rel": "self", "href": f"{base_url}/v1"},
            {"rel": "help", "href": "https://docs.openstack.org/api-ref/clustering/"},
        ],
        "max_version": f"1.{LATEST_MINOR}",
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.clustering-v1+json"}],
        "min_version": "1.0",
        "status": "CURRENT",
        "updated": "2026-11-22T00:00:00Z",
    }


def choices(base_url: str) -> dict[str, Any]:
    """The body of ``GET /``."""
    return {"versions": [document(base_url)]}


def details(base_url: str) -> dict[str, Any]:
    """The body of ``GET /v1``."""
    ours = {"min_version": "1.0", "max_version": f"1.{LATEST_OURS}"}
    return {"version": {**document(base_url), "spinney": ours}, "spinney": ours}
