"""What comes over one line to a host helper, told apart by the question that it answers. Pure.

All who are attached to the container see all answers, so each question bears a tag. Two kinds of answers come mixed: lines
between ``begin TAG`` and ``end TAG``, one such answer after the other; and lines that begin ``at TAG``, of probes that go on
at the same time, before, between and within those. Guaranteed: what nobody waits for is passed over and not held in memory; an
answer beyond its bound is HostBroken, and so is one that cannot be.
"""

from __future__ import annotations

import binascii
from typing import Protocol

from spinney.domain.probe import ProbeRequest
from spinney.drivers.helper import probing
from spinney.drivers.helper.probing import Ending, Exchange
from spinney.errors import HostBroken

#: Bytes of one answer, and of one line of it.
LARGEST = 4 << 20
LONGEST_LINE = 1 << 16
_LONGEST_NUMBER = 9


class Ear(Protocol):
    """Who waits for an answer."""

    #: Whether it is all there.
    done: bool

    def hear(self, line: str) -> None: ...


class Listing:
    """The lines between begin and end."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.done = False
        self.lines: list[str] = []
        self._left = largest

    def hear(self, line: str) -> None:
        self._left -= len(line) + 1
        if self._left < 0:
            raise HostBroken("the host helper says more than it can have to say; it is replaced")
        self.lines.append(line)


class Telling:
    """What is told of one probe, complete as soon as what was asked for is there."""

    def __init__(self, request: ProbeRequest) -> None:
        self.done = False
        self._request = request
        self._wanted = probing.wanted(request)
        self._connected = False
        self._data = bytearray()
        self._ending, self._number = Ending.ENOUGH, 0

    @property
    def exchange(self) -> Exchange:
        return Exchange(self._connected, bytes(self._data), self._ending, self._number)

    def hear(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if self.done:
            return
        if word == "connected":
            self._connected = True
            self.done = not self._wanted
        elif word == "data":
            self._take(rest)
            self.done = probing.is_complete(self._request, self._data)
        elif word == "end":
            how, _, number = rest.partition(" ")
            self._ending, self._number = _ending(how), _number(number)
            self.done = True
        else:
            raise _nonsense()

    def _take(self, encoded: str) -> None:
        try:
            self._data += binascii.a2b_base64(encoded, strict_mode=True)
        except (binascii.Error, ValueError):
            raise _nonsense() from None
        if len(self._data) > self._wanted:
            raise HostBroken("the host helper says more of a probe than it was asked for; it is replaced")


class Hearing:
    """One line."""

    def __init__(self) -> None:
        self._ears: dict[str, Ear] = {}
        self._rest = b""
        #: The tag of the answer that has begun and not ended.
        self._speaking: str | None = None

    def expect(self, tag: str, ear: Ear) -> None:
        self._ears[tag] = ear

    def forget(self, tag: str) -> None:
        self._ears.pop(tag, None)

    def feed(self, data: bytes) -> list[str]:
        """The tags of answers that are complete now and were not before; no more is told of them."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise HostBroken("the host helper says a line that has no end; it is replaced")
        return [tag for line in lines if (tag := self._hear(line.decode("ascii", "replace"))) is not None]

    def _hear(self, line: str) -> str | None:
        word, _, rest = line.partition(" ")
        if word == "at":
            tag, _, told = rest.partition(" ")
            return self._tell(tag, told)
        if word == "begin":
            self._speaking = rest
        elif self._speaking is not None and line == f"end {self._speaking}":
            tag, self._speaking = self._speaking, None
            ear = self._ears.pop(tag, None)
            if ear is not None:
                ear.done = True
                return tag
        elif self._speaking is not None:
            return self._tell(self._speaking, line)
        return None

    def _tell(self, tag: str, line: str) -> str | None:
        ear = self._ears.get(tag)
        if ear is None:
            return None
        ear.hear(line)
        if ear.done:
            del self._ears[tag]
        return tag if ear.done else None


def _ending(word: str) -> Ending:
    try:
        return Ending(word)
    except ValueError:
        raise _nonsense() from None


def _number(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= _LONGEST_NUMBER):
        raise _nonsense()
    return int(word)


def _nonsense() -> HostBroken:
    return HostBroken("what the host helper says of a probe cannot be understood; look at what runs under its name")
