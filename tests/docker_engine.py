"""A Docker engine for tests: the machine's own, or a private one that lives as long as the test run.

Guaranteed: the engine answers, runs containers, and holds one small local image (static busybox), so no test needs a
registry. A private engine has its own folder, socket and processes, none of which are left behind. On the machine's own
engine nothing is touched but what a test names itself.

Speaks HTTP through the standard library alone: what the tests compare with must not be the code under test.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket as sockets
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

IMAGE = "spinney-test:latest"
USUAL_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
PACKAGES = {
    "dockerd": "docker.io",
    "docker-init": "tini",
    "iptables": "iptables",
    "setpriv": "util-linux",
    "busybox": "busybox-static",
}


#: How often a Docker engine is started before it is given up.
_STARTS = 3


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(
    socket: str,
    method: str,
    path: str,
    body: Any = None,
    *,
    query: dict[str, str] | None = None,
    timeout: float = 60.0,
) -> tuple[int, Any]:
    """One request to a Docker engine: its status and its decoded answer (text where it is no JSON)."""
    connection = _UnixConnection(socket, timeout)
    raw = isinstance(body, bytes)
    headers = {"Content-Type": "application/x-tar" if raw else "application/json"}
    try:
        connection.request(
            method,
            quote(path) + ("?" + urlencode(query) if query else ""),
            body if raw else (json.dumps(body) if body is not None else None),
            headers if body is not None else {},
        )
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    finally:
        connection.close()
    try:
        return response.status, json.loads(text) if text else None
    except ValueError:
        return response.status, text


def answers(socket: str) -> bool:
    """Is there a Docker engine behind this socket that we may use?"""
    try:
        return call(socket, "GET", "/_ping", timeout=5)[0] == 200
    except OSError:
        return False


def find_engine() -> str | None:
    """The socket of the machine's own Docker engine."""
    asked = os.environ.get("DOCKER_HOST", "")
    candidates = [asked.removeprefix("unix://")] if asked.startswith("unix://") else []
    return next((path for path in (*candidates, *USUAL_SOCKETS) if answers(path)), None)


def missing_programs() -> list[str]:
    return [program for program in PACKAGES if shutil.which(program, path=_path()) is None]


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@contextlib.contextmanager
def engine_socket() -> Iterator[str]:
    """The machine's Docker engine if there is one, else a private one; fails the test, with the remedy, if neither."""
    found = find_engine()
    if found is not None:
        yield found
        return
    if os.geteuid() != 0:
        pytest.fail(
            "these tests need a Docker engine: none answers at DOCKER_HOST or "
            f"{USUAL_SOCKETS[0]}, and starting a private one needs root. Start Docker, or run the tests as root.",
            pytrace=False,
        )
    with private_engine() as socket:
        yield socket


