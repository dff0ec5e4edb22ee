"""Real pulls: a real Docker engine and a registry of one image on the loopback, with and without a password."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

import docker_engine
from spinney.domain.container import ImageRequest, PullPolicy
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector, DockerHost
from spinney.errors import HostRefused, ImageNotFound, ImagePullFailed

USER, PASSWORD = "puller", "s3cret"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """Serves one image named ``web`` with the tag ``1``; counts how often its layer was fetched."""

    def __init__(self, *, password: bool = False) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            content = uuid.uuid4().bytes
            member = tarfile.TarInfo("content")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        layer = gzip.compress(archive.getvalue())
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [digest(archive.getvalue())]},
            }
        ).encode()
        self._blobs = {digest(blob): blob for blob in (layer, config)}
        self._layer = digest(layer)
        self._manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self._descriptor("application/vnd.docker.container.image.v1+json", config),
                "layers": [self._descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
            }
        ).encode()
        self._password = password
        self.fetched = 0
        self.address = ""

    @staticmethod
    def _descriptor(kind: str, data: bytes) -> dict[str, object]:
        return {"mediaType": kind, "size": len(data), "digest": digest(data)}

    async def _serve(self, request: web.Request) -> web.Response:
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self._password and request.headers.get("Authorization") != f"Basic {wanted}":
            refusal = {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]}
            return web.json_response(refusal, status=401, headers={"WWW-Authenticate": 'Basic realm="test"'})
        name, _, reference = request.path.rpartition("/")
        if request.path == "/v2/":
            return web.json_response({})
        if name == "/v2/web/manifests" and reference in ("1", digest(self._manifest)):
            headers = {"Docker-Content-Digest": digest(self._manifest), "Content-Type": MANIFEST}
            return web.Response(body=self._manifest, headers=headers)
        if name == "/v2/web/blobs" and reference in self._blobs:
            self.fetched += reference == self._layer
            return web.Response(body=self._blobs[reference])
        return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}, status=404)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = "{}:{}".format(*runner.addresses[0])
        try:
            yield
        finally:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def pulling(socket: str, registry: Registry, credentials: Path) -> AsyncIterator[DockerHost]:
    connector = DockerConnector(allowed_unix_sockets=[socket], credentials_dir=credentials)
    host = connector.connect(HostAddress(f"unix://{socket}"))
    async with registry.running():
        try:
            yield host
        finally:
            await host.close()
            image = f"/images/{registry.address}/web:1"
            await asyncio.to_thread(docker_engine.call, socket, "DELETE", image, query={"force": "1"})


def put_credential(folder: Path, registry: Registry, name: str, password: str) -> None:
    (folder / name).mkdir()
    content = {"username": USER, "password": password, "serveraddress": registry.address, "projects": ["*"]}
    (folder / name / "registry.json").write_text(json.dumps(content))


def test_many_who_want_an_image_pull_it_once(docker_socket: str, tmp_path: Path) -> None:
    async def body() -> None:
        registry = Registry()
        async with pulling(docker_socket, registry, tmp_path) as host:
            image = ImageRequest(f"{registry.address}/web:1")
            assert all(await asyncio.gather(*(host.ensure_image(image) for _ in range(5))))
            assert not await host.ensure_image(image)
            await host.ensure_image(ImageRequest(image.reference, PullPolicy.NEVER))
            await host.ensure_image(ImageRequest(image.reference, PullPolicy.ALWAYS))
            assert registry.fetched == 1

    asyncio.run(body())


def test_an_unknown_tag_or_name_is_not_found(docker_socket: str, tmp_path: Path) -> None:
    async def body() -> None:
        registry = Registry()
        async with pulling(docker_socket, registry, tmp_path) as host:
            for absent in ("web:2", "web", "other:1"):
                with pytest.raises(ImageNotFound, match=absent):
                    await host.ensure_image(ImageRequest(f"{registry.address}/{absent}"))

    asyncio.run(body())


def test_a_registry_out_of_reach_is_worth_another_try(docker_socket: str, tmp_path: Path) -> None:
    async def body() -> None:
        registry = Registry()
        async with pulling(docker_socket, registry, tmp_path) as host:
            with pytest.raises(ImagePullFailed) as raised:
                await host.ensure_image(ImageRequest("127.0.0.1:9/web:1"))
            assert raised.value.retryable

    asyncio.run(body())


def test_a_private_image_needs_the_right_credential(docker_socket: str, tmp_path: Path) -> None:
    async def body() -> None:
        registry = Registry(password=True)
        async with pulling(docker_socket, registry, tmp_path) as host:
            put_credential(tmp_path, registry, "right", PASSWORD)
            put_credential(tmp_path, registry, "wrong", "guess")
            reference = f"{registry.address}/web:1"
            for name in (None, "wrong"):
                with pytest.raises((HostRefused, ImageNotFound), match="registry credential"):
                    await host.ensure_image(ImageRequest(reference, credential=name))
            await host.ensure_image(ImageRequest(reference, credential="right"))
            assert registry.fetched == 1

    asyncio.run(body())
