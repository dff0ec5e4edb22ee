"""A real Keystone on a loopback port, for tests: SQLite, fernet tokens, one process; and what callers do with it.

Its programs are installed by pip into a virtual environment of their own below the user's cache folder, and an empty database
is made there, once for a machine (about a minute); starting it on a copy takes about 10 s. Two processes serve one database:
the second one's tokens live for ``SHORT`` seconds, since Keystone has one lifetime for all.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NEEDED = ("keystone>=27", "gunicorn>=22")
PASSWORD = "correct horse"
PROJECTS = ("alpha", "beta")
#: ``guest`` is a role that no rule knows: Keystone gives no token for a project to whom has no role there.
ROLES = ("admin", "manager", "member", "reader", "service", "guest")
SHORT = 4
_PATIENCE = 60.0

_CONFIGURATION = """
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{folder}/keystone.db?timeout=30
[cache]
enabled = false
[token]
provider = fernet
expiration = {expiration}
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_rounds = 4
"""


class Unobtainable(Exception):
    """Keystone cannot be had on this machine; says what is missing."""


def installed() -> Path:
    """Keystone's virtual environment with an empty database in it, made unless it is there. Raises: Unobtainable."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spinney-tests"
    venv = cache / f"keystone-{sys.version_info.major}.{sys.version_info.minor}"
    cache.mkdir(parents=True, exist_ok=True)
    wanted = "\n".join(NEEDED)
    with (cache / "keystone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = venv / "installed"
        if not (done.is_file() and done.read_text() == wanted):
            _install(venv)
            _prepare(venv / "bin", venv / "empty")
            done.write_text(wanted)
    return venv


def _install(venv: Path) -> None:
    python = venv / "bin/python"
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *NEEDED],
    ):
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode:
            said = (ran.stderr or ran.stdout).strip().splitlines()
            raise Unobtainable(f"Keystone could not be installed by `{' '.join(command)}`: {said[-1] if said else ''}")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


