"""Whether something waited for has come true."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.cli import waiting
from spinney.cli.command import Use
from spinney.cli.faults import Refused, Unreachable
from spinney.cli.output import Format
from spinney.cli.progress import await_goal, live_text
from spinney.cli.waiting import Scene, State, Verdict

PENDING, REACHED, FAILED = State.PENDING, State.REACHED, State.FAILED


def scene(status: str | None, action: str | None, members: str = "", desired: int = 2, **fields: Any) -> Scene:
    """``members`` is one letter each: A active, E error, C creating, O operating, U updating."""
    words = {"A": "ACTIVE", "E": "ERROR", "C": "CREATING", "O": "OPERATING", "U": "UPDATING"}
    rows = [{"id": f"n{i}", "status": words[m], "profile_id": fields.get("of", "p")} for i, m in enumerate(members)]
    subject = None if status is None else {"status": status, "desired_capacity": desired, **fields}
    return Scene(subject, rows, None if action is None else {"status": action, "status_reason": "why"})


@pytest.mark.parametrize(
    ("target", "status", "action", "members", "verdict"),
    [
        (2, "ACTIVE", "RUNNING", "AA", PENDING),  # what is there may be what was there before
        (2, "ACTIVE", "SUCCEEDED", "AA", REACHED),
        (2, "ACTIVE", "SUCCEEDED", "A", PENDING),  # one look between two writes
        (2, "ACTIVE", "FAILED", "AA", REACHED),  # somebody else finished the job
        (3, "ACTIVE", "SUCCEEDED", "AA", FAILED),  # settled at another size
        (None, "ACTIVE", "FAILED", "AA", FAILED),  # nothing changed, and it was meant to
        (None, "ACTIVE", "CANCELLED", "AA", FAILED),
        (None, "ACTIVE", "SUCCEEDED", "AA", REACHED),
        (None, "ACTIVE", None, "AA", REACHED),  # the row was cleaned away
        (2, "WARNING", "SUCCEEDED", "AE", FAILED),  # the row says yes, the members no
        (2, "ERROR", "FAILED", "EE", FAILED),
        (2, "RESIZING", "SUCCEEDED", "AA", PENDING),  # another action is at it
        (2, "UPDATING", "SUCCEEDED", "AA", REACHED),  # an update waits for its canary's promotion
        (None, "UPDATING", "SUCCEEDED", "AU", REACHED),  # or goes on
        (2, "WARNING", "SUCCEEDED", "AA", REACHED),  # or is paused
        (3, "UPDATING", "SUCCEEDED", "AA", FAILED),
        (None, "UPDATING", "FAILED", "AA", FAILED),
        (2, "UPDATING", "SUCCEEDED", "AC", PENDING),
        (2, None, "SUCCEEDED", "", FAILED),
    ],
)
def test_sizes(target: int | None, status: str | None, action: str | None, members: str, verdict: State) -> None:
    assert waiting.sized(target)(scene(status, action, members)).state is verdict


def test_an_empty_cluster_is_complete() -> None:
    assert waiting.sized(0)(scene("ACTIVE", "SUCCEEDED", "", desired=0)).state is REACHED


@pytest.mark.parametrize(
    ("status", "action", "expected"),
    [("DELETING", "RUNNING", PENDING), (None, "FAILED", REACHED), ("ACTIVE", "SUCCEEDED", PENDING),
     ("ERROR", "FAILED", FAILED), ("DELETING", "FAILED", PENDING)],
)  # fmt: skip
def test_gone_is_only_what_answers_404(status: str | None, action: str, expected: State) -> None:
    assert waiting.gone()(scene(status, action)).state is expected


def test_a_cancelled_check_tells_nothing_but_a_recovery_is_judged_by_what_it_left() -> None:
    well = scene("ACTIVE", "CANCELLED", "AA")
    assert waiting.healthy(whatever_the_action=False)(well).state is FAILED
    assert waiting.healthy(whatever_the_action=True)(well).state is REACHED
    assert waiting.healthy(whatever_the_action=True)(scene("WARNING", "SUCCEEDED", "AE")).state is FAILED
    assert waiting.healthy(whatever_the_action=False)(scene("UPDATING", "SUCCEEDED", "AA")).state is REACHED
    node = Scene({"status": "WARNING", "physical_id": "x"}, (), {"status": "SUCCEEDED"})
    assert waiting.healthy(whatever_the_action=False)(node).state is FAILED


def test_an_update_is_done_when_no_member_is_left_behind() -> None:
    goal = waiting.matches({"profile_id": "q"}, {"profile_id": "q"})
    assert goal(scene("ACTIVE", "SUCCEEDED", "AA", profile_id="q", of="q")).state is REACHED
    assert goal(scene("ACTIVE", "SUCCEEDED", "AA", profile_id="q", of="p")).state is PENDING
    assert goal(scene("ACTIVE", "FAILED", "AA", profile_id="p", of="p")).state is FAILED
    assert goal(scene("CHECKING", "SUCCEEDED", "AA", profile_id="q", of="q")).state is REACHED
    rename = waiting.matches({"name": "new"}, {})
    assert rename(scene("WARNING", "SUCCEEDED", "AE", name="new")).state is REACHED  # not what was asked about


def test_membership_looks_at_ids() -> None:
    goal = waiting.membership(present={"n1"}, absent={"n9"})
    assert goal(scene("WARNING", "SUCCEEDED", "AE")).state is REACHED
    assert waiting.membership((), {"n1"})(scene("ACTIVE", "SUCCEEDED", "AA")).state is PENDING
    assert waiting.membership((), {"n1"})(scene("ACTIVE", "FAILED", "AA")).state is FAILED


def test_an_operation_has_to_leave_nothing_broken() -> None:
    assert waiting.operated()(scene("ACTIVE", "SUCCEEDED", "AO")).state is PENDING
    assert waiting.operated()(scene("ACTIVE", "SUCCEEDED", "AA")).state is REACHED
    assert waiting.operated()(scene("ACTIVE", "SUCCEEDED", "AE")).state is FAILED


def test_error_is_final_only_when_nobody_is_at_work() -> None:
    assert waiting.status_is("ACTIVE")(scene("ERROR", "RUNNING", "E")).state is PENDING
    assert waiting.status_is("ACTIVE")(scene("ERROR", None, "E")).state is FAILED
    assert waiting.status_is("ERROR")(scene("ERROR", None, "E")).state is REACHED


def test_the_action_is_quoted_only_when_no_member_says_why() -> None:
    assert "why" in waiting.sized(2)(scene("WARNING", "FAILED", "A")).says
    waits = Scene(
        {"status": "WARNING"}, [{"name": "n", "status": "INIT", "status_reason": "no room"}], {"status": "FAILED"}
    )
    assert waiting.sized(2)(waits).says.endswith("its action FAILED")
    assert waiting.reasons(waits.missing) == ["n: no room"]


def test_the_same_reason_is_said_once() -> None:
    members = [{"name": f"web-{i}", "status_reason": "no room"} for i in range(5)] + [
        {"name": "x", "status_reason": ""}
    ]
    assert waiting.reasons(members) == ["web-0, web-1, web-2 and 2 more: no room", "x: no reason given"]


def seen(*nodes: tuple[str, str, str]) -> Scene:
    """Nodes by name, status and reason."""
    return Scene(
        {"desired_capacity": 2}, [{"id": n, "status": status, "status_reason": why} for n, status, why in nodes]
    )


def test_the_newest_reason_of_what_is_not_in_service() -> None:
    news = waiting.News()
    assert news.newest(seen(("a", "INIT", "Initializing"), ("b", "CREATING", "Initializing"))) == ""
    assert news.newest(seen(("a", "CREATING", "try 2"), ("b", "CREATING", "Initializing"))) == "try 2"
    assert news.newest(seen(("a", "CREATING", "try 2"), ("b", "CREATING", "no room"))) == "no room"
    assert news.newest(seen(("a", "CREATING", "try 3"), ("b", "CREATING", "no room"))) == "try 3"
    assert news.newest(seen(("a", "ACTIVE", "Creation succeeded."), ("b", "CREATING", "no room"))) == "no room"
    assert news.newest(seen(("a", "ACTIVE", "Creation succeeded."))) == ""


def test_what_was_said_of_earlier_work_is_no_news() -> None:
    news = waiting.News()
    assert news.newest(seen(("a", "ACTIVE", "Creation succeeded."), ("b", "DELETING", "Creation succeeded."))) == ""
    assert news.newest(seen(("a", "UPDATING", "Creation succeeded."))) == ""
    assert news.newest(seen(("a", "UPDATING", "no such host (try 2 of 6 follows)"))).startswith("no such host")


def test_a_node_waited_for_speaks_for_itself() -> None:
    alone = Scene({"id": "n", "physical_id": None, "status": "INIT", "status_reason": "Waiting for room"})
    assert waiting.News().newest(alone) == "Waiting for room"


def test_the_live_line_stays_one_line_however_much_there_is_to_say() -> None:
    shown = seen(("a", "CREATING", "no"), ("b", "ERROR", "broken " * 20))
    lines = live_text("林" * 9, shown, "CREATING", "no such\nhost " * 20, 3, width=60).split()
    assert [line.cell_len for line in lines] == [60, 60]
    assert "no such host" in lines[0].plain and lines[0].plain.endswith("…")
    twice = live_text("web", shown, "CREATING", "broken " * 20, 3, width=60).split()
    assert twice[0].plain == "web ░░░░░░░░░░ CREATING (3s)"  # the reason stands in the line below


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.at, self.pauses = 0.0, []

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at += seconds


class Silent:
    def show(self, scene: Scene, says: str, elapsed: float) -> None: ...


def never(_: Scene) -> Verdict:
    return Verdict(PENDING, "")


def test_polling_backs_off_and_ends_on_time() -> None:
    clock = Clock()
    outcome = waiting.wait_for(lambda: Scene(None), never, 10.0, Silent(), clock.now, clock.sleep)
    assert outcome.verdict.state is PENDING
    assert clock.pauses[0] == pytest.approx(0.2)
    assert max(clock.pauses) == pytest.approx(1.0)
    assert clock.at == pytest.approx(10.0)


def test_a_slow_service_is_asked_less_often() -> None:
    assert waiting.pause_after(0, look_took=0.5) == pytest.approx(2.0)
    assert waiting.pause_after(0, look_took=60.0) == pytest.approx(5.0)


def test_a_service_that_is_away_for_a_while_is_waited_for() -> None:
    clock = Clock()
    looks: list[Any] = [scene("CREATING", "RUNNING"), Unreachable("restarting"), scene("ACTIVE", "SUCCEEDED", "AA")]

    def look() -> Scene:
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]

    outcome = waiting.wait_for(look, waiting.sized(2), 60.0, Silent(), clock.now, clock.sleep)
    assert outcome.verdict.state is REACHED


def test_a_refusal_while_waiting_is_not_hidden() -> None:
    def look() -> Scene:
        raise Refused("no", 403)

    with pytest.raises(Refused):
        waiting.wait_for(look, never, 60.0, Silent(), Clock().now, Clock().sleep)


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("RUNNING", "follow it with `spinney action show 985ae160`, cancel it with `spinney action cancel 985ae160`"),
        ("SUCCEEDED", "its action has ended"),
        (None, "`spinney action list` shows it"),
    ],
)
def test_who_stops_waiting_is_told_that_work_goes_on(
    action: str | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = None if action is None else {"id": "985ae160-aaaa", "status": action}

    def goal(_: Scene) -> Verdict:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await_goal(Use(None, Format.TABLE), "web", lambda: Scene({"status": "RESIZING"}, (), seen), goal)
    told = capsys.readouterr().err
    assert told.startswith("web: no longer waited for; ") and says in told
