"""Every route × every persona × an own, a foreign and an absent object. A route without a row here fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import event

from api.cases import OPERATIONS
from api.client import Answer
from api.world import CONTAINER_TYPE, HOST_TYPE, OURS, Personas, World, run
from spinney.api import cluster_actions, node_actions
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
    ("GET", "clusters/{cluster}/revisions"): (READER, None),
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
    ("POST", "nodes/{node}/exec"): (MEMBER, {"exec": {"command": ["true"]}}),
    ("GET", "nodes/{node}/logs"): (MEMBER, None),
    ("GET", "clusters/{cluster}/logs"): (MEMBER, None),
    ("GET", "clusters/{cluster}/runs"): (READER, None),
    ("GET", "clusters/{cluster}/runs/{number}"): (READER, None),
    ("GET", "nodes/{node}/stats"): (READER, None),
    ("GET", "clusters/{cluster}/stats"): (READER, None),
    ("GET", "clusters/{cluster}/scaling-decisions"): (READER, None),
    ("GET", "clusters/{cluster}/balancers"): (READER, None),
    ("GET", "clusters/{cluster}/metrics"): (READER, None),
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


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_who_may_use_a_route(world: World, route: Route) -> None:
    async def body() -> None:
        roles, given = MATRIX[key(route)]
        path = "/v1/" + route.path.replace("{", "").replace("}", "")
        for person, (_, has) in Personas.people.items():
            answer = await world.client.as_user(person).at(OURS).request(route.method, path, given)
            refused = answer.status == 403
            assert refused == (not route.public and roles.isdisjoint(has.split())), (person, answer.body)
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
    world.run_of(cluster)
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

    made = Event(
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
    world.insert(EVENTS, made)
    return made.id


def _variable(route: Route) -> str | None:
    names = [segment[1:-1] for segment in route.segments if segment.startswith("{")]
    return names[0] if names and names[0] not in SHARED and names[-1] not in SHARED else None


OF_OBJECTS = [route for route in ROUTES if _variable(route) and MATRIX[key(route)][0] is not EVERYBODY]


class Asking:
    """A route, asked of one object or another."""

    def __init__(self, world: World, route: Route) -> None:
        self.world, self.route, self.objects = world, route, _objects(world)
        self.roles, self.body = MATRIX[key(route)]
        self.noun = _variable(route) or ""
        self.own = self.objects["host cluster" if "shares" in route.segments else self.noun]
        self.absent = world.ids.new()
        self._executed: list[str] = []
        event.listen(world.store.engine, "before_cursor_execute", self._count)

    def _count(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        self._executed.append(statement)

    async def ask(self, person: str, word: str) -> Answer:
        path = "/v1/" + self.route.path.replace(f"{{{self.noun}}}", word).replace("{path}", "name").replace(
            "{number}", "1"
        )
        path = path.replace("{policy}", self.objects["bound"])
        return await self.world.client.as_user(person).at(OURS).request(self.route.method, path, self.body)

    async def seen(self, person: str, word: str) -> tuple[int, dict[str, str], bytes, list[str]]:
        """All that an answer tells besides its request's id and the word asked for: also how long it takes, in statements."""
        self._executed.clear()
        answer = await self.ask(person, word)
        headers = {name: value for name, value in answer.headers.items() if name != "x-openstack-request-id"}
        return answer.status, headers, answer.body.replace(word.encode(), b"*"), list(self._executed)


@pytest.mark.parametrize("route", OF_OBJECTS, ids=name_of)
def test_own_foreign_and_absent(world: World, route: Route) -> None:
    asking = Asking(world, route)

    async def body() -> None:
        own, absent = asking.own, asking.absent
        for person, (project, has) in Personas.people.items():
            refused = asking.roles.isdisjoint(has.split())
            if not refused and (project == "ours" or "admin" in has.split()):
                continue
            for there, nowhere in ((own, absent), (own[:9], absent[:9])):
                foreign = await asking.seen(person, there)
                assert foreign == await asking.seen(person, nowhere)
                assert foreign[0] == (403 if refused else 404), (person, foreign)
                assert not refused or not foreign[3], "what is refused looks nothing up"
        mine = await asking.ask("manager" if "manager" in asking.roles else "admin", own)
        assert mine.status == REFUSING.get(key(route), route.status), mine.body

    run(body)


