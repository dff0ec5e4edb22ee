"""Quotas, image rules and grants, against a stub of the service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.stub import Answer, Stub, fault
from spinney.cli.quota import RESOURCES, to_bytes, written

LIMITS = {**dict.fromkeys(RESOURCES, -1), "nodes": 10, "cpu": 2.5, "memory": 3 * 2**30}
QUOTA = {"project": "p1", **LIMITS, "used": {**dict.fromkeys(RESOURCES, 0), "nodes": 4, "cpu": 0.25, "memory": 2**28}}
RULE = {"project": "p1", "allow": ["team/*"], "require_digest": False, "pin": True, "set": {"pin": True}}


def ok(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return result


def test_quotas_are_shown_for_people_and_for_programs(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/quotas/-", {"quota": QUOTA})
    lines = [line.split() for line in ok(spinney("quota", "show")).stdout.splitlines()]
    assert lines[0] == ["RESOURCE", "LIMIT", "USED"]
    assert ["nodes", "10", "4"] in lines and ["memory", "3g", "256m"] in lines and ["volumes", "none", "0"] in lines
    assert json.loads(ok(spinney("quota", "show", "-o", "json")).stdout) == QUOTA


def test_quotas_are_set_and_reset(spinney: Any, stub: Stub) -> None:
    stub.on("PUT /v1/quotas/p1", {"quota": QUOTA})
    stub.on("DELETE /v1/quotas/p1", Answer(None, 204, raw=b""))
    ok(spinney("quota", "set", "p1", "--nodes", "10", "--cpu", "-1", "--memory", "1.5g"))
    assert stub.sent("PUT")[0].body == {"quota": {"nodes": 10, "cpu": -1.0, "memory": 3 * 2**29}}
    assert ok(spinney("quota", "reset", "p1")).stdout == "p1: reset\n"
    assert "nothing to set" in spinney("quota", "set", "p1").output
    assert "--memory 'much' is no size" in spinney("quota", "set", "p1", "--memory", "much").output


def test_a_quota_that_is_used_up_is_not_blamed_on_roles(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/quotas/-", fault(403, "The quota of nodes is used up.", "OverQuota"))
    said = spinney("quota", "show").output
    assert "used up" in said and "role" not in said


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("-1", -1), ("512m", 2**29), ("2GiB", 2**31), ("1.5k", 1536)])
def test_sizes_are_read(text: str, size: int) -> None:
    assert to_bytes(text) == size


@pytest.mark.parametrize(("amount", "text"), [(-1, "none"), (0, "0"), (2**30, "1g"), (100 * 2**20, "100m"), (10, "10")])
def test_sizes_are_written(amount: int, text: str) -> None:
    assert written("memory", amount) == text


def test_image_rules_are_shown_set_and_deleted(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/image-rules/-", {"image_rule": {**RULE, "allow": None}})
    stub.on("PUT /v1/image-rules/%2A", {"image_rule": RULE})
    stub.on("DELETE /v1/image-rules/p1", Answer(None, 204, raw=b""))
    assert "any image" in ok(spinney("image-rule", "show")).stdout
    ok(spinney("image-rule", "set", "*", "--allow", "team/*", "--allow", "nginx", "--pin"))
    ok(spinney("image-rule", "set", "*", "--allow-none", "--no-require-digest"))
    assert [asked.body["image_rule"] for asked in stub.sent("PUT")] == [
        {"allow": ["team/*", "nginx"], "pin": True},
        {"allow": [], "require_digest": False},
    ]
    assert ok(spinney("image-rule", "delete", "p1")).stdout == "p1: deleted\n"
    assert "nothing to set" in spinney("image-rule", "set", "p1").output
    assert "leave one" in spinney("image-rule", "set", "p1", "--allow", "a", "--allow-none").output


def test_grants_are_listed_with_what_they_give(spinney: Any, stub: Stub) -> None:
    device = {"container_path": "/dev/modem", "permissions": "rw", "path": "/dev/ttyUSB0"}
    grants = [
        {"name": "models", "description": "Weights", "gives": {"host_path": {"container_path": "/models"}}},
        {"name": "serial", "description": "", "gives": {"device": device}},
        {"name": "tunnels", "description": "", "gives": {"capability": "NET_ADMIN"}},
    ]
    stub.on("GET /v1/grants", {"grants": grants})
    lines = ok(spinney("grant", "list")).stdout.splitlines()
    assert "path /models, read-only" in lines[1] and "Weights" in lines[1]
    assert "device /dev/modem, rw, of /dev/ttyUSB0" in lines[2]
    assert "capability NET_ADMIN" in lines[3]


def test_cores_that_are_no_number_are_named(spinney: Any, stub: Stub) -> None:
    refused = spinney("quota", "set", "p1", "--cpu", "nan")
    assert refused.exit_code == 1 and "--cpu: nan is no number of cores" in refused.stderr
