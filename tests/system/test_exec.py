"""Commands in containers, as a user at a terminal or in a pipe runs them, on a real Docker engine."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.running import PATIENCE, SPINNEY, Service, spinney
from system.test_processes import Apart

_BIG = 50 << 20


def environment(service: Service) -> dict[str, str]:
    return {**os.environ, "SPINNEY_STATE_DIR": str(service.state_dir)}


def begin(service: Service, *words: str, **more: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen((*SPINNEY, "exec", *words), env=environment(service), **more)  # type: ignore[call-overload, no-any-return]


@contextlib.contextmanager
def a_node(service: Service) -> Iterator[str]:
    node = service.node(service.profile())
    name = service.until_node_is("ACTIVE", node)["name"]
    yield str(name)
    service.delete("node", node)


@pytest.fixture
def node(service: Service) -> Iterator[str]:
    with a_node(service) as name:
        yield name


class Typist:
    """Somebody at a terminal."""

    def __init__(self, service: Service, *words: str, size: tuple[int, int] = (100, 30)) -> None:
        self.master, slave = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = begin(service, *words, stdin=slave, stdout=slave, stderr=slave, preexec_fn=os.setsid)
        self.seen = b""

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def until(self, text: bytes) -> None:
        os.set_blocking(self.master, False)
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            with contextlib.suppress(BlockingIOError):
                self.seen += os.read(self.master, 65536)
                continue
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)

    def end(self) -> int:
        code = self.process.wait(PATIENCE)
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.slave)
        os.close(self.master)
        return code


def test_a_terminal_with_its_size_its_keys_and_its_exit_code(service: Service, node: str) -> None:
    typist = Typist(service, "-it", node, "--", "sh")
    typist.until(b"# ")
    typist.type(b"stty size\r")
    typist.until(b"30 100")
    typist.resize(77, 22)
    typist.process.send_signal(signal.SIGWINCH)
    typist.type(b"sleep 1; stty size\r")
    typist.until(b"22 77")
    typist.type(b"sleep 600; echo never\r")
    typist.until(b"echo never\r\n")
    typist.type(b"\x03")
    typist.until(b"^C")
    typist.type(b"echo $((6*7)); exit 5\r")
    typist.until(b"42")
    assert typist.end() == 5


def test_fifty_megabytes_both_ways_through_a_pipe(service: Service, node: str, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    with source.open("wb") as file:
        for _ in range(_BIG >> 20):
            file.write(os.urandom(1 << 20))
    with source.open("rb") as given, back.open("wb") as got:
        assert begin(service, "-i", node, "--", "cat", stdin=given, stdout=got).wait(PATIENCE * 2) == 0
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
    counted = subprocess.run(
        (*SPINNEY, "node", "exec", "-i", node, "--", "sh", "-c", "head -c 3 >/dev/null; wc -c; echo done >&2; exit 7"),
        env=environment(service),
        input=source.read_bytes()[: 1 << 20],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert counted.returncode == 7 and counted.stderr == b"done\n" and int(counted.stdout) <= (1 << 20) - 3


def test_exit_codes_users_and_variables(service: Service, node: str) -> None:
    said = spinney(
        service, "exec", "-u", "1234", "-e", "WORD=two words", node, "--", "sh", "-c", "id -u; echo $WORD; exit 3"
    )
    assert (said.returncode, said.stdout, said.stderr) == (3, "1234\ntwo words\n", "")
    assert spinney(service, "exec", node, "--", "/no/such/program").returncode in (126, 127)
    assert spinney(service, "exec", node, "--", "/etc/passwd").returncode in (126, 127)
    assert spinney(service, "exec", node, "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_what_cannot_be_is_said(service: Service, node: str) -> None:
    said = spinney(service, "exec", "-it", node, "--", "sh")
    assert said.returncode == 1 and "needs a terminal" in said.stderr
    said = spinney(service, "exec", "no-such-node", "--", "true")
    assert said.returncode == 1 and "no-such-node" in said.stderr
    assert spinney(service, "node", "op", node, "stop", "--wait").returncode == 0
    said = spinney(service, "exec", node, "--", "true")
    assert said.returncode == 1 and "start it first" in said.stderr


def test_a_container_that_ends_ends_the_session(service: Service, node: str) -> None:
    running = begin(service, node, "--", "sh", "-c", "echo on; sleep 600", stdout=subprocess.PIPE)
    assert running.stdout is not None and running.stdout.readline() == b"on\n"
    service.docker.kill(service.api.get(f"/nodes/{node}")["physical_id"])
    assert running.wait(PATIENCE) == 137
    running.stdout.close()


def test_ctrl_c_without_a_terminal_ends_the_command(service: Service, node: str) -> None:
    running = begin(service, node, "--", "sh", "-c", "echo on; sleep 4321", stdout=subprocess.PIPE)
    assert running.stdout is not None and running.stdout.readline() == b"on\n"
    running.send_signal(signal.SIGINT)
    assert running.wait(PATIENCE) == 130
    running.stdout.close()
    service.until(lambda: spinney(service, "exec", node, "--", "ps").stdout, lambda seen: "4321" not in seen)


def test_nothing_of_it_is_in_the_log_of_the_service(service: Service, node: str) -> None:
    said = spinney(service, "exec", "-e", "WORD=hush-hush", node, "--", "echo", "psst-psst")
    assert said.stdout == "psst-psst\n"
    output = service.program.output
    assert not any(word in output for word in ("hush-hush", "psst-psst", "/v1/execs/"))


def test_an_engine_killed_in_the_middle_ends_the_session(docker_socket: str, tmp_path: Path) -> None:
    apart = Apart(tmp_path, docker_socket)
    try:
        apart.start_api()
        engine = apart.start_engine()
        service = apart.service
        service.connect()
        said = spinney(service, "host", "add", f"unix://{docker_socket}", "--name", "m", "--cluster", "local", "--wait")
        assert said.returncode == 0, said.stderr
        with a_node(service) as node:
            running = begin(service, node, "--", "sh", "-c", "echo on; sleep 600", stdout=-1, stderr=-1)
            assert running.stdout is not None and running.stderr is not None and running.stdout.readline() == b"on\n"
            engine.kill()
            assert running.wait(PATIENCE) == 1
            assert b"engine" in running.stderr.read()
            running.stdout.close()
            running.stderr.close()
            apart.start_engine()
    finally:
        apart.close()


def test_api_and_engine_meet_by_mutual_tls(docker_socket: str, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = (*SPINNEY, "host", "certs", tmp_path / "link", "--host", "e=127.0.0.1")
    subprocess.run(made, check=True, capture_output=True, timeout=PATIENCE)
    link = tmp_path / "link"
    api, engine = (
        f"tls_ca = {link}/ca.pem\ntls_certificate = {link}/{cert}.pem\ntls_key = {link}/{key}.pem\n"
        for cert, key in (("client/cert", "client/key"), ("e/server-cert", "e/server-key"))
    )
    apart = Apart(tmp_path, docker_socket)
    service, plain = apart.service, apart.service.config_file.read_text()
    try:
        service.config_file.write_text(f"{plain}\n[link]\naddress = 127.0.0.1:{port}\n{engine}")
        apart.start_engine()
        assert not list(service.state_dir.glob("engine-*.sock"))
        service.config_file.write_text(f"{plain}\n[link]\n{api}")
        apart.start_api()
        service.connect()
        said = spinney(service, "host", "add", f"unix://{docker_socket}", "--name", "m", "--cluster", "local", "--wait")
        assert said.returncode == 0, said.stderr
        with a_node(service) as node:
            assert spinney(service, "exec", node, "--", "echo", "through TLS").stdout == "through TLS\n"
            assert service.api.get(f"/nodes/{node}/stats")["memory"] > 0
    finally:
        apart.close()
