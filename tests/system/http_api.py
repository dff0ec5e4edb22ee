"""A tiny client of the API, out of the standard library: what it sends is written out, and it imports nothing of Spinney's."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

VERSIONS = "clustering 1.14, spinney 1.0"


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any  # decoded, or text where it is no JSON
    headers: dict[str, str]

    @property
    def fault(self) -> str:
        """What an error says to its reader."""
        assert self.status >= 400, f"no error: {self.status} {self.body}"
        return str(self.body["error"]["message"] if "error" in self.body else self.body["message"])


class Api:
    def __init__(self, port: int, password: str) -> None:
        self._port = port
        pair = base64.b64encode(f"admin:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {pair}", "OpenStack-API-Version": VERSIONS}

    def call(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Reply:
        """``path`` is below ``/v1`` and sent as it is; ``body`` is sent as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            asked = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, f"/v1{path}", data, {**self._headers, **asked, **(headers or {})})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        try:
            decoded = json.loads(text) if text else None
        except ValueError:
            decoded = text
        return Reply(response.status, decoded, {name.lower(): value for name, value in response.getheaders()})

    @contextmanager
    def lines(self, path: str) -> Iterator[Iterator[str]]:
        """The lines of a stream, as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", f"/v1{path}", headers=self._headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            yield (line.decode().rstrip("\n") for line in response)
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """What is in the envelope of an answer that must be 200."""
        reply = self.call("GET", path)
        assert reply.status == 200, f"GET {path}: {reply.status} {reply.body}"
        (content,) = reply.body.values()
        return content

    def create(self, kind: str, **given: Any) -> Any:
        """Post a profile, cluster or node; what was made."""
        reply = self.call("POST", f"/{kind}s", {kind: given})
        assert reply.status in (201, 202), f"POST /{kind}s: {reply.status} {reply.body}"
        return reply.body[kind]

    def act(self, path: str, **verb: Any) -> str:
        """Post one action or operation; the action's id."""
        reply = self.call("POST", path, verb)
        assert reply.status == 202, f"POST {path}: {reply.status} {reply.body}"
        return reply.headers["location"].rpartition("/")[2]
