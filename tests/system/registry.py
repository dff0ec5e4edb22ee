"""A registry of one repository on the loopback, whose tag can be made to stand for another image."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import docker_engine

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """Serves ``app:1``: busybox, and a variable ``EDITION`` that tells which image it is."""

    def __init__(self) -> None:
        archive = docker_engine.image_archive()
        self._layer = gzip.compress(archive, mtime=0)
        self._diff = digest(archive)
        self._blobs = {digest(self._layer): self._layer}
        self._manifests: dict[str, bytes] = {}
        self.address = ""
        self.asked: list[str] = []
        self.publish("first")

    @property
    def tag(self) -> str:
        return f"{self.address}/app:1"

    def publish(self, edition: str) -> str:
        """From now on the tag stands for this image; the ones before stay. Returns its digest."""
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Env": [f"EDITION={edition}", "PATH=/bin"], "Cmd": ["sleep", "600"]},
                "rootfs": {"type": "layers", "diff_ids": [self._diff]},
            }
        ).encode()
        self._blobs[digest(config)] = config
        layers = [_described("application/vnd.docker.image.rootfs.diff.tar.gzip", self._layer)]
        made = {"schemaVersion": 2, "mediaType": _MANIFEST, "layers": layers}
        made["config"] = _described("application/vnd.docker.container.image.v1+json", config)
        manifest = json.dumps(made).encode()
        self._manifests["1"] = self._manifests[digest(manifest)] = manifest
        return digest(manifest)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        kind, _, wanted = path.removeprefix("/v2/app/").partition("/")
        if path == "/v2/":
            return 200, {}, b"{}"
        if kind == "manifests" and wanted in self._manifests:
            self.asked.append(wanted)
            found = self._manifests[wanted]
            return 200, {"Content-Type": _MANIFEST, "Docker-Content-Digest": digest(found)}, found
        if kind == "blobs" and wanted in self._blobs:
            return 200, {"Content-Type": "application/octet-stream"}, self._blobs[wanted]
        return 404, {}, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'

    @contextmanager
    def running(self) -> Iterator[Registry]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, headers, body = registry.answer(self.path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.address = f"127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _described(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}
