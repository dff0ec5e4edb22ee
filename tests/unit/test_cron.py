"""Cron expressions against what the clocks of their zone show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spinney.domain.cron import Cron, require_expression, require_zone
from spinney.domain.schema import NotAllowed


def at(text: str) -> float:
    """As ``2026-03-29T02:30+01:00``; without an offset: UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def shown(moment: float | None, zone: str = "UTC") -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, ZoneInfo(zone)).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        ("30 4 * * *", "2026-05-01T04:29", "2026-05-01T04:30+00:00"),
        ("30 4 * * *", "2026-05-01T04:30", "2026-05-02T04:30+00:00"),  # later, never the same
        ("*/20 * * * *", "2026-05-01T04:29:59.9", "2026-05-01T04:40+00:00"),
        ("0 0 1 * MON", "2026-05-02T00:00", "2026-05-04T00:00+00:00"),  # both restricted: either
        ("0 0 L * *", "2026-02-01T00:00", "2026-02-28T00:00+00:00"),
        ("0 0 * * FRI#2", "2026-05-01T00:00", "2026-05-08T00:00+00:00"),
        ("0 0 29 2 *", "2026-05-01T00:00", "2028-02-29T00:00+00:00"),
        ("@weekly", "2026-05-01T00:00", "2026-05-03T00:00+00:00"),
    ],
)
def test_the_next_moment_is_the_first_one_later(expression: str, after: str, then: str) -> None:
    assert shown(Cron(require_expression(expression)).next_after(at(after))) == then


