"""Secrets that cannot be mistaken are planted in a running service; whatever it then says or keeps is searched for them.

Planted are all kinds there are, as their owners would; then comes life: containers that get them, restarts, a replaced secret,
an image whose registry repeats the login it got, a command that is not there, a program that says its secret and dies. Searched
are all answers, the log at its most talkative, and the bytes of the database; in the clear, as base64 at any offset, as
hexadecimal.
"""

from __future__ import annotations

import base64
import http.server
import json
import secrets
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import docker_engine
from system.http_api import Api, Reply
from system.running import CONFIGURATION, Service, fresh

#: The command with a log that tells everything, and of tasks who made them.
TALKATIVE = (
    "import logging, sys; logging.basicConfig(level=logging.DEBUG, stream=sys.stderr); "
    "from spinney.cli.main import main; main()"
)
COLLECTIONS = (
    *("profiles", "clusters", "nodes", "policies", "receivers", "actions", "events", "hosts", "credentials", "secrets"),
    *("services", "openapi.json", "profile-types", "policy-types", "build-info", "shared-clusters"),
)


class Canaries:
    """What must never be seen again, by what it is."""

    def __init__(self) -> None:
        self._planted: dict[str, str] = {}

    def plant(self, what: str) -> str:
        return self.watch(what, f"canary-{what}-{secrets.token_hex(12)}")

    def watch(self, what: str, value: str) -> str:
        self._planted[what] = value
        return value

    def found_in(self, content: bytes) -> list[str]:
        return sorted(
            f"{what} as {form}"
            for what, value in self._planted.items()
            for form, spelled in spellings(value.encode())
            if spelled in content
        )

    def values(self) -> dict[str, str]:
        return dict(self._planted)