@pytest.mark.parametrize("route", [route for route in OF_OBJECTS if route.method == "GET"], ids=name_of)
def test_an_admin_of_another_project_reaches_objects_by_their_whole_id_alone(world: World, route: Route) -> None:
    asking = Asking(world, route)

    async def body() -> None:
        assert (await asking.ask("other-admin", asking.own)).status == 200
        by_start = await asking.seen("other-admin", asking.own[:9])
        assert by_start == await asking.seen("other-admin", asking.absent[:9]) and by_start[0] == 404

    run(body)


#: What is listed of one object is asked above.
LISTS = [r for r in ROUTES if r.list is not None and not r.list.plain and not r.public and "{" not in r.path]


@pytest.mark.parametrize("route", LISTS, ids=name_of)
def test_lists_hold_what_is_of_the_callers_project(world: World, route: Route) -> None:
    objects = _objects(world)

    async def ids(person: str, **query: Any) -> set[str]:
        answer = await world.client.as_user(person).at(OURS).get(f"/v1/{route.path}", **query)
        assert answer.status == 200, answer.body
        (rows,) = answer.json.values()
        return {row["id"] for row in rows}

    async def body() -> None:
        ours = await ids("admin") & set(objects.values())
        if "reader" in MATRIX[key(route)][0]:
            assert ours and not await ids("stranger")
            refused = await world.client.as_user("stranger").at(OURS).get(f"/v1/{route.path}", global_project="True")
            assert refused.error[:2] == (403, "Forbidden")
            assert not await ids("other-admin", global_project="false")
            assert not await ids("other-admin")
        assert await ids("other-admin", global_project="true") >= ours

    run(body)


VERBS = [
    *(("cluster", "clusters/*/actions", verb) for verb in cluster_actions.VERBS),
    *(("node", "nodes/*/actions", verb) for verb in node_actions.VERBS),
    *(("cluster", "clusters/*/ops", verb) for verb in OPERATIONS),
    *(("node", "nodes/*/ops", verb) for verb in OPERATIONS),
    *(("cluster", "clusters/*/plan", verb) for verb in ("scale_out", "resize", "update", "drain", "lose", "rebalance")),
]


@pytest.mark.parametrize(("noun", "path", "verb"), VERBS, ids=lambda value: value)
def test_no_verb_tells_a_foreign_object_from_an_absent_one(world: World, noun: str, path: str, verb: str) -> None:
    objects, absent = _objects(world), world.ids.new()

    async def told(word: str, given: Any) -> tuple[int, bytes]:
        client = world.client.as_user("stranger").at(OURS)
        answer = await client.post(f"/v1/{path.replace('*', word)}", {verb: given})
        return answer.status, answer.body.replace(word.encode(), b"*")

    async def body() -> None:
        for given in ({}, {"count": 1}, {"unknown": []}, {"nodes": [absent]}, {"policy_id": absent}, None):
            foreign = await told(objects[noun], given)
            assert foreign == await told(absent, given)
            assert foreign[0] in (400, 404), foreign

    run(body)


def _container(**properties: Any) -> dict[str, Any]:
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": {"image": "busybox", **properties}}
    return {"profile": {"name": "n", "spec": spec}}


