"""What the program of the host helper does with probes, run as a process of this machine."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

import spinney.drivers.helper
from spinney.domain.probe import ProbeKind, ProbeRequest
from spinney.drivers.helper import probing
from spinney.drivers.helper.hearing import Hearing, Listing, Telling
from spinney.drivers.helper.image import ARCHITECTURES
from spinney.drivers.helper.probing import Ending, Exchange

REFUSED = 111
CHILDREN = 48
PIPE = 4096  # what a pipe takes in one piece

Serve = Callable[[socket.socket], None]


class Program:
    """The program, and questions to it."""

    def __init__(self, *arguments: str) -> None:
        path = Path(spinney.drivers.helper.__file__).parent / platform.machine()
        if platform.machine() not in ARCHITECTURES.values():
            pytest.skip(f"there is no host helper for {platform.machine()}")
        self.process = subprocess.Popen([path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.hearing = Hearing()
        self.heard = b""
        #: What was told of early may be told more of later.
        self.tags = count()

    def ask(self, *questions: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(questions).encode())
        self.process.stdin.flush()

    def listen(self, *ears: Telling | Listing) -> None:
        while not all(ear.done for ear in ears):
            self.listen_once()

    def listen_once(self) -> None:
        assert self.process.stdout is not None
        said = os.read(self.process.stdout.fileno(), 1 << 16)
        assert said, self.heard
        self.heard += said
        self.hearing.feed(said)

    def probe(self, request: ProbeRequest, container_id: str = "-", pid: int = 0) -> Exchange:
        tag = f"p{next(self.tags)}"
        telling = self.expect(tag, request)
        self.ask(probing.question(tag, request, container_id, pid))
        self.listen(telling)
        return telling.exchange

    def expect(self, tag: str, request: ProbeRequest) -> Telling:
        telling = Telling(request)
        self.hearing.expect(tag, telling)
        return telling

    def end(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.wait(10) == 0
        self.process.stdout.close()


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Program]:
    made = Program(*arguments)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def program() -> Iterator[Program]:
    with running() as made:
        yield made


@contextlib.contextmanager
def server(serve: Serve, family: socket.AddressFamily = socket.AF_INET) -> Iterator[int]:
    """Does that with each connection, one after the other; its port."""
    with socket.create_server(("127.0.0.1" if family is socket.AF_INET else "::1", 0), family=family) as listening:
        taken: list[socket.socket] = []

        def work() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(ConnectionError):
                        taken[:] = [connection]
                        serve(connection)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for connection in taken:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)  # else it would last as long as the probe
            thread.join(10)


def answering(answer: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        if connection.recv(4096).startswith(b"GET / HTTP/1.1\r\n"):
            connection.sendall(answer)

    return serve


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def http(port: int, **more: object) -> ProbeRequest:
    return ProbeRequest(ProbeKind.HTTP, port, timeout=10.0, **more)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_what_comes_back_is_passed_on(program: Program, family: socket.AddressFamily) -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(range(256)) * 40
    address = "127.0.0.1" if family is socket.AF_INET else "::1"
    with server(answering(answer), family) as port:
        found = program.probe(http(port, body=1 << 20, address=address))
        assert found == Exchange(True, answer, Ending.CLOSED)
        status = program.probe(http(port, address=address))
        assert status.connected and 0 < len(status.data) <= 2048 and answer.startswith(status.data)
        assert program.probe(ProbeRequest(ProbeKind.TCP, port, address=address)) == Exchange(True, b"", Ending.ENOUGH)


def test_only_as_much_as_was_asked_for_comes_back(program: Program) -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (1 << 20)
    with server(answering(endless)) as port:
        request = http(port, body=1000)
        found = program.probe(request)
    assert len(found.data) <= probing.wanted(request) and probing.answer(request, found).body == b"x" * 1000


def test_how_it_ends_is_told(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert program.probe(http(port)) == Exchange(False, b"", Ending.FAILED, REFUSED)
    with server(silent) as port:
        late = ProbeRequest(ProbeKind.HTTP, port, timeout=0.05)
        assert program.probe(late) == Exchange(True, b"", Ending.LATE)
    with server(lambda connection: None) as port:
        found = program.probe(http(port))
        assert (found.connected, found.data, found.ending) == (True, b"", Ending.CLOSED)


def test_the_namespace_of_a_process_is_entered_if_it_is_the_containers(program: Program) -> None:
    group = Path("/proc/self/cgroup").read_text().split("\n")[0]
    word = group.split(":")[1] or group.split(":")[0]
    with server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        found = program.probe(http(port), word, os.getpid())
        # To enter takes rights that who runs the tests need not have.
        assert found.connected or found.ending is Ending.BARRED
        for container_id, pid in (("f" * 64, os.getpid()), (word, (1 << 31) - 1)):
            assert program.probe(http(port), container_id, pid) == Exchange(False, b"", Ending.GONE)


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (2, "x"), (2, "-1"), (2, "1/../2"), (2, "99999999999"), (3, ""), (4, "0100"), (4, "zz" * 16), (4, "02" * 28),
        (4, "0a" * 16), (4, "02" * 29), (5, "-"), (5, "5x"), (6, "abc"), (6, "AB"), (6, "00" * 3073), (7, ""), (7, "soon"),
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_told_so(program: Program, number: int, word: str) -> None:
    words = probing.question("t", http(1)).removesuffix("\n").split(" ")
    telling = program.expect("t", http(1))
    program.ask(" ".join([*words[:number], word, *words[number + 1 :]]) + "\n")
    program.listen(telling)
    assert telling.exchange.ending is Ending.WRONG


def test_many_at_a_time_are_answered_each_by_itself_and_lines_stay_whole(program: Program) -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 30_000
    with server(silent) as slow, server(answering(answer)) as quick:
        waiting = program.expect("slow", http(slow))
        program.ask(probing.question("slow", http(slow)))
        tellings = {f"q{number}": program.expect(f"q{number}", http(quick, body=1 << 20)) for number in range(20)}
        listings = [Listing() for _ in range(200)]
        for number, listing in enumerate(listings):
            program.hearing.expect(f"l{number}", listing)
        program.ask(
            *(probing.question(tag, http(quick, body=1 << 20)) for tag in tellings),
            *(f"host l{number}\n" for number in range(len(listings))),
        )
        program.listen(*tellings.values(), *listings)
        assert {telling.exchange.data for telling in tellings.values()} == {answer}
        assert len({len(listing.lines) for listing in listings}) == 1 and not waiting.done
        assert max(len(line) for line in program.heard.split(b"\n")) < PIPE


def test_too_many_are_refused_and_places_become_free_again(program: Program) -> None:
    with server(silent) as port:
        # Nobody but the first is accepted, and the kernel takes the connections of all.
        slow = ProbeRequest(ProbeKind.HTTP, port, timeout=0.5)
        tellings = [program.expect(f"t{number}", slow) for number in range(CHILDREN + 5)]
        program.ask(*(probing.question(f"t{number}", slow) for number in range(CHILDREN + 5)))
        program.listen(*tellings)
        endings = [telling.exchange.ending for telling in tellings]
        assert endings.count(Ending.BUSY) == 5 and endings[:CHILDREN] == [Ending.LATE] * CHILDREN
        assert program.probe(ProbeRequest(ProbeKind.TCP, port)).connected


def test_it_ends_by_itself_when_it_is_asked_nothing() -> None:
    made = Program("idle=0")
    assert made.process.wait(10) == 0
    made.end()
    with running("idle=600") as lasting:
        assert lasting.probe(ProbeRequest(ProbeKind.TCP, 9)).ending is Ending.FAILED


def test_who_reads_what_containers_say_may_nothing() -> None:
    """As the kernel sees such a process: it has no capability, can gain none, and its system calls are filtered."""
    with running() as program, server(silent) as port:
        telling = program.expect("t", http(port))
        program.ask(probing.question("t", http(port)))
        while b"connected" not in program.heard:
            program.listen_once()
        children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text().split()
        status = Path(f"/proc/{children[0]}/status").read_text()
        assert dict(re.findall(r"(CapEff|CapPrm|NoNewPrivs|Seccomp):\s+(\S+)", status)) == {
            "CapEff": "0000000000000000",
            "CapPrm": "0000000000000000",
            "NoNewPrivs": "1",
            "Seccomp": "2",
        }
        assert not telling.done
