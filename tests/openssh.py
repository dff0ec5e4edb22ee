"""A real OpenSSH server for tests, on a loopback port, with keys of its own.

Guaranteed: it lets in one key alone, as root; what connects through it finds the given Docker engine at ``/run/docker.sock``,
whatever the machine itself has there; it ends with its context.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_CONFIGURATION = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
"""
#: A mount namespace of its own, in which /run is empty but for the Docker socket.
_START = """
set -e
mount -t tmpfs none /run
mkdir -m 755 /run/sshd
ln -s "$1" /run/docker.sock
exec "$2" -D -e -f "$3"
"""


@dataclass(frozen=True)
class SshServer:
    folder: Path
    port: int

    @property
    def endpoint(self) -> str:
        return f"ssh://root@127.0.0.1:{self.port}"

    @property
    def user_key(self) -> Path:
        return self.folder / "user_key"

    def known_hosts(self, key: str = "host_key") -> Path:
        """As ssh-keyscan would tell it; ``key``: whose."""
        kind, encoded = (self.folder / f"{key}.pub").read_text().split()[:2]
        path = self.folder / f"known_hosts.{key}"
        path.write_text(f"[127.0.0.1]:{self.port} {kind} {encoded}\n")
        return path


@contextlib.contextmanager
def running(folder: Path, docker_socket: str) -> Iterator[SshServer]:
    program = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
    if program is None:
        pytest.fail("these tests need OpenSSH's server: apt-get install --no-install-recommends openssh-server", False)
    for name in ("host_key", "user_key", "other_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "sshd_config").write_text(_CONFIGURATION.format(folder=folder, port=port))
    command = ["unshare", "--mount", "sh", "-c", _START, "sh", docker_socket, program, folder / "sshd_config"]
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_until_up(process, port, folder / "sshd.log")
        yield SshServer(folder, port)
    finally:
        process.terminate()
        process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    pytest.fail(f"the SSH server did not come up; it said:\n{log.read_text()}", pytrace=False)