def spellings(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "text", value
    yield "hexadecimal", value.hex().encode()
    yield "quoted", quote(value).encode()
    for offset in range(3):
        # Of what stands in the middle of something encoded, the letters that its neighbours have no part in.
        encoded = base64.b64encode(b"\0" * offset + value)
        core = encoded[4 if offset else 0 : -4]
        yield "base64", core
        yield "base64", core.replace(b"+", b"-").replace(b"/", b"_")


class Listening(Api):
    """Keeps every answer."""

    def __init__(self, api: Api) -> None:
        self.__dict__.update(api.__dict__)
        self.heard: list[tuple[str, bytes]] = []

    def call(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Reply:
        reply = super().call(method, path, body, headers=headers)
        said = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        self.heard.append((f"{method} {path}", (said + json.dumps(reply.headers)).encode()))
        return reply


def heard(service: Service) -> list[tuple[str, bytes]]:
    assert isinstance(service.api, Listening)
    return service.api.heard


class _Tattling(http.server.BaseHTTPRequestHandler):
    """A registry that repeats, in each refusal, what it was told."""

    def do_GET(self) -> None:
        told = self.headers.get("Authorization", "")
        clear = base64.b64decode(told.removeprefix("Basic ")).decode() if told.startswith("Basic ") else ""
        self.server.logins.append(clear)  # type: ignore[attr-defined]  # of the server below
        if not told:
            status = 401
        else:
            status = 200 if self.path == "/v2/" else 400
        message = f"cannot serve {clear} ({told})"
        body = json.dumps({"errors": [{"code": "UNKNOWN", "message": message}]}).encode()
        self.send_response(status)
        self.send_header("WWW-Authenticate", 'Basic realm="canaries"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *arguments: object) -> None:
        """Tests are quiet."""


class Registry:
    def __init__(self) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Tattling)
        self.logins: list[str] = []
        self._server.logins = self.logins  # type: ignore[attr-defined]  # for the handler
        self.name = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Registry:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def service(docker_socket: str, tmp_path: Path) -> Iterator[Service]:
    docker_engine.demo_image(docker_socket)
    made = Service(tmp_path, docker_socket, CONFIGURATION, command=(sys.executable, "-c", TALKATIVE))
    made.start()
    try:
        made.until_host_is("ready")
        made.api = Listening(made.api)
        yield made
    finally:
        made.close()


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as made:
        yield made


def secret(service: Service, name: str, kind: str = "opaque", **data: str) -> str:
    service.api.create("secret", name=name, type=kind, data=data)
    return name


def test_planted_secrets_are_never_seen_again(service: Service, registry: Registry) -> None:
    canaries = Canaries()
    canaries.watch("password", (service.state_dir / "password").read_text().strip())
    plant(service, canaries, registry)
    live(service, canaries, registry)
    look_at_everything(service)
    everything = [*heard(service), *database(service), ("log", service.program.output.encode())]
    leaks = {where: found for where, content in everything if (found := canaries.found_in(content))}
    assert leaks == {}
    # That there was something to find: who should know does.
    values = canaries.values()
    assert f"ours:{values['registry-secret']}" in registry.logins
    assert f"operator:{values['credential']}" in registry.logins
    on_disk(service, canaries)
    # And that it would have been found.
    assert set(canaries.found_in(base64.b64encode(b"x" + values["env"].encode()))) == {"env as base64"}
    assert " DEBUG " in service.program.output or "DEBUG:" in service.program.output


def plant(service: Service, canaries: Canaries, registry: Registry) -> None:
    login = {"username": "operator", "password": canaries.plant("credential"), "serveraddress": registry.name}
    service.api.create("credential", name="hub", type="registry", data={**login, "projects": ["*"]})
    password = canaries.plant("registry-secret")
    secret(service, "login", "registry", username="ours", password=password, serveraddress=registry.name)
    secret(service, "env", password=canaries.plant("env"))
    secret(service, "file", **{"key.pem": canaries.plant("file"), "old": canaries.plant("never-used")})
    # Refusals, too, keep to themselves what was in the request.
    for body in (
        {"secret": {"name": "bad name/", "data": {"key": canaries.plant("refused-name")}}},
        {"secret": {"name": "bad", "data": {"key": [canaries.plant("refused-type")]}}},
        {"secret": {"name": "env", "data": {"key": canaries.plant("refused-twice")}}},
        {"secret": {"name": "bad", "type": "registry", "data": {"password": canaries.plant("refused-login")}}},
        {"secret": {"name": "bad", "extra": canaries.plant("refused-key")}},
    ):
        assert service.api.call("POST", "/secrets", body).status in (400, 409)


def live(service: Service, canaries: Canaries, registry: Registry) -> None:
    parts = [
        {"secret": "env", "env": "PASSWORD"},
        {"secret": "file", "key": "key.pem", "path": "/run/secrets/key.pem", "mode": "0400"},
    ]
    running = service.active_cluster(service.profile(secrets=parts), 2)
    (node, other) = service.members(running)
    (container,) = service.docker.of_node(node["id"])
    values = canaries.values()
    assert f"PASSWORD={values['env']}" in service.docker.inspect(container["Id"])["Config"]["Env"]
    assert inside(service, container["Id"]) == values["file"]

    once = {"Idempotency-Key": secrets.token_hex(16)}
    given = {"name": "r", "type": "webhook", "cluster_id": running, "action": "CLUSTER_SCALE_OUT"}
    asked = {"receiver": given}
    receiver = service.api.call("POST", "/receivers", asked, headers=once)
    assert receiver.status == 201, receiver.body
    heard(service).pop()  # it is told this once
    shown_once(canaries, receiver)
    assert service.api.call("POST", "/receivers", asked, headers=once).status == 201
    heard(service).pop()  # the same answer, given again

    service.api.call("PATCH", "/secrets/file", {"secret": {"data": {"key.pem": canaries.plant("file-anew")}}})
    reply = service.api.call("POST", f"/nodes/{node['id']}/ops", {"restart": {"timeout": 1}})
    service.finished(str(reply.body["action"]))
    assert inside(service, container["Id"]) == canaries.values()["file-anew"]
    (victim,) = service.docker.of_node(other["id"])
    service.docker.call("DELETE", f"/containers/{victim['Id']}", force="1")
    service.until_healed(other["id"], other)

    failing: list[dict[str, Any]] = [
        {"image": f"{registry.name}/a:1", "pull_policy": "always", "registry_credential": "login"},
        {"image": f"{registry.name}/b:1", "pull_policy": "always", "registry_credential": "hub"},
        {"image": "127.0.0.1:9/c:1", "pull_policy": "always", "registry_credential": "login"},
        {"entrypoint": ["/no/such/program"], "init": False},
        {"entrypoint": ["sh", "-c", "echo it is $PASSWORD $(cat /run/secrets/key.pem) >&2; exit 3"], "command": []},
    ]
    profiles = [service.profile(**{"secrets": parts, "restart_policy": "none", **one}) for one in failing]
    for cluster in [service.cluster(profile, config={"spinney.self_healing": False}) for profile in profiles]:
        service.until(lambda id=cluster: service.last_action(id), lambda found: found["status"] == "FAILED")
    said = json.dumps(service.api.get("/events?limit=1000"))
    assert said.count("(secret)") >= 3, "what registry and program said was told, without the secrets"


def shown_once(canaries: Canaries, receiver: Reply) -> None:
    """A new receiver's secret, wherever in its answer it is."""
    channel = receiver.body["receiver"]["channel"]
    found = {key: value for key, value in channel.items() if "secret" in key and isinstance(value, str)}
    assert found, channel
    for key, value in found.items():
        canaries.watch(f"receiver-{key}", value)


def inside(service: Service, container: str) -> str:
    """What the file holds, as the container sees it."""
    command = {"Cmd": ["cat", "/run/secrets/key.pem"], "AttachStdout": True}
    made = service.docker.call("POST", f"/containers/{container}/exec", command)
    return str(service.docker.call("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": True}))


def look_at_everything(service: Service) -> None:
    api = service.api
    for collection in COLLECTIONS:
        found = api.call(
            "GET", f"/{collection}?limit=1000" if collection in ("actions", "events") else f"/{collection}"
        )
        rows = next(iter(found.body.values()), None) if isinstance(found.body, dict) else None
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and "id" in row:
                api.call("GET", f"/{collection}/{row['id']}")
    for node in api.get("/nodes"):
        for more in ("?show_details=true", "/placement", "/stats"):
            api.call("GET", f"/nodes/{node['id']}{more}")
    for cluster in api.get("/clusters"):
        for path in ("details", "details.container", "physical_id", "metadata"):
            api.call("GET", f"/clusters/{cluster['id']}/attrs/{path}")
    api.call("GET", "/secrets/env/data")
    api.call("GET", f"/secrets/{fresh('absent')}")


def database(service: Service) -> Iterator[tuple[str, bytes]]:
    """All there is in the state directory but what is meant to hold secrets."""
    meant = {"password", "clouds.yaml", "secret.key", "api.keys"}
    for path in sorted(service.state_dir.rglob("*")):
        if path.is_file() and path.name not in meant:
            yield path.name, path.read_bytes()


def on_disk(service: Service, canaries: Canaries) -> None:
    """Files of secrets are in memory alone: the Docker engine has written them nowhere."""
    root = Path(service.docker.call("GET", "/info")["DockerRootDir"])
    files = {what: value.encode() for what, value in canaries.values().items() if what.startswith("file")}
    logs = set(root.glob("containers/*/*-json.log"))  # what a program says is its own affair
    for folder in (root / "containers", root / "volumes"):
        for path in folder.rglob("*"):
            if path.is_file() and path not in logs and not path.is_mount():
                content = path.read_bytes() if "_data" not in path.parts else b""
                assert not [what for what, value in files.items() if value in content], path
