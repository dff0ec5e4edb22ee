"""Lists and identities: pages, orders, filters, and what a word in a path can mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.world import OURS, World, run
from spinney.domain.cluster import ClusterStatus
from spinney.store import clusters, listing, tables
from spinney.store.listing import ListQuery, SortKey

LISTS = ["clusters", "nodes", "profiles", "policies", "receivers", "actions", "events"]


@pytest.mark.parametrize("noun", LISTS)
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"bogus": 1}, "'bogus'"),
        ({"limit": "ten"}, "limit: 'ten' is not an integer"),
        ({"limit": "-1"}, "limit: -1 is negative"),
        ({"limit": "1.5"}, "limit"),
        ({"marker": "first"}, "marker: 'first' is not a UUID"),
        ({"sort": "bogus"}, "'bogus' is no sort key"),
        ({"sort": "name:up,name"}, "sort"),
        ({"sort": ","}, "'' is no sort key"),
        ({"global_project": "yes"}, "global_project: 'yes'"),
        ({"name": "a\x00b"}, ""),
    ],
)
def test_queries_that_are_refused(world: World, noun: str, query: dict[str, Any], words: str) -> None:
    answer = run(lambda: world.client.get(f"/v1/{noun}", **query))
    assert answer.error[:2] == (400, "HTTPBadRequest")
    assert words in answer.error[2]


@pytest.mark.parametrize(
    ("noun", "query"),
    [
        ("clusters", {"status": "HAPPY"}),
        ("nodes", {"status": "HAPPY"}),
        ("actions", {"status": "HAPPY"}),
        ("actions", {"action": "CLUSTER_EXPLODE"}),
        ("events", {"level": "LOUD"}),
        ("receivers", {"type": "pigeon"}),
        ("nodes", {"cluster_id": "nope"}),
    ],
)
def test_filters_with_words_of_their_own(world: World, noun: str, query: dict[str, str]) -> None:
    assert run(lambda: world.client.get(f"/v1/{noun}", **query)).error[0] == 400


def test_the_order_of_checks(world: World) -> None:
    async def body() -> None:
        member = world.client.as_user("member")
        both = await member.get("/v1/clusters", bogus=1, global_project="maybe", limit="x")
        assert "'bogus'" in both.error[2]
        assert "global_project" in (await member.get("/v1/clusters", global_project="maybe", limit="x")).error[2]
        assert "limit" in (await member.get("/v1/clusters", global_project="true", limit="x")).error[2]
        assert (await member.get("/v1/clusters", global_project="TRUE")).error[:2] == (403, "Forbidden")

    run(body)


def test_pages_end_with_an_empty_one(world: World) -> None:
    async def body() -> None:
        world.cluster(world.profile(), members=5)
        seen, marker = [], {}
        while True:
            page = (await world.client.get("/v1/nodes", limit=2, **marker)).json["nodes"]
            if not page:
                break
            seen += [node["name"] for node in page]
            marker = {"marker": page[-1]["id"]}
        assert seen == [f"c1-{index}" for index in range(1, 6)]
        assert (await world.client.get("/v1/nodes", limit=0)).json == {"nodes": []}
        assert len((await world.client.get("/v1/nodes", limit=10**19)).json["nodes"]) == 5
        unknown = await world.client.get("/v1/nodes", marker=world.ids.new())
        assert len(unknown.json["nodes"]) == 5

    run(body)


def test_orders(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        for name, updated in (("b", None), ("a", 5.0), ("c", 3.0), ("a", None)):
            world.cluster(profile, name, updated_at=updated)

        async def names(sort: str) -> list[str]:
            rows = (await world.client.get("/v1/clusters", sort=sort)).json["clusters"]
            return ["".join([row["name"], "-" if row["updated_at"] is None else "+"]) for row in rows]

        assert await names("name,updated_at") == ["a-", "a+", "b-", "c+"]
        assert await names("updated_at:asc,name") == ["a-", "b-", "c+", "a+"]
        assert await names("updated_at:desc,name:desc") == ["a+", "c+", "b-", "a-"]
        assert [row["name"] for row in (await world.client.get("/v1/clusters")).json["clusters"]] == [
            "b",
            "a",
            "c",
            "a",
        ]

    run(body)


def test_filters(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        for name, status in (("a", "ACTIVE"), ("b", "ERROR"), ("c", "WARNING")):
            world.cluster(profile, name, status=ClusterStatus(status))

        async def names(text: str) -> list[str]:
            return [row["name"] for row in (await world.client.get(f"/v1/clusters?{text}")).json["clusters"]]

        assert await names("status=ERROR") == ["b"]
        assert await names("status=ERROR&status=WARNING") == ["b", "c"]
        assert await names("name=a&status=ERROR") == []
        assert await names("name=") == ["a", "b", "c"]
        assert await names("name=a&global_project=False") == ["a"]

    run(body)


def test_whose_objects_a_list_has(world: World) -> None:
    async def body() -> None:
        world.cluster(world.profile(), "ours")
        world.cluster(world.profile("p", project="theirs"), "theirs", project="theirs")

        async def names(name: str, **query: Any) -> list[str]:
            answer = await world.client.as_user(name).get("/v1/clusters", **query)
            return [row["name"] for row in answer.json["clusters"]]

        assert await names("member") == await names("admin") == ["ours"]
        assert await names("stranger") == ["theirs"]
        assert await names("admin", global_project="True") == ["ours", "theirs"]

    run(body)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    updated=st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=8),
    keys=st.lists(
        st.tuples(st.sampled_from(["updated_at", "name"]), st.booleans()), max_size=2, unique_by=lambda k: k[0]
    ),
    limit=st.integers(1, 3),
)
def test_pages_of_any_order_add_up_to_the_whole(world: World, updated: list[Any], keys: list[Any], limit: int) -> None:
    world.store.run(lambda connection: connection.execute(tables.cluster.delete()))
    profile = world.profile()
    for index, moment in enumerate(updated):
        world.cluster(profile, f"n{index % 3}", updated_at=moment)
    query = ListQuery("ours", sort=tuple(SortKey(name, descending) for name, descending in keys))

    def page(marker: str | None, size: int | None) -> list[str]:
        asked = ListQuery("ours", sort=query.sort, marker=marker, limit=size)
        return [row.id for row in world.store.run(listing.run, tables.cluster, clusters.VIEW, asked)]

    whole, seen = page(None, None), []
    while found := page(seen[-1] if seen else None, limit):
        seen += found
    assert seen == whole and len(whole) == len(updated)


class TestIdentity:
    def show(self, world: World, word: str, who: str = "member") -> Any:
        return run(lambda: world.client.as_user(who).get(f"/v1/clusters/{word}"))

    def test_id_name_and_prefix(self, world: World) -> None:
        cluster = world.cluster(world.profile(), "web")
        spellings = [
            cluster.id,
            cluster.id.upper(),
            cluster.id.replace("-", ""),
            "web",
            cluster.id[:5],
            cluster.id[:20],
        ]
        for word in spellings:
            assert self.show(world, word).json["cluster"]["id"] == cluster.id

    def test_a_name_that_looks_like_an_id(self, world: World) -> None:
        profile = world.profile()
        first = world.cluster(profile, "first")
        second = world.cluster(profile, first.id)
        third = world.cluster(profile, world.ids.new())
        assert self.show(world, first.id).json["cluster"]["id"] == first.id
        assert self.show(world, third.name).json["cluster"]["id"] == third.id
        assert self.show(world, second.id).json["cluster"]["id"] == second.id

    def test_a_name_before_a_prefix(self, world: World) -> None:
        profile = world.profile()
        first = world.cluster(profile, "first")
        named = world.cluster(profile, first.id[:6])
        assert self.show(world, first.id[:6]).json["cluster"]["id"] == named.id

    def test_several_that_fit(self, world: World) -> None:
        profile = world.profile()
        twins = [world.cluster(profile, "twin").id[:8] for _ in range(7)]
        code, kind, said = self.show(world, "twin").error
        assert (code, kind) == (400, "MultipleChoices") and sum(one in said for one in twins) == 5
        assert said.count("(twin, created at ") == 5 and said.endswith(" and more.")
        ids = [f"abcdef01-0000-4000-8000-00000000000{letter}" for letter in "ab"]
        for one in ids:
            world.cluster(profile, one[-1], id=one)
        code, kind, said = self.show(world, "abcdef01").error
        assert (code, kind) == (400, "MultipleChoices") and all(f"{one} ({one[-1]}, " in said for one in ids)

    def test_wildcards_mean_themselves(self, world: World) -> None:
        world.cluster(world.profile(), "web")
        for word in ("%25", "_", "w%25", "-"):
            assert self.show(world, word).error[0] == 404

    def test_foreign_and_absent_answer_alike(self, world: World) -> None:
        cluster = world.cluster(world.profile(), "web")
        absent = world.ids.new()
        foreign = self.show(world, cluster.id, "stranger").error
        assert foreign[2].replace(cluster.id, "") == self.show(world, absent, "stranger").error[2].replace(absent, "")
        assert self.show(world, "web", "stranger").error[0] == 404
        assert self.show(world, cluster.id[:8], "stranger").error[0] == 404

    def test_admins_reach_others_by_full_id_alone(self, world: World) -> None:
        cluster = world.cluster(world.profile(), "web")
        assert self.show(world, cluster.id, "other-admin").status == 200
        assert self.show(world, "web", "other-admin").error[0] == 404
        assert self.show(world, cluster.id[:8], "other-admin").error[0] == 404


def test_the_hosts_list(world: World) -> None:
    async def body() -> None:
        world.host("b", zone="z1", labels={"disk": "ssd"})
        world.host("a", zone="z2", labels={"disk": "hdd"})
        world.host("c", labels={})
        world.host("foreign", project="theirs")
        client = world.client.at(OURS)

        async def names(text: str = "") -> list[str]:
            return [host["name"] for host in (await client.get(f"/v1/hosts?{text}")).json["hosts"]]

        assert await names() == ["a", "b", "c"]
        assert await names("sort=zone:desc") == ["a", "b", "c"]
        assert await names("sort=zone") == ["c", "b", "a"]
        assert await names("label=disk") == ["a", "b"]
        assert await names("label=disk=ssd") == ["b"]
        assert await names("zone=z1&zone=z2&limit=1") == ["a"]
        first = (await client.get("/v1/hosts", limit=1)).json["hosts"][0]
        assert await names(f"marker={first['id']}") == ["b", "c"]
        assert (await client.get("/v1/hosts", state="sleepy")).error[0] == 400

    run(body)
