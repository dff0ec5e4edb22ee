"""Verdicts on members, what is done about them, and which containers nobody owns."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.config import HealthSettings
from spinney.domain.container import (
    LABEL_GENERATION,
    LABEL_HELPER,
    LABEL_KEEPER,
    LABEL_NODE,
    LABEL_PROBER,
    Container,
    ContainerState,
)
from spinney.domain.health import Ailment, Diagnosis, Repair, RestartPolicy, diagnose, is_orphan, orphans, repair
from spinney.domain.node import Node, PowerState

_SETTINGS = HealthSettings(repair_delay=1.0, repair_ceiling=30.0, good_period=60.0, restarts_before_recreate=3)
_NODE = Node(id="n", name="n", profile_id="-", physical_id="c1", host_id="here", generation=2)


def container(state: ContainerState = ContainerState.RUNNING, **fields: Any) -> Container:
    labels = fields.pop("labels", {LABEL_NODE: "n", LABEL_GENERATION: "2"})
    values: dict[str, Any] = {"id": "c1", "name": "c", "labels": labels, "image": "i", **fields}
    return Container(state=state, **values)


@pytest.mark.parametrize("state", ContainerState)
@pytest.mark.parametrize("power", PowerState)
def test_verdict_for_each_state_and_each_wanted_power(state: ContainerState, power: PowerState) -> None:
    found = diagnose(replace(_NODE, power=power), container(state, exit_code=1))
    ended = (ContainerState.EXITED, ContainerState.DEAD, ContainerState.CREATED, ContainerState.REMOVING)
    if power is PowerState.STOPPED:
        expected = None if state in ended else Ailment.WRONG_POWER
    elif state is ContainerState.RESTARTING:
        expected = None
    elif state in ended:
        expected = Ailment.ENDED
    elif (state is ContainerState.PAUSED) == (power is PowerState.PAUSED):
        expected = None
    else:
        expected = Ailment.WRONG_POWER
    assert (found.ailment if found else None) is expected


@pytest.mark.parametrize("power", PowerState)
def test_what_is_gone_is_gone_whatever_was_wanted(power: PowerState) -> None:
    found = diagnose(replace(_NODE, power=power), None)
    assert found is not None and found.ailment is Ailment.GONE


@pytest.mark.parametrize(
    ("health", "sick"), [("unhealthy", True), ("healthy", False), ("starting", False), (None, False)]
)
def test_the_containers_own_health_check_counts(health: str | None, sick: bool) -> None:
    found = diagnose(_NODE, container(health=health))
    assert (found is not None and found.ailment is Ailment.UNHEALTHY) == sick


def test_what_its_user_paused_is_not_unhealthy() -> None:
    paused = container(ContainerState.PAUSED, health="unhealthy")
    assert diagnose(replace(_NODE, power=PowerState.PAUSED), paused) is None


@pytest.mark.parametrize(
    ("fields", "failed", "words"),
    [
        ({"exit_code": 0}, False, "exit code 0"),
        ({"exit_code": 3, "error": "boom"}, True, "exit code 3: boom"),
        ({"exit_code": 137}, True, "was killed"),
        ({"exit_code": 137, "oom_killed": True}, True, "give it more memory"),
        ({"exit_code": 0, "oom_killed": True}, True, "ran out of memory"),
        ({"exit_code": 127}, True, "is not in the image"),
    ],
)
def test_an_ending_says_how(fields: dict[str, Any], failed: bool, words: str) -> None:
    found = diagnose(_NODE, container(ContainerState.EXITED, **fields))
    assert found is not None and found.failed == failed and words in found.text


def _repair(node: Node, ailment: Ailment, now: float = 0.0, **options: Any) -> Repair | None:
    values: dict[str, Any] = {"healing": True, "policy": RestartPolicy.ALWAYS, "failed": True, **options}
    diagnosis = Diagnosis(ailment, "", values.pop("failed"))
    return repair(node, diagnosis, settings=_SETTINGS, now=now, **values)


@pytest.mark.parametrize(("ailment", "policy", "failed"), list(product(Ailment, RestartPolicy, (True, False))))
def test_which_ailments_are_repaired(ailment: Ailment, policy: RestartPolicy, failed: bool) -> None:
    left_alone = ailment is Ailment.ENDED and (
        policy is RestartPolicy.NEVER or (policy is RestartPolicy.ON_FAILURE and not failed)
    )
    found = _repair(_NODE, ailment, policy=policy, failed=failed)
    assert (found is None) == left_alone
    assert _repair(_NODE, ailment, policy=policy, failed=failed, healing=False) is None
    if found is not None:
        assert found.operation == ("RECREATE" if ailment is Ailment.GONE else "REBOOT") and found.at == 0.0


def test_what_keeps_failing_is_repaired_ever_later_and_then_made_anew() -> None:
    node, now, delays, operations = _NODE, 0.0, [], []
    for _ in range(12):
        found = _repair(node, Ailment.ENDED, now)
        assert found is not None
        delays.append(found.at - now)
        operations.append(found.operation)
        node = replace(node, repairs=found.repairs, repaired_at=found.at)
        now = found.at + 1.0
    assert delays[:6] == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0] and set(delays[6:]) == {30.0}
    assert operations == ["REBOOT"] * 3 + ["RECREATE"] * 9


def test_a_good_period_makes_it_start_anew() -> None:
    node = replace(_NODE, repairs=9, repaired_at=100.0)
    just_before, after = _repair(node, Ailment.ENDED, 159.9), _repair(node, Ailment.ENDED, 160.0)
    assert just_before is not None and (just_before.repairs, just_before.at) == (10, 189.9)
    assert after is not None and (after.repairs, after.at, after.operation) == (1, 160.0, "REBOOT")


def test_a_wrong_power_state_never_costs_the_container() -> None:
    found = _repair(replace(_NODE, repairs=50, repaired_at=0.0), Ailment.WRONG_POWER, 1.0)
    assert found is not None and found.operation == "REBOOT"


@given(st.lists(st.floats(0.0, 200.0), min_size=2, max_size=20))
def test_repairs_never_come_before_they_are_ordered_and_never_later_than_the_ceiling(gaps: list[float]) -> None:
    node, now, moments = _NODE, 0.0, []
    for gap in gaps:
        now += gap
        found = _repair(node, Ailment.UNHEALTHY, now)
        assert found is not None and now <= found.at <= now + _SETTINGS.repair_ceiling
        node, now = replace(node, repairs=found.repairs, repaired_at=found.at), found.at
        moments.append(found.at)
    assert all(earlier <= later for earlier, later in pairwise(moments))


_ORPHANS = {
    # owner: none, elsewhere, nowhere, here | the container it names: this one, another, none -> orphan (idle, busy)
    ("absent", None): (True, True),
    ("elsewhere", "c1"): (True, True),
    ("elsewhere", "c2"): (True, True),
    ("elsewhere", None): (True, True),
    ("nowhere", None): (True, True),
    ("here", "c1"): (False, False),
    ("here", "c2"): (True, False),
    ("here", None): (True, False),
}


@pytest.mark.parametrize("generation", ["1", "2", "3", "", "x"])
@pytest.mark.parametrize("case", _ORPHANS)
def test_orphans(case: tuple[str, str | None], generation: str) -> None:
    where, names = case
    host_id = {"elsewhere": "there", "nowhere": None, "here": "here", "absent": None}[where]
    owner = None if where == "absent" else replace(_NODE, host_id=host_id, physical_id=names)
    one = container(labels={LABEL_NODE: "n", LABEL_GENERATION: generation})
    assert (is_orphan(one, owner, "here", busy=False), is_orphan(one, owner, "here", busy=True)) == _ORPHANS[case]


def test_of_many_only_the_orphans_are_named() -> None:
    own, stray = container(), container(id="c9")
    nameless = container(id="c8", labels={})
    assert orphans([own, stray, nameless], {"n": _NODE}, frozenset(), "here") == [stray, nameless]
    assert orphans([own, stray, nameless], {"n": _NODE}, frozenset({"n"}), "here") == [nameless]


def test_a_keeper_of_secret_files_is_an_orphan_once_nobody_works_on_its_node() -> None:
    """Also where the host helper, whose image it is made of, is welcome."""
    keeper = container(id="c9", labels={LABEL_NODE: "n", LABEL_KEEPER: "c1", LABEL_HELPER: "1"})
    helper = container(id="c8", labels={LABEL_HELPER: "1"})
    for busy, found in ((frozenset({"n"}), []), (frozenset[str](), [keeper])):
        assert orphans([container(), helper, keeper], {"n": _NODE}, busy, "here", helped=True) == found


@pytest.mark.parametrize("helped", [False, True])
def test_a_prober_is_an_orphan_once_it_or_its_container_does_not_run(helped: bool) -> None:
    member = container()
    prober = container(id="p1", labels={LABEL_NODE: "n", LABEL_PROBER: member.id, LABEL_HELPER: "1"})
    ended = replace(prober, id="p2", state=ContainerState.CREATED)
    widowed = replace(prober, id="p3", labels={**prober.labels, LABEL_PROBER: "c5"})
    found = [
        one.id for one in orphans([member, prober, ended, widowed], {"n": _NODE}, frozenset(), "here", helped=helped)
    ]
    assert found == ["p2", "p3"]
    resting = replace(member, state=ContainerState.EXITED)
    assert orphans([resting, prober], {"n": _NODE}, frozenset(), "here", helped=helped) == [prober]
