"""Talking to an ASGI application without a server: one request in, one whole answer out."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from api import declared

USER, PASSWORD = "admin", "correct horse"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, type and message, after checking that both levels of the body agree."""
        body = self.json
        assert body["code"] == body["error"]["code"] == self.status
        assert set(body) == {"code", "title", "explanation", "error"}
        assert body["title"] and body["explanation"]
        return self.status, body["error"]["type"], body["error"]["message"]

    @property
    def action(self) -> str:
        """The id of the action that a 202 leads to."""
        assert self.status == 202, self.body
        return self.headers["location"].removeprefix("/v1/actions/")


class Client:
    """``version`` is the header's value; None sends none. Awaitable calls: ``await client.get("/v1/nodes", limit=3)``."""

    def __init__(self, app: Any, *, version: str | None = "clustering 1.14", authorization: str | None = None) -> None:
        self.app = app
        self.version = version
        self.authorization = authorization or basic(USER, PASSWORD)

    def at(self, version: str | None) -> Client:
        return Client(self.app, version=version, authorization=self.authorization)

    def as_user(self, name: str) -> Client:
        return Client(self.app, version=self.version, authorization=basic(name, PASSWORD))

    async def get(self, path: str, /, **query: Any) -> Answer:
        return await self.request("GET", path, query=query)

    async def post(self, path: str, body: Any = None, /, **query: Any) -> Answer:
        return await self.request("POST", path, body, query=query)

    async def patch(self, path: str, body: Any = None, /, **query: Any) -> Answer:
        return await self.request("PATCH", path, body, query=query)

    async def delete(self, path: str, body: Any = None, /, **query: Any) -> Answer:
        return await self.request("DELETE", path, body, query=query)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path, _, text = path.partition("?")
        text = text or urlencode(list((query or {}).items()), doseq=True)
        sent = {"host": "api.example:8777", "authorization": self.authorization}
        if self.version is not None:
            sent["openstack-api-version"] = self.version
        if raw:
            sent |= {"content-type": "application/json", "content-length": str(len(raw))}
        sent |= headers or {}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": text.encode(),
            "root_path": "",
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in sent.items() if v],
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 8777),
        }
        answer = await _run(self.app, scope, raw)
        declared.check(method, path, answer.status, answer.headers.get("content-type"), answer.body)
        return answer


async def _run(app: Any, scope: dict[str, Any], raw: bytes) -> Answer:
    pieces = [raw[start : start + 65536] for start in range(0, len(raw), 65536)] or [b""]
    messages = [
        {"type": "http.request", "body": piece, "more_body": index + 1 < len(pieces)}
        for index, piece in enumerate(pieces)
    ]
    ended = asyncio.Event()
    start: dict[str, Any] = {}
    body = bytearray()

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                ended.set()

    await app(scope, receive, send)
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers, bytes(body))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