def call(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Any service's answer, whatever its status."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, sent, method=method), timeout=60) as reply:
            return _answer(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return _answer(refused.code, refused.headers, refused.read())


def _answer(status: int, headers: Any, raw: bytes) -> Answer:
    body: Any = raw
    with contextlib.suppress(ValueError):
        body = json.loads(raw)
    return Answer(status, {name.lower(): value for name, value in headers.items()}, body)


class Keystone:
    """``url`` ends in /v3. Names are those of domain Default; what is made here is what tests start from."""

    def __init__(self, url: str, short_url: str) -> None:
        self.url, self.short_url = url, short_url
        self._known: dict[tuple[str, str], str] = {}
        self.admin = self.token("admin", "admin")

    # -- tokens --------------------------------------------------------------------------------------------------------

    def token(self, user: str, project: str | None = None, *, short: bool = False, scope: Any = None) -> str:
        """For a project, for another ``scope``, or for none."""
        identity = {"user": {"name": user, "domain": {"id": "default"}, "password": PASSWORD}}
        if project is not None:
            scope = {"project": {"name": project, "domain": {"id": "default"}}}
        return self.sign_in({"methods": ["password"], "password": identity}, scope, short=short)

    def sign_in(self, identity: Any, scope: Any = None, *, short: bool = False) -> str:
        auth = {"identity": identity} | ({} if scope is None else {"scope": scope})
        answer = call("POST", f"{self.short_url if short else self.url}/auth/tokens", {"auth": auth})
        assert answer.status == 201, answer
        return answer.headers["x-subject-token"]

    def credential_token(self, made: Mapping[str, Any]) -> str:
        """A token from an application credential."""
        given = {"id": made["id"], "secret": made["secret"]}
        return self.sign_in({"methods": ["application_credential"], "application_credential": given})

    def trust_token(self, trust: str, user: str) -> str:
        identity = {"user": {"name": user, "domain": {"id": "default"}, "password": PASSWORD}}
        return self.sign_in({"methods": ["password"], "password": identity}, {"OS-TRUST:trust": {"id": trust}})

    def revoke(self, token: str) -> None:
        answer = call("DELETE", f"{self.url}/auth/tokens", headers={"X-Auth-Token": token, "X-Subject-Token": token})
        assert answer.status == 204, answer

    # -- objects -------------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        answer = call(method, self.url + path, body, {"X-Auth-Token": token or self.admin})
        assert answer.status < 300, answer
        return answer.body

    def id(self, kind: str, name: str) -> str:
        """Of a user, project, role or service."""
        known = self._known.get((kind, name))
        if known is None:
            known = self.ask("GET", f"/{kind}s?name={name}")[f"{kind}s"][0]["id"]
            self._known[kind, name] = known
        return known

    def make(self, kind: str, name: str, **values: Any) -> str:
        self._known[kind, name] = made = self.ask("POST", f"/{kind}s", {kind: {"name": name, **values}})[kind]["id"]
        return made

    def grant(self, user: str, project: str, role: str) -> None:
        path = f"/projects/{self.id('project', project)}/users/{self.id('user', user)}/roles/{self.id('role', role)}"
        self.ask("PUT", path)

    def user(self, name: str, project: str, *roles: str) -> str:
        made = self.make("user", name, domain_id="default", password=PASSWORD)
        for role in roles:
            self.grant(name, project, role)
        return made

    def endpoint(self, url: str) -> None:
        """The entry of the catalogue under which clients look for the service."""
        service = self.make("service", "spinney", type="clustering")
        for interface in ("public", "internal"):
            entry = {"service_id": service, "interface": interface, "url": url, "region_id": "RegionOne"}
            self.ask("POST", "/endpoints", {"endpoint": entry})

    def application_credential(self, user: str, project: str, **values: Any) -> Any:
        body = {"application_credential": {"name": uuid.uuid4().hex, **values}}
        path = f"/users/{self.id('user', user)}/application_credentials"
        return self.ask("POST", path, body, token=self.token(user, project))["application_credential"]

    def trust(self, trustor: str, trustee: str, project: str, role: str) -> str:
        body = {
            "trustor_user_id": self.id("user", trustor),
            "trustee_user_id": self.id("user", trustee),
            "project_id": self.id("project", project),
            "roles": [{"name": role}],
            "impersonation": True,
        }
        token = self.token(trustor, project)
        return str(self.ask("POST", "/OS-TRUST/trusts", {"trust": body}, token=token)["trust"]["id"])

    def seed(self) -> None:
        for role in ROLES:
            if not self.ask("GET", f"/roles?name={role}")["roles"]:
                self.make("role", role)
        for project in PROJECTS:
            self.make("project", project, domain_id="default")
            for role in ROLES:
                self.user(f"{project}-{role}", project, role)
        self.make("project", "service", domain_id="default")
        self.user("spinney", "service", "service")


def configuration(keystone: Keystone, **changed: str) -> str:
    """The service's sections about it, as its operator writes them."""
    options = {
        "www_authenticate_uri": keystone.url,
        "auth_url": keystone.url,
        "auth_type": "password",
        "username": "spinney",
        "password": PASSWORD,
        "user_domain_name": "Default",
        "project_name": "service",
        "project_domain_name": "Default",
        **changed,
    }
    written = "\n".join(f"{name} = {value}" for name, value in options.items())
    return f"[auth]\nstrategy = keystone\ntoken_cache_time = 1\n\n[keystone_authtoken]\n{written}\n"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Keystone]:
    """Raises: Unobtainable."""
    venv = installed()
    ports = _free_ports(2)
    urls = [f"http://127.0.0.1:{port}/v3" for port in ports]
    state = folder / "state"
    shutil.copytree(venv / "empty", state)
    with contextlib.closing(sqlite3.connect(state / "keystone.db")) as database, database:
        database.execute("UPDATE endpoint SET url = ?", (urls[0],))
    with contextlib.ExitStack() as stack:
        for name, expiration, port in (("long", 3600, ports[0]), ("short", SHORT, ports[1])):
            _configure(folder / name, state, expiration)
            stack.enter_context(_serving(venv / "bin", folder / name, port))
        keystone = Keystone(*urls)
        keystone.seed()
        yield keystone


def _configure(folder: Path, state: Path, expiration: int) -> None:
    folder.mkdir()
    (folder / "keystone.conf").write_text(_CONFIGURATION.format(folder=state, expiration=expiration))


def _prepare(found: Path, state: Path) -> None:
    """An empty database and its keys; the endpoint in it leads nowhere yet."""
    state.mkdir(mode=0o700)

    def manage(*arguments: str) -> None:
        command = [found / "keystone-manage", "--config-file", state / "keystone.conf", *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=state)
        assert ran.returncode == 0, ran.stderr[-2000:]

    (state / "keystone.conf").write_text(_CONFIGURATION.format(folder=state, expiration=3600))
    manage("db_sync")
    with contextlib.closing(sqlite3.connect(state / "keystone.db")) as database:
        database.execute("PRAGMA journal_mode = wal")
    for keys in ("fernet_setup", "credential_setup"):
        manage(keys, "--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
    places = [f"--bootstrap-{kind}-url=http://127.0.0.1/v3" for kind in ("admin", "internal", "public")]
    manage("bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "RegionOne", *places)


@contextlib.contextmanager
def _serving(found: Path, folder: Path, port: int) -> Iterator[None]:
    settings = folder / "gunicorn.py"
    settings.write_text(f"wsgi_app = 'keystone.wsgi.api:application'\nbind = '127.0.0.1:{port}'\nthreads = 4\n")
    environment = {
        **os.environ,
        "OS_KEYSTONE_CONFIG_DIR": str(folder),
        "OS_KEYSTONE_CONFIG_FILES": "keystone.conf",
        # Keystone reads the command line itself, so that nothing else can be on it.
        "GUNICORN_CMD_ARGS": f"-c {settings}",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([found / "gunicorn"], stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        _await_port(process, port, folder / "log")
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(int(_PATIENCE / 0.2)):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
            break
    raise AssertionError(f"Keystone does not serve: {log.read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