@contextlib.contextmanager
def private_engine(*options: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    """The socket of a Docker engine of our own, ended with all its containers when the context ends."""
    with PrivateEngine(*options, environment=environment) as engine:
        yield engine.socket


class PrivateEngine:
    """A Docker engine of our own that can be stopped and started again; it ends when the context (or this process) does.

    With ``own_network`` it has a network namespace to itself, the same one after each start: a Docker engine that starts
    throws away the packet filter rules of any other in its namespace.
    """

    def __init__(self, *options: str, environment: dict[str, str] | None = None, own_network: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="spinney-dockerd-"))
        self.socket = f"{self.folder}/docker.sock"
        self._options = options
        self._environment = environment or {}
        self._own_network = own_network
        self._namespace: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PrivateEngine:
        try:
            missing = missing_programs()
            if missing:
                packages = " ".join(sorted({PACKAGES[program] for program in missing}))
                pytest.fail(
                    f"a private Docker engine needs {', '.join(missing)}, not found on PATH. "
                    f"Install with: apt-get install --no-install-recommends {packages}",
                    pytrace=False,
                )
            (self.folder / "daemon.json").write_text(json.dumps(_settings(self.folder)))
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            _remove_all_containers(self.socket)
        self.stop()
        if self._namespace is not None:
            os.close(self._namespace)
        _remove_folder(self.folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        folder = self.folder
        command = [
            *("setpriv", "--pdeathsig", "TERM", *self._within()),
            *("dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/exec"),
            *(f"--pidfile={folder}/dockerd.pid", f"--host=unix://{self.socket}", "--bridge=none"),
            *("--shutdown-timeout=2", f"--config-file={folder}/daemon.json", *self._options),
        ]
        environment = {**os.environ, "PATH": _path(), **self._environment}
        inherited = () if self._namespace is None else (self._namespace,)
        for left in reversed(range(_STARTS)):
            with (folder / "dockerd.log").open("ab") as log:
                self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, pass_fds=inherited)
            if _is_up(self._process, self.socket, folder / "dockerd.log", last=left == 0):
                break
        if self._own_network and self._namespace is None:
            self._namespace = os.open(f"/proc/{self._process.pid}/ns/net", os.O_RDONLY)

    def _within(self) -> tuple[str, ...]:
        if not self._own_network:
            return ()
        if self._namespace is None:
            return ("unshare", "--net")
        return ("nsenter", f"--net=/proc/self/fd/{self._namespace}")

    def stop(self) -> None:
        """End it as the machine's init does: its containers end too."""
        if self._process is not None:
            _end(self._process)

    def kill(self) -> None:
        """End it and its containerd as a crash does: its containers run on until it is started again."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        # Where nobody reaps orphans, the next start would take its dead containerd for a living one.
        (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)


def _settings(folder: Path) -> dict[str, str]:
    """Old Docker engines take their id from a file of the machine: two of them on one would be taken for one host."""
    said = subprocess.run(
        ["dockerd", "--version"], check=True, capture_output=True, text=True, env={"PATH": _path()}
    ).stdout
    version = re.search(r"version (\d+)\.", said)
    return {"deprecated-key-path": f"{folder}/key.json"} if version and int(version[1]) < 23 else {}


def _is_up(process: subprocess.Popen[bytes], socket: str, log: Path, *, last: bool) -> bool:
    """Whether it answers; False: it ended because another one changed the packet filter at that moment."""
    deadline = time.monotonic() + 60
    while not answers(socket):
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            said = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            if ended and "iptables failed" in said and not last:
                return False
            pytest.fail(f"the private Docker engine did not come up; the end of its log:\n{said}", pytrace=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    return True


def _remove_all_containers(socket: str) -> None:
    for container in call(socket, "GET", "/containers/json", query={"all": "1"})[1]:
        call(socket, "DELETE", f"/containers/{container['Id']}", query={"force": "1", "v": "1"})
    for network in call(socket, "GET", "/networks")[1]:
        if network["Name"] not in ("bridge", "host", "none"):
            call(socket, "DELETE", f"/networks/{network['Id']}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove_folder(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def image_archive() -> bytes:
    """A root file system of busybox and its links, the same bytes each time."""
    program = shutil.which("busybox", path=_path())
    if program is None:
        pytest.fail("the test image needs static busybox. Install with: apt-get install busybox-static", pytrace=False)
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    binary = Path(program).read_bytes()
    if subprocess.run(["ldd", program], check=False, capture_output=True).returncode == 0:
        pytest.fail(f"{program} is not static. Install with: apt-get install busybox-static", pytrace=False)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("bin", "etc", "tmp", "www"):
            archive.addfile(_member(name, tarfile.DIRTYPE))
        archive.addfile(_member("bin/busybox", tarfile.REGTYPE, len(binary)), io.BytesIO(binary))
        for applet in applets:
            if applet != "busybox":
                link = _member(f"bin/{applet}", tarfile.SYMTYPE)
                link.linkname = "busybox"
                archive.addfile(link)
        for name, text in (("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n"), ("www/index.html", b"spinney\n")):
            archive.addfile(_member(name, tarfile.REGTYPE, len(text)), io.BytesIO(text))
    return buffer.getvalue()


def _member(name: str, kind: bytes, size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    member.mode = 0o644 if kind == tarfile.REGTYPE and name != "bin/busybox" else 0o755
    return member


def demo_image(socket: str, reference: str = IMAGE) -> str:
    """Have the test image on the engine; its reference. ``sh``, ``sleep``, ``httpd``, ``nc``, ``wget`` are in it."""
    if call(socket, "GET", f"/images/{reference}/json")[0] == 200:
        return reference
    name, _, tag = reference.rpartition(":")
    query = {"fromSrc": "-", "repo": name, "tag": tag, "changes": 'CMD ["sleep", "600"]'}
    status, answer = call(socket, "POST", "/images/create", image_archive(), query=query)
    if status != 200:
        pytest.fail(f"the Docker engine refused to import the test image: {status} {answer}", pytrace=False)
    return reference
