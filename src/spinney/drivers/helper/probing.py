"""Probes as the host helper carries them out: bytes to one address of a container, and what comes back. HTTP is spoken here.

Pure, and as wary of what containers say as of what hosts say. Guaranteed: whatever comes back makes an answer with a body
within its bound; what is no HTTP is told as such. An answer is complete as soon as what was asked for is there, so that a
server which keeps its connection open holds up nobody. Not guaranteed: that a body of the largest wanted size was all of it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from spinney.domain.probe import LARGEST_BODY, ProbeAnswer, ProbeKind, ProbeRequest

#: Bytes of an HTTP answer that may come before its body, and those taken when only the status is wanted.
_LARGEST_HEAD = 16 << 10
_STATUS_ALONE = 2 << 10
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?:[ \r\n]|\Z)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,15})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:.*\bchunked[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r?\n")
_UNFIT = re.compile(r"[\x00-\x20\x7f]|[^\x00-\x7f]")
_BODILESS = (204, 304)
#: As Linux numbers them, whatever the machine is on which this runs.
_IPV4, _IPV6 = 2, 10
_REFUSED, _TIMED_OUT = 111, 110
#: Seconds that a probe lasts at most, whatever is asked for; and letters of what is sent, so that it fits into a question.
_LONGEST = 60.0
_LONGEST_PATH, _LONGEST_HOST = 2000, 255


class Ending(StrEnum):
    """How an exchange ended, in the host helper's words."""

    CLOSED = "closed"  # the other side has said all it had to say
    ENOUGH = "enough"  # as many bytes came as were wanted
    LATE = "late"
    FAILED = "failed"  # the kernel says why
    GONE = "gone"  # no such process, or one of another container
    BARRED = "barred"  # the namespace may not be entered here
    BUSY = "busy"  # too many probes are under way
    WRONG = "wrong"  # the question is


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came of it. ``number``: the kernel's number of an error, or 0."""

    connected: bool
    data: bytes = b""
    ending: Ending = Ending.CLOSED
    number: int = 0


def problem(request: ProbeRequest) -> str | None:
    """Why it cannot be asked, fit for a user."""
    try:
        ip_address(request.address)
    except ValueError:
        return f"{request.address[:60]!r} is no IP address; give one that the container has, such as 127.0.0.1"
    if not 0 < request.port < 65536:
        return f"{request.port} is no port; give one from 1 to 65535"
    if not request.path.startswith("/") or _UNFIT.search(request.path) or len(request.path) > _LONGEST_PATH:
        return (
            f"the path {request.path[:60]!r} cannot be asked for; "
            f"give one that begins with /, without spaces, of {_LONGEST_PATH} letters at most"
        )
    if not request.host or _UNFIT.search(request.host) or len(request.host) > _LONGEST_HOST:
        return f"{request.host[:60]!r} is no name for the Host header"
    return None


def socket_address(request: ProbeRequest) -> bytes:
    """As Linux has it in memory on every machine there is a helper for."""
    address = ip_address(request.address)
    if address.version == 4:
        return struct.pack("<H", _IPV4) + struct.pack(">H4s8x", request.port, address.packed)
    return struct.pack("<H", _IPV6) + struct.pack(">HI16sI", request.port, 0, address.packed, 0)


