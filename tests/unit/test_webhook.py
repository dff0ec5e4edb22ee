"""Proofs of where a request comes from."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain import webhook
from spinney.domain.webhook import Bearer, Nothing, Proof, Signed, holds, proof

SECRET, NOW = b"hush", 1_790_000_000
HASH, KEY = webhook.hashed(SECRET), webhook.signing_key(SECRET)
TARGET = b"/v1/webhooks/x/trigger?V=2"


def lowered(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


def test_the_scheme_is_the_documented_one() -> None:
    """Made here by hand, as somebody else would."""
    key = hmac.new(b"hush", b"spinney-webhook-v1", hashlib.sha256).digest()
    covered = b"v1\n1790000000\nPOST\n/v1/webhooks/x/trigger?V=2\n{}"
    expected = hmac.new(key, covered, hashlib.sha256).hexdigest()
    assert webhook.signed_headers(SECRET, "POST", TARGET, NOW, b"{}") == {
        "X-Spinney-Timestamp": "1790000000",
        "X-Spinney-Signature": f"v1={expected}",
    }


@given(st.binary(max_size=60), st.integers(-webhook.TOLERANCE, webhook.TOLERANCE))
def test_what_was_signed_holds(body: bytes, drift: int) -> None:
    shown = proof(lowered(webhook.signed_headers(SECRET, "POST", TARGET, NOW + drift, body)), None)
    assert holds(shown, HASH, KEY, "POST", TARGET, body, float(NOW))
    assert not holds(shown, HASH, KEY, "POST", TARGET, body + b" ", float(NOW))
    assert not holds(shown, HASH, KEY, "POST", TARGET + b"&a=b", body, float(NOW))
    assert not holds(shown, HASH, KEY, "PUT", TARGET, body, float(NOW))
    assert not holds(shown, HASH, webhook.signing_key(b"other"), "POST", TARGET, body, float(NOW))


@pytest.mark.parametrize("drift", [webhook.TOLERANCE + 1, -webhook.TOLERANCE - 1, -NOW])
def test_what_is_too_old_or_too_new_does_not(drift: int) -> None:
    shown = proof(lowered(webhook.signed_headers(SECRET, "POST", TARGET, NOW + drift, b"")), None)
    assert isinstance(shown, Signed) and not holds(shown, HASH, KEY, "POST", TARGET, b"", float(NOW))


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, None, Nothing()),
        ({"Authorization": "Bearer hush"}, None, Bearer(b"hush")),
        ({"authorization": "bearer  hush "}, None, Bearer(b"hush")),
        ({"Authorization": "Basic aHVzaA=="}, None, Nothing()),
        ({"Authorization": "Basic aHVzaA=="}, "hush", Bearer(b"hush")),
        ({webhook.SECRET: "hush"}, "other", Bearer(b"hush")),
        ({}, "hush", Bearer(b"hush")),
        ({}, "", Bearer(b"")),
        ({webhook.SIGNATURE: "v1=x", webhook.TIMESTAMP: "1", webhook.SECRET: "hush"}, None, Nothing(garbled=True)),
        ({webhook.SIGNATURE: "v2=" + "0" * 64, webhook.TIMESTAMP: "1"}, "hush", Nothing(garbled=True)),
        ({webhook.SIGNATURE: "v1=" + "0" * 64}, "hush", Nothing(garbled=True)),
        ({webhook.SIGNATURE: "v1=" + "0" * 64, webhook.TIMESTAMP: "1e3"}, None, Nothing(garbled=True)),
        ({webhook.SIGNATURE: "v1=" + "0" * 64, webhook.TIMESTAMP: "7"}, None, Signed(7, "0" * 64)),
    ],
)
def test_which_proof_counts(headers: dict[str, str], query: str | None, expected: Proof) -> None:
    assert proof(lowered(headers), query) == expected


@given(st.binary(max_size=80))
def test_only_the_secret_itself_is_the_secret(shown: bytes) -> None:
    assert holds(Bearer(shown), HASH, KEY, "POST", TARGET, b"", float(NOW)) == (shown == SECRET)


def test_no_proof_holds_for_nothing() -> None:
    for shown in (Nothing(), Nothing(garbled=True)):
        assert not holds(shown, HASH, KEY, "POST", TARGET, b"", float(NOW))
        assert not holds(shown, webhook.hashed(b""), KEY, "POST", TARGET, b"", 0.0)


def test_secrets_and_keys_do_not_show() -> None:
    assert "hush" not in repr(Bearer(SECRET))
    assert SECRET.hex() not in HASH and KEY != SECRET


@pytest.mark.parametrize(
    ("url", "covered"),
    [("http://h", b"/"), ("http://h/a?b=c%20d", b"/a?b=c%20d"), ("http://h?x=1", b"/?x=1"), ("http://h/a#f", b"/a")],
)
def test_what_of_a_url_is_covered(url: str, covered: bytes) -> None:
    assert webhook.target(url) == covered
