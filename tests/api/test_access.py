"""Every route × every persona × an own, a foreign and an absent object. A route without a row here fails."""

from __future__ import annotations

from typing import Any

import pytest

from api.world import CONTAINER_TYPE, HOST_TYPE, OURS, World, run
from spinney.api.access import ABOUT, ADMIN, EVERYBODY, FURTHER, MANAGER, MEMBER, NOBODY, READER, RULES, SERVICE
from spinney.api.routes import ROUTES
from spinney.api.wire import Route

#: Roles that may use the route, and a body with which it gets as far as looking for the object.
MATRIX: dict[tuple[str, str], tuple[frozenset[str], Any]] = {
    ("GET", "build-info"): (ABOUT, None),
    ("GET", "services"): (SERVICE, None),
    ("GET", "profile-types"): (ABOUT, None),
    ("GET", "profile-types/{type}"): (ABOUT, None),
    ("GET", "profile-types/{type}/ops"): (ABOUT, None),
    ("GET", "policy-types"): (ABOUT, None),
    ("GET", "policy-types/{type}"): (ABOUT, None),
    ("GET", "profiles"): (READER, None),
    ("POST", "profiles"): (MEMBER, {}),
    ("POST", "profiles/validate"): (MEMBER, {}),
    ("GET", "profiles/{profile}"): (READER, None),
    ("PATCH", "profiles/{profile}"): (MEMBER, {"profile": {"name": "changed"}}),
    ("DELETE", "profiles/{profile}"): (MEMBER, None),
    ("GET", "policies"): (READER, None),
    ("POST", "policies"): (MEMBER, {}),
    ("POST", "policies/validate"): (MEMBER, {}),
    ("GET", "policies/{policy}"): (READER, None),
    ("PATCH", "policies/{policy}"): (MEMBER, {"policy": {"name": "changed"}}),
    ("DELETE", "policies/{policy}"): (MEMBER, None),
    ("GET", "receivers"): (READER, None),
    ("POST", "receivers"): (MEMBER, {}),
    ("GET", "receivers/{receiver}"): (READER, None),
    ("PATCH", "receivers/{receiver}"): (MEMBER, {"receiver": {"name": "changed"}}),
    ("DELETE", "receivers/{receiver}"): (MEMBER, None),
    ("POST", "receivers/{receiver}/notify"): (MEMBER, None),
    ("POST", "receivers/{receiver}/rotate"): (MEMBER, None),
    ("POST", "webhooks/{receiver}/trigger"): (EVERYBODY, None),
    ("GET", "clusters"): (READER, None),
    ("POST", "clusters"): (MEMBER, {}),
    ("GET", "clusters/{cluster}"): (READER, None),
    ("PATCH", "clusters/{cluster}"): (MEMBER, {"cluster": {"name": "changed"}}),
    ("DELETE", "clusters/{cluster}"): (MEMBER, None),
    ("POST", "clusters/{cluster}/actions"): (MEMBER, {"check": {}}),
    ("POST", "clusters/{cluster}/ops"): (MEMBER, {"pause": {}}),
    ("GET", "clusters/{cluster}/attrs/{path}"): (READER, None),
    ("GET", "clusters/{cluster}/policies"): (READER, None),
    ("GET", "clusters/{cluster}/policies/{policy}"): (READER, None),
    ("GET", "nodes"): (READER, None),
    ("POST", "nodes"): (MEMBER, {}),
    ("POST", "nodes/adopt"): (MEMBER, {}),
    ("POST", "nodes/adopt-preview"): (MEMBER, {}),
    ("GET", "nodes/{node}"): (READER, None),
    ("PATCH", "nodes/{node}"): (MEMBER, {"node": {"name": "changed"}}),
    ("DELETE", "nodes/{node}"): (MEMBER, None),
    ("POST", "nodes/{node}/actions"): (MEMBER, {"check": {}}),
    ("POST", "nodes/{node}/ops"): (MEMBER, {"pause": {}}),
    ("GET", "actions"): (READER, None),
    ("POST", "actions"): (NOBODY, {}),
    ("GET", "actions/{action}"): (READER, None),
    ("PATCH", "actions/{action}"): (MEMBER, {"action": {"status": "CANCELLED"}}),
    ("GET", "events"): (READER, None),
    ("GET", "events/{event}"): (READER, None),
    ("GET", "hosts"): (READER, None),
    ("GET", "hosts/{host}"): (READER, None),
    ("POST", "hosts/{host}/actions"): (ADMIN, {"cordon": {}}),
    ("POST", "clusters/{cluster}/plan"): (MEMBER, {"rebalance": {}}),
    ("GET", "nodes/{node}/logs"): (MEMBER, None),
    ("GET", "clusters/{cluster}/logs"): (MEMBER, None),
    ("GET", "nodes/{node}/stats"): (READER, None),
    ("GET", "clusters/{cluster}/stats"): (READER, None),
    ("GET", "nodes/{node}/placement"): (READER, None),
    ("GET", "openapi.json"): (ABOUT, None),
    ("GET", "clusters/{cluster}/shares"): (READER, None),
    ("POST", "clusters/{cluster}/shares"): (MANAGER, {"share": {"project_id": "theirs"}}),
    ("GET", "clusters/{cluster}/shares/{project}"): (READER, None),
    ("DELETE", "clusters/{cluster}/shares/{project}"): (MANAGER, None),
    ("GET", "shared-clusters"): (READER, None),
    ("GET", "quotas/{project}"): (READER, None),
    ("PUT", "quotas/{project}"): (ADMIN, {"quota": {"nodes": 5}}),
    ("DELETE", "quotas/{project}"): (ADMIN, None),
    ("GET", "image-rules/{project}"): (READER, None),
    ("PUT", "image-rules/{project}"): (ADMIN, {"image_rule": {"pin": True}}),
    ("DELETE", "image-rules/{project}"): (ADMIN, None),
    ("GET", "grants"): (READER, None),
    ("GET", "credentials"): (ADMIN, None),
    ("POST", "credentials"): (ADMIN, {}),
    ("GET", "credentials/{credential}"): (ADMIN, None),
    ("PATCH", "credentials/{credential}"): (ADMIN, {"credential": {"data": {}}}),
    ("DELETE", "credentials/{credential}"): (ADMIN, None),
    ("GET", "secrets"): (READER, None),
    ("POST", "secrets"): (MEMBER, {}),
    ("GET", "secrets/{secret}"): (READER, None),
    ("PATCH", "secrets/{secret}"): (MEMBER, {"secret": {"data": {"key": "value"}}}),
    ("DELETE", "secrets/{secret}"): (MEMBER, None),
}
#: Routes whose last word is not one of a project's objects, or names things that do not exist yet.
SHARED = {"type", "credential", "project"}
#: Routes that answer otherwise than by their status where all is well.
REFUSING = {("POST", "receivers/{receiver}/notify"): 400}


