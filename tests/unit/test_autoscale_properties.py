"""What holds for autoscaling whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from spinney.domain.action import ActionKind
from spinney.domain.autoscale import record
from spinney.domain.autoscale.deciding import evaluate
from spinney.domain.autoscale.history import Past, follow, merged, past, remembered
from spinney.domain.autoscale.rules import Behaviour, Metric, Rate, Rules, Schedule, Signal, Step, Target
from spinney.domain.autoscale.values import By, Decision, MemberSample, Situation, State
from spinney.domain.cron import Cron
from spinney.domain.sizing import Adjustment
from unit.autoscale_world import CPU, NOW, REQUESTS, run

#: Each example is a course of several evaluations.
FEW = settings(max_examples=40)
SIGNALS = (CPU, REQUESTS, Signal(Metric.MEMORY))
seconds = st.sampled_from([0.0, 5.0, 30.0, 120.0, 600.0])
counts = st.integers(0, 12)
figures = st.floats(0, 500)


def one_of_many(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


behaviours = st.builds(
    Behaviour,
    enabled=st.booleans(),
    window=seconds,
    rates=st.lists(
        st.builds(Rate, seconds, members=st.integers(1, 5)) | st.builds(Rate, seconds, percent=st.floats(1, 200)),
        max_size=2,
    ).map(tuple),
    most=st.booleans(),
    tolerance=st.floats(0, 0.5),
    cooldown=seconds,
)
signals = st.sampled_from(SIGNALS)
targets = st.lists(st.builds(Target, signals, st.floats(1, 200)), max_size=3).map(tuple)
steps = st.lists(
    st.builds(
        Step,
        signals,
        st.sampled_from(Adjustment),
        st.integers(-10, 10).map(float),
        at_least=figures,
        below=st.none() | figures,
    ),
    max_size=3,
).map(tuple)
schedules = st.lists(
    st.builds(
        Schedule,
        st.just("s"),
        st.sampled_from([Cron("* * * * *"), Cron("*/5 * * * *"), Cron("0 8 * * *", "Europe/Berlin")]),
        duration=st.none() | st.just(90.0),
        minimum=st.none() | st.integers(0, 5),
        maximum=st.none() | st.integers(5, 12),
        desired=st.none() | counts,
    ),
    max_size=2,
).map(tuple)
every_rules = st.builds(
    Rules,
    minimum=st.integers(0, 4),
    maximum=st.integers(4, 12),
    targets=targets,
    steps=steps,
    schedules=schedules,
    up=behaviours,
    down=behaviours,
    scale_to_zero=st.booleans(),
)


@st.composite
def members(draw: st.DrawFn, count: int) -> list[MemberSample]:
    def one(number: int) -> MemberSample:
        kind = draw(st.sampled_from("rrrrcx"))
        values = {signal.key: draw(figures) for signal in SIGNALS if draw(st.integers(0, 3))}
        since = NOW - draw(seconds)
        return MemberSample(str(number), since if kind == "r" else None, since if kind == "c" else None, values)

    return [one(number) for number in range(count)]


@st.composite
def situations(draw: st.DrawFn) -> list[Situation]:
    """A course of things, in which the cluster becomes what is ordered."""
    made, now = [], NOW
    for _ in range(draw(st.integers(1, 6))):
        size = draw(counts)
        now += draw(st.sampled_from([1.0, 15.0, 15.0, 400.0]))
        made.append(
            Situation(
                now=now,
                size=size,
                members=draw(members(size)),
                floor=draw(st.integers(0, 3)),
                ceiling=draw(st.integers(3, 12)),
                requests=draw(st.none() | figures),
                last_scaled=draw(st.none() | st.just(now - 20)),
                busy=draw(one_of_many("", "", "", "something is at work")),
            )
        )
    return made


@FEW
@given(every_rules, situations())
def test_no_order_leaves_the_bounds_and_a_size_outside_is_corrected(rules: Rules, course: Sequence[Situation]) -> None:
    made = run(rules, course)
    assert made == run(rules, course), "equal input, equal output"
    turned = run(rules, [replace(one, members=list(reversed(one.members))) for one in course])
    assert [one.wanted for one in turned] == [one.wanted for one in made], "nor does the order of members matter"
    for situation, decision in zip(course, made, strict=True):
        assert situation.floor <= decision.low <= decision.high <= max(situation.ceiling, situation.floor)
        assert decision.low > 0 or rules.scale_to_zero
        if decision.order is not None:
            assert decision.low <= decision.wanted <= decision.high
            assert not situation.busy
            assert decision.wanted == _after(decision)
        if not decision.low <= situation.size <= decision.high:
            assert decision.by is By.BOUNDS
            assert (decision.order is None) == bool(situation.busy)


def _after(decision: Decision) -> int:
    assert decision.order is not None
    by = {ActionKind.CLUSTER_SCALE_OUT: decision.size, ActionKind.CLUSTER_SCALE_IN: decision.size}
    if decision.order.kind is ActionKind.CLUSTER_RESIZE:
        return decision.order.number
    assert decision.order.number > 0
    sign = 1 if decision.order.kind is ActionKind.CLUSTER_SCALE_OUT else -1
    return by[decision.order.kind] + sign * decision.order.number


@FEW
@given(every_rules, situations())
def test_without_any_figure_nothing_changes(rules: Rules, course: Sequence[Situation]) -> None:
    rules = replace(rules, schedules=())
    for one in course:
        nothing = replace(one, requests=None, members=[replace(member, values={}) for member in one.members])
        decision = evaluate(rules, nothing, run_all(rules, course[:-1]))
        assert decision.order is None or decision.by is By.BOUNDS


def run_all(rules: Rules, course: Sequence[Situation]) -> State:
    state = State()
    for situation in course:
        state = follow(state, evaluate(rules, situation, state), rules)
    return state


@FEW
@given(every_rules, situations(), st.lists(st.floats(0, 10), min_size=12, max_size=12))
def test_members_of_whom_nothing_is_known_never_make_it_smaller_than_they_are_many(
    rules: Rules, course: Sequence[Situation], used: list[float]
) -> None:
    """Those that are missing are taken to be at the target: each of them is a member that is needed."""
    rules = replace(rules, targets=(Target(CPU, 50.0),), steps=(), schedules=(), up=Behaviour())
    silent = [MemberSample(f"s{number}", ready_since=0.0) for number in range(4)]
    told = [MemberSample(str(number), 0.0, values={"cpu": value}) for number, value in enumerate(used)]
    decision = evaluate(rules, Situation(now=NOW, size=16, members=[*silent, *told]), State())
    assert decision.proposed is not None and decision.proposed >= 4


@FEW
@given(every_rules, situations())
def test_what_is_remembered_can_be_rebuilt_from_the_records(rules: Rules, course: Sequence[Situation]) -> None:
    state, records = State(), list[Past]()
    for situation in course:
        decision = evaluate(rules, situation, state)
        state = follow(state, decision, rules)
        acted = decision.order is not None
        stored = record.body(decision)
        assert record.past(decision.at, decision.size, decision.wanted, acted, stored) == past(decision)
        both = merged(records[-1] if records else None, past(decision))
        records = [*records, past(decision)] if both is None else [*records[:-1], both]
        rebuilt = remembered(records, rules, situation.now)
        assert evaluate(rules, replace(situation, now=situation.now + 15), rebuilt) == evaluate(
            rules, replace(situation, now=situation.now + 15), state
        )
