"""What a drain does next, decided from rows alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.budget import Standing
from spinney.domain.drain import Next, Progress, Resident, Situation, decide, reasons, told

STRICT = Standing("c", "db", members=3, out=0, budget=1, starts_first=False)


def residents(count: int, cluster_id: str = "") -> list[Resident]:
    return [Resident(f"n{i}", f"web-{i}", cluster_id) for i in range(count)]


def why(step: Next) -> dict[str, str]:
    return {held.name: held.why for held in step.held}


def test_as_many_as_allowed_begin_and_the_rest_only_wait_for_their_turn() -> None:
    step = decide(Situation(residents(5), max_in_flight=2))
    assert (step.progress, step.start, step.held) == (Progress.MOVING, ("n0", "n1"), ())


def test_moves_under_way_count() -> None:
    busy = [replace(r, moving=i < 2) for i, r in enumerate(residents(5))]
    assert decide(Situation(busy, max_in_flight=3)).start == ("n2",)
    assert decide(Situation(busy, max_in_flight=2)).progress is Progress.MOVING


def test_budgets_hold_back_what_may_not_overlap_and_nothing_else() -> None:
    mixed = [*residents(3, "c"), Resident("free", "free")]
    step = decide(Situation(mixed, [STRICT], max_in_flight=9))
    assert step.start == ("n0", "free")
    assert set(why(step)) == {"web-1", "web-2"} and "disruption budget of cluster db" in why(step)["web-1"]
    assert decide(Situation(mixed, [replace(STRICT, out=1)], max_in_flight=9)).start == ("free",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"busy": "NODE_UPDATE"}, "NODE_UPDATE"),
        ({"no_room": "0 of 2 hosts fit: memory short on 2"}, "memory short on 2"),
        ({"failed": "the image is gone", "retry_at": 10.0}, "the image is gone"),
    ],
)
def test_what_holds_a_node_up_is_said(change: dict[str, object], said: str) -> None:
    step = decide(Situation([replace(residents(1)[0], **change)], now=9.0))  # type: ignore[arg-type]  # fields of Resident
    assert step.progress is Progress.HELD and said in why(step)["web-0"]


def test_a_failed_move_is_tried_again_in_time() -> None:
    assert decide(Situation([replace(residents(1)[0], failed="late", retry_at=10.0)], now=10.0)).start == ("n0",)


def test_after_the_deadline_moves_end_and_none_begins() -> None:
    one_moves = [replace(residents(1)[0], moving=True), *residents(3)[1:]]
    assert decide(Situation(one_moves, now=60.0, deadline=60.0)).progress is Progress.MOVING
    late = decide(Situation(residents(2), now=60.0, deadline=60.0))
    assert (late.progress, late.start) == (Progress.OVERDUE, ())
    assert why(late) == {"web-0": "its turn had not come", "web-1": "its turn had not come"}


def test_stopping_waits_for_what_moves() -> None:
    moving = [replace(residents(1)[0], moving=True)]
    assert decide(Situation(moving, stopping=True)).progress is Progress.MOVING
    assert decide(Situation(residents(1), stopping=True)).progress is Progress.STOPPED


def test_empty_only_when_nobody_is_on_the_way_either() -> None:
    assert decide(Situation([])).progress is Progress.EMPTY
    assert decide(Situation([], stopping=True)).progress is Progress.EMPTY
    assert decide(Situation([], arriving=1)).progress is Progress.HELD


def test_told_in_one_line() -> None:
    situation = Situation([*residents(2), Resident("x", "x", no_room="no room")], max_in_flight=1)
    assert told(5, situation, decide(situation)) == "2 of 5 containers have left, 1 moving, 1 held up (x: no room)."
    under_way = Situation([replace(one, moving=True) for one in residents(3)], ending=2, max_in_flight=1)
    assert told(5, under_way, decide(under_way)) == "2 of 5 containers have left, 5 moving."
    many = decide(Situation([replace(r, no_room="full") for r in residents(5)])).held
    assert reasons(many) == "web-0, web-1, web-2 and 2 more: full"


resident = st.builds(
    Resident,
    node_id=st.uuids().map(str),
    name=st.just("n"),
    cluster_id=st.sampled_from(["", "a", "b"]),
    serving=st.booleans(),
    moving=st.booleans(),
    busy=st.sampled_from([None, None, "NODE_CHECK"]),
    no_room=st.sampled_from([None, None, "full"]),
    failed=st.sampled_from([None, "broken"]),
    retry_at=st.floats(0, 20),
)
standing = st.builds(
    Standing,
    cluster_id=st.just("a"),
    name=st.just("a"),
    members=st.just(9),
    out=st.integers(0, 4),
    budget=st.integers(0, 4),
    starts_first=st.booleans(),
)
situation = st.builds(
    Situation,
    residents=st.lists(resident, max_size=12),
    standings=st.tuples(standing, standing.map(lambda s: replace(s, cluster_id="b"))),
    max_in_flight=st.integers(1, 6),
    now=st.floats(0, 20),
    deadline=st.none() | st.floats(0, 20),
    stopping=st.booleans(),
)


@given(situation)
def test_never_more_than_allowed(asked: Situation) -> None:
    step = decide(asked)
    by_id = {r.node_id: r for r in asked.residents}
    started = [by_id[node_id] for node_id in step.start]
    moving = sum(r.moving for r in asked.residents)
    assert len(set(step.start)) == len(step.start)
    assert not started or moving + len(started) <= asked.max_in_flight
    for one in asked.standings:
        taken_out = [r for r in started if r.cluster_id == one.cluster_id and r.serving and not one.starts_first]
        assert len(taken_out) <= one.left
    late = asked.deadline is not None and asked.now >= asked.deadline
    assert not started or not (late or asked.stopping)
    assert not any(r.moving or r.busy or r.no_room for r in started)


@given(situation)
def test_it_neither_ends_early_nor_waits_for_nothing(asked: Situation) -> None:
    step = decide(asked)
    moving = sum(r.moving for r in asked.residents)
    if step.progress in (Progress.OVERDUE, Progress.STOPPED, Progress.EMPTY):
        assert not moving and not step.start
    if step.progress is Progress.HELD:
        assert {held.node_id for held in step.held} == {r.node_id for r in asked.residents}, "each is told why"
