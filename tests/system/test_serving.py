"""The service as strangers meet it: TLS, a unix socket behind a proxy, bounds, and repetitions after it was killed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import openstack
import orjson
import pytest
import yaml

from spinney import certificates
from system.http_api import Api
from system.running import SPINNEY, Program

NAME = "localhost"


class Deployment:
    """A standalone service without a host, on a configuration of its own."""

    def __init__(self, folder: Path, **sections: dict[str, object]) -> None:
        self.folder, self.state_dir = folder, folder / "state"
        self.configure(**sections)
        self.program: Program

    def configure(self, **sections: dict[str, object]) -> None:
        lines = []
        for section, options in sections.items():
            lines += [f"[{section}]", *(f"{name} = {value}" for name, value in options.items())]
        (self.folder / "spinney.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> str:
        """What it says it serves at."""
        arguments = (f"--state-dir={self.state_dir}", f"--config-file={self.folder}/spinney.conf")
        self.program = Program(self.folder, "standalone", *arguments, "--port=0", "--no-local-host")
        return self.program.until_says(r"spinney ready: (\S+)\n")

    @property
    def authorization(self) -> str:
        password = (self.state_dir / "password").read_text().strip()
        return "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()

    def end(self) -> None:
        if self.program.process.poll() is None:
            self.program.terminate()


@contextlib.contextmanager
def serving(folder: Path, **sections: dict[str, object]) -> Iterator[tuple[Deployment, str]]:
    deployment = Deployment(folder, **sections)
    place = deployment.start()
    try:
        yield deployment, place
    finally:
        deployment.end()


def put_certificate(folder: Path, authority: certificates.Pair) -> bytes:
    """A new one for this machine; its DER form."""
    pair = certificates.new_server(authority, NAME, [NAME, "127.0.0.1"], datetime.now(UTC), 30)
    (folder / "tls.crt").write_bytes(pair.certificate_pem)
    (folder / "tls.key").write_bytes(pair.key_pem)
    return ssl.PEM_cert_to_DER_cert(pair.certificate_pem.decode())


# -- TLS -----------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_clients_come_over_tls_and_meet_a_renewed_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = certificates.new_authority("test", datetime.now(UTC), 30)
    (tmp_path / "ca.crt").write_bytes(authority.certificate_pem)
    first = put_certificate(tmp_path, authority)
    tls = {name: tmp_path / file for name, file in (("tls_certificate", "tls.crt"), ("tls_key", "tls.key"))}
    with serving(tmp_path, api={**tls, "tls_authority": tmp_path / "ca.crt"}) as (deployment, url):
        port = int(re.fullmatch(r"https://127\.0\.0\.1:(\d+)/v1", url)[1])  # type: ignore[index]
        check_clients(deployment, url, monkeypatch)
        check_protocols(port)
        assert presented(port) == first

        second = put_certificate(tmp_path, authority)
        deployment.program.process.send_signal(signal.SIGHUP)
        deployment.program.until(lambda: presented(port), lambda seen: seen == second)

        (tmp_path / "tls.key").write_text("no key")
        deployment.program.process.send_signal(signal.SIGHUP)
        deployment.program.until_says("holds no private key as PEM")
        assert presented(port) == second


def check_clients(deployment: Deployment, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = deployment.folder
    cloud = yaml.safe_load((deployment.state_dir / "clouds.yaml").read_text())["clouds"]["spinney"]
    assert cloud["cacert"] == str(folder / "ca.crt")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(deployment.state_dir / "clouds.yaml"))
    connection = openstack.connect(cloud="spinney")
    assert list(connection.clustering.clusters()) == []
    connection.close()

    environment = {**os.environ, "SPINNEY_STATE_DIR": str(deployment.state_dir)}
    environment.pop("OS_CLIENT_CONFIG_FILE")
    said = subprocess.run((*SPINNEY, "cluster", "list", "-o", "json"), env=environment, capture_output=True, timeout=60)
    assert (said.returncode, said.stdout.strip()) == (0, b"[]"), said.stderr

    async def look() -> None:
        trusting = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        async with aiohttp.ClientSession(headers={"Authorization": deployment.authorization}) as session:
            async with session.get(f"{url}/clusters", ssl=trusting) as answer:
                assert (answer.status, await answer.json()) == (200, {"clusters": []})
                assert answer.headers["strict-transport-security"] == "max-age=31536000"
                assert "server" not in answer.headers
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"{url}/clusters")

    asyncio.run(look())


def check_protocols(port: int) -> None:
    old = unchecking()
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", port), 20) as plain:
        old.wrap_socket(plain)
    weak = unchecking()
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA")
    with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", port), 20) as plain:
        weak.wrap_socket(plain)


def unchecking() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def presented(port: int) -> bytes | None:
    with socket.create_connection(("127.0.0.1", port), 20) as plain, unchecking().wrap_socket(plain) as secure:
        return secure.getpeercert(binary_form=True)


def test_a_certificate_that_cannot_serve_is_refused_before_anything_begins(tmp_path: Path) -> None:
    (tmp_path / "spinney.conf").write_text(f"[api]\ntls_certificate = {tmp_path}/none.crt\ntls_key = {tmp_path}/x\n")
    arguments = ("standalone", f"--state-dir={tmp_path}/state", f"--config-file={tmp_path}/spinney.conf")
    said = subprocess.run((*SPINNEY, *arguments, "--no-local-host"), capture_output=True, text=True, timeout=60)
    assert said.returncode == 1
    assert "[api] tls_certificate" in said.stderr and "none.crt cannot be read" in said.stderr
    assert "Traceback" not in said.stderr


# -- behind a proxy ------------------------------------------------------------------------------------------------------


def test_behind_a_proxy_it_serves_at_a_unix_socket_and_believes_what_the_proxy_says(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    settings = {"unix_socket": path, "unix_socket_mode": "600", "public_url": "https://cloud.example/clustering"}
    with serving(tmp_path, api=settings, audit={"file": tmp_path / "audit.log"}) as (deployment, place):
        assert place == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        cloud = yaml.safe_load((deployment.state_dir / "clouds.yaml").read_text())["clouds"]["spinney"]
        assert cloud["auth"]["endpoint"] == "https://cloud.example/clustering/v1"
        asyncio.run(check_forwarding(path, deployment.authorization))
        line = orjson.loads((tmp_path / "audit.log").read_text())
        assert (line["address"], line["method"], line["status"]) == ("198.51.100.9", "DELETE", 404)

        deployment.program.kill()  # the socket is left behind
        assert path.is_socket()
        assert deployment.start() == f"unix:{path}"
    assert not path.exists()


async def check_forwarding(path: Path, authorization: str) -> None:
    headers = {
        "Authorization": authorization,
        "X-Forwarded-For": "10.0.0.1, 198.51.100.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "cloud.example",
        "X-Forwarded-Prefix": "/clustering",
    }
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), headers=headers) as session:
        async with session.get("http://proxy/v1") as answer:
            href = (await answer.json())["version"]["links"][0]["href"]
            assert href == "https://cloud.example/clustering/v1"
            assert "strict-transport-security" in answer.headers
        async with session.delete("http://proxy/v1/clusters/absent") as answer:
            assert answer.status == 404


# -- bounds --------------------------------------------------------------------------------------------------------------

BOUNDS: dict[str, dict[str, object]] = {
    "api": {
        "max_header_bytes": 4000,
        "request_timeout": 0.5,
        "idle_timeout": 0.5,
        "max_connections_per_address": 5,
    }
}


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, int]]:
    with serving(tmp_path_factory.mktemp("bounded"), **BOUNDS) as (deployment, url):
        yield deployment, int(url.rpartition(":")[2].removesuffix("/v1"))


def said(port: int, *pieces: bytes) -> bytes:
    """What it answers to these pieces until it closes the connection; it must."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        found = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                found += piece
        return found


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((b"GET /v1 HTTP/1.1\r\nHost: x\r\n", b"X-Slow: "), 408),
        ((b"POST /v1/clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",), 408),
        ((b"GET /v1 HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 5000 + b"\r\n\r\n",), 431),
        ((b"GET /v1 HTTP/1.1\r\nHost: x\r\n", b"X-Endless: " + b"x" * 5000), 431),
        ((b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",), 431),
        ((b"GET /v1 HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 700 + b"\r\n",), 431),
        ((b"nonsense\r\n\r\n",), 400),
    ],
)
def test_what_is_too_slow_or_too_large_is_ended(
    bounded: tuple[Deployment, int], pieces: tuple[bytes, ...], status: int
) -> None:
    answer = said(bounded[1], *pieces)
    if status == 408 and pieces[0].startswith(b"POST"):
        # Nobody asks for the body of a request without credentials: it is answered first, and then cut off.
        assert answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 408 "))
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"x-content-type-options: nosniff" in head
    assert orjson.loads(body)["error"]["code"] == status


def test_a_body_that_does_not_come_is_not_waited_for(bounded: tuple[Deployment, int]) -> None:
    deployment, port = bounded
    head = f"POST /v1/clusters HTTP/1.1\r\nHost: x\r\nAuthorization: {deployment.authorization}\r\nContent-Length: 90\r\n\r\n{{"
    assert said(port, head.encode()).startswith(b"HTTP/1.1 408 ")


def test_connections_that_say_nothing_are_closed(bounded: tuple[Deployment, int]) -> None:
    assert said(bounded[1]) == b""
    answer = said(bounded[1], b"GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_one_address_has_so_many_connections(bounded: tuple[Deployment, int]) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket.create_connection(("127.0.0.1", bounded[1]), 20))
        answer = said(bounded[1])
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: " in answer
    deadline = time.monotonic() + 20
    while not said(bounded[1], b"GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 "):
        assert time.monotonic() < deadline, "places of closed connections did not become free"


# -- killed --------------------------------------------------------------------------------------------------------------

ROUNDS, AT_ONCE = 8, 12


def test_a_repetition_after_a_kill_makes_nothing_anew(tmp_path: Path) -> None:
    """Killed with a dozen creations under way, until one was found that was committed but not answered."""
    deployment = Deployment(tmp_path)
    deployment.start()
    try:
        profile = make_profile(api_of(deployment))
        found_lost = 0
        for number in range(ROUNDS):
            found_lost += kill_round(deployment, profile, number)
            if found_lost:
                break
        assert found_lost, f"in {ROUNDS} kills no request was between its commit and its answer"
    finally:
        deployment.end()


def api_of(deployment: Deployment) -> Api:
    port = int(deployment.program.until_says(r"spinney ready: http://127\.0\.0\.1:(\d+)/v1\n"))
    return Api(port, (deployment.state_dir / "password").read_text().strip())


def make_profile(api: Api) -> str:
    host = {"type": "host.docker", "version": "1.0", "properties": {"endpoint": "unix:///var/run/docker.sock"}}
    machine = api.create("profile", name="machine", spec=host)
    hosts = api.create("cluster", name="hosts", profile_id=machine["id"])
    properties = {"image": "busybox", "host_cluster": hosts["id"]}
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}
    return str(api.create("profile", name="web", spec=spec)["id"])


def kill_round(deployment: Deployment, profile: str, number: int) -> int:
    """How many had been committed but not answered when it was killed."""
    api = api_of(deployment)
    bodies = {
        f"key-{number}-{index}": {"cluster": {"name": f"c-{number}-{index}", "profile_id": profile}}
        for index in range(AT_ONCE)
    }
    answered: dict[str, Any] = {}

    def send(key: str) -> None:
        with contextlib.suppress(http.client.HTTPException, OSError):
            answered[key] = api.call("POST", "/clusters", bodies[key], headers={"Idempotency-Key": key})
            if len(answered) > number % 4:
                deployment.program.process.kill()

    threads = [threading.Thread(target=send, args=(key,)) for key in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deployment.program.kill()

    deployment.start()
    api = api_of(deployment)
    before = {cluster["name"]: cluster["id"] for cluster in api.get("/clusters")}
    for key, body in bodies.items():
        again = api.call("POST", "/clusters", body, headers={"Idempotency-Key": key})
        assert again.status == 202, again.body
        name = body["cluster"]["name"]
        assert before.get(name, again.body["cluster"]["id"]) == again.body["cluster"]["id"]
        assert ("idempotency-replayed" in again.headers) == (name in before)
        action = api.get(f"/actions/{again.headers['location'].rpartition('/')[2]}")
        assert action["target"] == again.body["cluster"]["id"]
        if key in answered:
            assert (again.body, again.headers["location"]) == (answered[key].body, answered[key].headers["location"])
    names = [cluster["name"] for cluster in api.get("/clusters") if cluster["name"].startswith(f"c-{number}-")]
    assert sorted(names) == sorted(body["cluster"]["name"] for body in bodies.values())
    return len([key for key, body in bodies.items() if key not in answered and body["cluster"]["name"] in before])
