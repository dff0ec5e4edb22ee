"""Runs step by step: members made, counted, tried again, ended."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinney.domain.container import Container, ContainerState
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.runs import (
    STOP_AGAIN,
    Ending,
    Life,
    Place,
    Run,
    RunRules,
    RunStatus,
    Seen,
    Step,
    Try,
    cancelled,
    decide,
    ended_changes,
    ending_of,
    environment,
    finished,
    first_data,
    member_data,
    named,
    place_of,
    seen,
)

ALIVE, LOST, HALTED = Seen(Life.ALIVE), Seen(Life.LOST), Seen(Life.HALTED)
GOOD, BAD = Seen(Life.ENDED, 0, "exit code 0"), Seen(Life.ENDED, 3, "exit code 3")
UNMADE = Seen(Life.UNMADE, reason="no such image")
#: The member is no more.
GONE = None


def a_run(**rules: Any) -> Run:
    return Run(id="r", cluster_id="c", policy_id="p", number=1, data=first_data(RunRules(**rules), "web"))


def made(step: Step) -> Run:
    """As it is stored once its members have been made, each called by its completion and attempt."""
    return named(step.run, {one.index: f"{one.index}.{one.attempt}" for one in step.make})


def attempts(step: Step) -> list[str]:
    return [f"{one.index}.{one.attempt}" for one in step.make]


def with_tries(*tries: Try, begun: int, **rules: Any) -> Run:
    run = replace(a_run(**rules), status=RunStatus.RUNNING, started_at=0.0)
    return named(
        replace(run, data={**run.data, "begun": begun, "open": [_as_data(one) for one in tries]}),
        {},
    )


def _as_data(one: Try) -> dict[str, Any]:
    return {"index": one.index, "attempt": one.attempt, "failures": one.failures, "node_id": one.node_id, "at": one.at}


# --- one step ---------------------------------------------------------------------------------------------------------


def test_a_run_begins_with_as_many_members_as_may_run_at_a_time() -> None:
    step = decide(a_run(parallelism=2, completions=5), {}, 7.0)
    assert attempts(step) == ["0.1", "1.1"]
    assert (step.run.status, step.run.started_at) == (RunStatus.RUNNING, 7.0)
    assert step.run.status_reason == "0 of 5 done, 2 at work."


def test_it_waits_for_an_earlier_one_and_asked_again_changes_nothing() -> None:
    run = a_run()
    assert decide(run, {}, 7.0, clear=False) == Step(run)
    begun = made(decide(run, {}, 7.0))
    assert decide(begun, {"0.1": ALIVE}, 8.0) == Step(begun)


def test_one_that_waited_for_too_long_is_skipped() -> None:
    run = replace(a_run(deadline=30.0), scheduled_at=100.0)
    assert decide(run, {}, 130.0).run.status is RunStatus.RUNNING
    late = decide(run, {}, 130.1)
    assert (late.run.status, late.run.ended_at, late.make) == (RunStatus.SKIPPED, 130.1, ())
    assert "within 30 s" in late.run.status_reason


@pytest.mark.parametrize(
    ("found", "attempt", "failures", "at", "failed"),
    [
        (BAD, 2, 1, 10.0, 1),
        (UNMADE, 2, 1, 10.0, 1),
        (Seen(Life.ENDED, None, "nobody knows"), 2, 1, 10.0, 1),
    ],
)
def test_a_failed_attempt_is_followed_by_another_after_its_pause(
    found: Seen, attempt: int, failures: int, at: float, failed: int
) -> None:
    step = decide(with_tries(Try(0, node_id="0.1"), begun=1), {"0.1": found}, 0.0)
    assert step.run.open == (Try(0, attempt, failures, None, at),)
    assert (step.run.failed, step.make) == (failed, ())
    assert attempts(decide(step.run, {}, at - 0.1)) == []
    assert attempts(decide(step.run, {}, at)) == ["0.2"]


@pytest.mark.parametrize("found", [GONE, LOST])
def test_one_that_was_taken_away_or_lost_its_host_is_begun_anew_at_once_and_is_no_failure(found: Seen | None) -> None:
    members = {} if found is None else {"0.1": found}
    step = decide(with_tries(Try(0, node_id="0.1"), begun=1, retries=0), members, 50.0)
    assert attempts(step) == ["0.2"]
    assert (step.run.failed, step.run.status) == (0, RunStatus.RUNNING)
    assert step.lost == (("0.1",) if found is LOST else ())


def test_the_pauses_grow_up_to_their_ceiling() -> None:
    at = []
    for failures in range(5):
        one = Try(0, failures + 1, failures, "n")
        step = decide(with_tries(one, begun=1, retries=9, initial=10.0, ceiling=60.0), {"n": BAD}, 0.0)
        at.append(step.run.open[0].at)
    assert at == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_a_clock_that_was_set_back_makes_nobody_wait_for_longer_than_the_longest_pause() -> None:
    run = with_tries(Try(0, 2, 1, None, at=1_000_000.0), begun=1, ceiling=60.0)
    assert attempts(decide(run, {}, 5.0)) == ["0.2"]


def test_while_one_waits_to_be_tried_again_others_go_on() -> None:
    run = with_tries(Try(0, 2, 1, None, at=100.0), begun=1, completions=3)
    step = decide(run, {}, 0.0)
    assert attempts(step) == ["1.1"]
    assert step.run.status_reason == "0 of 3 done, 1 at work, 1 tried again later."


def test_what_is_tried_again_comes_before_what_was_never_begun() -> None:
    run = with_tries(Try(0, 2, 1, None, at=5.0), begun=1, completions=3)
    assert attempts(decide(run, {}, 5.0)) == ["0.2"]


def test_too_many_failures_of_one_completion_end_the_run_and_stop_the_others() -> None:
    run = with_tries(Try(0, 2, 1, "0.2"), Try(1, node_id="1.1"), begun=2, completions=9, retries=1, parallelism=2)
    step = decide(run, {"0.2": BAD, "1.1": ALIVE}, 50.0)
    assert (step.run.status, step.run.ended_at) == (RunStatus.FAILED, None)
    assert step.run.status_reason == "Completion 0 failed 2 times, at last: exit code 3."
    assert (step.make, step.stop) == ((), ("1.1",))
    assert decide(step.run, {"1.1": ALIVE}, 51.0).stop == ()
    assert decide(step.run, {"1.1": ALIVE}, 50.0 + STOP_AGAIN).stop == ("1.1",)
    over = decide(step.run, {"1.1": BAD}, 60.0).run
    assert (over.status, over.ended_at, over.failed) == (RunStatus.FAILED, 60.0, 1)


def test_a_run_that_takes_too_long_fails() -> None:
    run = with_tries(Try(0, node_id="0.1"), begun=1, timeout=60.0)
    assert decide(run, {"0.1": ALIVE}, 59.9).run.status is RunStatus.RUNNING
    late = decide(run, {"0.1": ALIVE}, 60.0)
    assert (late.run.status, late.stop) == (RunStatus.FAILED, ("0.1",))
    assert "its timeout of 60 s; 0 of 1 were" in late.run.status_reason
    assert decide(run, {"0.1": GOOD}, 60.0).run.status is RunStatus.SUCCEEDED


def test_a_member_that_its_user_has_stopped_holds_its_run_up_but_not_its_end() -> None:
    run = with_tries(Try(0, node_id="0.1"), begun=1)
    assert decide(run, {"0.1": HALTED}, 5.0).run.open == run.open
    over = decide(cancelled(run, "so", 6.0), {"0.1": HALTED}, 6.0)
    assert (over.stop, over.run.ended_at) == ((), 6.0)


def test_cancelling_ends_what_is_at_work_and_begins_nothing() -> None:
    run = cancelled(with_tries(Try(0, node_id="0.1"), Try(1, 2, 1, None, 9.0), begun=2, completions=9), "Because.", 5.0)
    step = decide(run, {"0.1": ALIVE}, 5.0)
    assert (step.run.status, step.make, step.stop) == (RunStatus.CANCELLED, (), ("0.1",))
    assert decide(step.run, {}, 9.0).run.ended_at == 9.0
    assert cancelled(a_run(), "Because.", 5.0).ended_at == 5.0


def test_a_run_that_is_done_says_so() -> None:
    run = replace(with_tries(Try(1, 3, 2, "1.3"), begun=2, completions=2), succeeded=1, failed=2)
    step = decide(run, {"1.3": GOOD}, 80.0)
    assert (step.run.status, step.run.succeeded, step.run.ended_at) == (RunStatus.SUCCEEDED, 2, 80.0)
    assert step.run.status_reason == "2 completions done; 2 attempts failed."


# --- many steps -------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(0, 3),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.2, 0.6]),
    st.booleans(),
)
def test_whatever_becomes_of_its_members_a_run_comes_to_its_end(
    parallelism: int, completions: int, retries: int, seed: int, weather: float, give_up: bool
) -> None:
    chance = random.Random(seed)
    run = a_run(parallelism=parallelism, completions=completions, retries=retries, initial=1.0, ceiling=8.0)
    world: dict[str, Seen] = {}
    done: dict[int, int] = {}
    attempts_seen: dict[int, list[int]] = {}
    now = 0.0
    for _ in range(2000):
        step = decide(run, world, now)
        again = decide(run, world, now)
        assert again == step
        run = made(step)
        for one in step.make:
            assert f"{one.index}.{one.attempt}" not in world
            attempts_seen.setdefault(one.index, []).append(one.attempt)
            world[f"{one.index}.{one.attempt}"] = ALIVE
        assert sum(one.node_id is not None for one in run.open) <= parallelism
        assert len(run.open) <= completions
        if run.status is RunStatus.RUNNING:
            assert run.succeeded + len(run.open) + completions - run.begun == completions
        for name in step.stop:
            world[name] = Seen(Life.ENDED, 143, "stopped")
        if run.ended_at is not None:
            break
        if give_up and run.status is RunStatus.RUNNING and chance.random() < 0.05:
            run = cancelled(run, "enough", now)
        for name in [name for name, one in world.items() if one is ALIVE and chance.random() < 0.5]:
            _end(world, name, done, chance, weather)
        now += chance.choice([0.0, 0.5, 3.0, 10.0])
    assert run.ended_at is not None
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in attempts_seen.values())
    if run.status is RunStatus.SUCCEEDED:
        assert done == dict.fromkeys(range(completions), 1)
        assert run.succeeded == completions
    else:
        assert run.status is RunStatus.FAILED or (give_up and run.status is RunStatus.CANCELLED)
        assert run.succeeded <= sum(done.values())
    # Nobody is forgotten while at work.
    assert all(one.life is not Life.ALIVE for one in world.values())


def _end(world: dict[str, Seen], name: str, done: dict[int, int], chance: random.Random, weather: float) -> None:
    if chance.random() >= weather:
        index = int(name.split(".")[0])
        done[index] = done.get(index, 0) + 1
        world[name] = GOOD
        return
    kind = chance.choice([BAD, UNMADE, GONE, LOST])
    if kind is None:
        del world[name]
    else:
        world[name] = kind


# --- members ----------------------------------------------------------------------------------------------------------

PLACE = Place(3, 0, 2)


def member(**fields: Any) -> Node:
    values: dict[str, Any] = {
        "id": "n",
        "name": "n",
        "profile_id": "p",
        "status": NodeStatus.ACTIVE,
        "physical_id": "c",
    }
    return Node(**{**values, "data": member_data(PLACE), **fields})


def container(state: ContainerState, **fields: Any) -> Container:
    return Container(id="c", name="c", labels={}, state=state, image="i", **fields)


def test_a_member_knows_its_place_and_tells_its_container() -> None:
    assert place_of(member().data) == PLACE
    assert environment(member().data) == {
        "SPINNEY_RUN": "3",
        "SPINNEY_COMPLETION_INDEX": "0",
        "SPINNEY_ATTEMPT": "2",
    }
    assert environment({}) == {} and place_of({"image": "x"}) is None


@pytest.mark.parametrize(
    ("found", "ending"),
    [
        (container(ContainerState.RUNNING), None),
        (container(ContainerState.RESTARTING, exit_code=1), None),
        (container(ContainerState.EXITED, exit_code=0, finished_at=4.0), Ending(0, "exit code 0", 4.0)),
        (container(ContainerState.EXITED, exit_code=3), Ending(3, "exit code 3", 9.0)),
        (container(ContainerState.DEAD, exit_code=127, error="no such"), Ending(127, "exit code 127: no such", 9.0)),
        (
            container(ContainerState.EXITED, exit_code=0, oom_killed=True),
            Ending(137, "it ran out of memory and was killed (give it more in the profile)", 9.0),
        ),
        # Docker says 0 of one that was never started.
        (container(ContainerState.CREATED, exit_code=0), Ending(None, "its container was never started", 9.0)),
        (None, Ending(None, "its container was removed behind Spinney's back", 9.0)),
    ],
)
def test_how_a_container_ended(found: Container | None, ending: Ending | None) -> None:
    assert ending_of(member(), found, 9.0) == ending
    assert ending_of(member(data={}), found, 9.0) is None


def test_what_has_ended_is_left_alone_and_looked_at_no_more() -> None:
    changes: Mapping[str, Any] = ended_changes(member(), Ending(0, "exit code 0", 9.0), 9.0)
    after = replace(member(), **changes)
    assert finished(after) and not finished(member())
    assert (after.status, after.power) == (NodeStatus.ACTIVE, PowerState.STOPPED)
    assert after.status_reason == "Completion 0 of run 3, attempt 2: exit code 0."
    assert ending_of(after, None, 10.0) is None
    failed = replace(member(), **ended_changes(member(), Ending(1, "exit code 1", 9.0), 9.0))
    assert failed.status is NodeStatus.ERROR and finished(failed)


@pytest.mark.parametrize(
    ("fields", "busy", "silent_for", "life"),
    [
        ({}, False, 0.0, Life.ALIVE),
        ({"status": NodeStatus.ERROR}, False, 0.0, Life.ALIVE),  # unhealthy
        ({"power": PowerState.STOPPED}, False, 0.0, Life.HALTED),
        ({}, False, 60.0, Life.LOST),
        ({}, True, 60.0, Life.ALIVE),
        ({"physical_id": None, "status": NodeStatus.CREATING}, True, 0.0, Life.ALIVE),
        ({"physical_id": None, "status": NodeStatus.INIT, "waiting_since": 1.0}, False, 0.0, Life.ALIVE),
        ({"physical_id": None, "status": NodeStatus.ERROR}, True, 0.0, Life.ALIVE),
        ({"physical_id": None, "status": NodeStatus.ERROR, "status_reason": "no."}, False, 0.0, Life.UNMADE),
        (ended_changes(member(), Ending(0, "exit code 0", 9.0), 9.0), True, 60.0, Life.ENDED),
    ],
)
def test_what_can_be_seen_of_a_member(fields: dict[str, Any], busy: bool, silent_for: float, life: Life) -> None:
    assert seen(member(**fields), busy=busy, silent_for=silent_for, lost_after=60.0).life is life