def to_send(request: ProbeRequest) -> bytes:
    if request.kind is ProbeKind.TCP:
        return b""
    head = (
        f"GET {request.path} HTTP/1.1",
        f"Host: {request.host}",
        "User-Agent: spinney-probe",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode("ascii")


def wanted(request: ProbeRequest) -> int:
    """How many bytes of what comes back are of interest."""
    if request.kind is ProbeKind.TCP:
        return 0
    return _LARGEST_HEAD + _bound(request) if request.body else _STATUS_ALONE


def question(tag: str, request: ProbeRequest, container_id: str = "-", pid: int = 0) -> str:
    """As ``probe.h`` wants it. Without a process: of the network namespace that the helper is in."""
    sent = to_send(request).hex() or "-"
    milliseconds = max(1, round(min(request.timeout, _LONGEST) * 1000))
    return f"probe {tag} {pid} {container_id} {socket_address(request).hex()} {wanted(request)} {sent} {milliseconds}\n"


def is_complete(request: ProbeRequest, data: bytes | bytearray) -> bool:
    """Whether that is all that is wanted, though more may come. Looked at with each piece, so nothing is copied."""
    if request.kind is ProbeKind.TCP:
        return True
    status, begin = _status(data)
    if status is None:
        return False
    if not request.body or status in _BODILESS:
        return True
    end = _HEAD_END.search(data, begin)
    if end is None:
        return False
    size = len(data) - end.end()
    if _CHUNKED.search(data, begin, end.start()):
        # Taking chunks apart each time would cost too much: an end looks like this, though not all of these are ends.
        return data.endswith(b"\n\r\n") and _unchunked(data[end.end() :])[1]
    length = _LENGTH.search(data, begin, end.start())
    return size >= min(_bound(request), int(length[1]) if length else LARGEST_BODY)


def answer(request: ProbeRequest, exchange: Exchange) -> ProbeAnswer:
    where, limit = f"port {request.port}", f"{request.timeout:g} s"
    if not exchange.connected:
        return ProbeAnswer(False, text=_unconnected(exchange, where, limit))
    if request.kind is ProbeKind.TCP:
        return ProbeAnswer(True)
    status, begin = _status(exchange.data)
    if status is None:
        return ProbeAnswer(True, text=_unanswered(exchange, where, limit))
    if not request.body:
        return ProbeAnswer(True, status)
    head, body = _parted(exchange.data[begin:])
    if body is None or (not is_complete(request, exchange.data) and _is_short(exchange, head)):
        return ProbeAnswer(True, status, text=f"the answer of {where} broke off, or was not all there within {limit}")
    if _CHUNKED.search(head):
        body = _unchunked(body)[0]
    return ProbeAnswer(True, status, body[: _bound(request)])


def _is_short(exchange: Exchange, head: bytes) -> bool:
    """Whether less came than was promised. What has no length ends with its connection."""
    if exchange.ending is Ending.CLOSED:
        return _LENGTH.search(head) is not None or _CHUNKED.search(head) is not None
    return exchange.ending is not Ending.ENOUGH


def _unconnected(exchange: Exchange, where: str, limit: str) -> str:
    if exchange.ending is Ending.LATE or exchange.number == _TIMED_OUT:
        return f"timeout: no connection to {where} within {limit}"
    if exchange.number == _REFUSED:
        return f"nothing listens on {where} (connection refused)"
    return f"{where} cannot be reached from inside the container (error {exchange.number})"


def _unanswered(exchange: Exchange, where: str, limit: str) -> str:
    if exchange.data:
        return f"what answers on {where} is no HTTP"
    if exchange.ending is Ending.LATE:
        return f"timeout: {where} took the connection, and gave no answer within {limit}"
    return f"{where} took the connection and closed it without an answer"


def _bound(request: ProbeRequest) -> int:
    return min(request.body, LARGEST_BODY)


def _status(data: bytes | bytearray) -> tuple[int | None, int]:
    """The status, and where the answer begins that has it: those that only announce another are passed over."""
    begin = 0
    while (found := _STATUS.match(data, begin)) is not None:
        status = int(found[1])
        if status >= 200 or status == 101:
            return status, begin
        end = _HEAD_END.search(data, begin)
        if end is None:
            break
        begin = end.end()
    return None, begin


def _parted(data: bytes) -> tuple[bytes, bytes | None]:
    """The head, and the body as far as it has come; None: the head is not all there."""
    end = _HEAD_END.search(data)
    return (data, None) if end is None else (data[: end.start()], data[end.end() :])


def _unchunked(body: bytes | bytearray) -> tuple[bytes, bool]:
    """What the chunks hold, and whether the last one is there."""
    chunks: list[bytes | bytearray] = []
    at = 0
    while (found := _CHUNK.match(body, at)) is not None:
        size = int(found[1], 16)
        if not size:
            return b"".join(chunks), True
        chunks.append(body[found.end() : found.end() + size])
        at = found.end() + size
        at += 2 if body.startswith(b"\r\n", at) else 1
    return b"".join(chunks), False
