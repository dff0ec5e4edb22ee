"""Which step comes next on the way to what is wanted of Octavia."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.balancing.model import Stands, Wish
from spinney.domain.balancing.octavia import (
    Change,
    Create,
    Kind,
    Look,
    PutMembers,
    Remove,
    RemoveMember,
    Step,
    Target,
    in_order,
    seen,
    step,
    undo,
)
from spinney.policies.loadbalance import LoadBalanceProperties
from spinney.policies.octavia import Ids, target

OURS = "spinney-1"
TAGS = ("spinney", OURS)


def aim(**changes: Any) -> Target:
    given = {"pool": {"subnet": "s"}, "vip": {"subnet": "s"}, "health_monitor": {}, **changes}
    given = {key: value for key, value in given.items() if value is not None}
    properties = LoadBalanceProperties.model_validate(given, context={"version": "1.3"})
    return target(properties, Ids("s", "s"), OURS, TAGS, "Of cluster web")


def thing(kind: Kind, status: str = "ACTIVE", of: Target | None = None, **changes: Any) -> dict[str, Any]:
    made = (of or aim()).made.get(kind, {})
    return {"id": f"{kind}-1", "created_at": "1", **made, "provisioning_status": status, **changes}


def look(*kinds: Kind, members: tuple[dict[str, Any], ...] = (), **replaced: Any) -> Look:
    return Look({kind: replaced.get(kind.value, [thing(kind)]) for kind in kinds}, members)


def member(number: int, weight: int = 1, status: str = "ACTIVE", **changes: Any) -> dict[str, Any]:
    place = {"address": f"192.0.2.{number}", "protocol_port": 80}
    made = {"id": f"m{number}", "name": f"c{number}", "weight": weight, "provisioning_status": status, "tags": [*TAGS]}
    return {**made, **place, **changes}


def wish(number: int, stands: Stands = Stands.IN, at: int | None = None) -> Wish:
    return Wish(f"n{number}", f"c{number}", f"192.0.2.{at or number}", 80, number, stands)


BARE = aim(health_monitor=None)
ALL = tuple(Kind)


def described(found: Step | None) -> tuple[Any, ...]:
    match found:
        case Create(kind, _):
            return "create", kind
        case Change(kind, _, body):
            return "change", kind, dict(body)
        case Remove(kind, thing_id):
            return "remove", kind, thing_id
        case PutMembers(_, members, changed, whole):
            return "put", [(one["name"], one["weight"]) for one in members], list(changed), whole
        case RemoveMember(_, member_id):
            return "remove member", member_id
    return ()


TWIN = thing(Kind.POOL, id="pool-2", created_at="2")
BUSY = thing(Kind.LOAD_BALANCER, "PENDING_UPDATE")


@pytest.mark.parametrize(
    ("seen_now", "expected"),
    [
        (look(), ("create", Kind.LOAD_BALANCER)),
        (look(Kind.LOAD_BALANCER), ("create", Kind.POOL)),
        (look(Kind.LOAD_BALANCER, Kind.POOL), ("create", Kind.LISTENER)),
        (look(Kind.LOAD_BALANCER, Kind.POOL, Kind.LISTENER), ("create", Kind.MONITOR)),
        (look(*ALL), ()),
        (look(Kind.LOAD_BALANCER, loadbalancer=[BUSY]), ()),
        (look(Kind.LOAD_BALANCER, loadbalancer=[thing(Kind.LOAD_BALANCER, "ERROR")]),
         ("remove", Kind.LOAD_BALANCER, "loadbalancer-1")),
        (look(*ALL, loadbalancer=[thing(Kind.LOAD_BALANCER, "ERROR")]), ()),  # it has served: its address is not given up
        (look(*ALL, pool=[thing(Kind.POOL), TWIN]), ("remove", Kind.POOL, "pool-2")),
        (look(*ALL, listener=[thing(Kind.LISTENER, "ERROR")]), ("remove", Kind.LISTENER, "listener-1")),
        (look(*ALL, pool=[thing(Kind.POOL, lb_algorithm="SOURCE_IP")]),
         ("change", Kind.POOL, {"lb_algorithm": "ROUND_ROBIN"})),
        (look(*ALL, healthmonitor=[thing(Kind.MONITOR, delay=99)]), ("change", Kind.MONITOR, {"delay": 10})),
    ],
)  # fmt: skip
def test_what_is_made_and_kept(seen_now: Look, expected: tuple[Any, ...]) -> None:
    assert described(step(aim(), seen_now, ())) == expected


def test_what_belongs_together_is_told_so() -> None:
    made = step(aim(), look(Kind.LOAD_BALANCER, Kind.POOL), ())
    assert isinstance(made, Create)
    assert (made.body["loadbalancer_id"], made.body["default_pool_id"]) == ("loadbalancer-1", "pool-1")
    assert made.body["connection_limit"] == -1 and made.body["tags"] == list(TAGS)


THEIRS = aim(pool={"subnet": "s", "id": "pool-1"})
FOREIGN = member(9, tags=[])


@pytest.mark.parametrize(
    ("towards", "members", "wishes", "expected"),
    [
        (BARE, (), (wish(1), wish(2)), ("put", [("c1", 1), ("c2", 1)], ["c1", "c2"], False)),
        (BARE, (member(1),), (wish(1),), ()),
        (BARE, (member(1),), (wish(1, Stands.DRAINING),), ("put", [("c1", 0)], ["c1"], False)),
        (BARE, (member(1), member(2, 0)), (wish(1),), ("put", [("c1", 1)], [], True)),
        (BARE, (member(1, status="ERROR"),), (wish(1),), ("put", [("c1", 1)], ["c1"], False)),
        # at the place of one that goes: it takes it over
        (BARE, (member(1),), (wish(1, Stands.DRAINING), wish(2, at=1)), ("put", [("c2", 1)], ["c2"], False)),
        (BARE, (member(1), FOREIGN), (wish(1),), ("put", [("c1", 1)], [], True)),
        (THEIRS, (member(1), FOREIGN), (wish(1),), ()),
        (THEIRS, (member(1), member(2), FOREIGN), (wish(1),), ("remove member", "m2")),
        (THEIRS, (FOREIGN,), (wish(1, at=9),), ()),
    ],
)
def test_members(towards: Target, members: Any, wishes: Any, expected: tuple[Any, ...]) -> None:
    found = look(Kind.LOAD_BALANCER, Kind.POOL, Kind.LISTENER, members=members)
    assert described(step(towards, found, wishes)) == expected


def test_members_with_which_it_went_wrong_hold_up_nobody() -> None:
    found = look(*ALL, members=(member(3, 0),))
    wishes = (wish(1), wish(2))
    assert described(step(aim(), found, wishes, {"c1"})) == ("put", [("c2", 1)], ["c2"], False)
    assert described(step(aim(), found, wishes, singly=True)) == ("put", [("c1", 1)], ["c1"], False)
    assert described(step(aim(), found, (), {"c1"})) == ("remove member", "m3")


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (member(1), Stands.IN),
        (member(1, 0), Stands.DRAINING),
        (member(1, status="PENDING_CREATE"), Stands.DRAINING),
        (member(1, status="PENDING_DELETE"), Stands.DRAINING),
        (member(2), None),
    ],
)
def test_one_about_which_something_is_under_way_is_neither_in_nor_out(there: Any, expected: Stands | None) -> None:
    found = seen(aim(), look(*ALL, members=(there,)), (wish(1),), {}).get("c1")
    assert (found and found.stands) == expected


def test_who_is_to_go_and_is_still_there_is_not_out() -> None:
    assert seen(aim(), look(*ALL, members=(member(1),)), (), {})["c1"].stands is Stands.DRAINING
    at_theirs = seen(THEIRS, look(*ALL, members=(FOREIGN,)), (wish(1, at=9),), {})["c1"]
    assert "not this cluster's" in at_theirs.problem and at_theirs.stands is Stands.OUT


@pytest.mark.parametrize(
    ("there", "pool", "expected"),
    [
        (look(*ALL), None, ("remove", Kind.LOAD_BALANCER, "loadbalancer-1")),
        (look(*ALL, loadbalancer=[BUSY]), None, ()),
        (look(Kind.POOL, Kind.LISTENER), None, ("remove", Kind.LISTENER, "listener-1")),
        (look(members=(FOREIGN, member(2))), "pool-1", ("remove member", "m2")),
        (look(members=(FOREIGN,)), "pool-1", ()),
    ],
)
def test_taking_away(there: Look, pool: str | None, expected: tuple[Any, ...]) -> None:
    assert described(undo(there, OURS, pool)) == expected


def test_everybody_takes_the_oldest_and_none_that_is_gone() -> None:
    gone = thing(Kind.POOL, "DELETED", id="0", created_at="0")
    young = thing(Kind.POOL, id="a", created_at="2")
    assert [one["id"] for one in in_order([young, gone, thing(Kind.POOL, id="b")])] == ["b", "a"]


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({}, set(Kind)),
        ({"health_monitor": None}, {Kind.LOAD_BALANCER, Kind.POOL, Kind.LISTENER}),
        ({"health_monitor": {"id": "m"}}, {Kind.LOAD_BALANCER, Kind.POOL, Kind.LISTENER}),
        ({"loadbalancer": "theirs"}, {Kind.POOL, Kind.LISTENER, Kind.MONITOR}),
        ({"pool": {"subnet": "s", "id": "p"}}, set()),
    ],
)
def test_what_is_there_already_is_not_made(given: dict[str, Any], kinds: set[Kind]) -> None:
    assert set(aim(**given).made) == kinds


def test_a_policy_says_where_and_of_what_kind() -> None:
    made = aim(availability_zone="az", flavor_id="f", vip={"network": "n", "address": "192.0.2.1"}).made
    above = made[Kind.LOAD_BALANCER]
    assert (above["availability_zone"], above["flavor_id"], above["vip_address"]) == ("az", "f", "192.0.2.1")
    assert aim(pool={"subnet": "s", "session_persistence": {"type": "HTTP_COOKIE", "cookie_name": "x"}}).made[
        Kind.POOL
    ]["session_persistence"] == {"type": "HTTP_COOKIE"}
