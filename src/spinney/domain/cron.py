"""Cron expressions with a time zone: which moments they name.

An expression has five fields (minute, hour, day of the month, month, day of the week), read as Debian's cron reads them: if
both days are restricted, either of them is enough. What the clocks of the zone do twice a year is dealt with as there:

* An expression whose minute and hour both name times (neither begins with ``*``) means a time of day. One that the clocks
  skip is the first moment after the gap; one that they show twice is the first of the two.
* Any other means an interval, and follows the clock on the wall: nothing in an hour that is skipped, again in one that comes
  twice.

Guaranteed: every look-up is bounded, whatever the expression and however far apart the moments asked for; moments are whole
seconds since the epoch. Not guaranteed: that a moment far ahead keeps, because zones change their rules; the rules are those
of the system's zone files or, where it has none, of the package tzdata.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from spinney.domain.schema import NotAllowed

_LONGEST = 100
#: Where a look for any moment at all begins: the 50 years from then hold every combination of date and day of the week.
_SOMETIME = datetime(2000, 1, 1, tzinfo=UTC)
_DAY = 86400.0
_FIRST_LOOK_BACK = 3600.0
_FARTHEST = 50 * 366 * _DAY

_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_VALUES = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, or L for the last one",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7 (0 and 7 are Sunday), or SUN to SAT, as 5L for the last one of a month or 5#2 for its second one",
}


@dataclass(frozen=True, slots=True)
class Cron:
    """Both have passed ``require_expression`` and ``require_zone``."""

    expression: str
    zone: str = "UTC"

    def next_after(self, moment: float) -> float | None:
        """The first moment later than the one given; None: none within 50 years."""
        return next(self._from(moment), None)

    def between(self, after: float, until: float, at_most: int) -> list[float]:
        """The last ``at_most`` moments that are later than ``after`` and not later than ``until``, in order."""
        back = _FIRST_LOOK_BACK
        while True:
            start = max(after, until - back)
            found = list(takewhile(lambda moment: moment <= until, self._from(start)))
            if len(found) >= at_most or start == after or back >= _FARTHEST:
                return found[-at_most:] if at_most > 0 else []
            back *= 8

    def last_until(self, moment: float) -> float | None:
        """The latest moment that is not later than the one given; None: none within the 50 years before."""
        return next(iter(self.between(moment - _FARTHEST, moment, 1)), None)

    def _from(self, moment: float) -> Iterator[float]:
        """All moments later than the one given, in order."""
        text, zone = _SHORT.get(self.expression, self.expression), ZoneInfo(self.zone)
        minute, hour = text.split()[:2]
        moments = _intervals if minute.startswith("*") or hour.startswith("*") else _times_of_day
        return moments(text, zone, math.floor(moment))


def require_expression(value: str) -> str:
    """Raises: NotAllowed."""
    fields = _SHORT.get(value, value).split()
    if len(value) > _LONGEST or len(fields) != len(_FIELDS):
        raise NotAllowed(
            f"five fields ({', '.join(_FIELDS)}) in at most {_LONGEST} characters, as '30 4 * * *', or one of "
            f"{', '.join(_SHORT)}"
        )
    for name, field, alone in zip(_FIELDS, fields, _alone(fields), strict=True):
        if not _comes(alone):
            raise NotAllowed(
                f"its {name} '{field}' is not understood: give {_VALUES[name]}, or * for all, and of these lists (1,2), "
                "ranges (1-5) and steps (*/2)"
            )
    if not _comes(" ".join(fields)):
        day, month, weekday = fields[2:]
        raise NotAllowed(
            f"one that comes: no year has a day with day-of-month '{day}', month '{month}' and day-of-week '{weekday}'"
        )
    return value


def require_zone(value: str) -> str:
    """Raises: NotAllowed."""
    try:
        if value in ("localtime", "posixrules"):  # which mean another thing on each machine
            raise ValueError
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise NotAllowed("the name of a time zone in the IANA's list, as UTC or Europe/Berlin") from None
    return value


def _alone(fields: list[str]) -> list[str]:
    """Expressions with one of the fields each, and no other restriction."""
    return [" ".join(field if i == at else "*" for i in range(len(fields))) for at, field in enumerate(fields)]


def _comes(text: str) -> bool:
    try:
        return next(CronSim(text, _SOMETIME), None) is not None
    except CronSimError:
        return False


# --- moments ----------------------------------------------------------------------------------------------------------


def _times_of_day(text: str, zone: ZoneInfo, moment: float) -> Iterator[float]:
    latest = moment
    for wall in _walls(text, _local(zone, moment)):
        at = _on_the_clock(wall, zone)
        if at > latest:  # not what the clocks showed earlier already, nor two skipped times that become one
            latest = at
            yield at


def _on_the_clock(wall: datetime, zone: ZoneInfo) -> float:
    """The first time that the clocks show it, or the end of the gap in which they do not."""
    at = wall.replace(tzinfo=zone).timestamp()
    if _local(zone, at) == wall:
        return at
    # Within a gap, the offset that counts is the one before it, and so the moment lies behind its end.
    change = _change(zone, at - _DAY, at)
    return at if change is None else change


def _intervals(text: str, zone: ZoneInfo, moment: float) -> Iterator[float]:
    """Between two changes of the zone's offset its clocks simply run."""
    while True:
        offset, change = _offset(zone, moment), None
        for wall in _walls(text, _local(zone, moment)):
            at = wall.replace(tzinfo=UTC).timestamp() - offset
            change = _change(zone, moment, at)
            if change is not None:
                break
            moment = at
            yield at
        if change is None:
            return
        shown = _local(zone, change)
        if next(_walls(text, shown - timedelta(seconds=1)), None) == shown:
            yield change
        moment = change


def _walls(text: str, after: datetime) -> Iterator[datetime]:
    """What clocks without a zone show, later than ``after``."""
    try:
        yield from CronSim(text, after)
    except OverflowError:  # the end of the calendar
        return


def _local(zone: ZoneInfo, moment: float) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)


def _offset(zone: ZoneInfo, moment: float) -> float:
    offset = datetime.fromtimestamp(moment, zone).utcoffset()
    assert offset is not None
    return offset.total_seconds()


def _change(zone: ZoneInfo, after: float, until: float) -> float | None:
    """The first second later than ``after`` and not later than ``until`` with another offset; None: it stays."""
    offset = _offset(zone, after)
    low = after
    while low < until:
        high = min(low + _DAY, until)
        if _offset(zone, high) != offset:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if _offset(zone, middle) != offset else (middle, high)
            return float(int(high))
        low = high
    return None
