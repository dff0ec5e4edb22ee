"""Patterns from outside."""

import time

import pytest

from spinney.domain import matching


@pytest.mark.parametrize(
    ("pattern", "body", "found"),
    [
        ("OK", b"all OK\n", True),
        ("^OK$", b"all OK", False),
        ("(?i)healthy", b"\xff\xfe HEALTHY", True),
        ("ready: [0-9]+", b"ready: x", False),
        ("ü", "grün".encode(), True),
        ("", b"", True),
    ],
)
def test_searches_anywhere(pattern: str, body: bytes, found: bool) -> None:
    assert matching.compiled(pattern).found_in(body) is found


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a(?=b)", "without lookahead"),
        ("(?<!a)b", "without lookahead"),
        (r"(a)\1", "references to groups"),
        ("(", "no regular expression"),
        (r"[\pL\pN]{1000}", "smaller repetitions"),
        ("a" * 1025, "1025 characters; at most 1024"),
        ("\ud800", "UTF-8"),
    ],
)
def test_refusals_say_why(pattern: str, why: str) -> None:
    assert why in str(matching.fault(pattern))


def test_time_is_linear() -> None:
    pattern = matching.compiled("(a+)+$")  # re would take more than a lifetime
    began = time.process_time()
    assert not pattern.found_in(b"a" * 1_000_000 + b"b")
    assert time.process_time() - began < 5
