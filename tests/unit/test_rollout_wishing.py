"""What may be said to an update that is under way, and in which words it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.action import ActionKind, rolls
from spinney.domain.rollout.wishing import Wish, objection

PAUSE, RESUME, PROMOTE, ABORT = Wish
GOES = "goes as wished"


@pytest.mark.parametrize(
    ("wish", "outputs", "fields", "words"),
    [
        (PAUSE, {"state": "updating"}, {}, GOES),
        (PAUSE, {"state": "paused"}, {}, GOES),
        (RESUME, {"state": "paused"}, {}, GOES),
        (RESUME, {"state": "updating"}, {"inputs": {"wish": "pause"}}, GOES),
        (RESUME, {"state": "updating"}, {"inputs": {"wish": "abort"}}, "it is not paused: it is updating"),
        (RESUME, {}, {}, "it is not paused"),
        (PROMOTE, {"state": "canary"}, {"canary": True}, GOES),
        (PROMOTE, {"state": "canary"}, {}, "no canary, which an update policy of the cluster would give it"),
        (PROMOTE, {"state": "paused"}, {"canary": True}, "what the others wait for: it is paused; wait until it has"),
        (ABORT, {"state": "updating"}, {}, GOES),
        (ABORT, {"state": "updating", "rolling_back": True}, {}, "it is going back already"),
        (ABORT, {"state": "paused", "rolling_back": True}, {}, GOES),
        (PAUSE, {"state": "updating", "rolling_back": True}, {}, GOES),
        (PAUSE, {"state": "updating"}, {"stopping": True}, "it was asked to stop"),
    ],
)
def test_what_makes_sense_when(wish: Wish, outputs: dict[str, Any], fields: dict[str, Any], words: str) -> None:
    said = objection(wish, outputs, **{"inputs": {}, **fields})
    assert words in (GOES if said is None else said)


@pytest.mark.parametrize(
    ("kind", "inputs", "rolling"),
    [
        (ActionKind.CLUSTER_UPDATE, {"new_profile_id": "p"}, True),
        (ActionKind.CLUSTER_UPDATE, {"new_profile_id": "p", "profile_only": True}, False),
        (ActionKind.CLUSTER_UPDATE, {"name": "n"}, False),
        (ActionKind.NODE_UPDATE, {"new_profile_id": "p"}, False),
    ],
)
def test_an_update_rolls_if_it_takes_members_to_another_profile(
    kind: ActionKind, inputs: dict[str, Any], rolling: bool
) -> None:
    assert rolls(kind, inputs) is rolling