def key(route: Route) -> tuple[str, str]:
    return route.method, route.path


def test_every_route_has_a_row_and_a_rule() -> None:
    assert {key(route) for route in ROUTES} == set(MATRIX)
    assert {route.rule for route in ROUTES} | set(FURTHER) == set(RULES)
    assert len({key(route) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_who_may_use_a_route(world: World, route: Route) -> None:
    async def body() -> None:
        roles, given = MATRIX[key(route)]
        path = "/v1/" + route.path.replace("{", "").replace("}", "")
        for person, has in (("nobody", set()), ("reader", {"reader"}), ("member", {"member"}), ("admin", {"admin"})):
            answer = await world.client.as_user(person).at(OURS).request(route.method, path, given)
            refused = answer.status == 403
            assert refused == (not route.public and not has & roles), (person, answer.body)
            if refused:
                assert answer.error[1] == "Forbidden" and route.rule in answer.error[2]

    run(body)


def _objects(world: World) -> dict[str, str]:
    """One object of each noun, all of our project."""
    profile = world.profile()
    cluster = world.cluster(profile, members=1)
    host = world.host()
    node = world.container(profile, host)
    action = run(lambda: world.client.post("/v1/clusters/c1/actions", {"check": {}})).action
    world.change(_actions(), action, status="WAITING", running_target=None, target=world.ids.new())
    unused = world.profile("unused")
    return {
        "profile": unused.id,
        "policy": world.policy("unused").id,
        "bound": world.policy("bound", cluster).id,
        "cluster": cluster.id,
        "host cluster": world.cluster(world.profile("racks", HOST_TYPE), "racks").id,
        "node": node.id,
        "host": host.node_id,
        "action": action,
        "event": _event(world),
        "receiver": world.receiver(cluster).id,
        "secret": world.secret().id,
    }


def _actions() -> Any:
    from spinney.store import tables

    return tables.action


def _event(world: World) -> str:
    from spinney.domain.event import Event, Level
    from spinney.store.rows import EVENTS

    event = Event(
        timestamp=1.0,
        oid="00000000-0000-4000-8000-000000000001",
        oname="o",
        otype="NODE",
        cluster_id="",
        level=Level.INFO,
        action="NODE_CREATE",
        status="start",
        status_reason="",
        **world.new(),
    )
    world.insert(EVENTS, event)
    return event.id


def _variable(route: Route) -> str | None:
    names = [segment[1:-1] for segment in route.segments if segment.startswith("{")]
    return names[0] if names and names[0] not in SHARED and names[-1] not in SHARED else None


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if _variable(route) and MATRIX[key(route)][0] not in (ADMIN, EVERYBODY)],
    ids=lambda route: f"{route.method} {route.path}",
)
def test_own_foreign_and_absent(world: World, route: Route) -> None:
    objects = _objects(world)
    noun = _variable(route)
    assert noun is not None
    _, given = MATRIX[key(route)]

    async def ask(person: str, word: str) -> Any:
        path = "/v1/" + route.path.replace(f"{{{noun}}}", word).replace("{path}", "name")
        path = path.replace("{policy}", objects["bound"])
        return await world.client.as_user(person).at(OURS).request(route.method, path, given)

    async def body() -> None:
        kind = "host cluster" if "shares" in route.segments else noun
        own, absent = objects[kind], world.ids.new()
        foreign = await ask("stranger", own)
        missing = await ask("stranger", absent)
        assert foreign.error[:2] == missing.error[:2] == (404, "ResourceNotFound")
        assert foreign.error[2].replace(own, "") == missing.error[2].replace(absent, "")
        mine = await ask("manager", own)
        assert mine.status == REFUSING.get(key(route), route.status), mine.body

    run(body)


def test_there_is_a_type_to_show_operations_of(world: World) -> None:
    assert run(lambda: world.client.as_user("reader").get(f"/v1/profile-types/{CONTAINER_TYPE}/ops")).status == 200
