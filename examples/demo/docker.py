"""The little of the Docker Engine API that the demo needs, over a unix socket, so that it needs no ``docker`` command."""

from __future__ import annotations

import http.client
import json
import socket as sockets
import time
from typing import Any
from urllib.parse import quote, urlencode

from demo.notes import Trouble


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(
    socket: str, method: str, path: str, query: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, Any]:
    """The status of an answer, and what is in it."""
    connection = _Connection(socket, 60)
    try:
        connection.request(method, quote(path) + ("?" + urlencode(query) if query else ""), body)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text) if text else None
    except ValueError:
        return answer.status, text


def expect(socket: str, method: str, path: str, query: dict[str, str] | None = None, body: bytes | None = None) -> Any:
    """What is in the answer. Raises: Trouble, when the Docker engine refuses."""
    status, content = call(socket, method, path, query, body)
    if status >= 400:
        said = content.get("message") if isinstance(content, dict) else content
        raise Trouble(f"the Docker engine answered {status} to {method} {path}: {said}")
    return content


def answers(socket: str) -> bool:
    connection = _Connection(socket, 5)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def has_image(socket: str, reference: str) -> bool:
    return call(socket, "GET", f"/images/{reference}/json")[0] == 200


def pull(socket: str, name: str, tag: str, patience: float, limit: float) -> bool:
    """Whether the image could be pulled: its registry has to say something within ``patience`` seconds."""
    connection = _Connection(socket, patience)
    end = time.monotonic() + limit
    try:
        connection.request("POST", "/images/create?" + urlencode({"fromImage": name, "tag": tag}))
        answer = connection.getresponse()
        if answer.status != 200:
            return False
        while line := answer.readline():
            if "error" in json.loads(line) or time.monotonic() > end:
                return False
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return has_image(socket, f"{name}:{tag}")
