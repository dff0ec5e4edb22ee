"""A real Barbican on a loopback port beside the tests' Keystone: SQLite, the simple crypto plug-in, one process.

Its programs are installed by pip into a virtual environment of their own below the user's cache folder, once for a machine.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloud.keystone import PASSWORD, Keystone, Unobtainable, call

NEEDED = ("barbican>=20", "gunicorn>=22")
_PATIENCE = 60.0
_CONFIGURATION = """
[DEFAULT]
use_stderr = true
host_href = {url}
db_auto_create = true
[database]
connection = sqlite:///{folder}/barbican.db
[secretstore]
enabled_secretstore_plugins = store_crypto
[crypto]
enabled_crypto_plugins = simple_crypto
[simple_crypto_plugin]
kek = {kek}
[queue]
enable = false
[keystone_authtoken]
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
username = barbican
password = {password}
user_domain_name = Default
project_name = service
project_domain_name = Default
"""
_WSGI = """
from paste import deploy
application = deploy.loadapp("config:{paste}")
"""


def installed() -> Path:
    """Barbican's virtual environment, made unless it is there. Raises: Unobtainable."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spinney-tests"
    venv = cache / f"barbican-{sys.version_info.major}.{sys.version_info.minor}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "barbican.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = venv / "installed"
        if not (done.is_file() and done.read_text() == "\n".join(NEEDED)):
            _install(venv)
            done.write_text("\n".join(NEEDED))
    return venv


def _install(venv: Path) -> None:
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *NEEDED],
    ):
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode:
            said = (ran.stderr or ran.stdout).strip().splitlines()
            raise Unobtainable(f"Barbican could not be installed by `{' '.join(command)}`: {said[-1] if said else ''}")


class Barbican:
    """``url`` has no version."""

    def __init__(self, url: str, keystone: Keystone) -> None:
        self.url = url
        self._keystone = keystone

    def ask(self, method: str, path: str, body: Any, user: str, project: str) -> Any:
        token = self._keystone.token(user, project)
        answer = call(method, f"{self.url}/v1{path}", body, {"X-Auth-Token": token})
        assert answer.status < 300, answer
        return answer.body

    def keep(self, payload: bytes, user: str, project: str, *readers: str) -> str:
        """A secret of that user's that the readers may read; its reference."""
        body = {
            "name": "kept",
            "payload": base64.b64encode(payload).decode(),
            "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        }
        reference = str(self.ask("POST", "/secrets", body, user, project)["secret_ref"])
        if readers:
            rights = {"read": {"users": [self._keystone.id("user", one) for one in readers]}}
            self.ask("PUT", f"/secrets/{reference.rpartition('/')[2]}/acl", rights, user, project)
        return reference


@contextlib.contextmanager
def running(folder: Path, keystone: Keystone) -> Iterator[Barbican]:
    """Raises: Unobtainable."""
    venv = installed()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    keystone.user("barbican", "service", "service", "admin")
    service = keystone.make("service", "barbican", type="key-manager")
    for interface in ("public", "internal"):
        entry = {"service_id": service, "interface": interface, "url": url, "region_id": "RegionOne"}
        keystone.ask("POST", "/endpoints", {"endpoint": entry})
    _configure(folder, url, keystone.url, venv)
    with _serving(venv, folder, port):
        yield Barbican(url, keystone)


def _configure(folder: Path, url: str, keystone: str, venv: Path) -> None:
    kek = base64.b64encode(secrets.token_bytes(32)).decode()
    # Where it looks for its configuration: below the home of who runs it.
    (folder / ".barbican").mkdir()
    written = _CONFIGURATION.format(folder=folder, url=url, keystone=keystone, password=PASSWORD, kek=kek)
    (folder / ".barbican/barbican.conf").write_text(written)
    (folder / "serving.py").write_text(_WSGI.format(paste=venv / "etc/barbican/barbican-api-paste.ini"))


@contextlib.contextmanager
def _serving(venv: Path, folder: Path, port: int) -> Iterator[None]:
    command = [venv / "bin/gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "4", "serving:application"]
    environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        _await_answer(process, f"http://127.0.0.1:{port}/", folder / "log")
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(int(_PATIENCE / 0.5)):
        with contextlib.suppress(OSError):
            call("GET", url)
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
            break
    raise AssertionError(f"Barbican does not serve: {log.read_text()[-2000:]}")
