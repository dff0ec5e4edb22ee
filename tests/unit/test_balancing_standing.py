"""Who is in a pool: single stories, and what holds in all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.balancing.model import Applied, Candidate, Member, MemberState, Seen, Stands
from spinney.domain.balancing.standing import Pool, applied, decide, wishes

IN, DRAINING, OUT, JOINING = MemberState.IN, MemberState.DRAINING, MemberState.OUT, MemberState.JOINING


def candidate(node: str, physical: str = "c1", *, ready: bool = True, address: str | None = "10.0.0.2") -> Candidate:
    return Candidate(node, physical, ready, address, 80, "" if address else "it does not publish port 80")


def member(node: str, physical: str = "c1", state: MemberState = IN, slot: int | None = 1, **more: Any) -> Member:
    given = {"address": "10.0.0.2", "port": 80, "since": 0.0, **more}
    return Member(balancer_id="b", node_id=node, physical_id=physical, cluster_id="k", slot=slot, state=state, **given)


def pool(members: list[Member], *candidates: Candidate, now: float = 100.0, **more: Any) -> Pool:
    return Pool(
        balancer_id="b",
        cluster_id="k",
        members=members,
        candidates={one.node_id: one for one in candidates},
        now=now,
        **{"seen": {}, **more},
    )


def shown(members: tuple[Member, ...]) -> dict[tuple[str, str], tuple[str, int | None]]:
    return {(m.node_id, m.physical_id): (m.state.value, m.slot) for m in members}


def asked(by: str = "a1", until: float = 130.0) -> dict[str, Any]:
    return {"leave_by": until, "data": {"asked_by": by}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(pool([], candidate("n1")), {("n1", "c1"): ("joining", 1)}, id="ready: it comes"),
        pytest.param(pool([], candidate("n1", ready=False)), {}, id="not ready: it does not"),
        pytest.param(pool([], candidate("n1"), admits=False), {}, id="policy disabled: nobody comes"),
        pytest.param(pool([], candidate("n1", address=None)), {("n1", "c1"): ("out", None)}, id="out of reach"),
        pytest.param(
            pool([member("n1")], candidate("n1"), admits=False), {("n1", "c1"): ("in", 1)}, id="who is in stays"
        ),
        pytest.param(
            pool([member("n1")], candidate("n1", ready=False)), {("n1", "c1"): ("draining", 1)}, id="no longer ready"
        ),
        pytest.param(pool([member("n1")]), {("n1", "c1"): ("draining", 1)}, id="left the cluster"),
        pytest.param(
            pool([member("n1", **asked())], candidate("n1"), busy={"a1"}),
            {("n1", "c1"): ("draining", 1)},
            id="asked to leave",
        ),
        pytest.param(
            pool([member("n1", **asked())], candidate("n1")), {("n1", "c1"): ("in", 1)}, id="who asked is done"
        ),
        pytest.param(
            pool([member("n1", state=OUT, slot=None, **asked())], candidate("n1"), busy={"a1"}),
            {("n1", "c1"): ("out", None)},
            id="it stays out while somebody stops it",
        ),
        pytest.param(
            pool([member("n1", state=OUT, slot=None, **asked())], candidate("n1")),
            {("n1", "c1"): ("joining", 1)},
            id="and comes back when it is ready after that",
        ),
        pytest.param(
            pool([member("n1", state=OUT, slot=None, **asked())], candidate("n1"), admits=False),
            {},
            id="unless the policy is disabled",
        ),
        pytest.param(
            pool([member("n1", state=DRAINING)], candidate("n1")), {("n1", "c1"): ("joining", 1)}, id="ready again"
        ),
        pytest.param(
            pool([member("n1", "old")], candidate("n1", "new")),
            {("n1", "old"): ("in", 1), ("n1", "new"): ("joining", 2)},
            id="handed over: the new one first",
        ),
        pytest.param(
            pool([member("n1", "old", **asked()), member("n1", "new", slot=2)], candidate("n1", "new"), busy={"a1"}),
            {("n1", "old"): ("draining", 1), ("n1", "new"): ("in", 2)},
            id="then the old one goes",
        ),
        pytest.param(
            pool([member("n1", "old", data={"former_since": 94.0})], candidate("n1", "new")),
            {("n1", "old"): ("draining", 1), ("n1", "new"): ("joining", 2)},
            id="a successor is not waited for for ever",
        ),
        pytest.param(
            pool([member("n1", "old")], candidate("n1", "new", ready=False)),
            {("n1", "old"): ("draining", 1)},
            id="nor one that is not ready",
        ),
        pytest.param(
            pool([member("n1", state=OUT, slot=None), member("n2", slot=3)], candidate("n2"), candidate("n3")),
            {("n2", "c1"): ("in", 3), ("n3", "c1"): ("joining", 1)},
            id="the lowest free slot is given away",
        ),
    ],
)
def test_who_is_in(found: Pool, expected: dict[tuple[str, str], tuple[str, int | None]]) -> None:
    assert shown(decide(found)) == expected


@pytest.mark.parametrize(
    ("now", "seen", "leave_by", "expected"),
    [
        (100.1, Seen(Stands.DRAINING, 0), None, Stands.DRAINING),  # what is on its way has not arrived
        (100.3, Seen(Stands.DRAINING, 0), None, None),
        (100.3, Seen(Stands.IN, 0), None, Stands.DRAINING),  # it was not even told
        (100.3, Seen(Stands.DRAINING, 2), None, Stands.DRAINING),
        (100.3, Seen(Stands.DRAINING, None), None, Stands.DRAINING),
        (100.3, None, None, Stands.DRAINING),
        (130.0, Seen(Stands.DRAINING, 2), None, None),
        (109.6, Seen(Stands.DRAINING, 2), 110.0, None),  # somebody stops it right then
        (109.4, Seen(Stands.DRAINING, 2), 110.0, Stands.DRAINING),
    ],
)
def test_who_has_finished(now: float, seen: Seen | None, leave_by: float | None, expected: Stands | None) -> None:
    draining = member("n1", state=DRAINING, since=100.0, leave_by=leave_by, data={"asked_by": "a"})
    found = pool([draining], busy={"a"}, now=now, seen={"c1": seen} if seen else {})
    told = wishes(found, decide(found))
    assert [one.stands for one in told] == ([expected] if expected else [])


def test_what_the_load_balancer_says_makes_it_so() -> None:
    members = (member("n1", state=JOINING), member("n2", "c2", DRAINING, 2), member("n3", "c3", IN, 3))
    said = Applied({"c1": Seen(Stands.IN, 4), "c3": Seen(Stands.IN, 0, well=False)})
    after = applied(members, said, 7.0)
    assert shown(after) == {("n1", "c1"): ("in", 1), ("n2", "c2"): ("out", None), ("n3", "c3"): ("in", 3)}
    assert after[0].since == 7.0 and "check" in after[2].state_reason
    assert applied(members[:1], Applied(), 7.0)[0].state is JOINING


NODES = ("n1", "n2", "n3")
CANDIDATES = st.builds(
    candidate,
    st.sampled_from(NODES),
    st.sampled_from(("c1", "c2")),
    ready=st.booleans(),
    address=st.sampled_from(("10.0.0.2", None)),
)
TURNS = st.lists(
    st.tuples(
        st.lists(CANDIDATES, max_size=3),
        st.sets(st.sampled_from([f"{n}/{c}" for n in NODES for c in ("c1", "c2")])),  # who is asked to leave
        st.booleans(),  # whether the load balancer does what it is told
        st.integers(0, 2),  # sessions
        st.sampled_from((0.1, 1.0, 40.0)),
    ),
    max_size=12,
)


@given(TURNS)
def test_in_every_story_nobody_unfit_is_given_anything_and_slots_are_never_shared(turns: list[Any]) -> None:
    """Container ids are per node here: ``n1/c1``."""
    members: tuple[Member, ...] = ()
    seen: dict[str, Seen] = {}
    now = 0.0
    for candidates, leaving, obeys, sessions, passes in turns:
        now += passes
        there = {one.node_id: replace(one, physical_id=f"{one.node_id}/{one.physical_id}") for one in candidates}
        members = tuple(
            replace(m, leave_by=now + 30, data={**m.data, "asked_by": m.physical_id}) if m.physical_id in leaving else m
            for m in members
        )
        before = {m.physical_id: m.state for m in members}
        found = replace(pool(list(members), now=now, seen=seen, busy=leaving), candidates=there)
        members = decide(found)
        told = wishes(found, members)
        slots = [m.slot for m in members if m.slot is not None]
        assert len(slots) == len(set(slots)) and all(m.slot for m in members if m.state is not OUT)
        assert len({(m.node_id, m.physical_id) for m in members}) == len(members)
        for wish in told:
            fit = there.get(wish.node_id)
            ready = fit is not None and fit.ready and fit.address is not None
            if wish.stands is Stands.IN:
                assert ready and wish.address == "10.0.0.2"
                if fit is not None and fit.physical_id == wish.physical_id:
                    assert wish.physical_id not in leaving or before.get(wish.physical_id) is None
        for one in there.values():
            if one.ready and one.address and one.physical_id not in leaving:
                assert any(w.physical_id == one.physical_id and w.stands is Stands.IN for w in told)
        seen = {w.physical_id: Seen(w.stands, sessions) for w in told} if obeys else seen
        members = applied(members, Applied(seen), now) if obeys else members
