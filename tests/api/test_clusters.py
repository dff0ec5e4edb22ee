"""Clusters: making, showing, changing and deleting them."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from api.world import HOST_TYPE, OURS, World, run
from api.world import world as make_world
from spinney.domain.action import ActionKind, ActionStatus, Cause
from spinney.domain.cluster import ClusterStatus
from spinney.domain.node import NodeStatus
from spinney.domain.quota import unlimited
from spinney.profiles.allowances import Allowances


def create(name: str = "web", profile: str = "web", **values: Any) -> dict[str, Any]:
    return {"cluster": {"name": name, "profile_id": profile, **values}}


def test_creating_answers_with_the_cluster_and_the_action_that_makes_it(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        config = {"node.name.format": "w-$I"}
        given = create(min_size="1", max_size=5, desired_capacity=2, metadata={"a": 1}, timeout=60, config=config)
        answer = await world.client.at("clustering 1.0").post("/v1/clusters", given)
        action = world.action(answer.action)
        cluster = answer.json["cluster"]
        assert cluster == {
            "id": action.target,
            "name": "web",
            "profile_id": profile.id,
            "profile_name": "web",
            "user": "admin",
            "project": "ours",
            "domain": None,
            "init_at": cluster["init_at"],
            "created_at": None,
            "updated_at": None,
            "min_size": 1,
            "max_size": 5,
            "desired_capacity": 2,
            "timeout": 60,
            "status": "INIT",
            "status_reason": "Initializing",
            "metadata": {"a": 1},
            "data": {},
            "dependents": {},
            "config": config,
            "nodes": [],
            "policies": [],
        }
        assert (action.action, action.status, action.cause) == (
            ActionKind.CLUSTER_CREATE,
            ActionStatus.READY,
            Cause.REQUEST,
        )
        assert (action.cluster_id, action.timeout, action.name) == (
            cluster["id"],
            60,
            f"cluster_create_{cluster['id'][:8]}",
        )
        assert (action.user, action.project, action.ready_at) == ("admin", "ours", world.clock.now())
        assert world.rung == 1

    run(body)


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({}, (0, -1, 0)),
        ({"min_size": 3}, (3, -1, 3)),
        ({"desired_capacity": None, "min_size": 2}, (2, -1, 2)),
        ({"max_size": "-1", "desired_capacity": "4"}, (0, -1, 4)),
        ({"max_size": 0}, (0, 0, 0)),
        ({"min_size": None, "max_size": None, "timeout": None, "metadata": None, "config": None}, (0, -1, 0)),
    ],
)
def test_sizes_that_are_not_given(world: World, given: dict[str, Any], sizes: tuple[int, int, int]) -> None:
    world.profile()
    cluster = run(lambda: world.client.post("/v1/clusters", create(**given))).json["cluster"]
    assert (cluster["min_size"], cluster["max_size"], cluster["desired_capacity"]) == sizes
    assert cluster["timeout"] == 3600


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"desired_capacity": 3, "max_size": 2}, "BadRequest", "(3) is greater than the specified max_size (2)"),
        ({"desired_capacity": 1, "min_size": 2}, "BadRequest", "(1) is less than the specified min_size (2)"),
        ({"desired_capacity": 1, "max_size": 0}, "BadRequest", "max_size (0)"),
        ({"min_size": 5, "max_size": 3, "desired_capacity": None}, "BadRequest", "max_size (3)"),
        ({"desired_capacity": 1001}, "BadRequest", "(1000)"),
        ({"max_size": 1001}, "BadRequest", "(1000)"),
        ({"min_size": -1}, "HTTPBadRequest", "cluster.min_size: -1"),
        ({"max_size": -2}, "HTTPBadRequest", "cluster.max_size: -2"),
        ({"desired_capacity": "many"}, "HTTPBadRequest", "cluster.desired_capacity: 'many'"),
        ({"desired_capacity": True}, "HTTPBadRequest", "cluster.desired_capacity"),
        ({"timeout": -1}, "HTTPBadRequest", "cluster.timeout"),
        ({"metadata": "x"}, "HTTPBadRequest", "cluster.metadata"),
        ({"profile_id": 5}, "HTTPBadRequest", "cluster.profile_id"),
        ({"profile_id": "nope"}, "BadRequest", "The specified profile 'nope' could not be found"),
        ({"config": {"node.name.format": "a b"}}, "HTTPBadRequest", "node.name.format"),
        ({"config": {"spinney.self_healing": "perhaps"}}, "HTTPBadRequest", "spinney.self_healing"),
        ({"config": {"spinney.bogus": 1}}, "HTTPBadRequest", "spinney.bogus"),
        ({"policies": {}}, "HTTPBadRequest", "cluster.policies"),
        ({"policies": [{"enabled": True}]}, "HTTPBadRequest", "cluster.policies[0].policy_id"),
        ({"policies": [{"policy_id": "nope"}]}, "BadRequest", "cluster.policies[0].policy_id: The specified policy"),
    ],
)
def test_clusters_that_are_refused(world: World, given: dict[str, Any], kind: str, words: str) -> None:
    world.profile()
    answer = run(lambda: world.client.post("/v1/clusters", create(**given)))
    assert answer.error[:2] == (400, kind)
    assert words in answer.error[2]
    assert world.rung == 0


def test_a_project_has_so_many_clusters_and_no_more(tmp_path: Any) -> None:
    with make_world(tmp_path, allowed=Allowances(limits={**unlimited(), "clusters": 1})) as world:
        profile = world.profile()
        world.cluster(profile, project="theirs")

        async def body() -> None:
            assert (await world.client.post("/v1/clusters", create("a"))).status == 202
            assert (await world.client.post("/v1/clusters", create("b"))).error[:2] == (403, "OverQuota")

        run(body)


def test_showing_names_members_in_their_order(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        cluster = world.cluster(profile, "web", members=3)
        world.cluster(profile, "db", members=1)
        shown = (await world.client.get("/v1/clusters/web")).json["cluster"]
        nodes = (await world.client.get("/v1/nodes", cluster_id="web", sort="index")).json["nodes"]
        assert shown["nodes"] == [node["id"] for node in nodes] and len(nodes) == 3
        listed = {one["name"]: one for one in (await world.client.get("/v1/clusters")).json["clusters"]}
        assert listed["web"] == shown
        assert len(listed["db"]["nodes"]) == 1
        assert cluster.id == shown["id"]

    run(body)


def test_members_in_service_are_counted_for_who_speaks_our_version(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        cluster = world.cluster(profile, "web", members=1)
        world.cluster(profile, "empty")
        world.node(profile, "ill", cluster_id=cluster.id, status=NodeStatus.ERROR)
        world.node(profile, "well", cluster_id=cluster.id, status=NodeStatus.ACTIVE, ready=True, index=7)
        ours = world.client.at(OURS)
        listed = {one["name"]: one["members"] for one in (await ours.get("/v1/clusters")).json["clusters"]}
        assert listed == {
            "web": {"active": 2, "ready": 1, "total": 3}, "empty": {"active": 0, "ready": 0, "total": 0},
        }  # fmt: skip
        assert (await ours.get("/v1/clusters/web")).json["cluster"]["members"] == listed["web"]
        made = {"cluster": {"name": "new", "profile_id": profile.id}}
        assert (await ours.post("/v1/clusters", made)).json["cluster"]["members"] == listed["empty"]
        changed = {"cluster": {"name": "new"}}
        assert (await ours.patch("/v1/clusters/web", changed)).json["cluster"]["members"] == listed["web"]
        for path in ("/v1/clusters", "/v1/clusters/web"):
            assert b'"members"' not in (await world.client.get(path)).body

    run(body)


def test_members_of_all_clusters_are_counted_by_one_statement_from_an_index(world: World) -> None:
    profile = world.profile()
    for name in ("c1", "c2", "c3"):
        world.cluster(profile, name, members=1)
    counting: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "GROUP BY" in statement:
            counting.append((statement, parameters))

    sa.event.listen(world.store.engine, "before_cursor_execute", note)
    run(lambda: world.client.at(OURS).get("/v1/clusters"))
    (statement, parameters) = counting[0]
    assert len(counting) == 1
    plan = world.store.run(
        lambda connection: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    )
    assert ["COVERING INDEX ix_node_cluster_status" in row.detail for row in plan] == [True]


class TestUpdate:
    def patch(self, world: World, version: str = "clustering 1.14", **changes: Any) -> Any:
        return run(lambda: world.client.at(version).patch("/v1/clusters/c1", {"cluster": changes}))

    def test_only_what_differs_is_asked_of_the_engine(self, world: World) -> None:
        cluster = world.cluster(world.profile())
        new = world.profile("newer")
        answer = self.patch(
            world, name="c1", profile_id="newer", metadata={"x": 1}, timeout=7, profile_only=True, config={"a": 1}
        )
        action = world.action(answer.action)
        assert action.inputs == {
            "new_profile_id": new.id,
            "metadata": {"x": 1},
            "timeout": 7,
            "profile_only": True,
            "config": {"a": 1},
            "revision": 1,
        }
        assert answer.json["cluster"]["id"] == cluster.id
        assert answer.json["cluster"]["metadata"] == {}  # as it is now

    def test_what_came_later_is_dropped_silently(self, world: World) -> None:
        world.cluster(world.profile())
        answer = self.patch(world, "clustering 1.5", name="x", profile_only="true", config={"a": 1})
        assert world.action(answer.action).inputs == {"name": "x"}

    def test_null_leaves_alone(self, world: World) -> None:
        world.cluster(world.profile(), metadata={"keep": 1})
        given = {"profile_id": None, "metadata": None, "timeout": None, "config": None}
        assert world.action(self.patch(world, name="new", **given).action).inputs == {"name": "new"}

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({}, "differs"),
            ({"name": "c1", "profile_id": "web"}, "differs"),
            ({"profile_id": "nope"}, "'nope' could not be found"),
            ({"profile_id": "machine"}, "type host.docker-1.0"),
            ({"desired_capacity": 3}, "cluster.desired_capacity"),
            ({"name": "a/b"}, "cluster.name"),
        ],
    )
    def test_refused(self, world: World, changes: dict[str, Any], words: str) -> None:
        world.cluster(world.profile())
        world.profile("machine", HOST_TYPE)
        answer = self.patch(world, **changes)
        assert answer.error[0] == 400
        assert words in answer.error[2]

    def test_a_cluster_in_error_is_not_updated(self, world: World) -> None:
        world.cluster(world.profile(), status=ClusterStatus.ERROR)
        assert self.patch(world, name="x").error[:2] == (409, "FeatureNotSupported")

    def test_shape_comes_before_existence(self, world: World) -> None:
        async def body() -> None:
            assert (await world.client.patch("/v1/clusters/nope", {"cluster": {"bogus": 1}})).error[0] == 400
            assert (await world.client.patch("/v1/clusters/nope", {"name": "x"})).error[0] == 400
            assert (await world.client.patch("/v1/clusters/nope", {"cluster": {"name": "x"}})).error[0] == 404

        run(body)


class TestDelete:
    def test_answers_null_and_where_to_look(self, world: World) -> None:
        cluster = world.cluster(world.profile(), timeout=77)
        answer = run(lambda: world.client.delete("/v1/clusters/c1"))
        assert answer.body == b"null"
        action = world.action(answer.action)
        assert (action.action, action.target, action.timeout) == (ActionKind.CLUSTER_DELETE, cluster.id, 77)

    @pytest.mark.parametrize("status", ["CREATING", "UPDATING", "DELETING", "RECOVERING"])
    def test_not_while_it_changes_unless_forced(self, world: World, status: str) -> None:
        async def body() -> None:
            world.cluster(world.profile(), status=ClusterStatus(status))
            refused = await world.client.delete("/v1/clusters/c1")
            assert refused.error[:2] == (409, "ActionInProgress")
            assert status in refused.error[2]
            old = await world.client.at("clustering 1.7").delete("/v1/clusters/c1", {"force": True})
            assert old.error[0] == 409
            assert (await world.client.delete("/v1/clusters/c1", {"force": "maybe"})).error[0] == 400
            forced = await world.client.delete("/v1/clusters/c1", {"force": True})
            assert world.action(forced.action).inputs == {"force": True}

        run(body)

    def test_force_in_the_query(self, world: World) -> None:
        world.cluster(world.profile(), status=ClusterStatus.CREATING)
        assert run(lambda: world.client.delete("/v1/clusters/c1", force="True")).status == 202

    def test_not_while_profiles_name_it(self, world: World) -> None:
        farm = world.cluster(world.profile("p", HOST_TYPE), "farm")
        pinning = world.profile("pinning", pins={"host_cluster": farm.id})
        answer = run(lambda: world.client.delete("/v1/clusters/farm", {"force": True}))
        assert answer.error[:2] == (409, "ResourceInUse")
        assert "used by profile 'pinning'" in answer.error[2]
        shown = run(lambda: world.client.get("/v1/clusters/farm")).json["cluster"]
        assert shown["dependents"] == {"profiles": [pinning.id]}
        (listed,) = run(lambda: world.client.get("/v1/clusters")).json["clusters"]
        assert listed == shown

    def test_what_others_have_is_not_named(self, world: World) -> None:
        farm = world.cluster(world.profile("p", HOST_TYPE), "farm")
        foreign = world.profile("foreign", project="theirs", pins={"host_cluster": farm.id})
        answer = run(lambda: world.client.delete("/v1/clusters/farm"))
        assert "in use by others" in answer.error[2]
        assert foreign.id not in answer.error[2]
        assert run(lambda: world.client.get("/v1/clusters/farm")).json["cluster"]["dependents"] == {}

    def test_not_while_containers_run_on_its_members(self, world: World) -> None:
        farm = world.cluster(world.profile("p", HOST_TYPE), "farm")
        host = world.host("m1", cluster_id=farm.id)
        world.container(world.profile(), host)
        answer = run(lambda: world.client.delete("/v1/clusters/farm"))
        assert answer.error[:2] == (409, "ResourceInUse")
        assert "used by node 'box'" in answer.error[2]


def test_names_with_odd_characters_in_the_path(world: World) -> None:
    async def body() -> None:
        world.cluster(world.profile(), "森林~1")
        assert (await world.client.get("/v1/clusters/%E6%A3%AE%E6%9E%97~1")).json["cluster"]["name"] == "森林~1"
        for word in ("a%2Fb", "%00", "..%2f..%2fetc", "%ff%fe", "%27%20OR%201=1--", "%25", "a" * 3000):
            assert (await world.client.get(f"/v1/clusters/{word}")).error[:2] == (404, "ResourceNotFound")

    run(body)


def test_collecting_one_value_of_each_member(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        cluster = world.cluster(profile, members=1)
        world.container(profile, world.host(), cluster_id=cluster.id, index=2)

        async def collect(path: str) -> list[Any]:
            found = (await world.client.get(f"/v1/clusters/c1/attrs/{path}")).json["cluster_attributes"]
            return [one["value"] for one in found]

        assert await collect("name") == ["c1-1", "box"]
        assert await collect("details.status") == ["ACTIVE"]  # the other has no container to look into
        assert await collect("$.details.addresses.blue%5B0%5D.addr") == ["10.0.0.2"]
        assert await collect("nothing") == []
        for path in ("None", "a..b", "%5B"):
            assert (await world.client.get(f"/v1/clusters/c1/attrs/{path}")).error[:2] == (400, "HTTPBadRequest")
        assert (await world.client.get("/v1/clusters/nope/attrs/name")).error[0] == 404
        assert (await world.client.get("/v1/clusters/c1/attrs/")).error[0] == 404

    run(body)
