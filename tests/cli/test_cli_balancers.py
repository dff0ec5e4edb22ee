"""Load balancers, against a stub of the service."""

from __future__ import annotations

import json
from typing import Any

from cli.stub import Stub

MEMBER = {"node_id": "n" * 36, "node_name": "web-1", "state": "in", "since": "2026-01-01T00:00:00Z"}
BALANCER: dict[str, Any] = {
    "id": "b1",
    "policy_id": "12345678-9",
    "kind": "haproxy",
    "node_id": "n9",
    "state": "warning",
    "state_reason": "member web-2 is far",
    "addresses": [{"address": "192.0.2.1", "port": 80}],
    "members": [
        {**MEMBER, "state_reason": "", "sessions": 2, "request_rate": 1.5},
        {**MEMBER, "node_name": "web-2", "state": "out", "state_reason": "far", "sessions": None, "request_rate": None},
    ],
    "requests": 90,
    "measured_at": "2026-01-01T00:00:00Z",
    "request_rate": 4.5,
    "sessions": 3,
}


def ok(result: Any) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.stdout.splitlines()]


def test_they_are_listed_and_shown(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web/balancers", {"balancers": [BALANCER]})
    _, line = ok(spinney("balancer", "list", "web"))
    assert line[:6] == ["12345678", "haproxy", "warning", "192.0.2.1:80", "1/2", "4.5/s"]
    shown = ok(spinney("balancer", "show", "web"))
    assert any(line[:2] == ["web-1", "nnnnnnnn"] and "1.5/s" in line for line in shown)
    assert any(line[:1] == ["web-2"] and line[-1] == "far" for line in shown)
    assert ["requests", "90"] in [line[:2] for line in shown] and "ago)" in str(shown), "a count says how old it is"
    assert json.loads(spinney("balancer", "show", "web", "-o", "json").stdout) == [BALANCER]


def test_without_one_the_remedy_is_told(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web/balancers", {"balancers": []})
    said = spinney("balancer", "show", "web")
    assert said.exit_code == 1 and "senlin.policy.loadbalance" in said.output


def test_an_image_that_cannot_be_built_is_told(spinney: Any, monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = spinney("balancer", "build-image", "--output", str(tmp_path / "image.tar"))
    assert said.exit_code == 1 and "this machine has no apt-get" in said.output
