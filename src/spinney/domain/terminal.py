"""A command run in a container while somebody watches: what is asked, and the messages in which both sides speak.

The protocol ``spinney.exec.v1`` is spoken by users with the API, and by the API with engines. Each message is one frame; its
first byte says what the rest is: 0 input, 1 output, 2 error output, 3 control, as one JSON object with one key. Controls to
the command: ``{"resize": {"width": 80, "height": 24}}``, ``{"eof": true}`` (the input ends). Controls from it:
``{"exit": 0}`` (the last message of a session that went well), ``{"error": {"type": …, "message": …}}`` (of one that did not).
An output without data says nothing but that the session lives. Guaranteed: ``decode`` raises nothing but ``BadFrame``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

SUBPROTOCOL = "spinney.exec.v1"
#: Bytes: the longest message that is taken, and how much of a stream is put into one that is sent.
LARGEST_FRAME = 1 << 20
PIECE = 1 << 16
_LARGEST_SIZE = 32767


class BadFrame(ValueError):
    """The other side does not keep to the protocol; the message says how."""


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """What to run. Command and environment may hold secrets, so they are not shown."""

    command: tuple[str, ...] = field(repr=False)
    tty: bool = False
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class Stream(IntEnum):
    INPUT = 0
    OUTPUT = 1
    ERROR = 2


_CONTROL = 3


@dataclass(frozen=True, slots=True)
class Data:
    stream: Stream
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """Columns and rows of the terminal."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class EndOfInput:
    pass


@dataclass(frozen=True, slots=True)
class Exit:
    code: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there will be no exit code; ``kind`` is the name of an error."""

    kind: str
    message: str


Frame = Data | Resize | EndOfInput | Exit | Failure


def encode(frame: Frame) -> bytes:
    if isinstance(frame, Data):
        return bytes([frame.stream]) + frame.data
    return bytes([_CONTROL]) + json.dumps(_control(frame)).encode()


def _control(frame: Resize | EndOfInput | Exit | Failure) -> dict[str, Any]:
    match frame:
        case Resize(width, height):
            return {"resize": {"width": width, "height": height}}
        case EndOfInput():
            return {"eof": True}
        case Exit(code):
            return {"exit": code}
        case Failure(kind, message):
            return {"error": {"type": kind, "message": message}}


def decode(message: bytes) -> Frame:
    """Raises: BadFrame."""
    if not message:
        raise BadFrame("a message is empty; its first byte must say what it is")
    if message[0] in tuple(Stream):
        return Data(Stream(message[0]), message[1:])
    if message[0] != _CONTROL:
        raise BadFrame(f"a message begins with byte {message[0]}; there are 0 to 3")
    try:
        control = json.loads(message[1:])
    except (ValueError, RecursionError):
        raise BadFrame("a control message is no JSON") from None
    if not isinstance(control, dict) or len(control) != 1:
        raise BadFrame("a control message is no object with one key")
    (key, value), *_ = control.items()
    return _read_control(key, value)


def _read_control(key: str, value: Any) -> Frame:
    match key, value:
        case "resize", {"width": int(width), "height": int(height)} if len(value) == 2:
            if not (1 <= width <= _LARGEST_SIZE and 1 <= height <= _LARGEST_SIZE):
                raise BadFrame(f"resize: width and height are 1 to {_LARGEST_SIZE}")
            return Resize(int(width), int(height))
        case "eof", True:
            return EndOfInput()
        case "exit", int(code):
            return Exit(int(code))
        case "error", {"type": str(kind), "message": str(text)}:
            return Failure(kind, text)
    raise BadFrame(
        'a control message is unknown; there are {"resize": {"width": 80, "height": 24}}, {"eof": true}, {"exit": 0} and '
        '{"error": {"type": "…", "message": "…"}}'
    )
