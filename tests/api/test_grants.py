"""Grants through the API: who sees them, and who may use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.client import Answer
from api.world import HOST_TYPE, OURS, World, run
from api.world import world as make_world
from spinney.domain.grant import load
from spinney.profiles.allowances import Allowances

FILE = {
    "grants": {
        "tunnels": {
            "description": "Make tunnels",
            "capability": "NET_ADMIN",
            "roles": ["member"],
            "projects": ["ours"],
        },
        "serial": {"device": {"path": "/dev/ttyUSB7", "container_path": "/dev/modem"}, "roles": ["admin"]},
        "models": {"host_path": {"path": "/srv/models", "container_path": "/models"}, "roles": ["member"]},
    }
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path, allowed=Allowances(grants=load(FILE))) as made:
        made.cluster(made.profile("racks", HOST_TYPE), "racks")
        made.cluster(made.profile("others", HOST_TYPE, project="theirs"), "racks", project="theirs")
        yield made


async def profile(world: World, *grants: str, person: str = "member", to: str = "profiles") -> Answer:
    properties = {"image": "nginx", "host_cluster": "racks", "grants": list(grants)}
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}
    named = {} if to.endswith("validate") else {"name": "-".join(grants).replace(" ", "-")}
    return await world.client.as_user(person).post(f"/v1/{to}", {"profile": {**named, "spec": spec}})


def test_each_caller_sees_what_is_open_to_it(world: World) -> None:
    async def seen(person: str) -> dict[str, Any]:
        answer = await world.client.at(OURS).as_user(person).get("/v1/grants")
        return {one["name"]: one for one in answer.json["grants"]}

    async def body() -> None:
        tunnels = {"name": "tunnels", "description": "Make tunnels", "gives": {"capability": "NET_ADMIN"}}
        models = {"name": "models", "description": "", "gives": {"host_path": {"container_path": "/models"}}}
        assert await seen("member") == {"tunnels": tunnels, "models": models}
        assert list(await seen("stranger")) == ["models"]
        assert await seen("reader") == {}
        every = await seen("admin")
        assert list(every) == ["models", "serial", "tunnels"]
        assert every["models"]["gives"]["host_path"]["path"] == "/srv/models"
        assert every["tunnels"]["projects"] == ["ours"]

    run(body)


@pytest.mark.parametrize("to", ["profiles", "profiles/validate"])
def test_a_profile_names_what_its_maker_may_use(world: World, to: str) -> None:
    async def body() -> None:
        assert (await profile(world, "tunnels", "models", to=to)).status in (200, 201)
        refusals = [
            await profile(world, "serial", to=to),
            await profile(world, "models", "none-such", to=to),
            await profile(world, "tunnels", person="stranger", to=to),
        ]
        for answer, name in zip(refusals, ("serial", "none-such", "tunnels"), strict=True):
            assert answer.error[:2] == (403, "Forbidden")
            assert f"the grant {name} does not exist or is not given to any of your roles" in answer.error[2]
        assert (await profile(world, "Not a name", to=to)).error[:2] == (400, "InvalidSpec")

    run(body)


def test_whoever_uses_such_a_profile_needs_the_role_too(world: World) -> None:
    async def body() -> None:
        assert (await profile(world, "serial", person="admin")).status == 201
        plain = world.profile("plain")
        cluster, node = world.cluster(plain, "web"), world.node(plain, "box")
        member, admin = world.client.as_user("member"), world.client
        tries = [
            ("POST", "/v1/clusters", {"cluster": {"name": "x", "profile_id": "serial"}}),
            ("POST", "/v1/nodes", {"node": {"name": "x", "profile_id": "serial"}}),
            ("PATCH", f"/v1/clusters/{cluster.id}", {"cluster": {"profile_id": "serial"}}),
            ("PATCH", f"/v1/nodes/{node.id}", {"node": {"profile_id": "serial"}}),
        ]
        for method, path, given in tries:
            answer = await member.request(method, path, given)
            assert answer.error[:2] == (403, "Forbidden") and "the grant serial" in answer.error[2], answer.body
        assert world.rung == 0
        for method, path, given in tries:
            assert (await admin.request(method, path, given)).status == 202

    run(body)
