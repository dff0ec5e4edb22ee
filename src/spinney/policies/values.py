"""Values that several policy types read."""

from __future__ import annotations

from typing import Annotated, Any

from spinney.domain.cron import require_expression, require_zone
from spinney.domain.schema import Integer, Line, NotAllowed, Number, Rule, Text, at_most, between, matching

LABEL_NAME = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}"
_LONGEST_LIST = 1000


def _each_once(value: tuple[Any, ...]) -> tuple[Any, ...]:
    seen = set()
    for item in value:
        if item in seen:
            raise NotAllowed(f"a list in which nothing stands twice; '{item}' does")
        seen.add(item)
    return value


each_once = Rule("each once", _each_once)

LabelName = Annotated[Text, matching(LABEL_NAME, "the name of a label: 1 to 128 letters, digits and ._/-")]
LabelValue = Annotated[Text, matching(r"[^\n\r\t]*", "at most 255 characters on one line")]
Key = Annotated[Text, matching(rf"host|zone|region|label:{LABEL_NAME}", "host, zone, region or label:NAME")]
Words = Annotated[tuple[Line, ...], at_most(_LONGEST_LIST, "entries"), each_once]
Share = Annotated[Number, between(0, 1, "a share")]
Weight = Annotated[Integer, between(0, 1_000_000, "a whole number")]
CronExpression = Annotated[
    Text, Rule("a cron expression of five fields, as '30 4 * * *', or @daily and the like", require_expression)
]
TimeZone = Annotated[Text, Rule("the name of a time zone, as Europe/Berlin", require_zone)]
