"""Claims, fences, wakings and takeovers: the engine's side of the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import ClusterStatus
from spinney.domain.event import Event, Level
from spinney.domain.node import NodeStatus
from spinney.errors import LeaseLost
from spinney.store import action_requests, actions, engines, networks, work
from spinney.store.database import Store
from spinney.store.rows import ACTIONS, CLUSTERS, NODES
from spinney.store.tables import action as table
from spinney.store.work import Outcome
from store.made import LEASE, Clock, action, add_host, begin_engine, cluster, everything, in_memory, new_id, node


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return in_memory(clock)


def _queue(store: Store, *queued: Action) -> None:
    store.run(ACTIONS.insert, queued)


def _get(store: Store, action_id: str) -> Action:
    found = store.run(ACTIONS.one, table.c.id == action_id)
    assert found is not None
    return found


def _succeeded(done: Action, **fields: object) -> Outcome:
    return Outcome(action=done, status=ActionStatus.SUCCEEDED, reason="done", **fields)


# --- claiming ---------------------------------------------------------------------------------------------------------


def test_a_claim_is_shared_evenly_between_projects(store: Store) -> None:
    engine = begin_engine(store)
    _queue(store, *(action(project="big", ready_at=1.0 + n / 1000) for n in range(500)))
    _queue(store, *(action(project=f"small{n}", ready_at=900.0) for n in range(3) for _ in range(5)))
    shares = Counter(a.project for a in store.run(work.claim, engine, 12))
    assert shares == {"big": 3, "small0": 3, "small1": 3, "small2": 3}
    rest = Counter(a.project for a in store.run(work.claim, engine, 100))
    assert rest == {"big": 94, "small0": 2, "small1": 2, "small2": 2}


def test_no_project_waits_for_more_than_the_next_claim_however_many_there_are(store: Store) -> None:
    engine = begin_engine(store)
    _queue(store, *(action(project=f"p{n}") for n in range(80)))
    claimed: list[str] = []
    while found := store.run(work.claim, engine, 40):
        claimed += [a.project for a in found]
    assert len(set(claimed)) == len(claimed) == 80


def test_when_there_is_little_room_the_longest_waiting_project_goes_first(store: Store) -> None:
    engine = begin_engine(store)
    _queue(
        store, *(action(project="big", ready_at=1.0) for _ in range(9)), *(action(project=f"p{n}") for n in range(9))
    )
    assert [a.project for a in store.run(work.claim, engine, 1)] == ["big"]


def test_projects_whose_work_must_wait_do_not_hold_up_the_others(store: Store) -> None:
    engine = begin_engine(store)
    for number in range(40):
        target = new_id()
        _queue(store, action(target, project=f"stuck{number}", ready_at=1.0))
    assert len(store.run(work.claim, engine, 100)) == 32
    store.run(work.claim, engine, 100)
    running = [a.target for a in store.run(ACTIONS.all)]
    _queue(store, *(action(t, project=f"stuck{n}", ready_at=2.0) for n, t in enumerate(running)))
    _queue(store, action(project="late", ready_at=3.0))
    assert [a.project for a in store.run(work.claim, engine, 100)] == ["late"]


def test_one_action_per_target_at_a_time_oldest_first(store: Store) -> None:
    engine, other = begin_engine(store), begin_engine(store)
    target = new_id()
    old, young = action(target, ready_at=1.0), action(target, ready_at=2.0)
    _queue(store, young, old)
    assert [a.id for a in store.run(work.claim, engine, 10)] == [old.id]
    assert store.run(work.claim, other, 10) == []
    store.run(work.finish, engine, [_succeeded(_get(store, old.id))], 1000.0)
    assert [a.id for a in store.run(work.claim, other, 10)] == [young.id]


def test_what_is_put_off_is_not_claimed_before_and_what_is_cancelled_comes_first(store: Store, clock: Clock) -> None:
    engine = begin_engine(store)
    later, soon, cancelled = action(ready_at=1005.0), action(ready_at=999.0), action(ready_at=5000.0)
    _queue(store, later, soon, cancelled)
    store.run(actions.cancel, cancelled.id)
    assert [a.id for a in store.run(work.claim, engine, 1)] == [cancelled.id]
    assert [a.id for a in store.run(work.claim, engine, 10)] == [soon.id]
    clock.moment = 1005.0
    assert [a.id for a in store.run(work.claim, engine, 10)] == [later.id]


def test_a_claim_returns_what_it_stored(store: Store) -> None:
    engine = begin_engine(store)
    _queue(store, action(), action(start_time=5.0, attempt=3))
    for claimed in store.run(work.claim, engine, 10):
        assert claimed == _get(store, claimed.id)
        assert (claimed.owner, claimed.status) == (engine, ActionStatus.RUNNING)


@pytest.mark.parametrize("status", [s for s in ActionStatus if s is not ActionStatus.READY])
def test_only_ready_actions_are_claimed(store: Store, status: ActionStatus) -> None:
    _queue(store, action(status=status))
    assert store.run(work.claim, begin_engine(store), 10) == []


def test_an_expired_session_claims_nothing(store: Store, clock: Clock) -> None:
    engine = begin_engine(store)
    _queue(store, action())
    clock.moment += LEASE
    with pytest.raises(LeaseLost):
        store.run(work.claim, engine, 10)


# --- fences -----------------------------------------------------------------------------------------------------------


def _stolen(store: Store, clock: Clock, engine: str) -> None:
    clock.moment += LEASE
    store.run(engines.take_over)
    store.run(work.claim, begin_engine(store), 10)


def _ended(store: Store, clock: Clock, engine: str) -> None:
    clock.moment += LEASE
    store.run(engines.take_over)


def _reclaimed_by_itself(store: Store, clock: Clock, engine: str) -> None:
    """Its action was put off and claimed again by the same engine: an earlier attempt must not count."""
    (current,) = store.run(ACTIONS.all)
    store.run(work.finish, engine, [Outcome(action=current, status=ActionStatus.READY, reason="")], clock.now())
    store.run(work.claim, engine, 10)


def _cancelled_by_force(store: Store, clock: Clock, engine: str) -> None:
    (current,) = store.run(ACTIONS.all)
    store.run(action_requests.cancel_by_force, current.id, clock.now())


@pytest.mark.parametrize("lose", [_stolen, _ended, _reclaimed_by_itself, _cancelled_by_force])
def test_an_engine_that_lost_its_claim_changes_no_row_of_any_table(
    store: Store, clock: Clock, lose: Callable[[Store, Clock, str], None]
) -> None:
    engine = begin_engine(store)
    host_id = add_host(store)
    home = cluster(desired_capacity=1)
    member = node(cluster_id=home.id, host_id=host_id, reserved_cpu=1.0, reserved_memory=10, physical_id="c")
    _queue(store, action(member.id, ActionKind.NODE_DELETE))
    store.run(lambda c: (CLUSTERS.insert(c, [home]), NODES.insert(c, [member])))
    store.run(networks.subnets, [(host_id, "p")], 10)
    (claimed,) = store.run(work.claim, engine, 10)
    lose(store, clock, engine)
    before = everything(store)
    event = Event(
        id=new_id(), timestamp=0.0, oid=member.id, oname="n", otype="NODE", cluster_id=home.id, level=Level.INFO,
        user="u", project="p", action="x", status="end", status_reason="",
    )  # fmt: skip
    late = _succeeded(claimed, node=member, changes={"status": NodeStatus.ERROR}, events=(event,))
    for outcome in (late, replace(late, remove_node=True), replace(late, release_placement=True)):
        assert store.run(work.finish, engine, [outcome], clock.now()) == work.Finished()
    with pytest.raises(LeaseLost):
        store.run(work.require_claim, claimed)
    assert everything(store) == before


def test_in_one_group_only_what_is_still_ours_is_recorded(store: Store) -> None:
    engine, other = begin_engine(store), begin_engine(store)
    _queue(store, action(), action())
    mine, theirs = store.run(work.claim, engine, 1) + store.run(work.claim, other, 1)
    store.run(work.finish, engine, [_succeeded(mine), _succeeded(theirs)], 1000.0)
    assert (_get(store, mine.id).status, _get(store, theirs.id).status) == (
        ActionStatus.SUCCEEDED,
        ActionStatus.RUNNING,
    )


def test_what_is_put_off_keeps_its_count_and_its_start(store: Store, clock: Clock) -> None:
    engine = begin_engine(store)
    _queue(store, action())
    (claimed,) = store.run(work.claim, engine, 1)
    off = Outcome(action=claimed, status=ActionStatus.READY, reason="later", ready_at=1003.0)
    store.run(work.finish, engine, [off], clock.now())
    clock.moment = 1003.0
    (again,) = store.run(work.claim, engine, 1)
    assert (again.retries, again.attempt, again.start_time, again.end_time) == (1, 2, 1000.0, None)


# --- parents ----------------------------------------------------------------------------------------------------------


def _family(store: Store, children: int) -> tuple[str, Action, list[Action]]:
    engine = begin_engine(store)
    parent = action(kind=ActionKind.CLUSTER_CHECK)
    _queue(store, parent)
    (claimed,) = store.run(work.claim, engine, 1)
    _queue(store, *(action(parent_id=parent.id, cause=Cause.DERIVED) for _ in range(children)))
    store.run(work.wait_for_children, claimed, {"begun": True}, "waiting")
    return engine, parent, store.run(work.claim, engine, 10)


def test_a_parent_wakes_when_its_last_child_is_final_and_holds_its_target_until_then(store: Store) -> None:
    engine, parent, children = _family(store, 3)
    _queue(store, action(parent.target, kind=ActionKind.CLUSTER_CHECK))
    for child in children[:2]:
        store.run(work.finish, engine, [_succeeded(child)], 1000.0)
        assert store.run(work.claim, engine, 10) == []
    off = Outcome(action=children[2], status=ActionStatus.READY, reason="", ready_at=1000.0)
    store.run(work.finish, engine, [off], 1000.0)
    (last,) = store.run(work.claim, engine, 10)
    assert last.id == children[2].id and _get(store, parent.id).status is ActionStatus.WAITING
    store.run(work.finish, engine, [_succeeded(last)], 1000.0)
    assert [a.id for a in store.run(work.claim, engine, 10)] == [parent.id]


def test_the_last_children_of_one_group_wake_their_parent_once(store: Store) -> None:
    engine, parent, children = _family(store, 5)
    store.run(work.finish, engine, [_succeeded(child) for child in children], 1000.0)
    assert _get(store, parent.id).status is ActionStatus.READY
    assert len(store.run(work.claim, engine, 10)) == 1


@pytest.mark.parametrize("whole", [True, False])
def test_cancelling_by_force_wakes_a_parent_or_ends_it(store: Store, whole: bool) -> None:
    engine, parent, children = _family(store, 2)
    store.run(work.finish, engine, [_succeeded(children[0])], 1000.0)
    store.run(action_requests.cancel_by_force, parent.id if whole else children[1].id, 1001.0)
    assert _get(store, parent.id).status is (ActionStatus.CANCELLED if whole else ActionStatus.READY)
    assert _get(store, children[0].id).status is ActionStatus.SUCCEEDED
    assert _get(store, children[1].id).status is ActionStatus.CANCELLED


def test_the_end_of_a_users_node_action_evaluates_its_cluster(store: Store) -> None:
    home = cluster(desired_capacity=2, status=ClusterStatus.WARNING)
    members = [node(cluster_id=home.id, status=status) for status in (NodeStatus.ACTIVE, NodeStatus.ERROR)]
    store.run(lambda c: (CLUSTERS.insert(c, [home]), NODES.insert(c, members)))
    engine = begin_engine(store)
    _queue(store, action(members[1].id, ActionKind.NODE_RECOVER, cluster_id=home.id))
    (claimed,) = store.run(work.claim, engine, 1)
    outcome = _succeeded(claimed, node=members[1], changes={"status": NodeStatus.ACTIVE})
    store.run(work.finish, engine, [outcome], 1000.0)
    (after,) = store.run(CLUSTERS.all)
    assert after.status is ClusterStatus.ACTIVE and after.status_reason.startswith("done")


@pytest.mark.parametrize(
    ("kind", "fields", "wanted"),
    [
        (ActionKind.NODE_DELETE, {}, 2),
        (ActionKind.NODE_DELETE, {"cause": Cause.DERIVED}, 3),
        (ActionKind.NODE_RECOVER, {}, 3),
    ],
)
@pytest.mark.parametrize("busy", [False, True])
def test_a_member_its_user_deletes_by_itself_is_no_longer_wanted(
    store: Store, kind: ActionKind, fields: dict[str, Cause], wanted: int, busy: bool
) -> None:
    home = cluster(desired_capacity=3)
    members = [node(cluster_id=home.id, status=NodeStatus.ACTIVE) for _ in range(3)]
    store.run(lambda c: (CLUSTERS.insert(c, [home]), NODES.insert(c, members)))
    engine = begin_engine(store)
    if busy:
        _queue(store, action(home.id, ActionKind.CLUSTER_CHECK))
        store.run(work.claim, engine, 1)
    _queue(store, action(members[0].id, kind, cluster_id=home.id, **fields))
    (claimed,) = store.run(work.claim, engine, 1)
    store.run(work.finish, engine, [_succeeded(claimed, node=members[0], remove_node=True)], 1000.0)
    (after,) = store.run(CLUSTERS.all)
    assert after.desired_capacity == (3 if busy else wanted)


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_that_ran_out_is_never_renewed(store: Store, clock: Clock) -> None:
    engine = begin_engine(store)
    clock.moment += LEASE - 0.01
    store.run(engines.renew, engine, LEASE)
    clock.moment += LEASE
    with pytest.raises(LeaseLost):
        store.run(engines.renew, engine, LEASE)
    with pytest.raises(LeaseLost):
        store.run(engines.renew, new_id(), LEASE)


def test_taking_over_frees_the_dead_and_leaves_the_living(store: Store, clock: Clock) -> None:
    dead = begin_engine(store)
    _queue(store, action(), action(kind=ActionKind.NODE_DELETE))
    (lost,) = store.run(work.claim, dead, 1)
    clock.moment += LEASE / 2
    living = begin_engine(store)
    (kept,) = store.run(work.claim, living, 1)
    assert store.run(engines.take_over) == []
    clock.moment += LEASE / 2
    assert store.run(engines.take_over) == [dead]
    assert [row.id for row in store.run(engines.everyone)] == [living]
    assert (_get(store, lost.id).status, _get(store, lost.id).owner) == (ActionStatus.READY, None)
    assert _get(store, kept.id).owner == living
    assert [a.id for a in store.run(work.claim, living, 10)] == [lost.id]


def test_waiting_parents_survive_the_engine_that_began_them(store: Store, clock: Clock) -> None:
    _, parent, children = _family(store, 2)
    clock.moment += LEASE
    store.run(engines.take_over)
    assert _get(store, parent.id).status is ActionStatus.WAITING
    assert {a.id for a in store.run(work.claim, begin_engine(store), 10)} == {c.id for c in children}


def test_a_clean_end_frees_everything_at_once(store: Store) -> None:
    engine = begin_engine(store)
    _queue(store, *(action() for _ in range(5)))
    store.run(work.claim, engine, 10)
    store.run(engines.end, engine)
    assert len(store.run(work.claim, begin_engine(store), 10)) == 5
    assert engine not in [row.id for row in store.run(engines.everyone)]


def test_wanted_is_what_nobody_asked_to_stop(store: Store) -> None:
    engine = begin_engine(store)
    _queue(store, *(action() for _ in range(4)))
    kept, asked, forced, unasked_about = store.run(work.claim, engine, 10)
    store.run(actions.cancel, asked.id)
    store.run(action_requests.cancel_by_force, forced.id, 1000.0)
    assert store.run(work.wanted_of, engine, [kept.id, asked.id, forced.id]) == {kept.id}
    assert unasked_about.id not in store.run(work.wanted_of, begin_engine(store), [unasked_about.id])
