"""A small HTTP server which answers as it was told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Asked:
    method: str
    path: str  # as it came, without the query
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Sent as it is instead of JSON.
    raw: bytes | None = None
    #: Close the connection instead.
    hang_up: bool = False


class Stub:
    """Answers to one request are given in turn; the last one stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                path, _, query = self.path.partition("?")
                length = int(self.headers.get("Content-Length") or 0)
                content = self.rfile.read(length)
                body = json.loads(content) if content else None
                answer = stub._take(Asked(self.command, path, parse_qs(query), dict(self.headers.items()), body))
                if answer.hang_up:
                    self.close_connection = True
                    return
                out = answer.raw if answer.raw is not None else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def on(self, request: str, *answers: Any) -> None:
        """``on("GET /v1/clusters", {...}, Answer(status=404))``; a bare value is a 200 with that body."""
        method, path = request.split(" ")
        self._answers[method, path] = [a if isinstance(a, Answer) else Answer(a) for a in answers]

    def _take(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            answers = self._answers.get((asked.method, asked.path))
            if not answers:
                return fault(404, f"The thing at {asked.path} could not be found.")
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def sent(self, method: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def fault(status: int, message: str, kind: str = "ResourceNotFound") -> Answer:
    error = {"code": status, "message": message, "type": kind}
    return Answer({"code": status, "title": "", "explanation": "", "error": error}, status)


def accepted(body: Any, action: str = "a1") -> Answer:
    return Answer(body, 202, {"Location": f"/v1/actions/{action}"})


def cluster(status: str = "ACTIVE", desired: int = 2, **more: Any) -> dict[str, Any]:
    found = {
        "id": "c1",
        "name": "web",
        "status": status,
        "status_reason": "",
        "desired_capacity": desired,
        "min_size": 0,
    }
    return {
        **found,
        "max_size": -1,
        "nodes": [],
        "profile_id": "p1",
        "profile_name": "nginx",
        "created_at": None,
        **more,
    }


def node(name: str = "web-1", status: str = "ACTIVE", **more: Any) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "status": status, "status_reason": "", "cluster_id": "c1", **more}