SPRING = "2026-03-29T01:00+01:00"  # 02:00 becomes 03:00
AUTUMN = "2026-10-25T01:00+02:00"  # 03:00 becomes 02:00


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        # A time of day that is skipped comes at the end of the gap, once, and those behind the gap stay.
        ("30 2 * * *", SPRING, ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("10,20 2 * * *", SPRING, ["2026-03-29T03:00+02:00", "2026-03-30T02:10+02:00"]),
        ("15 2,3 * * *", SPRING, ["2026-03-29T03:00+02:00", "2026-03-29T03:15+02:00"]),
        # One that is shown twice comes the first time.
        ("30 2 * * *", AUTUMN, ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("30 2 * * *", "2026-10-25T02:15+01:00", ["2026-10-26T02:30+01:00"]),
        # Intervals run with the clock on the wall.
        ("*/30 2 * * *", SPRING, ["2026-03-30T02:00+02:00", "2026-03-30T02:30+02:00"]),
        (
            "*/30 2 * * *",
            AUTUMN,
            ["2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"],
        ),
        ("0 * * * *", SPRING, ["2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]),
        ("0 * * * *", AUTUMN, ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"]),
    ],
)
def test_what_the_clocks_do_twice_a_year(expression: str, after: str, then: list[str]) -> None:
    cron, moment, found = Cron(expression, "Europe/Berlin"), at(after), []
    for _ in then:
        moment = cron.next_after(moment) or 0.0
        found.append(shown(moment, cron.zone))
    assert found == then


#: Zones with the beginning of days on which their clocks change: by an hour, by half an hour, by a whole day.
CHANGING = [
    ("Europe/Berlin", "2026-03-28T12:00"),
    ("America/New_York", "2026-11-01T00:00"),
    ("Australia/Lord_Howe", "2026-04-04T10:00"),
    ("Australia/Lord_Howe", "2026-10-03T10:00"),
    ("Pacific/Apia", "2011-12-29T12:00"),
    ("UTC", "2026-03-28T12:00"),
]


def minutes_that_match(minute: str, hour: str, zone: str, start: float, count: int) -> list[float]:
    """The same by looking at every minute of the clock on the wall, for fields of one number, ``*`` or ``*/n``."""
    tz = ZoneInfo(zone)

    def fits(field: str, value: int) -> bool:
        return value % int(field[2:] or 1) == 0 if field.startswith("*") else int(field) == value

    found: list[float] = []
    walls: set[datetime] = set()
    before = datetime.fromtimestamp(start, tz).replace(tzinfo=None)
    for step in range(1, count + 1):
        moment = start + 60 * step
        wall = datetime.fromtimestamp(moment, tz).replace(tzinfo=None, fold=0)
        if minute.startswith("*") or hour.startswith("*"):
            due = fits(minute, wall.minute) and fits(hour, wall.hour)
        else:
            passed = [before + timedelta(minutes=i) for i in range(1, int((wall - before).total_seconds()) // 60 + 1)]
            due = any(fits(minute, one.minute) and fits(hour, one.hour) and one not in walls for one in passed)
            walls.update(passed)
            walls.add(wall)
        if due:
            found.append(moment)
        before = wall
    return found


@settings(deadline=None, max_examples=30)
@given(
    place=st.sampled_from(CHANGING),
    minute=st.sampled_from(["0", "5", "30", "59", "*", "*/15", "*/45"]),
    hour=st.sampled_from(["0", "1", "2", "3", "4", "10", "23", "*", "*/2", "*/3"]),
)
@example(place=CHANGING[2], minute="*/15", hour="4")
@example(place=CHANGING[4], minute="0", hour="10")
def test_agrees_with_a_look_at_every_minute(place: tuple[str, str], minute: str, hour: str) -> None:
    zone, begin = place
    start, count = at(begin), 2 * 24 * 60
    cron = Cron(f"{minute} {hour} * * *", zone)
    assert cron.between(start, start + 60 * count, 10_000) == minutes_that_match(minute, hour, zone, start, count)


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "0 */6 * * *", "0 0 1 * *", "* * 1 1 *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    st.floats(1.6e9, 1.9e9),
    st.floats(0, 40 * 86400),
    st.integers(0, 30),
)
def test_between_gives_the_last_of_what_next_gives_one_by_one(
    expression: str, zone: str, after: float, span: float, at_most: int
) -> None:
    cron = Cron(expression, zone)
    found = cron.between(after, after + span, at_most)
    assert found == sorted(set(found))
    assert len(found) <= at_most
    assert all(after < moment <= after + span for moment in found)
    for one, following in pairwise(found):
        assert cron.next_after(one) == following
    if found:
        assert (cron.next_after(found[-1]) or 0) > after + span
        assert cron.last_until(after + span) == found[-1]
    elif at_most:
        assert (cron.next_after(after) or 0) > after + span


def test_a_bound_is_kept_over_years() -> None:
    cron = Cron("* * * * *")
    until = at("2026-01-01T00:00")
    assert cron.between(0, until, 3) == [until - 120, until - 60, until]


def test_before_the_first_moment_there_is_none() -> None:
    assert Cron("0 0 29 2 MON#5").between(at("2026-01-01"), at("2026-12-31"), 5) == []


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("61 * * * *", "its minute '61' is not understood: give 0 to 59"),
        ("* 7-3 * * *", "its hour '7-3' is not understood"),
        ("* * ² * *", "its day-of-month '²' is not understood"),
        ("* * * FOO *", "its month 'FOO' is not understood: give 1 to 12, or JAN to DEC"),
        ("* * * * 5#6", "its day-of-week '5#6' is not understood"),
        ("*/0 * * * *", "its minute '*/0' is not understood"),
        ("* * * *", "five fields (minute, hour"),
        ("0 0 * * * *", "five fields (minute, hour"),
        ("@reboot", "five fields (minute, hour"),
        ("", "five fields (minute, hour"),
        ("0 0 30 2 *", "no year has a day with day-of-month '30', month '2'"),
        ("0 0 */31 2 1#5", "no year has a day"),
        (",".join(["1"] * 99) + " * * * *", "in at most 100 characters"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said(expression: str, says: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        require_expression(expression)
    assert says in refused.value.allowed


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.text(max_size=30), st.text("0123456789*/-,#L WAUGJN", max_size=30)))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        require_expression(text)
    except NotAllowed:
        return
    assert (Cron(text).next_after(0.0) or 0.0) > 0.0


@pytest.mark.parametrize(
    "zone", ["", "Berlin", "europe/berlin", "../UTC", "/etc/localtime", "Europe", "localtime", "\0", "\ud800"]
)
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(NotAllowed, match="name of a time zone"):
        require_zone(zone)


def test_a_zone_of_the_list_is_one() -> None:
    assert [require_zone(zone) for zone in ("UTC", "Europe/Berlin", "Etc/GMT+5")]
