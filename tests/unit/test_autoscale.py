"""How many members: targets, what is unknown, steps, windows, rates, cooldowns, schedules, and zero."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spinney.domain.action import ActionKind
from spinney.domain.autoscale import wording
from spinney.domain.autoscale.deciding import evaluate
from spinney.domain.autoscale.history import follow
from spinney.domain.autoscale.record import renewed
from spinney.domain.autoscale.rules import (
    Aggregation,
    Behaviour,
    Direction,
    Metric,
    Rate,
    Rules,
    Schedule,
    Signal,
    Step,
    Target,
)
from spinney.domain.autoscale.timetable import Bounds, due
from spinney.domain.autoscale.values import By, Change, Gate, Kind, Order, State
from spinney.domain.cron import Cron
from spinney.domain.sizing import Adjustment
from unit.autoscale_world import (
    CPU,
    NOW,
    QUEUE,
    REQUESTS,
    at,
    coming,
    each,
    ready,
    remembering,
    rules,
    run,
    settled,
    wanted,
)

QUICK = Behaviour()  # no window


def free(*targets: Target, **fields: Any) -> Rules:
    """Without any window."""
    return rules(*targets, **{"down": QUICK, **fields})


# --- target tracking --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "figure", "size"),
    [
        (4, 50.0, 4),  # on target
        (4, 55.0, 4),  # within 10 %
        (4, 55.1, 5),
        (4, 100.0, 8),
        (4, 62.5, 5),  # exactly five
        (4, 45.0, 4),
        (4, 44.9, 4),  # beyond the tolerance, and still four are needed
        (4, 37.5, 3),
        (4, 0.0, 1),  # never zero
        (1, 3.0, 1),
        (4, 1000.0, 20),  # the maximum
    ],
)
def test_as_many_as_keep_each_at_the_target(members: int, figure: float, size: int) -> None:
    assert wanted(free(), each(members, figure)) == size


def test_each_direction_has_its_own_tolerance() -> None:
    of = free(up=Behaviour(tolerance=0.5), down=Behaviour(tolerance=0.02))
    assert wanted(of, each(4, 74.0)) == 4
    assert wanted(of, each(4, 76.0)) == 7
    assert wanted(of, each(50, 48.0), settled(of, 50)) == 20, "the maximum counts"
    assert wanted(replace(of, maximum=100), each(50, 48.0)) == 48


@pytest.mark.parametrize(
    ("aggregation", "size"), [(Aggregation.AVERAGE, 4), (Aggregation.MAXIMUM, 8)], ids=["average", "maximum"]
)
def test_the_average_or_the_busiest(aggregation: Aggregation, size: int) -> None:
    of = free(Target(Signal(Metric.CPU, aggregation), 50.0))
    assert wanted(of, at([ready(0, 100.0), ready(1, 40.0), ready(2, 40.0), ready(3, 20.0)])) == size


def test_what_is_shared_is_divided_among_the_members() -> None:
    of = free(Target(QUEUE, 100.0))
    members = [ready(number, 700.0, signal=QUEUE) for number in range(4)]
    assert wanted(of, at(members)) == 7
    assert wanted(of, at([*members[:3], ready(9)])) == 7, "one that does not tell changes nothing"
    assert wanted(free(Target(REQUESTS, 50.0)), at([ready(0), ready(1)], requests=420.0)) == 9


def test_of_several_targets_the_largest_counts() -> None:
    memory = Signal(Metric.MEMORY)
    of = free(Target(CPU, 50.0), Target(memory, 50.0))

    def of_both(cpu: float, used: float) -> int:
        member = ready(0, cpu)
        return wanted(of, at([replace(member, values={"cpu": cpu, "memory": used})] * 4))

    assert of_both(100.0, 25.0) == 8
    assert of_both(25.0, 50.0) == 4, "all must agree on fewer"
    assert of_both(25.0, 37.5) == 3


# --- what is unknown --------------------------------------------------------------------------------------------------


def test_without_any_figure_nothing_happens_and_it_says_why() -> None:
    for situation, why in (
        (at([ready(0), ready(1)]), "no fresh sample of any of 2 members"),
        (at([coming(0)]), "no member is ready and long enough so, 1 are coming"),
        (each(0, 0.0), "not looked at while there are no members"),
    ):
        of = rules(scale_to_zero=True, minimum=0)
        decision = evaluate(of, situation, settled(of, situation.size))
        assert (decision.order, decision.proposed) == (None, None)
        assert why in decision.sentence
        assert {sample.value for sample in decision.samples} == {None}


def test_of_what_is_unknown_it_is_said_who_would_have_told() -> None:
    for signal, why in (
        (REQUESTS, "no load balancer of the cluster has counted any just now"),
        (QUEUE, "no fresh sample of any of 2 members"),
    ):
        assert why in evaluate(free(Target(signal, 1.0)), at([ready(0), ready(1)]), State()).sentence


def test_missing_figures_count_against_a_change_either_way() -> None:
    of = free()
    high, low = [ready(number, 100.0) for number in range(2)], [ready(number, 10.0) for number in range(2)]
    gone = [ready(number) for number in range(5, 8)]
    assert wanted(of, at(high)) == 4
    assert wanted(of, at([*high, gone[0]])) == 4, "as if it had nothing to do, the load of the others needs 4"
    assert wanted(of, at([*high, *gone])) == 5, "and that leaves five within the tolerance"
    assert wanted(of, at(low)) == 1
    assert wanted(of, at([*low, gone[0]])) == 2, "as if it were at its target"
    assert wanted(of, at([*low, *gone])) == 4


def test_an_unknown_target_lets_others_raise_the_size_and_not_lower_it() -> None:
    of = free(Target(CPU, 50.0), Target(REQUESTS, 100.0))
    assert wanted(of, each(4, 100.0)) == 8
    decision = evaluate(of, each(4, 10.0), settled(of, 4))
    assert decision.order is None
    assert "nothing is known of requests" in decision.sentence


def test_members_that_are_coming_count_as_capacity_until_patience_ends() -> None:
    of = free(patience=300.0)
    busy = [ready(number, 100.0) for number in range(4)]
    assert wanted(of, at(busy)) == 8
    assert wanted(of, at([*busy, *(coming(number) for number in range(4))])) == 8, "they are on their way"
    assert wanted(of, at([*busy, coming(0)])) == 8
    stuck = [coming(number, since=NOW - 301) for number in range(6)]
    assert wanted(of, at([*busy, *stuck])) == 10, "nobody expects these any more, and nothing is added for them"
    idle = [ready(number, 10.0) for number in range(4)]
    assert wanted(of, at([*idle, *(coming(number) for number in range(4))])) == 1, "nor do they keep it large"


def test_what_a_young_member_uses_of_cpu_says_nothing() -> None:
    of = free(warmup=30.0)
    old, young = ready(0, 50.0), ready(1, 400.0, since=NOW - 10)
    assert wanted(of, at([old, young])) == 2
    assert wanted(of, at([old, replace(young, ready_since=NOW - 30)])) == 9
    memory = Signal(Metric.MEMORY)
    assert wanted(free(Target(memory, 50.0)), at([ready(0, 100.0, signal=memory, since=NOW - 1)])) == 2


# --- steps ------------------------------------------------------------------------------------------------------------

STEPS = (
    Step(CPU, Adjustment.CHANGE, 1, at_least=70.0, below=90.0),
    Step(CPU, Adjustment.PERCENTAGE, 50, at_least=90.0),
    Step(CPU, Adjustment.CHANGE, -1, below=20.0),
)


@pytest.mark.parametrize(("figure", "size"), [(69.9, 6), (70.0, 7), (89.9, 7), (90.0, 9), (20.0, 6), (19.9, 5)])
def test_steps(figure: float, size: int) -> None:
    of = free(steps=STEPS, targets=())
    assert wanted(of, each(6, figure)) == size


def test_steps_and_what_is_unknown() -> None:
    of = free(steps=STEPS, targets=())
    hot = [ready(number, 80.0) for number in range(4)]
    assert wanted(of, at(hot)) == 5
    assert wanted(of, at([*hot, coming(0)])) == 5, "the one that is coming takes enough off them"
    cold = [ready(number, 10.0) for number in range(4)]
    assert wanted(of, at([*cold, ready(9)])) == 5, "a step down needs the figures of all"
    assert wanted(of, at([*cold, coming(0)])) == 4


def test_a_step_that_keeps_the_size_is_not_made_smaller_by_whoever_is_coming() -> None:
    steps = (Step(CPU, Adjustment.EXACT, 5, at_least=70.0), Step(CPU, Adjustment.CHANGE, -1, below=75.0))
    hot = [ready(number, 72.0) for number in range(4)]
    assert wanted(free(steps=steps, targets=()), at([*hot, coming(0)])) == 5


def test_a_step_beside_a_target() -> None:
    memory = Signal(Metric.MEMORY)
    of = free(Target(CPU, 50.0), steps=(Step(memory, Adjustment.CHANGE, 2, at_least=90.0),))
    member = replace(ready(0), values={"cpu": 20.0, "memory": 30.0})
    assert wanted(of, at([member] * 4)) == 2, "a step that does not hold has nothing against it"
    assert wanted(of, at([replace(member, values={"cpu": 20.0, "memory": 95.0})] * 4)) == 6
    assert wanted(of, at([ready(0, 20.0)] * 4)) == 4, "memory is unknown, and might ask for more"


# --- windows ----------------------------------------------------------------------------------------------------------


def test_shrinking_is_to_the_most_within_the_window() -> None:
    of = rules()
    past = remembering(*[10] * 5, 7, *[3] * 17, rules=of, size=10)  # 10 was last asked for 285 s ago
    decision = evaluate(of, each(10, 10.0), past)
    assert decision.order is None, decision.sentence
    past = remembering(*[10] * 5, 7, *[3] * 18, rules=of, size=10)
    assert evaluate(of, each(10, 10.0), past).order == Order(ActionKind.CLUSTER_SCALE_IN, 3), "7 was asked for once"
    past = remembering(*[10] * 5, 7, *[3] * 19, rules=of, size=10)
    assert evaluate(of, each(10, 10.0), past).order == Order(ActionKind.CLUSTER_SCALE_IN, 7)


def test_growing_is_by_the_least_within_the_window() -> None:
    of = rules(up=Behaviour(window=60.0))
    assert wanted(of, each(4, 100.0), remembering(4, 8, 8, rules=of, size=4)) == 4
    assert wanted(of, each(4, 100.0), remembering(4, 6, 8, 8, rules=of, size=4)) == 6
    assert wanted(of, each(4, 100.0), remembering(4, 8, 8, 8, rules=of, size=4)) == 8


@pytest.mark.parametrize("state", [State(), None], ids=["the first evaluation", "after a long gap"])
def test_without_a_past_the_size_stands_for_it(state: State | None) -> None:
    of = rules()
    state = remembering(*[2] * 10, rules=of, every=100.0) if state is None else state
    later = [each(6, 10.0, now=NOW + 301 + 15 * step) for step in range(22)]
    made = run(of, later, state)
    assert made[0].seeded and not any(one.seeded for one in made[1:])
    assert [one.order is None for one in made] == [True] * 20 + [False] * 2


def test_a_window_that_is_shorter_than_the_interval_holds_nothing_back() -> None:
    of = rules(down=Behaviour(window=5.0))
    assert wanted(of, each(6, 10.0)) == 2


# --- rates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "most", "size"),
    [
        ((Rate(60, members=2),), True, 6),
        ((Rate(60, percent=100.0),), True, 8),
        ((Rate(60, members=2), Rate(60, percent=100.0)), True, 8),
        ((Rate(60, members=2), Rate(60, percent=100.0)), False, 6),
        ((Rate(60, percent=1.0),), True, 5),  # at least one
        ((), True, 20),
    ],
)
def test_rates_of_growing(rates: tuple[Rate, ...], most: bool, size: int) -> None:
    assert wanted(free(up=Behaviour(rates=rates, most=most)), each(4, 1000.0)) == size


def test_rates_of_shrinking() -> None:
    def down(*rates: Rate, most: bool = True) -> int:
        return wanted(rules(down=Behaviour(rates=rates, most=most)), each(10, 5.0))

    assert down(Rate(60, members=3)) == 7
    assert down(Rate(60, percent=10.0)) == 9
    assert down(Rate(60, members=3), Rate(60, percent=10.0)) == 7
    assert down(Rate(60, members=3), Rate(60, percent=10.0), most=False) == 9


def test_a_rate_counts_what_its_period_has_seen() -> None:
    of = free(up=Behaviour(rates=(Rate(60, members=3),)))
    sizes, state = [4], settled(of, 4)
    for step in range(6):
        decision = evaluate(of, each(sizes[-1], 1000.0, now=NOW + 20 * step), state)
        state = follow(state, decision, of)
        sizes.append(decision.wanted)
    assert sizes == [4, 7, 7, 7, 10, 10, 10]


def test_a_direction_that_is_switched_off() -> None:
    decision = evaluate(free(down=Behaviour(enabled=False)), each(6, 5.0), State())
    assert decision.order is None
    of = free(down=Behaviour(enabled=False))
    decision = evaluate(of, each(6, 5.0), settled(of, 6))
    assert (decision.order, decision.reasons[-2].kind) == (None, Kind.DISABLED)
    assert "switched off" in decision.sentence


# --- cooldown and what else holds it ----------------------------------------------------------------------------------


def test_the_cooldown_counts_from_the_end_of_any_scaling() -> None:
    of = free(up=Behaviour(cooldown=120.0))
    assert evaluate(of, each(4, 100.0, last_scaled=NOW - 119), settled(of, 4)).order is None
    assert evaluate(of, each(4, 100.0, last_scaled=NOW - 120), settled(of, 4)).order is not None
    assert evaluate(of, each(4, 10.0, last_scaled=NOW - 1), settled(of, 4)).order is not None, "of the other direction"


def test_the_cooldowns_of_scaling_policies_are_kept() -> None:
    of = free()
    gate = Gate(NOW + 30, "policy 'careful' asks for 60 s between scalings", Direction.UP)
    held = evaluate(of, each(4, 100.0, gates=(gate,)), settled(of, 4))
    assert (held.order, held.wanted) == (None, 8)
    assert "policy 'careful'" in held.sentence
    assert evaluate(of, each(4, 10.0, gates=(gate,)), settled(of, 4)).order is not None
    assert evaluate(of, each(4, 100.0, gates=(replace(gate, until=NOW),)), settled(of, 4)).order is not None


def test_nothing_is_ordered_while_the_cluster_is_busy_or_an_order_has_just_failed() -> None:
    of = free()
    for situation in (
        each(4, 100.0, busy="CLUSTER_RESIZE is at work"),
        each(4, 100.0, gates=(Gate(NOW + 5, "the last scaling failed"),)),
        each(30, 50.0, gates=(Gate(NOW + 5, "the last scaling failed"),)),
    ):
        decision = evaluate(of, situation, settled(of, situation.size))
        assert (decision.order, decision.wanted != decision.size) == (None, True)


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "fields", "number"),
    [(1, {"minimum": 3}, 3), (9, {"maximum": 5}, 5), (4, {}, None)],
    ids=["too few", "too many", "within"],
)
def test_a_size_outside_the_bounds_is_corrected_at_once(size: int, fields: dict[str, Any], number: int | None) -> None:
    of = rules(up=Behaviour(window=600, cooldown=600, rates=(Rate(600, members=1),)), **fields)
    decision = evaluate(of, each(size, 50.0, last_scaled=NOW), State())
    assert decision.order == (None if number is None else Order(ActionKind.CLUSTER_RESIZE, number))


@pytest.mark.parametrize(
    ("minimum", "maximum", "floor", "ceiling", "expected"),
    [
        (1, 20, 3, 10, (3, 10)),
        (5, 20, 0, 4, (4, 4)),
        (1, 2, 4, 10, (4, 4)),
        (0, 5, 0, 10, (1, 5)),
        (1, 5, 7, 7, (7, 7)),
    ],
)
def test_the_clusters_own_bounds_go_first(
    minimum: int, maximum: int, floor: int, ceiling: int, expected: tuple[int, int]
) -> None:
    decision = evaluate(rules(minimum=minimum, maximum=maximum), each(4, 50.0, floor=floor, ceiling=ceiling), State())
    assert (decision.low, decision.high) == expected


# --- schedules --------------------------------------------------------------------------------------------------------

#: 2026-03-29 is the night in which Berlin's clocks go from 2 to 3; the moments are in UTC.
NIGHT = Schedule("night", Cron("30 2 * * *", "Europe/Berlin"), minimum=1)
DAY = Schedule("day", Cron("0 8 * * *", "Europe/Berlin"), minimum=6, maximum=12)


@pytest.mark.parametrize(
    ("moment", "low"),
    [
        (1774681199.0, 1),  # 07:59:59, winter time
        (1774681200.0, 6),  # 08:00:00
        (1774745999.0, 6),  # 01:59:59, the second before the clocks are changed
        (1774746000.0, 1),  # 03:00:00: half past two does not come, the night begins at the end of the gap
        (1774763999.0, 1),  # 07:59:59, summer time
        (1774764000.0, 6),  # 08:00:00
    ],
)
def test_schedules_follow_the_clock_on_the_wall(moment: float, low: int) -> None:
    assert evaluate(rules(schedules=(NIGHT, DAY)), each(6, 50.0, now=moment), State()).low == low


def test_a_duration_ends_by_itself() -> None:
    of = rules(schedules=(replace(DAY, cron=Cron("0 8 * * *"), duration=3600.0),))
    eight = 1774771200.0  # 08:00 UTC
    lows = [evaluate(of, each(6, 50.0, now=eight + s), State()).low for s in (-1, 0, 3599, 3600)]
    assert lows == [1, 6, 6, 1]


def test_the_bounds_of_a_schedule_count_at_once() -> None:
    of = rules(schedules=(replace(DAY, cron=Cron("* * * * *")),))
    assert evaluate(of, each(2, 50.0, last_scaled=NOW), State()).order == Order(ActionKind.CLUSTER_RESIZE, 6)


def test_what_a_schedule_may_not_have_is_told() -> None:
    of = rules(schedules=(replace(DAY, cron=Cron("* * * * *"), desired=12),))
    bounded = evaluate(of, each(2, 50.0, ceiling=4), State())
    assert (bounded.low, bounded.high) == (4, 4)
    assert bounded.reasons[0].text.endswith(
        "4 to 4 members. It says min 6 and max 12, and the cluster may have 4 at most."
    )
    sized = evaluate(of, each(7, 50.0, ceiling=8), State(honoured=0.0))
    assert sized.sentence == "Grows from 7 to 8: schedule 'day' sets 8: it says 12, and 6 to 8 are allowed."


def test_an_earlier_schedule_is_not_due_again_when_a_later_one_has_ended() -> None:
    bounds = Bounds(1, 20, Schedule("morning", Cron("0 8 * * *"), desired=30), 100.0)
    assert [due(bounds, honoured) for honoured in (None, 99.0, 100.0, 101.0)] == [None, 20, None, None]


def test_a_size_that_a_schedule_sets_is_set_once() -> None:
    of = rules(schedules=(Schedule("morning", Cron("0 8 * * *"), desired=10),))
    eight = 1774771200.0
    steps = [(-15, 4, ""), (0, 4, "an update is at work"), (15, 4, ""), (30, 10, ""), (45, 10, "")]
    made = run(of, [each(size, 50.0, now=eight + s, busy=busy) for s, size, busy in steps])
    assert [one.order for one in made] == [None, None, Order(ActionKind.CLUSTER_RESIZE, 10), None, None]
    assert made[2].by is By.SCHEDULE
    late = evaluate(of, each(4, 50.0, now=eight + 60), State())
    assert late.order is None, "a policy that comes after the moment does not make up for it"


def test_a_schedule_says_when_it_comes() -> None:
    of = rules(schedules=(DAY,))
    told = evaluate(of, each(6, 50.0, now=1774763999.0), State()).reasons[-1]
    assert told.text == "Schedule 'day' comes at 2026-03-29T06:00:00Z: min 6, max 12."


@pytest.mark.parametrize(
    "figure, told",
    [
        (50.0, "4 members stay right."),
        (54.0, "4 members stay right, within the tolerance of 10 %."),
        (56.0, "5 members would be right."),
        (40.0, "4 members stay right."),
    ],
)
def test_a_figure_beside_the_target_says_why_nothing_happens(figure: float, told: str) -> None:
    said = evaluate(rules(Target(CPU, 50.0)), each(4, figure), State()).reasons[0].text
    assert said.endswith(f"; the target is 50.0 % of the limit: {told}")


# --- zero -------------------------------------------------------------------------------------------------------------


def test_to_zero_only_when_asked_and_idle() -> None:
    both = (Target(CPU, 50.0), Target(REQUESTS, 100.0))
    may, must_not = free(*both, minimum=0, scale_to_zero=True), free(*both, minimum=0)
    assert wanted(may, each(1, 1.0, requests=0.0)) == 0
    assert wanted(may, each(1, 1.0, requests=0.1)) == 1
    assert wanted(may, each(1, 1.0)) == 1, "requests are unknown"
    assert wanted(may, each(1, 90.0, requests=0.0)) == 2, "it works without any"
    assert wanted(must_not, each(1, 1.0, requests=0.0)) == 1


def test_from_zero_requests_wake_it() -> None:
    of = rules(Target(CPU, 50.0), Target(REQUESTS, 100.0), minimum=0, scale_to_zero=True)
    assert wanted(of, at([], requests=0.0)) == 0
    assert wanted(of, at([])) == 0
    assert wanted(of, at([], requests=0.5)) == 1
    assert wanted(of, at([], requests=250.0)) == 3
    slow = replace(of, up=Behaviour(rates=(Rate(60, percent=10.0),)))
    assert wanted(slow, at([], requests=250.0)) == 1, "a share of nothing is one"


# --- what is told -----------------------------------------------------------------------------------------------------


def test_what_would_have_to_happen() -> None:
    told = evaluate(rules(), each(4, 50.0), State()).reasons[-1]
    assert told.kind is Kind.AHEAD
    assert told.data == {"metric": "cpu", "grows_above": pytest.approx(55.0), "shrinks_below": pytest.approx(37.5)}
    assert "below 37.5 % of the limit for 300 s" in told.text


def test_without_members_only_what_is_shared_can_wake_it() -> None:
    of = rules(Target(CPU, 50.0), Target(REQUESTS, 100.0), minimum=0, scale_to_zero=True)
    ahead = [one.text for one in evaluate(of, at([]), State()).reasons if one.kind is Kind.AHEAD]
    assert ahead == ["It grows as soon as the rate of requests is more than nothing."]


@pytest.mark.parametrize(("value", "text"), [(1023.0, "1023 bytes"), (1536.0, "1.5 KiB"), (2.0**51, "2048 TiB")])
def test_amounts_of_memory(value: float, text: str) -> None:
    assert wording.figure(Signal(Metric.MEMORY_BYTES), value) == text


def test_what_says_the_same_is_kept_once() -> None:
    one = {"since": 5.0, "times": 2, "seeded": False, "text": "same"}
    later = {**one, "since": 9.0, "times": 1, "seeded": True}
    assert renewed(one, later) == {"since": 5.0, "times": 3, "seeded": True, "text": "same"}


def test_what_is_shared_is_told_as_a_whole_and_for_each() -> None:
    told = evaluate(free(Target(REQUESTS, 50.0)), at([ready(0), ready(1)], requests=420.0), State()).sentence
    assert "the rate of requests of the whole cluster is 420/s, 210/s for each of 2 members" in told


def test_the_sentence_says_the_whole() -> None:
    of = free()
    assert evaluate(of, each(4, 83.0), settled(of, 4)).sentence == (
        "Grows from 4 to 7: cpu is 83.0 % of the limit on average in 4 members; the target is 50.0 % of the limit: 7 members "
        "would be right."
    )


# --- and in particular ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "size"), [(400.0, 4), (440.0, 4), (441.0, 5), (360.0, 4), (359.0, 4), (300.0, 3), (1000.0, 10), (0.0, 1)]
)
def test_what_is_shared_has_the_tolerance_of_each_direction_too(rate: float, size: int) -> None:
    assert wanted(free(Target(REQUESTS, 100.0)), at([ready(number) for number in range(4)], requests=rate)) == size
    narrow = free(Target(REQUESTS, 100.0), down=Behaviour(tolerance=0.0), up=Behaviour(tolerance=1.0))
    assert wanted(narrow, at([ready(number) for number in range(4)], requests=min(rate, 400.0))) <= size


def test_members_that_are_coming_share_what_is_shared() -> None:
    of = free(Target(REQUESTS, 100.0))
    assert wanted(of, at([ready(0), ready(1), coming(0), coming(1)], requests=400.0)) == 4
    assert wanted(of, at([coming(0, since=NOW - 999)], requests=50.0)) == 1, (
        "nobody is there, and nobody less is wanted"
    )


def test_what_is_ordered() -> None:
    of = free()
    assert evaluate(of, each(4, 100.0), settled(of, 4)).order == Order(ActionKind.CLUSTER_SCALE_OUT, 4)
    shrunk = evaluate(of, each(4, 10.0), settled(of, 4))
    assert shrunk.order == Order(ActionKind.CLUSTER_SCALE_IN, 3)
    assert shrunk.sentence.startswith("Shrinks from 4 to 1: cpu is 10.0 %")


def test_a_setback_that_is_over_holds_nothing_back() -> None:
    of, over = free(), (Gate(NOW, "the last scaling failed"),)
    assert evaluate(of, each(30, 50.0, gates=over), settled(of, 30)).order is not None
    assert evaluate(of, each(4, 100.0, gates=over), settled(of, 4)).order is not None


def test_the_cooldown_begins_with_the_latest_order() -> None:
    of = free(up=Behaviour(cooldown=60.0))
    state = State(proposals=settled(of, 4).proposals, changes=(Change(NOW - 90, 2, 3), Change(NOW - 50, 3, 4)))
    held = evaluate(of, each(4, 100.0, last_scaled=NOW - 85), state)
    assert held.order is None and "1970-01-12T13:46:50Z" in held.sentence, "50 s ago, and 60 s from then"


@pytest.mark.parametrize(
    ("of", "sizes", "cpu", "at_"),
    [
        (rules(up=Behaviour(window=60.0)), (4, 4, 6, 6), 100.0, "1970-01-12T13:47:10Z"),
        (rules(), (9, 4, 6, 2), 25.0, "1970-01-12T13:50:55Z"),
    ],
    ids=["growing", "shrinking"],
)
def test_when_a_window_will_be_over(of: Rules, sizes: tuple[int, ...], cpu: float, at_: str) -> None:
    """The latest proposal that speaks against it leaves the window: the 6 of 30 or 45 s ago."""
    decision = evaluate(of, each(4, cpu), remembering(*sizes, 8 if cpu == 100.0 else 2, rules=of, size=4))
    window = next(one for one in decision.reasons if one.kind is Kind.WINDOW)
    assert window.data["at"] == at_


def test_what_is_too_long_ago_is_forgotten() -> None:
    of = rules(up=Behaviour(rates=(Rate(60, members=3),), cooldown=120.0), down=Behaviour())
    state = State()
    for moment, cpu in ((0.0, 100.0), (90.0, 50.0), (100.0, 50.0), (121.0, 50.0)):
        state = follow(state, evaluate(of, each(4, cpu, now=NOW + moment), state), of)
        assert len(state.changes) == (1 if moment <= 120.0 else 0)
    assert [(one.since - NOW, one.until - NOW) for one in state.proposals] == [(90.0, 121.0)]
