"""What a probe sends and what it makes of what comes back: pure, on the bytes of honest servers and of others."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.probe import LARGEST_BODY, ProbeAnswer, ProbeKind, ProbeRequest
from spinney.drivers.helper.probing import (
    Ending,
    Exchange,
    answer,
    is_complete,
    problem,
    socket_address,
    to_send,
    wanted,
)

STATUS = ProbeRequest(ProbeKind.HTTP, 8080)
BODY = ProbeRequest(ProbeKind.HTTP, 8080, body=10)
TCP = ProbeRequest(ProbeKind.TCP, 5432)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n"


def test_the_request() -> None:
    said = to_send(ProbeRequest(ProbeKind.HTTP, 80, path="/health?x=1", host="web")).decode().split("\r\n")
    assert said[0] == "GET /health?x=1 HTTP/1.1" and said[-2:] == ["", ""]
    assert {"Host: web", "Connection: close"} <= set(said)
    assert to_send(TCP) == b""


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"address": "localhost"}, "'localhost' is no IP address"),
        ({"port": 0}, "0 is no port"),
        ({"port": 70000}, "70000 is no port"),
        ({"path": "health"}, "'health'"),
        ({"path": "/a b"}, "'/a b'"),
        ({"path": "/\r\nX: y"}, "path"),
        ({"path": "/\u00e4"}, "path"),
        ({"host": ""}, "Host header"),
        ({"host": "a\nb"}, "Host header"),
    ],
)
def test_what_cannot_be_asked_is_named(change: dict[str, object], part: str) -> None:
    fields = {"kind": ProbeKind.HTTP, "port": 80, **change}
    assert part in (problem(ProbeRequest(**fields)) or "")


def test_what_can_be_asked_is() -> None:
    assert problem(STATUS) is problem(ProbeRequest(ProbeKind.TCP, 1, address="::1")) is None


def test_addresses_are_as_linux_has_them() -> None:
    assert socket_address(STATUS) == struct.pack("<H", socket.AF_INET) + b"\x1f\x90\x7f\x00\x00\x01" + bytes(8)
    six = socket_address(ProbeRequest(ProbeKind.TCP, 80, address="fe80::1"))
    assert (len(six), six[:4], six[8:24]) == (28, b"\x0a\x00\x00\x50", socket.inet_pton(socket.AF_INET6, "fe80::1"))


@pytest.mark.parametrize(
    ("request_", "data", "complete", "found"),
    [
        (STATUS, OK, True, (200, b"", "")),
        (STATUS, b"HTTP/1.0 404\n", True, (404, b"", "")),
        (STATUS, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\n", True, (503, b"", "")),
        (STATUS, b"HTTP/1.1 100 Continue\r\n\r\n", False, (None, b"", "port 8080 is no HTTP")),
        (STATUS, b"HTTP/2 200\r\n", False, (None, b"", "port 8080 is no HTTP")),
        (STATUS, b"HTTP/1.1 2000\r\n", False, (None, b"", "is no HTTP")),
        (STATUS, b"SSH-2.0-OpenSSH\r\n", False, (None, b"", "is no HTTP")),
        (STATUS, b"", False, (None, b"", "closed it without an answer")),
        (BODY, OK + b"\r\nopen end", False, (200, b"open end", "")),
        (BODY, OK + b"content-LENGTH: 4\r\n\r\nbody", True, (200, b"body", "")),
        (BODY, OK + b"Content-Length: 5\r\n\r\nbody", False, (200, b"", "broke off")),
        (BODY, OK + b"Content-Length: 99\r\n\r\n0123456789", True, (200, b"0123456789", "")),
        (BODY, OK + b"Content-Length: 4\r\n", False, (200, b"", "broke off")),
        (BODY, b"HTTP/1.1 204 No\r\n\r\n", True, (204, b"", "")),
        (BODY, CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", True, (200, b"abcde", "")),
        (BODY, CHUNKED + b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", True, (200, b"0\r\n\r\n", "")),
        (BODY, CHUNKED + b"9\r\n0\r\n\r\n", False, (200, b"", "broke off")),
        (BODY, CHUNKED + b"zz\r\n", False, (200, b"", "broke off")),
    ],
)  # fmt: skip
def test_answers(request_: ProbeRequest, data: bytes, complete: bool, found: tuple[int | None, bytes, str]) -> None:
    assert is_complete(request_, data) is complete
    made = answer(request_, Exchange(True, data))
    assert (made.connected, made.status, made.body) == (True, *found[:2])
    assert found[2] in made.text and bool(found[2]) is bool(made.text)


@pytest.mark.parametrize(
    ("exchange", "text"),
    [
        (Exchange(False, ending=Ending.FAILED, number=111), "nothing listens on port 8080 (connection refused)"),
        (Exchange(False, ending=Ending.FAILED, number=99), "cannot be reached from inside the container (error 99)"),
        (Exchange(False, ending=Ending.FAILED, number=110), "timeout: no connection to port 8080 within 1 s"),
        (Exchange(False, ending=Ending.LATE), "timeout: no connection to port 8080 within 1 s"),
        (Exchange(True, ending=Ending.LATE), "timeout: port 8080 took the connection, and gave no answer within 1 s"),
    ],
)
def test_what_went_wrong_is_told(exchange: Exchange, text: str) -> None:
    made = answer(STATUS, exchange)
    assert made == ProbeAnswer(exchange.connected, text=made.text) and text in made.text


def test_a_connection_is_all_that_a_tcp_probe_wants() -> None:
    assert (wanted(TCP), is_complete(TCP, b"")) == (0, True)
    assert answer(TCP, Exchange(True, ending=Ending.ENOUGH)) == ProbeAnswer(True)
    assert answer(TCP, Exchange(False, ending=Ending.FAILED, number=111)).text.startswith("nothing listens")


def test_a_late_body_is_no_body() -> None:
    assert "within 1 s" in answer(BODY, Exchange(True, OK + b"\r\nhalf", Ending.LATE)).text
    assert answer(BODY, Exchange(True, OK + b"\r\n" + b"x" * 99, Ending.ENOUGH)).body == b"x" * 10


def test_bounds_hold_whatever_is_asked() -> None:
    greedy = ProbeRequest(ProbeKind.HTTP, 80, body=1 << 40)
    assert wanted(greedy) < LARGEST_BODY + (1 << 17)
    assert len(answer(greedy, Exchange(True, OK + b"\r\n" + bytes(LARGEST_BODY + 9))).body) == LARGEST_BODY


@given(
    st.lists(st.sampled_from([OK, b"\r\n", b"Content-Length: 3\r\n", b"0\r\n\r\n", b"5\r\n", CHUNKED]) | st.binary()),
    st.sampled_from(Ending),
    st.sampled_from([STATUS, BODY, TCP]),
)
def test_nothing_that_comes_back_breaks_anything(pieces: list[bytes], ending: Ending, request: ProbeRequest) -> None:
    data = b"".join(pieces)
    is_complete(request, data)
    made = answer(request, Exchange(True, data, ending))
    assert made.connected and len(made.body) <= request.body
