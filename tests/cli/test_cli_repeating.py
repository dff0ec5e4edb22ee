"""A connection that breaks off is no reason to do something twice, nor to give up."""

from __future__ import annotations

import pytest

from cli.conftest import Run
from cli.stub import Answer, Stub, accepted, cluster, fault
from spinney.cli import transport

LOST = Answer(hang_up=True)
PATH = "/v1/clusters/c1/actions"
IN_USE = fault(409, "still at work", "IdempotencyKeyInUse")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_PAUSES", (0.01, 0.01))


@pytest.fixture
def scale(run: Run, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("OS_AUTH_TYPE", "none")
    monkeypatch.setenv("OS_ENDPOINT", stub.url)
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    return lambda: run("cluster", "scale-out", "web", "--count", "1")


def test_a_lost_answer_is_asked_for_with_the_same_key(scale: Run, stub: Stub) -> None:
    stub.on(f"POST {PATH}", LOST, IN_USE, accepted({"action": "a1"}))
    done = scale()
    assert done.exit_code == 0, done.output
    sent = stub.sent("POST")
    assert len(sent) == 3
    assert len({asked.headers["Idempotency-Key"] for asked in sent}) == 1
    assert sent[0].body == sent[2].body


def test_each_command_has_a_key_of_its_own(scale: Run, stub: Stub) -> None:
    stub.on(f"POST {PATH}", accepted({"action": "a1"}))
    scale(), scale()
    assert len({asked.headers["Idempotency-Key"] for asked in stub.sent("POST")}) == 2


def test_it_ends_with_a_sentence_when_nothing_helps(scale: Run, stub: Stub) -> None:
    stub.on(f"POST {PATH}", LOST)
    failed = scale()
    assert failed.exit_code == 1
    assert len(stub.sent("POST")) == 3


def test_other_refusals_are_not_repeated(scale: Run, stub: Stub) -> None:
    stub.on(f"POST {PATH}", fault(409, "locked", "ResourceIsLocked"))
    assert scale().exit_code == 1
    assert len(stub.sent("POST")) == 1
