"""The frames of ``spinney.exec.v1``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.terminal import (
    LARGEST_FRAME,
    PIECE,
    BadFrame,
    Data,
    EndOfInput,
    ExecRequest,
    Exit,
    Failure,
    Frame,
    Resize,
    Stream,
    decode,
    encode,
)

FRAMES = st.one_of(
    st.builds(Data, st.sampled_from(Stream), st.binary()),
    st.builds(Resize, st.integers(1, 32767), st.integers(1, 32767)),
    st.just(EndOfInput()),
    st.builds(Exit, st.integers(0, 255)),
    st.builds(Failure, st.text(), st.text()),
)


def test_the_wire() -> None:
    """Programs of others speak it, so its numbers stay."""
    assert [encode(Data(stream, b"x")) for stream in Stream] == [b"\0x", b"\1x", b"\2x"]
    assert (LARGEST_FRAME, PIECE) == (1_048_576, 65_536)


@given(FRAMES)
def test_what_is_encoded_is_decoded(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


@given(st.binary())
def test_no_bytes_do_any_harm(message: bytes) -> None:
    try:
        found = decode(message)
    except BadFrame as error:
        assert str(error)
    else:
        assert decode(encode(found)) == found


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x04",
        b"\x03",
        b"\x03[]",
        b"\x03{}",
        b'\x03{"exit": 0, "eof": true}',
        b'\x03{"eof": false}',
        b'\x03{"exit": "0"}',
        b'\x03{"resize": {"width": 1}}',
        b'\x03{"resize": {"width": 1, "height": 1, "depth": 1}}',
        b'\x03{"resize": {"width": 0, "height": 1}}',
        b'\x03{"resize": {"width": 32768, "height": 1}}',
        b'\x03{"error": "text"}',
        b"\x03" + b"[" * 100_000,
    ],
)
def test_what_is_no_frame(message: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(message)


def test_a_request_does_not_show_what_may_be_secret() -> None:
    assert "hush" not in repr(ExecRequest(("hush",), environment={"A": "hush"}))
