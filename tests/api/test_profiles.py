"""Profiles, profile types, and what a container profile may name as its host."""

from __future__ import annotations

from typing import Any

import pytest

from api.world import CONTAINER_TYPE, HOST_TYPE, OURS, World, run


def container_spec(**properties: Any) -> dict[str, Any]:
    return {"type": "container.dockerinc.docker", "version": 1.0, "properties": {"image": "busybox", **properties}}


def create(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"profile": {"name": name, "spec": spec}}


def test_a_profile_from_creation_to_deletion(world: World) -> None:
    async def body() -> None:
        host = world.host()
        spec = container_spec(host_node="metal")
        made = await world.client.post("/v1/profiles", create(**spec))
        assert made.status == 201
        profile = made.json["profile"]
        assert profile["spec"] == spec
        assert profile["type"] == CONTAINER_TYPE
        assert (profile["user"], profile["project"], profile["domain"]) == ("admin", "ours", None)
        assert profile["metadata"] == {} and profile["updated_at"] is None
        assert profile["created_at"].endswith("Z")
        assert (await world.client.get(f"/v1/profiles/{profile['id']}")).json["profile"] == profile

        changed = await world.client.patch("/v1/profiles/web", {"profile": {"name": "shop", "metadata": {"a": 1}}})
        assert changed.status == 200
        assert changed.json["profile"]["name"] == "shop" and changed.json["profile"]["metadata"] == {"a": 1}
        assert changed.json["profile"]["updated_at"] is not None
        cleared = await world.client.patch("/v1/profiles/shop", {"profile": {"name": None, "metadata": {}}})
        assert cleared.json["profile"]["metadata"] == {}

        shown = (await world.client.get(f"/v1/nodes/{host.node_id}")).json["node"]
        assert shown["dependents"] == {"profiles": [profile["id"]]}
        gone = await world.client.delete("/v1/profiles/shop")
        assert (gone.status, gone.body) == (204, b"")
        assert (await world.client.get("/v1/profiles/shop")).error[:2] == (404, "ResourceNotFound")
        assert (await world.client.get(f"/v1/nodes/{host.node_id}")).json["node"]["dependents"] == {}

    run(body)


@pytest.mark.parametrize(
    ("given", "status", "kind", "words"),
    [
        ({}, 400, "HTTPBadRequest", "profile.name"),
        ({"name": "x"}, 400, "HTTPBadRequest", "profile.spec"),
        ({"name": "x", "spec": "y"}, 400, "HTTPBadRequest", "a map"),
        ({"name": "b c", "spec": {}}, 400, "HTTPBadRequest", "'b c'"),
        ({"name": "x" * 256, "spec": {}}, 400, "HTTPBadRequest", "1 to 255"),
        ({"name": "x", "spec": {}, "foo": 1}, 400, "HTTPBadRequest", "profile.foo"),
        ({"name": "x", "spec": {"version": "1.0"}}, 500, "ESchema", "spec.type"),
        ({"name": "x", "spec": {"type": "a", "version": "1.0"}}, 404, "ResourceNotFound", "profile_type 'a-1.0'"),
        ({"name": "x", "spec": container_spec()}, 400, "InvalidSpec", "host_node and host_cluster are both missing"),
        ({"name": "x", "spec": container_spec(host_node=None)}, 400, "InvalidSpec", "both missing"),
        ({"name": "x", "spec": container_spec(host_node="nope")}, 400, "InvalidSpec", "'nope' could not be found"),
        ({"name": "x", "spec": container_spec(privileged=True)}, 400, "InvalidSpec", "privileged"),
    ],
)
def test_profiles_that_are_refused(world: World, given: Any, status: int, kind: str, words: str) -> None:
    answer = run(lambda: world.client.post("/v1/profiles", {"profile": given}))
    assert answer.error[:2] == (status, kind)
    assert words in answer.error[2]


def test_what_senlin_calls_a_500_is_a_400_for_those_who_speak_our_version(world: World) -> None:
    answer = run(lambda: world.client.at(OURS).post("/v1/profiles", create(version="1.0")))
    assert answer.error[:2] == (400, "InvalidSpec")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, "differs"), ({"name": "web"}, "differs"), ({"spec": {}}, "profile.spec"), ({"name": None}, "differs")],
)
def test_updates_that_change_nothing_or_too_much(world: World, changes: dict[str, Any], words: str) -> None:
    world.profile("web")
    answer = run(lambda: world.client.patch("/v1/profiles/web", {"profile": changes}))
    assert answer.error[0] == 400
    assert words in answer.error[2]


