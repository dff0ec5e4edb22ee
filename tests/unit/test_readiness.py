"""What follows from the answers to probes: pure, on a clock of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.container import Container, ContainerState
from spinney.domain.probe import ProbeAnswer, ProbeKind
from spinney.domain.probe_spec import (
    PASSED,
    Answer,
    ExecCheck,
    HttpCheck,
    Probe,
    Probes,
    Role,
    Said,
    TcpCheck,
    of_command,
    of_network,
    overdue,
    request,
    unknown,
)
from spinney.domain.readiness import State, Verdict, answered, begin, next_ask, of_new, verdict

NO = Answer(Said.FAILED, "no")
CANNOT = unknown("the host is away")
RUNNING = Container("c" * 64, "c", {}, ContainerState.RUNNING, "i")


def probe(**given: Any) -> Probe:
    return Probe(TcpCheck(80), **{"interval": 10.0, **given})


def container(**given: Any) -> Container:
    return Container(
        **{"id": "c" * 64, "name": "c", "labels": {}, "state": ContainerState.RUNNING, "image": "i", **given}
    )


def play(probes: Probes, answers: dict[Role, Sequence[Answer]], seconds: float, *, ready: bool = False) -> State:
    """Answers of no duration, in their order, the last of them for ever; what is not named passes."""
    state, left = begin(probes, 0.0, ready=ready), {role: list(said) for role, said in answers.items()}
    while (due := next_ask(state)) is not None and due[0] <= seconds:
        at, role = due
        said = left.get(role, [PASSED])
        state = answered(probes, state, role, said.pop(0) if len(said) > 1 else said[0], at, at)
    return state


def found(probes: Probes, answers: dict[Role, Sequence[Answer]], seconds: float, *, ready: bool = False) -> Verdict:
    return verdict(probes, play(probes, answers, seconds, ready=ready), RUNNING, seconds)


S, R, A = Role.STARTED, Role.READY, Role.ALIVE
ALL = Probes(probe(), probe(), probe())


@pytest.mark.parametrize(
    ("probes", "answers", "seconds", "ready", "reason", "ailment"),
    [
        (Probes(), {}, 0, True, "", ""),
        (Probes(ready=probe()), {}, 0, True, "", ""),
        (Probes(ready=probe()), {R: [NO]}, 1000, False, "its ready probe has not passed yet: no", ""),
        (Probes(ready=probe()), {R: [CANNOT]}, 1000, False, "its ready probe has not passed yet: the host is away", ""),
        (Probes(ready=probe(delay=5)), {}, 4.9, False, "its ready probe has not passed yet", ""),
        (Probes(ready=probe(delay=5)), {}, 5, True, "", ""),
        (Probes(ready=probe(successes=3)), {}, 19, False, "its ready probe has not passed yet", ""),
        (Probes(ready=probe(successes=3)), {}, 20, True, "", ""),
        (Probes(ready=probe()), {R: [PASSED, NO]}, 29, True, "", ""),
        (Probes(ready=probe()), {R: [PASSED, NO]}, 30, False, "its ready probe failed: no", ""),
        (Probes(ready=probe()), {R: [PASSED, NO, NO, PASSED, NO, NO, PASSED, NO]}, 80, True, "", ""),
        (Probes(ready=probe()), {R: [PASSED, NO, CANNOT, NO, CANNOT, NO]}, 40, True, "", ""),
        (Probes(ready=probe()), {R: [PASSED, NO, CANNOT, NO, CANNOT, NO]}, 50, False, "its ready probe failed: no", ""),
        (Probes(ready=probe(successes=2)), {R: [PASSED, PASSED, NO, NO, NO, PASSED, NO, PASSED]}, 70, False,
         "its ready probe failed: no", ""),
        (Probes(ready=probe(successes=2)), {R: [PASSED, PASSED, NO, NO, NO, PASSED]}, 60, True, "", ""),
        (Probes(alive=probe()), {A: [NO]}, 29, True, "", ""),
        (Probes(alive=probe()), {A: [NO]}, 30, False, "its alive probe failed: no", "its alive probe failed: no"),
        (Probes(alive=probe(delay=7, failures=1)), {A: [NO]}, 16.9, True, "", ""),
        (Probes(alive=probe(delay=7, failures=1)), {A: [NO]}, 17, False, "its alive probe failed: no",
         "its alive probe failed: no"),
        (Probes(alive=probe()), {A: [NO, NO, NO, PASSED]}, 40, True, "", ""),
        (Probes(alive=probe()), {A: [CANNOT]}, 20, True, "", ""),
        (Probes(alive=probe()), {A: [CANNOT]}, 60, True,
         "its alive probe could not be asked for a while: the host is away", ""),
        (Probes(started=probe()), {}, 0, True, "", ""),
        (Probes(started=probe()), {S: [NO]}, 29.9, False, "its started probe has not passed yet: no", ""),
        (Probes(started=probe()), {S: [NO]}, 30, False, "its started probe did not pass in time: no",
         "its started probe did not pass in time: no"),
        (Probes(started=probe(delay=4)), {S: [NO]}, 33.9, False, "its started probe has not passed yet: no", ""),
        (Probes(started=probe(delay=4)), {S: [NO]}, 34, False, "its started probe did not pass in time: no",
         "its started probe did not pass in time: no"),
        (Probes(started=probe()), {S: [CANNOT]}, 1000, False, "its started probe has not passed yet: the host is away", ""),
        # The others are not asked before it has passed, and never count what was before.
        (ALL, {S: [NO], R: [PASSED], A: [NO]}, 29.9, False, "its started probe has not passed yet: no", ""),
        (ALL, {S: [NO] * 12 + [PASSED], A: [NO]}, 20, True, "", ""),
        (ALL, {R: [NO], A: [PASSED]}, 1000, False, "its ready probe has not passed yet: no", ""),
        (ALL, {R: [NO], A: [NO]}, 1000, False, "its alive probe failed: no", "its alive probe failed: no"),
    ],
)  # fmt: skip
def test_what_follows(
    probes: Probes, answers: dict[Role, Sequence[Answer]], seconds: float, ready: bool, reason: str, ailment: str
) -> None:
    assert found(probes, answers, seconds) == Verdict(ready, reason, ailment)


def test_who_is_known_to_be_ready_is_until_proven_otherwise() -> None:
    assert found(ALL, {S: [NO], R: [NO], A: [NO]}, 19, ready=True) == Verdict(True)
    assert found(ALL, {R: [NO]}, 20, ready=True) == Verdict(False, "its ready probe failed: no")
    spread = begin(ALL, 100.0, ready=True, spread=0.5)
    assert next_ask(spread) == (105.0, A) and Role.STARTED not in spread.tracks


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"health": "starting"}, "its health check has not passed yet"),
        ({"health": "unhealthy"}, "its health check reports unhealthy"),
        ({"state": ContainerState.EXITED, "health": "unhealthy"}, "its container does not run: it is exited"),
        ({"state": ContainerState.PAUSED}, "its container does not run: it is paused"),
        ({"state": ContainerState.CREATED}, "its container does not run: it is created"),
        ({"state": ContainerState.RESTARTING}, "its Docker engine is about to start it again"),
        ({"health": "healthy"}, ""),
    ],
)
def test_the_docker_engine_has_its_say(given: dict[str, Any], reason: str) -> None:
    for probes in (Probes(), Probes(ready=probe())):
        state = play(probes, {}, 0)
        assert verdict(probes, state, container(**given), 0) == Verdict(not reason, reason)


def test_a_new_container_without_a_ready_probe_is_ready() -> None:
    assert of_new(Probes(), RUNNING).ready and of_new(Probes(alive=probe()), RUNNING).ready
    assert not of_new(Probes(ready=probe()), RUNNING).ready and not of_new(Probes(started=probe()), RUNNING).ready


@pytest.mark.parametrize(("check", "least"), [(TcpCheck(80), 0.1), (ExecCheck(("true",)), 0.5)])
def test_a_start_is_noticed_soon_and_costs_few_questions(check: Any, least: float) -> None:
    probes = Probes(started=Probe(check, interval=30.0, failures=100))
    state, asked = begin(probes, 0.0), []
    while (due := next_ask(state)) is not None and due[0] < 120:
        asked.append(due[0])
        state = answered(probes, state, S, NO, due[0], due[0])
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert asked[0] == 0.0 and min(gaps[:4]) >= least - 1e-9
    assert all(gap <= max(least, at * 0.125) + 1e-9 for at, gap in zip(asked, gaps, strict=False))
    assert len(asked) < 60
    assert state.tracks[S].failures == 3, "one in each interval"


def test_what_is_late_is_asked_once() -> None:
    probes = Probes(ready=probe())
    state = play(probes, {}, 0)
    state = answered(probes, state, R, PASSED, 35.0, 36.0)
    assert next_ask(state) == (45.0, R)
    state = answered(probes, state, R, NO, 45.0, 80.0)
    assert next_ask(state) == (80.0, R), "an answer that took longer than the interval"


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    state = begin(ALL, 0.0)
    assert answered(ALL, state, A, NO, 0.0, 0.0) is state
    started = answered(ALL, state, S, PASSED, 0.0, 0.0)
    assert answered(ALL, started, S, NO, 0.0, 0.0) is started


answers = st.sampled_from([PASSED, NO, CANNOT])
a_probe = st.builds(
    probe,
    interval=st.sampled_from([1.0, 2.5, 10.0]),
    failures=st.integers(1, 3),
    successes=st.integers(1, 3),
    delay=st.sampled_from([0.0, 4.0]),
)
a_spec = st.builds(Probes, *[st.none() | a_probe] * 3)


@given(a_spec, st.lists(st.tuples(answers, st.floats(0, 5)), max_size=60), st.booleans())
def test_whatever_is_answered(probes: Probes, said: list[tuple[Answer, float]], ready: bool) -> None:
    """Time never goes back; no answer leads to readiness but a pass; nothing unknown changes a verdict; an ailment takes as
    many failures since the last pass as its probe wants."""
    now, state = 0.0, begin(probes, 0.0, ready=ready)
    bad = dict.fromkeys(Role, 0)
    for answer, took in said:
        due = next_ask(state)
        if due is None:
            assert probes.ready is None and probes.alive is None
            break
        asked, role = max(due[0], now), due[1]
        before = verdict(probes, state, RUNNING, asked)
        now = asked + took
        state = answered(probes, state, role, answer, asked, now)
        after = verdict(probes, state, RUNNING, now)
        assert all(track.due >= asked for track in state.tracks.values())
        assert role not in state.tracks or state.tracks[role].due >= now
        bad[role] = 0 if answer.said is Said.PASSED else bad[role] + (answer.said is Said.FAILED)
        if after.ready and not before.ready:
            assert answer.said is Said.PASSED
        if answer.said is Said.UNKNOWN:
            assert (after.ready, after.ailment) == (before.ready, before.ailment)
        if after.ailment and not before.ailment:
            wanted = probes.of(role)
            assert wanted is not None and role is not R and bad[role] >= wanted.failures
        if before.ready and not after.ready:
            wanted = probes.of(role)
            assert wanted is not None and bad[role] >= wanted.failures
        if after.ready:
            assert S not in state.tracks


@pytest.mark.parametrize(
    ("check", "answer", "text"),
    [
        (TcpCheck(80), ProbeAnswer(True), None),
        (TcpCheck(80), ProbeAnswer(True, text="closed"), None),
        (TcpCheck(80), ProbeAnswer(False, text="refused"), "TCP port 80 takes no connection: refused"),
        (HttpCheck(80), ProbeAnswer(True, 200), None),
        (HttpCheck(80), ProbeAnswer(True, 399), None),
        (HttpCheck(80, "/up"), ProbeAnswer(True, 400), "GET /up at port 80 answered 400, wanted is 200-399"),
        (HttpCheck(8080, statuses=((200, 200), (401, 403))), ProbeAnswer(True, 404),
         "GET / at port 8080 answered 404, wanted is 200, 401-403"),
        (HttpCheck(80), ProbeAnswer(True, text="late"), "GET / at port 80 got no answer: late"),
        (HttpCheck(80), ProbeAnswer(False), "GET / at port 80 got no answer: no answer"),
    ],
)  # fmt: skip
def test_what_a_server_says(check: HttpCheck | TcpCheck, answer: ProbeAnswer, text: str | None) -> None:
    assert of_network(check, answer) == (PASSED if text is None else Answer(Said.FAILED, text))


def test_what_a_command_says() -> None:
    check = ExecCheck(("pg_isready", "-h", "secret"))
    assert of_command(check, 0, "whatever") == PASSED
    assert of_command(check, 2).text == "pg_isready ended with exit code 2, wanted is 0"
    assert of_command(check, 2, " a\n b ").text.endswith("; it said: a b")
    assert len(of_command(check, 2, "x" * 9999).text) < 300
    assert overdue(check, 1.5) == Answer(Said.FAILED, "pg_isready did not end within 1.5 s")


def test_what_is_asked_stays_in_the_container() -> None:
    asked = request(HttpCheck(80, "/up", "shop.example"), 2.0)
    assert (asked.kind, asked.address, asked.port) == (ProbeKind.HTTP, "127.0.0.1", 80)
    assert (asked.path, asked.host, asked.timeout, asked.body) == ("/up", "shop.example", 2.0, 0)
    assert request(TcpCheck(80), 2.0).kind is ProbeKind.TCP
