"""Requests to the service, through openstacksdk's connection: JSON in, JSON out, refusals as ``CommandError``.

Every request asks for the newest Clustering API (or the one that the cloud's ``clustering_default_microversion`` names) and
for what Spinney adds to it; another server ignores the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from osc_lib.exceptions import CommandError

VERSION_HEADER = "OpenStack-API-Version"
CLUSTERING = "1.14"
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")

#: Wire names under the names that openstacksdk gives them, as commands print them.
RENAMES = {"user": "user_id", "project": "project_id", "domain": "domain_id"}


class Api:
    def __init__(self, proxy: Any) -> None:
        self.proxy = proxy
        wanted = getattr(proxy, "default_microversion", None) or CLUSTERING
        self._headers = {VERSION_HEADER: f"clustering {wanted}, spinney latest"}

    def send(
        self, method: str, *path: str, body: Any = None, query: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        """The response itself. Raises: CommandError, when it is a refusal."""
        given = {} if body is None else {"json": body}
        response = self.proxy.request(
            address(*path),
            method,
            params={key: value for key, value in (query or {}).items() if value is not None},
            headers=self._headers,
            microversion=None,  # the header says it, beside Spinney's own
            **given,
            **more,
        )
        if response.status_code >= 400:
            raise CommandError(refusal(response))
        return response

    def get(self, *path: str, query: Mapping[str, Any] | None = None) -> Any:
        return self.send("GET", *path, query=query).json()

    def one(self, *path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What stands in the one envelope of an answer."""
        return inside(self.get(*path, query=query))

    def change(self, method: str, *path: str, body: Any) -> dict[str, Any]:
        return inside(self.send(method, *path, body=body).json())

    def start(self, method: str, *path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> str:
        """The id of the action that a request has started."""
        return action_of(self.send(method, *path, body=body, query=query))

    def stream(self, *path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """What arrives, as it arrives."""
        response = self.send("GET", *path, query=query, stream=True)
        with response:
            yield from response.iter_content(chunk_size=None)


def address(*path: str) -> str:
    return "".join("/" + segment(part) for part in path)


def segment(word: str) -> str:
    """One segment of a path, whatever is in the word."""
    if not word:
        raise CommandError("A name or id is needed, and an empty one was given.")
    return "%2E" * len(word) if set(word) == {"."} else quote(word, safe="~")


def action_of(response: Any) -> str:
    """The id of the action that an answer names."""
    location = str(response.headers.get("Location", ""))
    if "/actions/" not in location:
        raise CommandError(f"{response.url} accepted the request, but the answer names no action.")
    return location.rsplit("/", 1)[1]


def inside(value: Any) -> dict[str, Any]:
    (found,) = value.values()
    return found if isinstance(found, dict) else {"value": found}


def refusal(response: Any) -> str:
    """The service's own words, else the status."""
    try:
        fault = response.json()["error"]
        return str(fault["message"] if isinstance(fault, dict) else fault)
    except (ValueError, KeyError, TypeError):
        return f"{response.url} answered {response.status_code} {response.reason}."