#: Requests whose bodies name objects, by the noun of each: what a foreign one is told must be what an absent one is told.
REFERENCES: list[tuple[str, str, str, Any]] = [
    ("profile", "POST", "clusters", {"cluster": {"name": "n", "profile_id": "*", "desired_capacity": 0}}),
    ("profile", "POST", "nodes", {"node": {"name": "n", "profile_id": "*"}}),
    ("cluster", "POST", "nodes", {"node": {"name": "n", "profile_id": "mine", "cluster_id": "*"}}),
    ("profile", "PATCH", "clusters/own", {"cluster": {"profile_id": "*"}}),
    ("profile", "PATCH", "nodes/solo", {"node": {"profile_id": "*"}}),
    ("node", "POST", "clusters/own/actions", {"add_nodes": {"nodes": ["*"]}}),
    ("node", "POST", "clusters/own/actions", {"del_nodes": {"nodes": ["*"]}}),
    ("node", "POST", "clusters/own/actions", {"replace_nodes": {"nodes": {"*": "solo"}}}),
    ("node", "POST", "clusters/own/actions", {"replace_nodes": {"nodes": {"solo": "*"}}}),
    ("policy", "POST", "clusters/own/actions", {"policy_attach": {"policy_id": "*"}}),
    ("policy", "POST", "clusters/own/actions", {"policy_detach": {"policy_id": "*"}}),
    ("policy", "POST", "clusters/own/actions", {"policy_update": {"policy_id": "*", "enabled": False}}),
    ("policy", "GET", "clusters/own/policies/*", None),
    ("cluster", "GET", "nodes?cluster_id=*", None),
    ("cluster", "GET", "actions?cluster_id=*", None),
    ("cluster", "GET", "events?cluster_id=*", None),
    ("cluster", "POST", "receivers", {"receiver": {"name": "r", "cluster_id": "*", "action": "CLUSTER_SCALE_OUT"}}),
    ("host", "POST", "clusters/own/plan", {"lose": {"host": "*"}}),
    ("host", "POST", "clusters/own/plan", {"drain": {"host": "*"}}),
    ("profile", "POST", "clusters/own/plan", {"update": {"profile_id": "*"}}),
    ("policy", "POST", "clusters", {"cluster": {"name": "n", "profile_id": "mine", "policies": [{"policy_id": "*"}]}}),
    ("host cluster", "POST", "profiles", _container(host_cluster="*")),
    ("host cluster", "POST", "profiles/validate", _container(host_cluster="*")),
    ("cluster", "POST", "profiles", _container(host_cluster="*")),
    ("host", "POST", "profiles", _container(host_node="*")),
    ("node", "POST", "profiles/validate", _container(host_node="*")),
]


@pytest.mark.parametrize(
    ("noun", "method", "path", "given"), REFERENCES, ids=lambda value: str(value)[:60] if isinstance(value, str) else ""
)
def test_references_to_foreign_and_absent_objects(world: World, noun: str, method: str, path: str, given: Any) -> None:
    objects = _objects(world)
    profile = world.profile("mine", project="theirs")
    world.cluster(profile, "own", members=1, project="theirs")
    world.node(profile, "solo", project="theirs")
    absent = world.ids.new()

    async def told(word: str) -> tuple[int, bytes]:
        body = None if given is None else json.dumps(given).replace("*", word).encode()
        sent = {"content-type": "application/json"} if body else {}
        client = world.client.as_user("stranger").at(OURS)
        answer = await client.request(method, f"/v1/{path.replace('*', word)}", body, headers=sent)
        return answer.status, answer.body.replace(word.encode(), b"*")

    async def body() -> None:
        for there, nowhere in ((objects[noun], absent), (objects[noun][:9], absent[:9])):
            foreign = await told(there)
            assert foreign == await told(nowhere)
            assert foreign[0] in (200, 400, 404), foreign
            assert foreign[0] != 200 or list(json.loads(foreign[1]).values()) == [[]]

    run(body)


def test_there_is_a_type_to_show_operations_of(world: World) -> None:
    assert run(lambda: world.client.as_user("reader").get(f"/v1/profile-types/{CONTAINER_TYPE}/ops")).status == 200
