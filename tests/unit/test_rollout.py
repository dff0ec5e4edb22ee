"""What a rolling update does next: tables of cases, and worlds in which members come, go, fail and are healed meanwhile."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.rollout.decision import advanced, asking, decide
from spinney.domain.rollout.gate import why_failed
from spinney.domain.rollout.model import (
    Attempt,
    Manner,
    Member,
    Next,
    OnFailure,
    Order,
    Progress,
    Rules,
    Situation,
    Start,
)
from spinney.domain.rollout.rules import batch_size, rules_of

START, STOP, REPLACE = Manner.START_FIRST, Manner.STOP_FIRST, Manner.REPLACE
JUDGED = {"order": "auto", "monitor": 30, "ready_timeout": 60, "failure_ratio": 0, "on_failure": "rollback"}
PACED = {"min_in_service": 1, "max_batch_size": 2, "pause_time": 20}


def some(count: int, **fields: Any) -> list[Member]:
    return [Member(id=f"n{i}", name=f"web-{i}", **fields) for i in range(count)]


def changed(members: list[Member], which: int, **fields: Any) -> list[Member]:
    return [replace(one, **fields) if i == which else one for i, one in enumerate(members)]


def done(batch: int, at: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"updated": True, "attempt": Attempt(batch, at), "ready_at": at, **fields}


def ask(members: list[Member], rules: Rules | None = None, **fields: Any) -> Next:
    rules = rules or Rules(size=len(members) or 1, floor=max(len(members) - 1, 0), floor_because="budget 1")
    return decide(Situation(members=members, rules=rules, **{"now": 0.0, **fields}))


def started(step: Next, manner: Manner) -> list[str]:
    return [one.member_id for one in step.start if one.manner is manner]


# --- rules ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 50), st.integers(0, 60), st.one_of(st.just(-1), st.integers(1, 60)))
def test_a_batch_leaves_enough_in_service(members: int, stay: int, most: int) -> None:
    size = batch_size(members, stay, most)
    assert size > 0 and members - size >= min(stay, members // 2)
    rules = rules_of({"min_in_service": stay, "max_batch_size": most, "pause_time": 0}, {}, members, timeout=60)
    assert rules.size == size and members - rules.floor >= size


@pytest.mark.parametrize(
    ("update", "config", "members", "size", "floor"),
    [
        ({}, {}, 6, 6, 5),
        ({}, {"spinney.disruption_budget": "50%"}, 6, 6, 3),
        ({}, {"spinney.disruption_budget": 0}, 6, 6, 6),
        (PACED, {}, 6, 2, 1),
        ({**PACED, "max_batch_size": -1}, {}, 6, 5, 1),
        ({**PACED, "min_in_service": 9}, {}, 6, 2, 3),
        (PACED, {"spinney.disruption_budget": 1}, 6, 2, 5),
        ({**PACED, "min_in_service": 5}, {"spinney.disruption_budget": 4}, 6, 1, 5),
        (JUDGED, {}, 6, 1, 5),
        (JUDGED, {"spinney.disruption_budget": "50%"}, 6, 3, 3),
        ({**PACED, **JUDGED}, {}, 6, 2, 1),
    ],
)
def test_how_many_at_a_time_and_how_many_stay(
    update: Mapping[str, Any], config: Mapping[str, Any], members: int, size: int, floor: int
) -> None:
    rules = rules_of(update, config, members, timeout=600)
    assert (rules.size, rules.floor) == (size, floor)


def test_what_no_policy_says_is_as_in_senlin() -> None:
    rules = rules_of({}, {}, 4, timeout=600)
    assert (rules.on_failure, rules.monitor, rules.pause, rules.canary) == (OnFailure.STOP, 0, 0, 0)
    assert (rules.ready_timeout, rules.patience) == (600, 600)


@pytest.mark.parametrize(
    ("canary", "members", "count"),
    [({"count": 2}, 10, 2), ({"percent": 5}, 10, 1), ({"percent": 25}, 10, 3), ({"percent": 100}, 3, 3), (None, 9, 0)],
)
def test_the_canary_is_a_number_or_a_share_rounded_up(canary: Any, members: int, count: int) -> None:
    assert rules_of({**JUDGED, "canary": canary}, {}, members, timeout=600).canary == count
    back = rules_of({**JUDGED, "canary": canary}, {}, members, timeout=600, restoring=True)
    assert (back.canary, back.on_failure) == (0, OnFailure.CONTINUE)


def test_those_that_are_not_to_serve_ask_nothing_of_the_others() -> None:
    assert rules_of({}, {}, 6, idle=2, timeout=600).floor == 3


# --- who begins, and how ----------------------------------------------------------------------------------------------


def test_with_room_all_start_first_and_without_any_they_stop_within_the_budget() -> None:
    assert started(ask(some(3)), START) == ["n0", "n1", "n2"]
    crowded = ask(some(3), room=dict.fromkeys(["n0", "n1", "n2"], "memory short on 2"))
    assert started(crowded, STOP) == ["n0"] and len(crowded.start) == 1
    assert crowded.held[0].why == "2 are in service then, and 2 have to stay (budget 1)"


def test_while_there_is_room_for_some_nobody_is_stopped_first() -> None:
    step = ask(some(3), room={"n0": "full", "n1": "", "n2": "full"})
    assert started(step, START) == ["n1"] and len(step.start) == 1
    assert "no room for its new container beside the old one" in step.held[0].why
    going = changed(some(3), 1, under_way=START)
    assert ask(going, room={"n0": "full", "n2": "full"}, batch=1).start == ()


@pytest.mark.parametrize(
    ("order", "overlap", "room", "manner"),
    [
        (Order.AUTO, True, "", START),
        (Order.AUTO, True, "full", STOP),
        (Order.AUTO, False, "", STOP),
        (Order.STOP_FIRST, True, "", STOP),
        (Order.START_FIRST, True, "", START),
        (Order.START_FIRST, True, "full", None),
    ],
)
def test_the_order(order: Order, overlap: bool, room: str, manner: Manner | None) -> None:
    rules = Rules(size=1, order=order, overlap=overlap)
    step = ask(some(1), rules, room={"n0": room})
    assert step.start == (() if manner is None else (Start("n0", manner),))
    if manner is None:
        assert step.progress is Progress.HELD and "full" in step.reason


@pytest.mark.parametrize(
    ("fields", "manner"),
    [
        ({"serving": False, "ready": False, "broken": True}, REPLACE),
        ({"serving": False, "ready": False, "excused": "stopped"}, REPLACE),
        ({"in_place": True}, Manner.IN_PLACE),
        ({"in_place": True, "broken": True, "serving": False}, REPLACE),
        ({"serving": False, "ready": False, "in_reach": False, "excused": "silent"}, START),
    ],
)
def test_what_costs_no_service_begins_whatever_has_to_stay(fields: dict[str, Any], manner: Manner) -> None:
    assert ask(some(1, **fields), Rules(size=1, floor=1)).start == (Start("n0", manner),)


def test_the_broken_are_first() -> None:
    broken = changed(some(4), 2, broken=True, ready=False, serving=False)
    step = ask(broken, Rules(size=3, floor=1, order=Order.STOP_FIRST))
    assert [one.member_id for one in step.start] == ["n2", "n0", "n1"]
    assert step.start[0].manner is REPLACE


def test_what_is_at_work_on_a_member_comes_first() -> None:
    step = ask(changed(some(2), 0, busy="NODE_RECOVER"), Rules(size=1))
    assert step.start == (Start("n1", START),) and "NODE_RECOVER" in step.held[0].why
    alone = ask(some(1, busy="NODE_RECOVER"))
    assert alone.progress is Progress.HELD and "NODE_RECOVER is at work on it" in alone.reason


def test_two_of_a_member_never_run_where_that_must_not_be() -> None:
    lost = some(1, in_reach=False, serving=False, ready=False, excused="its host does not answer")
    step = ask(lost, Rules(size=1, overlap=False))
    assert step.progress is Progress.HELD and "spinney.overlap" in step.reason


def test_only_those_are_asked_for_that_need_further_room() -> None:
    members = changed(changed(some(5), 0, in_place=True), 1, updated=True)
    rules = Rules(size=2)
    assert asking(Situation(members=members, rules=rules, now=0.0)) == ["n2", "n3", "n4"]
    assert asking(Situation(members=members, rules=replace(rules, overlap=False), now=0.0)) == []
    assert asking(Situation(members=members, rules=rules, now=0.0, paused="x")) == []


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_has_to_be_ready_and_stay_so_before_the_next() -> None:
    rules = Rules(size=1, monitor=30.0)
    members = changed(some(2), 0, **done(1, 10.0))
    waiting = ask(changed(members, 0, ready=False), rules, batch=1, now=12.0)
    assert waiting.progress is Progress.UPDATING and not waiting.start and "web-0" in waiting.reason
    watched = ask(members, rules, batch=1, now=12.0)
    assert (watched.progress, watched.until) == (Progress.WATCHING, 40.0)
    assert ask(changed(members, 0, ready_at=20.0), rules, batch=1, now=12.0).until == 50.0, "it was not ready meanwhile"
    after = ask(members, rules, batch=1, now=40.0)
    assert (after.batch, after.start) == (2, (Start("n1", START),))


def test_of_many_that_are_waited_for_three_are_named() -> None:
    members = some(5, **{**done(1), "ready": False})
    assert ask(members, Rules(size=5), batch=1).reason == "Waiting for web-0, web-1, web-2 and 2 more"


def test_the_pause_runs_beside_the_watch_and_not_after_the_last() -> None:
    rules = Rules(size=1, monitor=30.0, pause=100.0)
    members = changed(some(2), 0, **done(1, 10.0))
    assert ask(members, rules, batch=1, now=50.0).until == 110.0
    assert ask(members, rules, batch=1, now=50.0).progress is Progress.RESTING
    assert ask(members, rules, batch=1, now=110.0).batch == 2
    last = [replace(one, **done(2, 10.0)) for one in members]
    assert ask(last, rules, batch=2, now=50.0).progress is Progress.DONE


def test_a_batch_that_was_held_up_is_filled_later() -> None:
    rules = Rules(size=2, floor=2, order=Order.STOP_FIRST)
    first = ask(some(3), rules)
    assert (started(first, STOP), first.batch, first.planned) == (["n0"], 1, 2)
    members = changed(some(3), 0, under_way=STOP, serving=False)
    assert ask(members, rules, batch=1, planned=2).start == ()
    members = changed(some(3), 0, **done(1))
    second = ask(members, rules, batch=1, planned=2, now=1.0)
    assert (started(second, STOP), second.batch) == (["n1"], 1)
    members = changed(members, 1, **done(1))
    third = ask(members, rules, batch=1, planned=2, now=1.0)
    assert (started(third, STOP), third.batch, third.planned) == (["n2"], 2, 1)


def test_what_holds_up_the_rest_of_a_batch_does_not_hold_up_the_update() -> None:
    members = [*(replace(one, **done(1)) for one in some(1)), *some(3, busy="NODE_OPERATION")[1:]]
    rules = Rules(size=2, pause=20.0)
    assert ask(members, rules, batch=1, planned=2, now=1.0).progress is Progress.RESTING
    assert ask(members, rules, batch=1, planned=2, now=20.0).progress is Progress.HELD


def test_new_members_are_updated_in_turn_and_those_that_left_are_not_waited_for() -> None:
    members = [*(replace(one, **done(1)) for one in some(2)), Member(id="new", name="new")]
    step = ask(members, Rules(size=2), batch=1, now=1.0)
    assert step.start == (Start("new", START),)
    assert ask([], Rules(size=2), batch=3, now=1.0).progress is Progress.DONE


@pytest.mark.parametrize("excused", ["its user has stopped it", "it waits for room"])
def test_who_is_not_expected_to_be_ready_holds_nobody_up(excused: str) -> None:
    members = some(1, **done(1), ready=False, serving=False, excused=excused)
    assert ask(members, Rules(size=1, monitor=5.0), batch=1, now=5.0).progress is Progress.DONE


# --- failures ---------------------------------------------------------------------------------------------------------

FAILED = {"attempt": Attempt(1, 5.0, failed=True, reason="the image has no such command")}


@pytest.mark.parametrize(
    ("on_failure", "progress"),
    [
        (OnFailure.STOP, Progress.FAILED),
        (OnFailure.PAUSE, Progress.PAUSED),
        (OnFailure.ROLLBACK, Progress.TURNING),
        (OnFailure.CONTINUE, Progress.UPDATING),
    ],
)
def test_what_follows_from_a_failure(on_failure: OnFailure, progress: Progress) -> None:
    step = ask(changed(some(3), 0, **FAILED), Rules(size=1, on_failure=on_failure), batch=1, now=9.0)
    assert step.progress is progress
    if progress is not Progress.UPDATING:
        assert step.reason == "1 of 3 members failed: web-0: the image has no such command" and not step.start


def test_so_many_may_fail_as_the_policy_tolerates_but_none_of_a_canary() -> None:
    rules = Rules(size=1, tolerated=1, on_failure=OnFailure.ROLLBACK)
    members = changed(some(3), 0, **FAILED)
    assert ask(members, rules, batch=1, now=9.0).start == (Start("n1", START),)
    two = changed(members, 1, **FAILED)
    assert ask(two, rules, batch=1, now=9.0).progress is Progress.TURNING
    assert ask(members, replace(rules, canary=2), batch=1, now=9.0).progress is Progress.TURNING
    assert ask(members, replace(rules, canary=2), batch=2, now=9.0, promoted=True).start == (Start("n1", START),)
    ended = [replace(one, **done(2)) if i else one for i, one in enumerate(members)]
    assert ask(ended, rules, batch=2, now=9.0).progress is Progress.DONE
    assert ask(ended, replace(rules, tolerated=0, on_failure=OnFailure.CONTINUE), batch=2).progress is Progress.FAILED


@pytest.mark.parametrize(
    ("fields", "fails"),
    [
        ({"broken": True, "ready": False}, True),
        ({"repaired": True}, True),
        ({"ready": False, "ready_at": 10.0}, False),
        ({"ready": False, "ready_at": -60.0}, True),
        ({"broken": True, "ready": False, "busy": "NODE_RECOVER"}, False),
        ({"broken": True, "ready": False, "excused": "its host does not answer", "in_reach": False}, False),
    ],
)
def test_who_does_not_stay_well_has_failed_too(fields: dict[str, Any], fails: bool) -> None:
    rules = Rules(size=1, monitor=30.0, ready_timeout=60.0, on_failure=OnFailure.ROLLBACK)
    members = changed(some(2), 0, **{**done(1, 5.0), "serving": False, **fields})
    assert (ask(members, rules, batch=1, now=20.0).progress is Progress.TURNING) == fails


def test_a_failure_that_has_healed_is_none() -> None:
    healed = changed(some(1), 0, updated=True, **FAILED)
    assert ask(healed, batch=1, now=9.0).progress is Progress.DONE


def test_an_update_that_stops_waits_for_what_is_under_way() -> None:
    members = changed(changed(some(3), 0, **FAILED), 1, under_way=START)
    step = ask(members, batch=1, now=9.0)
    assert step.progress is Progress.UPDATING and "ends when the 1 under way" in step.reason and not step.start


def test_what_is_broken_on_the_new_profile_already_is_made_anew() -> None:
    broken = some(1, updated=True, broken=True, ready=False, serving=False)
    assert ask(broken).start == (Start("n0", REPLACE),)


def test_what_is_held_up_for_too_long_is_given_up() -> None:
    rules = Rules(size=1, patience=60.0, on_failure=OnFailure.ROLLBACK)
    busy = some(1, busy="NODE_OPERATION")
    assert ask(busy, rules, now=100.0, held_since=50.0).progress is Progress.HELD
    late = ask(busy, rules, now=110.0, held_since=50.0)
    assert late.progress is Progress.TURNING and "nothing could begin for 60 s" in late.reason


# --- canary -----------------------------------------------------------------------------------------------------------


def test_the_canary_goes_first_alone_and_the_others_follow_when_it_is_promoted() -> None:
    rules = Rules(size=3, canary=1, monitor=10.0)
    assert ask(some(4), rules).start == (Start("n0", START),)
    members = changed(some(4), 0, **done(1))
    assert ask(members, rules, batch=1, now=9.0).progress is Progress.WATCHING
    gate = ask(members, rules, batch=1, now=10.0)
    assert gate.progress is Progress.CANARY and gate.until is None and "until it is promoted" in gate.reason
    assert len(ask(members, rules, batch=1, now=10.0, promoted=True).start) == 3


def test_a_canary_is_promoted_by_itself_where_the_policy_says_when() -> None:
    rules = Rules(size=3, canary=2, monitor=10.0, promote_after=60.0)
    members = [replace(one, **done(1)) if i < 2 else one for i, one in enumerate(some(4))]
    assert ask(members, rules, batch=1, now=10.0).until == 70.0
    after = ask(members, rules, batch=1, now=70.0)
    assert after.promoted and len(after.start) == 2


def test_a_canary_larger_than_a_batch_goes_in_several() -> None:
    rules = Rules(size=2, canary=3)
    assert len(ask(some(5), rules).start) == 2
    members = [replace(one, **done(1)) if i < 2 else one for i, one in enumerate(some(5))]
    assert ask(members, rules, batch=1, now=1.0).start == (Start("n2", START),)


def test_a_canary_of_all_waits_before_the_end() -> None:
    members = [replace(one, **done(1)) for one in some(2)]
    assert ask(members, Rules(size=2, canary=5), batch=1, now=1.0).progress is Progress.CANARY
    assert ask(members, Rules(size=2, canary=5), batch=1, now=1.0, promoted=True).progress is Progress.DONE


# --- the way back -----------------------------------------------------------------------------------------------------


def test_the_broken_are_restored_before_anything_that_serves_is_touched() -> None:
    rules = Rules(size=2, floor=1, monitor=30.0, order=Order.STOP_FIRST, on_failure=OnFailure.CONTINUE)
    down = {"broken": True, "ready": False, "serving": False}
    members = changed(changed(some(4), 1, **down), 3, **down)
    first = ask(members, rules, restoring=True, batch=2)
    assert first.start == (Start("n1", REPLACE), Start("n3", REPLACE))
    under = [replace(one, under_way=REPLACE) if one.broken else one for one in members]
    assert ask(under, rules, restoring=True, batch=2).start == ()
    mended = [replace(one, **done(2), broken=False, ready=True, serving=True) if one.broken else one for one in members]
    assert ask(mended, rules, restoring=True, batch=2, now=1.0).progress is Progress.WATCHING
    assert len(ask(mended, rules, restoring=True, batch=2, now=30.0).start) == 2


def test_one_that_cannot_be_restored_does_not_keep_the_others_from_it() -> None:
    failed = changed(some(3), 0, ready=False, serving=False, broken=True, **FAILED)
    step = ask(failed, Rules(size=1, floor=1, on_failure=OnFailure.CONTINUE), restoring=True, batch=1, now=9.0)
    assert step.start == (Start("n1", START),)


@pytest.mark.parametrize(("excused", "waits"), [("", True), ("its user has stopped it", False)])
def test_what_serves_waits_until_those_out_of_service_are_restored(excused: str, waits: bool) -> None:
    members = changed(some(2), 0, under_way=REPLACE, ready=False, serving=False, excused=excused)
    step = ask(members, Rules(size=2), restoring=True, batch=1, planned=2)
    assert (not step.start) is waits and ("restored first" in step.reason) is waits


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"broken": True, "ailment": "exited 1"}, "its new container is broken: exited 1"),
        ({"repaired": True}, "its new container did not stay well"),
        ({}, "its new container is not ready any more"),
        ({"attempt": Attempt(1, 0.0, failed=True, reason="no image"), "broken": True}, "no image"),
    ],
)
def test_why_a_member_failed(fields: dict[str, Any], why: str) -> None:
    assert why_failed(some(1, **fields)[0]) == why


# --- worlds -----------------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """A world that obeys and has surprises."""

    members: list[Member]
    chance: random.Random
    rules: Rules
    restoring: bool
    now: float = 0.0
    batch: int = 0
    planned: int = 0
    promoted: bool = False
    held_since: float | None = None

    def situation(self, room: Mapping[str, str] | None = None) -> Situation:
        return Situation(
            members=self.members,
            rules=self.rules,
            now=self.now,
            batch=self.batch,
            planned=self.planned,
            promoted=self.promoted,
            restoring=self.restoring,
            held_since=self.held_since,
            room=room,
        )

    def step(self) -> Next:
        room = None
        if self._one_in(2):
            room = {one.id: self.chance.choice(["", "full"]) for one in self.members}
        return decide(self.situation(room))

    def obey(self, step: Next) -> None:
        after = advanced(self.situation(), step)
        self.batch, self.planned, self.promoted = after.batch, after.planned, after.promoted
        held = step.progress is Progress.HELD
        self.held_since = (self.now if self.held_since is None else self.held_since) if held else None
        for one in step.start:
            out = {"serving": False} if one.manner in (STOP, REPLACE) else {}
            self._change(one.member_id, under_way=one.manner, **out)

    def _one_in(self, count: int) -> bool:
        return self.chance.randrange(count) == 0

    def _change(self, member_id: str, **fields: Any) -> None:
        self.members = [replace(one, **fields) if one.id == member_id else one for one in self.members]

    def happen(self) -> None:
        """Something under way ends, somebody comes or goes, something dies or is healed; time passes."""
        self.now += self.chance.choice([1.0, 5.0, 40.0])
        for one in self.members:
            if one.under_way is not None and not self._one_in(4):
                self._end(one, failed=self._one_in(6))
            elif one.under_way is None and self._one_in(15):
                self._surprise(one)
        if self._one_in(10) and self.now < 400:
            self.members = [*self.members, Member(id=f"x{self.now}", name="new", ready_at=self.now)]

    def _end(self, one: Member, *, failed: bool) -> None:
        attempt = Attempt(self.batch, self.now, failed, "it failed")
        if failed and one.under_way in (START, Manner.IN_PLACE):
            self._change(one.id, under_way=None, attempt=attempt)
            return
        well = {"broken": failed, "ready": not failed, "serving": not failed, "ready_at": self.now}
        self._change(one.id, under_way=None, attempt=attempt, updated=True, **well)

    def _surprise(self, one: Member) -> None:
        what = "heals" if self.now > 400 else self.chance.choice(["dies", "heals", "leaves", "flaps"])
        if what == "leaves":
            self.members = [other for other in self.members if other is not one]
        elif what == "heals":
            self._change(one.id, broken=False, ready=True, serving=True, ready_at=self.now)
        else:
            repaired = one.attempt is not None
            self._change(
                one.id, broken=what == "dies", ready=False, serving=False, ready_at=self.now, repaired=repaired
            )

    def turn(self) -> None:
        """All that were updated go back; those that were not stay as they are."""
        self.restoring, self.rules = True, restored(self.rules)
        self.members = [replace(one, updated=not one.updated, attempt=None, repaired=False) for one in self.members]


def restored(rules: Rules) -> Rules:
    return replace(rules, canary=0, on_failure=OnFailure.CONTINUE)


def a_world(seed: int) -> Told:
    chance = random.Random(seed)
    count, order, restoring = chance.randrange(9), chance.choice(list(Order)), chance.random() < 0.3
    rules = Rules(
        size=chance.randint(1, 8),
        floor=chance.randint(0, max(count - 1, 0)),
        monitor=chance.choice([0.0, 30.0]),
        pause=chance.choice([0.0, 20.0]),
        order=order,
        overlap=order is Order.START_FIRST or chance.random() < 0.7,
        ready_timeout=60.0,
        patience=120.0,
        tolerated=chance.randrange(3),
        on_failure=chance.choice(list(OnFailure)),
        canary=chance.randrange(4),
        promote_after=chance.choice([0.0, 50.0]),
    )
    return Told(some(count), chance, restored(rules) if restoring else rules, restoring)


@given(st.integers(0, 2**32))
def test_an_update_ends_and_never_takes_more_out_of_service_than_it_may(seed: int) -> None:
    world = a_world(seed)
    for _ in range(400):
        step = world.step()
        _check(world, step)
        if step.progress in (Progress.DONE, Progress.FAILED, Progress.PAUSED):
            break
        if step.progress is Progress.TURNING:
            assert not world.restoring, "what goes back never turns round again"
            world.turn()
        world.obey(step)
        world.happen()
    else:
        raise AssertionError(f"it never ended: {step} {world.members}")
    if step.progress is Progress.DONE:
        assert sum(not one.updated for one in world.members) <= world.rules.tolerated


def _check(world: Told, step: Next) -> None:
    by_id = {one.id: one for one in world.members}
    chosen = [by_id[start.member_id] for start in step.start]
    assert len({one.id for one in chosen}) == len(chosen), "each once"
    assert all(one.under_way is None and one.attempt is None and not one.busy for one in chosen)
    stopped = [by_id[one.member_id] for one in step.start if one.manner is STOP]
    serving = sum(one.serving for one in world.members)
    assert not stopped or serving - len(stopped) >= world.rules.floor, "enough stay in service"
    assert all(not by_id[one.member_id].serving for one in step.start if one.manner is REPLACE)
    if not world.rules.overlap:
        assert not any(one.manner is START for one in step.start)
    under_way = sum(one.under_way is not None for one in world.members)
    if world.restoring:
        down = [m for m in world.members if not (m.serving or m.updated or m.attempt or m.under_way or m in chosen)]
        assert not down or not any(one.serving for one in chosen), "the broken come first"
    else:
        assert not chosen or under_way + len(chosen) <= world.rules.size
