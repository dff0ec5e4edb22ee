"""Image rules through the API, and what profiles they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.client import Answer
from api.world import HOST_TYPE, OURS, World, run
from api.world import world as make_world
from spinney.domain.image_rule import ImageRule
from spinney.profiles.allowances import Allowances

DIGEST = "sha256:" + "a" * 64


async def put(world: World, project: str, **rule: Any) -> Answer:
    return await world.client.at(OURS).request("PUT", f"/v1/image-rules/{project}", {"image_rule": rule})


async def get(world: World, project: str, person: str = "admin") -> Answer:
    return await world.client.at(OURS).as_user(person).get(f"/v1/image-rules/{project}")


async def profile(world: World, image: str, person: str = "member", to: str = "profiles") -> Answer:
    properties = {"image": image, "host_cluster": "racks"}
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}
    named = {} if to.endswith("validate") else {"name": "web"}
    return await world.client.as_user(person).post(f"/v1/{to}", {"profile": {**named, "spec": spec}})


@pytest.fixture
def racks(world: World) -> World:
    world.cluster(world.profile("racks", HOST_TYPE), "racks")
    return world


def test_each_rule_stands_in_for_what_it_names(racks: World) -> None:
    async def body() -> None:
        free = {"project": "ours", "allow": None, "require_digest": False, "pin": False, "set": {}}
        assert (await get(racks, "ours")).json["image_rule"] == free
        assert (await put(racks, "*", allow=["docker.io/library/*"], pin=True)).status == 200
        answer = await put(racks, "ours", require_digest=True)
        assert answer.json["image_rule"] == {
            "project": "ours",
            "allow": ["docker.io/library/*"],
            "require_digest": True,
            "pin": True,
            "set": {"require_digest": True},
        }
        assert (await get(racks, "*", "reader")).json["image_rule"]["require_digest"] is False
        assert (await racks.client.at(OURS).delete("/v1/image-rules/ours")).status == 204
        assert (await racks.client.at(OURS).delete("/v1/image-rules/ours")).status == 404
        assert (await get(racks, "ours")).json["image_rule"]["set"] == {}

    run(body)


def test_other_projects_are_not_there(world: World) -> None:
    async def body() -> None:
        assert (await get(world, "ours", "reader")).status == 200
        for other in ("theirs", "nobodys"):
            assert (await get(world, other, "reader")).error[:2] == (404, "ResourceNotFound")

    run(body)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "says nothing"),
        ({"allow": "nginx"}, "image_rule.allow"),
        ({"allow": ["nginx:1"]}, "tag or digest"),
        ({"allow": ["nginx", "a//b"]}, "image_rule.allow[1]"),
        ({"deny": ["nginx"]}, "deny"),
        ({"pin": "perhaps"}, "image_rule.pin"),
    ],
)
def test_what_is_no_rule(world: World, rule: dict[str, Any], words: str) -> None:
    answer = run(lambda: put(world, "ours", **rule))
    assert answer.status == 400 and words in answer.error[2]


@pytest.mark.parametrize("to", ["profiles", "profiles/validate"])
def test_profiles_are_held_against_them(racks: World, to: str) -> None:
    async def body() -> None:
        await put(racks, "ours", allow=["registry.example.org/team/*"])
        answer = await profile(racks, "REGISTRY.example.org:443/team/app:1", to=to)
        assert answer.status in (200, 201), answer.body
        for image in ("nginx", "registry.example.org/team/deep/app", "registry.example.org.evil.org/team/app"):
            answer = await profile(racks, image, to=to)
            assert answer.error[:2] == (400, "InvalidSpec")
            assert "properties.image" in answer.error[2] and "registry.example.org/team/*" in answer.error[2]
        await put(racks, "ours", require_digest=True)
        assert "has no digest" in (await profile(racks, "nginx:1", to=to)).error[2]
        assert (await profile(racks, f"nginx:1@{DIGEST}", to=to)).status in (200, 201)

    run(body)


def test_the_configuration_counts_where_no_rule_does(tmp_path: Path) -> None:
    with make_world(tmp_path, allowed=Allowances(images=ImageRule(allow=("docker.io/library/*",)))) as world:
        world.cluster(world.profile("racks", HOST_TYPE), "racks")

        async def body() -> None:
            assert (await profile(world, "nginx")).status == 201
            assert (await profile(world, "team/app")).status == 400
            await put(world, "ours", allow=["team/*"])
            assert (await profile(world, "team/app")).status == 201
            assert (await profile(world, "nginx")).status == 400

        run(body)
