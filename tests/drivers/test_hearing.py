"""What comes over one line to a host helper: who each word is for, whatever it is mixed with. Pure."""

from __future__ import annotations

from base64 import b64encode

import pytest

from spinney.domain.probe import ProbeKind, ProbeRequest
from spinney.drivers.helper.hearing import LONGEST_LINE, Hearing, Listing, Telling
from spinney.drivers.helper.probing import Ending, Exchange
from spinney.errors import HostBroken

WEB = ProbeRequest(ProbeKind.HTTP, 80)
PAGE = ProbeRequest(ProbeKind.HTTP, 80, body=100)
PORT = ProbeRequest(ProbeKind.TCP, 80)


def data(content: bytes) -> bytes:
    return b"data " + b64encode(content)


def test_pieces_of_any_size_make_answers_whatever_they_are_mixed_with() -> None:
    stream = (
        b"rest of one\nend other\nat p connected\nbegin other\nhost 1\nend other\nbegin mine\na 1\n"
        b"at p %s\nb 2\nat q connected\nend of the line\nend mine\nat p end closed 0\nbegin x\n" % data(b"HTTP/1.1 20")
    )
    for size in (1, 7, len(stream)):
        hearing, listing, telling, done = Hearing(), Listing(), Telling(WEB), []
        hearing.expect("mine", listing)
        hearing.expect("p", telling)
        for at in range(0, len(stream), size):
            done += hearing.feed(stream[at : at + size])
        assert (done, listing.lines) == (["mine", "p"], ["a 1", "b 2", "end of the line"])
        assert telling.exchange == Exchange(True, b"HTTP/1.1 20", Ending.CLOSED)


def test_who_has_given_up_is_told_nothing() -> None:
    hearing, listing, telling = Hearing(), Listing(), Telling(WEB)
    for tag, ear in (("a", listing), ("b", telling)):
        hearing.expect(tag, ear)
        hearing.forget(tag)
    assert hearing.feed(b"begin a\nx\nend a\nat b nonsense\n") == []
    assert not (listing.done or telling.done or listing.lines)


@pytest.mark.parametrize(
    ("request_", "said", "exchange"),
    [
        (PORT, [b"connected"], Exchange(True, b"", Ending.ENOUGH)),
        (PORT, [b"end failed 111"], Exchange(False, b"", Ending.FAILED, 111)),
        (WEB, [b"connected", data(b"HTTP/1.0 204 Fine\r\n")], Exchange(True, b"HTTP/1.0 204 Fine\r\n", Ending.ENOUGH)),
        (WEB, [b"connected", b"end late 0"], Exchange(True, b"", Ending.LATE)),
        (WEB, [b"end gone 0"], Exchange(False, b"", Ending.GONE)),
    ],
)
def test_a_probe_is_told_as_soon_as_it_is_known(request_: ProbeRequest, said: list[bytes], exchange: Exchange) -> None:
    hearing, telling = Hearing(), Telling(request_)
    hearing.expect("t", telling)
    told = [hearing.feed(b"at t " + line + b"\n") for line in said]
    assert told == [[]] * (len(said) - 1) + [["t"]]
    assert telling.exchange == exchange
    assert hearing.feed(b"at t data ====\nat t end whatever\n") == []


@pytest.mark.parametrize(
    "said",
    [
        b"", b"what", b"data =", b"data \xc3\xa4", b"data SGk", b"end", b"end soon 0", b"end late", b"end late -1",
        b"end late 9" + b"9" * 20,
    ],
)  # fmt: skip
def test_what_no_helper_says_is_refused(said: bytes) -> None:
    hearing = Hearing()
    hearing.expect("t", Telling(PAGE))
    with pytest.raises(HostBroken, match="look at what runs"):
        hearing.feed(b"at t " + said + b"\n")


def test_what_is_too_much_is_given_up() -> None:
    hearing = Hearing()
    hearing.expect("l", Listing(largest=1000))
    with pytest.raises(HostBroken, match="more than"):
        hearing.feed(b"begin l\n" + b"nonsense\n" * 200)
    hearing = Hearing()
    hearing.expect("t", Telling(WEB))
    with pytest.raises(HostBroken, match="more of a probe"):
        hearing.feed((b"at t " + data(b"x" * 1000) + b"\n") * 3)
    with pytest.raises(HostBroken, match="no end"):
        Hearing().feed(b"x" * (LONGEST_LINE + 1))