def test_a_profile_in_use_stays(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        world.cluster(profile)
        answer = await world.client.delete(f"/v1/profiles/{profile.id}")
        assert answer.error[:2] == (409, "ResourceInUse")
        assert answer.error[2].startswith("The profile 'web' cannot be deleted: it is in use by cluster 'c1' (")

    run(body)


def test_validating_stores_nothing(world: World) -> None:
    async def body() -> None:
        world.host()
        answer = await world.client.post(
            "/v1/profiles/validate", {"profile": {"spec": container_spec(host_node="metal")}}
        )
        profile = answer.json["profile"]
        assert answer.status == 200
        assert (profile["id"], profile["created_at"], profile["name"]) == (None, None, "validated_profile")
        listed = await world.client.get("/v1/profiles", type=CONTAINER_TYPE)
        assert listed.json == {"profiles": []}

    run(body)


class TestHosts:
    """Which host and host cluster a container profile may name (design rules 1 to 7)."""

    def post(self, world: World, **properties: Any) -> Any:
        return run(lambda: world.client.post("/v1/profiles", create(**container_spec(**properties))))

    def test_by_name_id_and_prefix(self, world: World) -> None:
        host = world.host()
        for word in ("metal", host.node_id, host.node_id[:8]):
            assert self.post(world, host_node=word).status == 201

    def test_a_host_cluster_alone(self, world: World) -> None:
        world.cluster(world.profile("p", HOST_TYPE), "farm")
        assert self.post(world, host_cluster="farm").status == 201

    def test_both_need_membership(self, world: World) -> None:
        farm = world.cluster(world.profile("p", HOST_TYPE), "farm")
        world.host("inside", cluster_id=farm.id)
        world.host("outside")
        assert self.post(world, host_node="inside", host_cluster="farm").status == 201
        answer = self.post(world, host_node="outside", host_cluster="farm")
        assert answer.error[:2] == (400, "InvalidSpec")
        assert "not a member" in answer.error[2]

    def test_a_node_that_is_no_host(self, world: World) -> None:
        world.node(world.profile(), "box")
        assert "is not a host" in self.post(world, host_node="box").error[2]

    def test_a_cluster_that_is_no_host_cluster(self, world: World) -> None:
        world.cluster(world.profile(), "boxes")
        assert "is not a host cluster" in self.post(world, host_cluster="boxes").error[2]

    def test_foreign_and_absent_answer_alike_even_for_admins(self, world: World) -> None:
        foreign = world.host("theirs", project="theirs").node_id
        absent = world.ids.new()
        answers = [self.post(world, host_node=word).error for word in (foreign, absent)]
        assert answers[0][2].replace(foreign, "") == answers[1][2].replace(absent, "")
        assert answers[0][:2] == (400, "InvalidSpec")

    def test_two_of_one_name(self, world: World) -> None:
        world.host("twin")
        world.host("twin")
        assert self.post(world, host_node="twin").error[:2] == (400, "MultipleChoices")

    def test_only_operators_make_profiles_of_hosts(self, world: World) -> None:
        spec = {"type": "host.docker", "version": "1.0", "properties": {"endpoint": "unix:///run/docker.sock"}}

        async def body() -> None:
            for path in ("/v1/profiles", "/v1/profiles/validate"):
                given = {"profile": {"spec": spec} | ({} if "validate" in path else {"name": "h"})}
                assert (await world.client.as_user("member").post(path, given)).error[:2] == (403, "Forbidden")
                assert (await world.client.post(path, given)).status in (200, 201)

        run(body)


def test_profile_types_by_version(world: World) -> None:
    async def body() -> None:
        old = (await world.client.at("clustering 1.4").get("/v1/profile-types")).json["profile_types"]
        assert old == [{"name": CONTAINER_TYPE}]
        (kind,) = (await world.client.get("/v1/profile-types")).json["profile_types"]
        assert (kind["name"], kind["version"]) == ("container.dockerinc.docker", "1.0")
        assert {"status", "since"} == kind["support_status"]["1.0"][0].keys()
        ours = (await world.client.at(OURS).get("/v1/profile-types")).json["profile_types"]
        assert [one["name"] for one in ours] == ["container.dockerinc.docker", "host.docker"]

        shown = (await world.client.get(f"/v1/profile-types/{CONTAINER_TYPE}")).json["profile_type"]
        assert shown["name"] == CONTAINER_TYPE
        assert shown["schema"]["image"]["required"] is True
        assert shown["support_status"]["1.0"]
        before = (await world.client.at("clustering 1.4").get(f"/v1/profile-types/{CONTAINER_TYPE}")).json[
            "profile_type"
        ]
        assert "support_status" not in before
        assert (
            await world.client.get(f"/v1/profile-types/{HOST_TYPE}")
        ).status == 200  # showing ours works for everybody
        assert (await world.client.get("/v1/profile-types/nope-1.0")).error[:2] == (404, "ResourceNotFound")

        operations = (await world.client.get(f"/v1/profile-types/{CONTAINER_TYPE}/ops")).json["operations"]
        assert {"restart", "pause", "unpause", "start", "stop", "kill"} <= operations.keys()
        assert operations["pause"]["parameters"] == {}
        assert "wait_time" in operations["restart"]["parameters"]
        assert (await world.client.get("/v1/profile-types/nope-1.0/ops")).error[:2] == (400, "BadRequest")

    run(body)
