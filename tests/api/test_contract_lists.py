"""Every list of the contract: its filters, its sort keys and their order, its pages, and nothing besides these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from api.contract import ask
from api.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.event import Event, Level
from spinney.store import tables
from spinney.store.rows import ACTIONS, EVENTS

CONTAINER, HOST = "container.dockerinc.docker-1.0", "host.docker-1.0"
SCALING, DELETION = "senlin.policy.scaling-1.0", "senlin.policy.deletion-1.0"
LEVELS = {name: level for level, name in enumerate(("DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"))}


@dataclass(frozen=True)
class Listed:
    """``filters``: by name a value that some of the objects of ``furnish`` have, and a bad one, if there are any."""

    path: str
    filters: Mapping[str, tuple[str, str | None]]
    sort_keys: tuple[str, ...]
    default: str
    paged: bool = True

    @property
    def plural(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def envelope(self) -> str:
        return "cluster_policies" if self.path.count("/") > 1 else self.plural


LISTS = {
    listed.envelope: listed
    for listed in (
        Listed(
            "/clusters",
            {"name": ("a", None), "status": ("WARNING", "HAPPY")},
            ("name", "status", "init_at", "created_at", "updated_at"),
            "init_at",
        ),
        Listed(
            "/nodes",
            {"cluster_id": ("c", "absent"), "name": ("a", None), "status": ("ERROR", "CRITICAL")},
            ("index", "name", "status", "init_at", "created_at", "updated_at"),
            "init_at",
        ),
        Listed(
            "/profiles",
            {"name": ("a", None), "type": (CONTAINER, None)},
            ("type", "name", "created_at", "updated_at"),
            "created_at",
        ),
        Listed(
            "/policies",
            {"name": ("a", None), "type": (DELETION, None)},
            ("type", "name", "created_at", "updated_at"),
            "created_at",
        ),
        Listed(
            "/clusters/c/policies",
            {"enabled": ("false", "perhaps"), "policy_name": ("a", None), "policy_type": (DELETION, None)},
            ("enabled",),
            "id",
            paged=False,
        ),
        Listed(
            "/receivers",
            {
                "name": ("a", None),
                "type": ("message", "pigeon"),
                "action": ("CLUSTER_SCALE_IN", "SCALE"),
                "cluster_id": ("@c", None),
                "user": ("member", None),
            },
            ("name", "type", "action", "cluster_id", "created_at", "user"),
            "name",
        ),
        Listed(
            "/actions",
            {
                "name": ("a", None),
                "target": ("@c", None),
                "action": ("CLUSTER_CHECK", "EXPLODE"),
                "status": ("FAILED", "HAPPY"),
                "cluster_id": ("c", None),
            },
            ("name", "target", "action", "created_at", "status"),
            "created_at",
        ),
        Listed(
            "/events",
            {
                "oid": ("@c", None),
                "oname": ("a", None),
                "otype": ("NODE", None),
                "action": ("CLUSTER_CHECK", None),
                "level": ("WARN", "LOUD"),
                "cluster_id": ("c", None),
            },
            ("timestamp", "level", "otype", "oname", "action", "status", "oid", "cluster_id"),
            "timestamp",
        ),
    )
}
PAGED = [name for name, listed in LISTS.items() if listed.paged]


def furnish(world: World) -> dict[str, str]:
    """Of everything several, of which most share a value with another; returns the ids of what filters name."""
    container, host = world.profile("b"), world.profile("a", HOST)
    world.profile("a", updated_at=2_000_000_000.0)
    world.profile("c", HOST, updated_at=1_900_000_000.0)
    cluster = world.cluster(container, "c", status="WARNING", updated_at=5.0, created_at=4.0)
    other = world.cluster(container, "a", created_at=3.0)
    world.cluster(host, "a", status="WARNING", updated_at=3.0)
    world.cluster(host, "d", status="ERROR", updated_at=5.0)
    for name, status, where, index in (
        ("b", "ACTIVE", cluster.id, 2),
        ("a", "ERROR", cluster.id, 1),
        ("a", "ACTIVE", other.id, 1),
        ("c", "ERROR", "", -1),
    ):
        moment = None if index < 0 else 3.0 * index
        world.node(container, name, status=status, cluster_id=where, index=index, updated_at=moment, created_at=moment)
    for name, kind in (("b", DELETION), ("a", SCALING), ("c", DELETION)):
        policy = world.policy(name, cluster, kind, **({"event": "CLUSTER_SCALE_IN"} if kind == SCALING else {}))
        if name != "b":
            world.change(tables.binding, bound(world, cluster.id, policy.id), enabled=False)
    world.change(tables.policy, world.policy("a", None, DELETION).id, updated_at=3.0)
    world.receiver(cluster, "CLUSTER_SCALE_IN", name="b")
    world.receiver(other, "CLUSTER_SCALE_IN", name="a", user="member")
    world.receiver(cluster, name="a")
    message = world.receiver(cluster, name="c", type="message")
    world.change(tables.receiver, message.id, cluster_id=None, action=None)
    history(world, cluster.id, other.id)
    return {"@c": cluster.id}


def bound(world: World, cluster_id: str, policy_id: str) -> str:
    table = tables.binding
    where = (table.c.cluster_id == cluster_id) & (table.c.policy_id == policy_id)
    return str(world.store.run(lambda connection: connection.execute(table.select().where(where)).one().id))


def history(world: World, cluster_id: str, other_id: str) -> None:
    for name, target, kind, status, level in (
        ("b", cluster_id, ActionKind.CLUSTER_CHECK, "FAILED", Level.WARN),
        ("a", cluster_id, ActionKind.CLUSTER_RESIZE, "READY", Level.CRITICAL),
        ("a", other_id, ActionKind.CLUSTER_CHECK, "CANCELLED", Level.DEBUG),
        ("c", other_id, ActionKind.NODE_CHECK, "FAILED", Level.WARN),
    ):
        common = {"action": kind, "cluster_id": target, "status_reason": "because"}
        world.insert(
            ACTIONS,
            Action(
                name=name,
                target=target,
                cause=Cause.REQUEST,
                status=ActionStatus(status),
                created_at=world.clock.moment + 1,
                **common,
                **world.new(),
            ),
        )
        otype, phase = ("CLUSTER", "end") if kind.on_cluster else ("NODE", "start")
        at = {"timestamp": world.clock.moment + 1, "oid": target, "oname": name, "otype": otype, "status": phase}
        world.insert(EVENTS, Event(level=level, **at, **common, **world.new()))


def rows(world: World, listed: Listed, text: str = "") -> list[dict[str, Any]]:
    answer = ask(world, "GET", f"{listed.path}?{text}")
    assert answer.status == 200, answer.body
    assert set(answer.json) == {listed.envelope}  # no links, no next, no count
    found: list[dict[str, Any]] = answer.json[listed.envelope]
    return found


@pytest.mark.parametrize("name", LISTS)
def test_filters(world: World, name: str) -> None:
    listed, ids = LISTS[name], furnish(world)
    everything = rows(world, listed)
    for key, (value, bad) in listed.filters.items():
        text = ids.get(value, value)
        wanted: Any = {"false": False, "c": ids["@c"]}.get(text, text)
        fitting = [row for row in everything if row[key] == wanted]
        assert fitting and len(fitting) < len(everything), f"{key}: nothing is left out, or everything"
        assert rows(world, listed, f"{key}={text}") == fitting
        assert rows(world, listed, f"{key}=") == everything, "an empty value is none"
        if bad is not None:
            answer = ask(world, "GET", f"{listed.path}?{key}={bad}")
            assert answer.error[0] == 400 and bad in answer.error[2], key


@pytest.mark.parametrize("name", LISTS)
def test_a_repeated_filter_means_any_of_its_values(world: World, name: str) -> None:
    listed, ids = LISTS[name], furnish(world)
    everything = rows(world, listed)
    for key, (value, _) in listed.filters.items():
        if (name, key) == ("nodes", "cluster_id"):
            continue  # it is single
        first = ids.get(value, value)
        fitting = rows(world, listed, f"{key}={first}")
        second = next(str(row[key]) for row in everything if row not in fitting and row[key] is not None)
        others = rows(world, listed, f"{key}={second}")
        assert others and rows(world, listed, f"{key}={first}&{key}={second}") == [
            row for row in everything if row in fitting or row in others
        ]


@pytest.mark.parametrize("name", LISTS)
def test_several_filters_have_to_fit_all(world: World, name: str) -> None:
    listed, ids = LISTS[name], furnish(world)
    text = "&".join(f"{key}={ids.get(value, value)}" for key, (value, _) in listed.filters.items())
    each = [rows(world, listed, one) for one in text.split("&")]
    assert rows(world, listed, text) == [row for row in rows(world, listed) if all(row in found for found in each)]


@pytest.mark.parametrize("name", LISTS)
def test_unknown_parameters_are_refused_and_named(world: World, name: str) -> None:
    listed = LISTS[name]
    furnish(world)
    known = {*listed.filters, "sort", *(("limit", "marker", "global_project") if listed.paged else ())}
    others = {key for one in LISTS.values() for key in one.filters} | {
        "limit",
        "marker",
        "global_project",
        "bogus",
        "Name",
    }
    for key in sorted(others - known):
        answer = ask(world, "GET", f"{listed.path}?{key}=1")
        assert answer.error[:2] == (400, "HTTPBadRequest"), key
        assert f"'{key}'" in answer.error[2]


def ordered(found: list[dict[str, Any]], key: str, descending: bool = False) -> list[dict[str, Any]]:
    """Nulls first ascending, last descending; those that are equal stay in their order."""

    def value(row: dict[str, Any]) -> Any:
        held = row[key]
        return (held is not None, LEVELS[held] if key == "level" else "" if held is None else held)

    return sorted(found, key=value, reverse=descending)


def by_id(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda row: str(row["id"]))


@pytest.mark.parametrize("name", LISTS)
def test_each_sort_key_in_both_directions(world: World, name: str) -> None:
    listed = LISTS[name]
    furnish(world)
    everything = by_id(rows(world, listed))
    assert rows(world, listed) == ordered(everything, listed.default)
    for key in listed.sort_keys:
        upwards = ordered(everything, key)
        assert len({str(row[key]) for row in everything}) > 1, f"{key}: all alike"
        assert rows(world, listed, f"sort={key}") == rows(world, listed, f"sort={key}:asc") == upwards, key
        assert rows(world, listed, f"sort={key}:desc") == ordered(everything, key, descending=True), key


@pytest.mark.parametrize("name", LISTS)
def test_the_first_sort_key_counts_most(world: World, name: str) -> None:
    listed = LISTS[name]
    furnish(world)
    found = by_id(rows(world, listed))
    for key in reversed(listed.sort_keys):
        found = ordered(found, key, descending=True)
    assert rows(world, listed, f"sort={','.join(f'{key}:desc' for key in listed.sort_keys)}") == found


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    "sort", ["bogus", "id", "project", "", "name:up", ":asc", "{key},", "{key}:", "{key}:desc:asc"]
)
def test_orders_that_are_none(world: World, name: str, sort: str) -> None:
    listed = LISTS[name]
    furnish(world)
    text = sort.format(key=listed.sort_keys[0])
    answer = ask(world, "GET", f"{listed.path}?sort={text}")
    if text:
        assert answer.error[:2] == (400, "HTTPBadRequest")
    else:
        assert answer.status == 200  # nothing was said


@pytest.mark.parametrize("name", PAGED)
def test_pages_in_every_order_go_on_after_the_marker_and_end_with_an_empty_one(world: World, name: str) -> None:
    listed = LISTS[name]
    furnish(world)
    for key in listed.sort_keys:
        for direction in ("asc", "desc"):
            order = f"sort={key}:{direction}"
            whole, seen = rows(world, listed, order), []
            while page := rows(world, listed, f"{order}&limit=1" + (f"&marker={seen[-1]['id']}" if seen else "")):
                seen += page
                assert len(page) == 1 and len(seen) <= len(whole)
            assert seen == whole, order


@pytest.mark.parametrize("name", PAGED)
def test_limits_and_markers(world: World, name: str) -> None:
    listed = LISTS[name]
    furnish(world)
    whole = rows(world, listed)
    first = whole[0]["id"]
    assert rows(world, listed, "limit=0") == []
    assert rows(world, listed, "limit=99999") == rows(world, listed, "limit=") == whole
    assert rows(world, listed, f"marker={first.replace('-', '')}") == whole[1:]
    assert rows(world, listed, f"marker={first.upper()}&limit=2") == whole[1:3]
    assert rows(world, listed, f"marker={world.ids.new()}") == rows(world, listed, "marker=") == whole
    for text in ("limit=-1", "limit=1.0", "limit=all", "limit=1e3", "marker=1", f"marker={first[:-1]}", "marker=name"):
        assert ask(world, "GET", f"{listed.path}?{text}").error[:2] == (400, "HTTPBadRequest"), text


@pytest.mark.parametrize("name", PAGED)
def test_a_marker_of_another_project_tells_nothing(world: World, name: str) -> None:
    listed = LISTS[name]
    furnish(world)
    whole = rows(world, listed)
    answer = ask(world, "GET", listed.path, marker=whole[1]["id"], who="stranger")
    assert answer.json == {listed.envelope: []}


@pytest.mark.parametrize("name", PAGED)
def test_whose_objects(world: World, name: str) -> None:
    listed = LISTS[name]
    furnish(world)
    whole = rows(world, listed)
    assert rows(world, listed, "global_project=False") == rows(world, listed, "global_project=TRUE") == whole
    for who, text, status in (
        ("member", "global_project=true", 403),
        ("member", "global_project=yes", 400),
        ("admin", "global_project=1", 400),
    ):
        assert ask(world, "GET", f"{listed.path}?{text}", who=who).error[0] == status
    others = ask(world, "GET", listed.path, who="other-admin")
    assert others.json == {listed.envelope: []}
    everywhere = ask(world, "GET", listed.path, global_project="true", who="other-admin")
    assert everywhere.json[listed.envelope] == whole


@pytest.mark.parametrize("name", PAGED)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limit=x&global_project=maybe&bogus=1", "'bogus'"),
        ("limit=x&global_project=true&bogus=1", "'bogus'"),
        ("limit=x&global_project=maybe", "global_project: 'maybe'"),
        ("global_project=true&limit=x", "limit: 'x'"),
        ("global_project=true", "role admin"),
    ],
)
def test_the_order_of_checks(world: World, name: str, text: str, words: str) -> None:
    """Unknown parameters, then the syntax of global_project, then the other fields, then who may see all."""
    answer = ask(world, "GET", f"{LISTS[name].path}?{text}", who="member")
    assert words in answer.error[2]


class TestClusterIdOfNodes:
    """It may be a name, an id or the beginning of one, and has to be there."""

    def test_spellings(self, world: World) -> None:
        ids = furnish(world)
        listed = LISTS["nodes"]
        for word in ("c", ids["@c"], ids["@c"][:8], ids["@c"].upper()):
            assert [row["name"] for row in rows(world, listed, f"cluster_id={word}")] == ["b", "a"]

    def test_that_fit_none_or_several(self, world: World) -> None:
        furnish(world)
        for word, kind in (("absent", "BadRequest"), (world.ids.new(), "BadRequest"), ("a", "MultipleChoices")):
            assert ask(world, "GET", "/nodes", cluster_id=word).error[:2] == (400, kind)


class TestClusterIdOfHistory:
    """It may be a name, an id or the beginning of one; nothing happened to what is not there."""

    @pytest.mark.parametrize("name", ["actions", "events"])
    def test_spellings(self, world: World, name: str) -> None:
        ids = furnish(world)
        listed = LISTS[name]
        for word in ("c", ids["@c"], ids["@c"][:8]):
            assert len(rows(world, listed, f"cluster_id={word}")) == 2
        for word in ("absent", world.ids.new()):
            assert rows(world, listed, f"cluster_id={word}") == []


def test_receivers_are_filtered_by_full_ids_of_clusters_alone(world: World) -> None:
    ids = furnish(world)
    assert rows(world, LISTS["receivers"], "cluster_id=c") == []
    assert rows(world, LISTS["receivers"], f"cluster_id={ids['@c'][:8]}") == []


@pytest.mark.parametrize("key", ["target", "oid"])
def test_history_is_filtered_by_full_ids_of_targets_alone(world: World, key: str) -> None:
    ids = furnish(world)
    listed = LISTS["actions" if key == "target" else "events"]
    assert rows(world, listed, f"{key}={ids['@c'][:8]}") == rows(world, listed, f"{key}=c") == []


def test_an_event_type_that_none_has_is_no_fault(world: World) -> None:
    furnish(world)
    assert rows(world, LISTS["events"], "otype=PIGEON") == []


@pytest.mark.parametrize("path", ["profile-types", "policy-types", "services", "build-info"])
def test_what_takes_no_parameters_ignores_them(world: World, path: str) -> None:
    plain = ask(world, "GET", f"/{path}")
    asked = ask(world, "GET", f"/{path}", limit=1, bogus=2, global_project="maybe", sort="x")
    assert plain.status == 200 and asked.json == plain.json
