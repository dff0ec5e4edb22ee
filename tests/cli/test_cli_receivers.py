"""Receivers, against a stub of the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli.stub import Answer, Stub, fault
from spinney.domain import webhook

PATH = "/v1/webhooks/r1/trigger"
URL = f"{PATH}?V=2"
RECEIVER: dict[str, Any] = {
    "id": "r1", "name": "grow", "type": "webhook", "cluster_id": "c1", "action": "CLUSTER_SCALE_OUT", "params": {"count": 1},
    "actor": {}, "channel": {"alarm_url": "http://h" + URL}, "created_at": None, "updated_at": None, "enabled": True,
    "open": False, "rate_limit": 60, "expires_at": None,
}  # fmt: skip
FRESH = {**RECEIVER, "channel": {"alarm_url": f"http://h{URL}&secret=hush", "secret": "hush"}}


def ok(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return result


def test_the_secret_is_shown_when_it_is_made(stub: Stub, spinney: Any) -> None:
    stub.on("POST /v1/receivers", Answer({"receiver": FRESH}, 201))
    made = ok(
        spinney(
            "receiver", "create", "grow", "--cluster", "web", "--action", "CLUSTER_SCALE_OUT", "--param", "count=2",
            "--expires", "2030-12-31T23:59:59Z", "--rate-limit", "5",
        )
    )  # fmt: skip
    assert "secret=hush" in made.stdout and "shown this once" in made.stderr
    assert stub.sent("POST")[0].body == {
        "receiver": {
            "name": "grow", "type": "webhook", "cluster_id": "web", "action": "CLUSTER_SCALE_OUT", "params": {"count": 2},
            "expires_at": "2030-12-31T23:59:59Z", "rate_limit": 5,
        }
    }  # fmt: skip
    as_json = ok(spinney("receiver", "create", "x", "--cluster", "w", "--action", "CLUSTER_CHECK", "-o", "json"))
    assert json.loads(as_json.stdout) == FRESH and as_json.stderr == ""


def test_looking_and_changing(stub: Stub, spinney: Any) -> None:
    stub.on("GET /v1/receivers", {"receivers": [RECEIVER, {**RECEIVER, "name": "off", "enabled": False}]})
    stub.on("GET /v1/receivers/grow", {"receiver": RECEIVER})
    stub.on("PATCH /v1/receivers/grow", {"receiver": RECEIVER})
    stub.on("POST /v1/receivers/grow/rotate", {"receiver": FRESH})
    stub.on("DELETE /v1/receivers/grow", Answer(None, 204))
    listed = ok(spinney("receiver", "list")).stdout
    assert "count=1" in listed and "disabled" in listed and "EXPIRES" not in listed
    assert "secret" not in ok(spinney("receiver", "show", "grow")).stdout
    ok(spinney("receiver", "update", "grow", "--name", "more", "--disable", "--expires", "never"))
    assert stub.sent("PATCH")[0].body == {"receiver": {"name": "more", "enabled": False, "expires_at": "never"}}
    assert "hush" in ok(spinney("receiver", "rotate", "grow")).stdout
    assert ok(spinney("receiver", "delete", "grow")).stdout == "grow: deleted\n"
    assert "nothing to change" in spinney("receiver", "update", "grow").stderr


def test_triggering_as_an_alarm_does(stub: Stub, spinney: Any) -> None:
    stub.on(f"POST {PATH}", Answer({"action": "a1234567890"}, 202))
    root = stub.url.removesuffix("/v1")
    done = ok(spinney("receiver", "trigger", f"{root}{URL}&secret=hush"))
    assert "a1234567890" in done.stdout
    (asked,) = stub.sent("POST")
    assert asked.query == {"V": ["2"], "secret": ["hush"]}
    assert asked.body is None and "authorization" not in {name.lower() for name in asked.headers}


def test_triggering_with_a_signature(stub: Stub, spinney: Any, tmp_path: Path) -> None:
    stub.on(f"POST {PATH}", Answer({"action": "a1"}, 202))
    root = stub.url.removesuffix("/v1")
    (tmp_path / "secret").write_text("hush\n")
    given = ("--secret-file", str(tmp_path / "secret"), "--param", "count=2")
    assert json.loads(ok(spinney("receiver", "trigger", root + URL, *given, "-o", "json")).stdout) == {"action": "a1"}
    (asked,) = stub.sent("POST")
    headers = {name.lower().encode(): value.encode() for name, value in asked.headers.items()}
    shown = webhook.proof(headers, None)
    assert isinstance(shown, webhook.Signed)
    secret_hash, key = webhook.hashed(b"hush"), webhook.signing_key(b"hush")
    body = json.dumps(asked.body).encode()
    assert webhook.holds(shown, secret_hash, key, "POST", URL.encode(), body, float(shown.timestamp))


def test_refusals_and_wrong_urls(stub: Stub, spinney: Any) -> None:
    stub.on(f"POST {PATH}", fault(404, "The receiver 'r1' could not be found."))
    root = stub.url.removesuffix("/v1")
    assert "could not be found" in spinney("receiver", "trigger", root + URL).stderr
    wrong = spinney("receiver", "trigger", "http://h/v1/clusters?secret=hush")
    assert wrong.exit_code == 1 and "no URL of a receiver" in wrong.stderr and "hush" not in wrong.stderr
    assert "No such file" in spinney("receiver", "trigger", root + URL, "--secret-file", "/nowhere").stderr
