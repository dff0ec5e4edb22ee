"""``deploy.update_config``: how updates go, as policies of types ``senlin.policy.batch-1.0`` and ``spinney.policy.update-1.0``.

What it leaves out is as Compose has it, which is not always as these policies have it by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinney.cli.compose import values
from spinney.cli.compose.keys import Key, Keys, Reading, as_it_is, straight, walk
from spinney.cli.compose.places import Part, Unfit

BATCH: Mapping[str, Any] = {"min_in_service": 0, "max_batch_size": 1, "pause_time": 0}
UPDATE: Mapping[str, Any] = {"order": "stop-first", "monitor": 0, "failure_ratio": 0, "on_failure": "pause"}


def read_update_config(part: Part, reading: Reading) -> None:
    """Both policies come with it, also where all of their keys are left out."""
    for kind in ("batch", "update"):
        reading.draft.mark((kind,), part.at, {})
    walk(part, UPDATE_CONFIG, reading)


def _parallelism(part: Part, reading: Reading) -> None:
    """0 means all at once."""
    number = values.whole(part)
    if number < 0:
        raise Unfit(part.at, f"{number} is not allowed: so many members at a time, or 0 for all of them")
    reading.draft.put(("batch", "max_batch_size"), number or -1, part.at)


UPDATE_CONFIG = Keys(
    "services.*.deploy.update_config",
    {
        "parallelism": Key(
            _parallelism, "policy `senlin.policy.batch`: `max_batch_size`", "Left out: 1. 0: all members at once."
        ),
        "delay": Key(
            straight(("batch", "pause_time"), values.seconds),
            "policy `senlin.policy.batch`: `pause_time`",
            "Left out: 0. Whole seconds.",
        ),
        "order": Key(
            straight(("update", "order"), values.text),
            "policy `spinney.policy.update`: `order`",
            "`stop-first` or `start-first`; left out: `stop-first`.",
        ),
        "monitor": Key(
            straight(("update", "monitor"), values.seconds),
            "policy `spinney.policy.update`: `monitor`",
            "Left out: 0. Whole seconds.",
        ),
        "failure_action": Key(
            straight(("update", "on_failure"), values.text),
            "policy `spinney.policy.update`: `on_failure`",
            "`pause`, `continue` or `rollback`; left out: `pause`.",
        ),
        "max_failure_ratio": Key(
            as_it_is("update", "failure_ratio"), "policy `spinney.policy.update`: `failure_ratio`", "Left out: 0."
        ),
    },
)
