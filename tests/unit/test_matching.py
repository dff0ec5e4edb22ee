"""Patterns from outside."""

import time

import pytest

from spinney.domain import matching
from spinney.errors import ESchema
from spinney.policies.registry import validate_spec


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
        ("a(?=b)", "no lookahead"),
        ("(?<!a)b", "no lookahead"),
        (r"(a)\1", "no references to groups"),
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


def test_policies_refuse_what_cannot_be_matched() -> None:
    options = {"poll_url": "http://{nodename}/", "poll_url_healthy_response": "a(?=b)"}
    mode = {"type": "NODE_STATUS_POLL_URL", "options": options}
    properties = {"detection": {"detection_modes": [mode]}, "recovery": {"actions": [{"name": "RECREATE"}]}}
    spec = {"type": "senlin.policy.health", "version": "1.1", "properties": properties}
    with pytest.raises(ESchema, match=r"poll_url_healthy_response.*no lookahead"):
        validate_spec(spec)
    options["poll_url_healthy_response"] = "^OK"
    assert validate_spec(spec).properties is not None
