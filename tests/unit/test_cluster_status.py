"""The status of a cluster from its members and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.action import ActionKind
from spinney.domain.cluster import STATUS_WHILE, TRANSIENT_STATUSES, Cluster, ClusterStatus, evaluate, self_healing
from spinney.domain.node import NodeStatus

_SIZES = st.tuples(st.integers(0, 6), st.integers(-1, 8), st.integers(0, 8))
_MEMBERS = st.dictionaries(st.sampled_from(list(NodeStatus)), st.integers(0, 9))


def _cluster(minimum: int, maximum: int, desired: int, **fields: object) -> Cluster:
    values = {"min_size": minimum, "max_size": maximum, "desired_capacity": desired, **fields}
    return Cluster(id="c", name="c", profile_id="-", **values)  # type: ignore[arg-type]


@given(_SIZES, _MEMBERS)
def test_evaluation_follows_the_contract(sizes: tuple[int, int, int], members: dict[NodeStatus, int]) -> None:
    minimum, maximum, desired = sizes
    active = members.get(NodeStatus.ACTIVE, 0)
    if active < minimum:
        expected, bound = ClusterStatus.ERROR, f"min_size {minimum}"
    elif active < desired:
        expected, bound = ClusterStatus.WARNING, f"desired_capacity {desired}"
    elif maximum < 0 or active <= maximum:
        expected, bound = ClusterStatus.ACTIVE, f"desired_capacity {desired}"
    else:
        expected, bound = ClusterStatus.WARNING, f"max_size {maximum}"
    status, reason = evaluate(_cluster(*sizes), members, "CLUSTER_CHECK")
    assert status is expected
    assert reason.startswith("CLUSTER_CHECK: ") and reason.endswith(bound) and str(active) in reason


def test_only_active_members_count() -> None:
    others = {status: 5 for status in NodeStatus if status is not NodeStatus.ACTIVE}
    assert evaluate(_cluster(1, -1, 1), others)[0] is ClusterStatus.ERROR
    assert evaluate(_cluster(0, -1, 0), others) == (ClusterStatus.ACTIVE, "0 active nodes meet desired_capacity 0")


def test_what_a_cluster_shows_while_an_action_runs() -> None:
    shown = dict(STATUS_WHILE)
    assert shown.pop(ActionKind.CLUSTER_SCALE_IN) is shown.pop(ActionKind.CLUSTER_SCALE_OUT) is ClusterStatus.RESIZING
    assert {kind.value.removeprefix("CLUSTER_"): status.value for kind, status in shown.items()} == {
        "CREATE": "CREATING", "UPDATE": "UPDATING", "RESIZE": "RESIZING", "CHECK": "CHECKING", "RECOVER": "RECOVERING",
        "OPERATION": "OPERATING", "DELETE": "DELETING",
    }  # fmt: skip
    assert set(TRANSIENT_STATUSES) <= set(STATUS_WHILE.values())


@pytest.mark.parametrize(
    ("config", "expected"),
    [({}, True), ({"spinney.self_healing": False}, False), ({"spinney.self_healing": "off"}, False),
     ({"spinney.self_healing": "True"}, True), ({"spinney.self_healing": "1"}, True), ({"spinney.self_healing": 0}, False)],
)  # fmt: skip
def test_self_healing_is_the_clusters_own_choice(config: dict[str, object], expected: bool) -> None:
    assert self_healing(_cluster(0, -1, 0, config=config), default=True) is expected
    assert self_healing(_cluster(0, -1, 0), default=False) is False
