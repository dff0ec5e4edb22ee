"""Policies, their types, and what is attached to clusters."""

from __future__ import annotations

from typing import Any

import pytest

from api.world import HOST_TYPE, OURS, PLACEMENT_TYPE, World, run
from spinney.domain.action import ActionKind
from spinney.store import bindings

AFFINITY = "senlin.policy.affinity-1.0"
ZONES = "senlin.policy.zone_placement-1.0"
SCALING = "spinney.policy.host_scaling-1.0"
BATCH, HEALTH, SCALES = "senlin.policy.batch-1.0", "senlin.policy.health-1.0", "senlin.policy.scaling-1.0"
DELETION = "senlin.policy.deletion-1.1"


def spec(type: str = PLACEMENT_TYPE, **properties: Any) -> dict[str, Any]:
    return {"type": type.rpartition("-")[0], "version": 1.0, "properties": properties}


def create(name: str = "spread", **given: Any) -> dict[str, Any]:
    return {"policy": {"name": name, "spec": given}}


def test_a_policy_from_creation_to_deletion(world: World) -> None:
    async def body() -> None:
        asked = {**spec(AFFINITY), "description": "apart"}
        made = await world.client.post("/v1/policies", create("apart", **asked))
        assert made.status == 201
        policy = made.json["policy"]
        assert set(policy) == {
            "id", "name", "type", "user", "project", "domain", "spec", "data", "created_at", "updated_at",
        }  # fmt: skip
        assert (policy["type"], policy["spec"], policy["data"]) == (AFFINITY, asked, {})
        assert (policy["user"], policy["project"], policy["domain"]) == ("admin", "ours", None)
        assert policy["created_at"].endswith("Z") and policy["updated_at"] is None
        assert (await world.client.get("/v1/policies/apart")).json["policy"] == policy
        assert (await world.client.get("/v1/policies", type=AFFINITY)).json["policies"] == [policy]
        assert (await world.client.get("/v1/policies", type=ZONES)).json["policies"] == []

        changed = await world.client.patch("/v1/policies/apart", {"policy": {"name": "alone"}})
        assert changed.status == 200 and changed.json["policy"]["name"] == "alone"
        assert changed.json["policy"]["updated_at"].endswith("Z")
        gone = await world.client.delete("/v1/policies/alone")
        assert (gone.status, gone.body) == (204, b"")
        assert (await world.client.get("/v1/policies/alone")).error[:2] == (404, "ResourceNotFound")

    run(body)


@pytest.mark.parametrize(
    ("given", "status", "kind", "words"),
    [
        ({}, 400, "HTTPBadRequest", "policy.name"),
        ({"name": "x"}, 400, "HTTPBadRequest", "policy.spec"),
        ({"name": "b c", "spec": {}}, 400, "HTTPBadRequest", "'b c'"),
        ({"name": "x", "spec": [], "foo": 1}, 400, "HTTPBadRequest", "policy.foo"),
        ({"name": "x", "spec": {}}, 500, "ESchema", "spec.type"),
        ({"name": "x", "spec": spec("senlin.policy.bogus-1.0")}, 404, "ResourceNotFound", "policy_type"),
        ({"name": "x", "spec": {**spec(), "version": "9.9"}}, 404, "ResourceNotFound", "spinney.policy.placement-9.9"),
        ({"name": "x", "spec": spec(bogus=1)}, 500, "ESchema", "properties.bogus: there is no such key"),
        ({"name": "x", "spec": spec(strategy="best")}, 500, "ESchema", "one of spread, binpack"),
        ({"name": "x", "spec": spec(seed=1)}, 400, "InvalidSpec", "properties.seed"),
        ({"name": "x", "spec": spec(BATCH, pause_time="long")}, 500, "ESchema", "properties.pause_time: 'long'"),
        ({"name": "x", "spec": spec(SCALES, event="X")}, 500, "ESchema", "properties.event: 'X'"),
        (
            {"name": "x", "spec": spec(SCALES, event="CLUSTER_SCALE_IN", adjustment={"number": 0})},
            400,
            "InvalidSpec",
            "properties.adjustment.number: 0",
        ),
        (
            {"name": "x", "spec": spec("spinney.policy.health-1.0", detection={"interval": 59}, recovery={})},
            400,
            "InvalidSpec",
            "properties.detection.interval: 59 is not allowed: give 60 or more, which",
        ),
        ({"name": "x", "spec": spec(AFFINITY, enable_drs_extension=True)}, 400, "InvalidSpec", "vSphere"),
    ],
)
def test_policies_that_are_refused(world: World, given: Any, status: int, kind: str, words: str) -> None:
    answer = run(lambda: world.client.post("/v1/policies", {"policy": given}))
    assert answer.error[:2] == (status, kind)
    assert words in answer.error[2]
    if "spec" in given and status != 400:
        same = run(lambda: world.client.post("/v1/policies/validate", {"policy": {"spec": given["spec"]}}))
        assert same.error == answer.error
    if status == 500:
        ours = run(lambda: world.client.at(OURS).post("/v1/policies", {"policy": given}))
        assert ours.error == (400, "InvalidSpec", answer.error[2])


def test_validating_stores_nothing(world: World) -> None:
    async def body() -> None:
        answer = await world.client.post("/v1/policies/validate", {"policy": {"spec": spec()}})
        policy = answer.json["policy"]
        assert answer.status == 200
        assert (policy["id"], policy["created_at"], policy["name"]) == (None, None, "validated_policy")
        assert (policy["type"], policy["spec"]) == (PLACEMENT_TYPE, spec())
        assert (await world.client.get("/v1/policies")).json == {"policies": []}

    run(body)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "policy.name"),
        ({"name": None}, "policy.name"),
        ({"name": "spread"}, "Nothing would change"),
        ({"name": "x", "spec": {}}, "policy.spec"),
    ],
)
def test_only_the_name_can_be_changed(world: World, given: Any, words: str) -> None:
    world.policy()
    answer = run(lambda: world.client.patch("/v1/policies/spread", {"policy": given}))
    assert answer.error[0] == 400
    assert words in answer.error[2]


def test_types(world: World) -> None:
    async def body() -> None:
        versions = {"deletion": "01", "health": "012", "loadbalance": "0123"}
        types = [
            "affinity", "batch", "deletion", "health", "loadbalance", "region_placement", "scaling", "zone_placement"
        ]  # fmt: skip
        senlins = [f"senlin.policy.{one}-1.{minor}" for one in types for minor in versions.get(one, "0")]
        listed = (await world.client.at("clustering 1.4").get("/v1/policy-types")).json["policy_types"]
        assert listed == [{"name": name} for name in senlins]
        listed = (await world.client.get("/v1/policy-types")).json["policy_types"]
        assert [f"{kind['name']}-{kind['version']}" for kind in listed] == senlins
        assert listed[0]["support_status"] == {"1.0": [{"status": "SUPPORTED", "since": "2016.10"}]}
        ours = (await world.client.at(OURS).get("/v1/policy-types")).json["policy_types"]
        assert [kind["name"] for kind in ours[len(senlins) :]] == [
            "spinney.policy.autoscaling",
            "spinney.policy.health",
            "spinney.policy.host_scaling",
            "spinney.policy.job",
            "spinney.policy.lifecycle",
            "spinney.policy.placement",
            "spinney.policy.update",
        ]
        balance = (await world.client.get("/v1/policy-types/senlin.policy.loadbalance-1.0")).json["policy_type"]
        assert list(balance["support_status"]) == ["1.0", "1.1", "1.2", "1.3"]
        assert balance["schema"]["flavor_id"]["min_version"] == "1.3"
        shown = (await world.client.get(f"/v1/policy-types/{PLACEMENT_TYPE}")).json["policy_type"]
        assert shown["name"] == PLACEMENT_TYPE and "1.0" in shown["support_status"]
        assert shown["schema"]["strategy"]["default"] == "spread"
        assert shown["schema"]["zones"]["schema"]["*"]["type"] == "String"
        old = (await world.client.at("clustering 1.4").get(f"/v1/policy-types/{AFFINITY}")).json["policy_type"]
        assert set(old) == {"name", "schema"}
        assert (await world.client.get("/v1/policy-types/nope-1.0")).error[:2] == (404, "ResourceNotFound")

    run(body)


# --- bindings ---------------------------------------------------------------------------------------------------------


def test_what_is_attached_is_listed_and_shown(world: World) -> None:
    cluster = world.cluster(world.profile())
    near, far = world.policy("near", cluster), world.policy("far", cluster, ZONES, zones=[{"name": "a"}])
    world.policy("loose")

    async def body() -> None:
        found = (await world.client.get("/v1/clusters/c1/policies")).json["cluster_policies"]
        assert {one["policy_id"] for one in found} == {near.id, far.id}
        assert [one["id"] for one in found] == sorted(one["id"] for one in found)
        shown = (await world.client.get("/v1/clusters/c1/policies/near")).json["cluster_policy"]
        assert shown in found
        assert shown == {
            "id": shown["id"], "cluster_id": cluster.id, "cluster_name": "c1", "policy_id": near.id, "policy_name": "near",
            "policy_type": PLACEMENT_TYPE, "enabled": True, "priority": 300, "data": {}, "last_op": None,
        }  # fmt: skip
        for query, names in (
            ({"policy_name": "far"}, ["far"]),
            ({"policy_type": PLACEMENT_TYPE}, ["near"]),
            ({"enabled": "False"}, []),
            ({"enabled": "True", "sort": "enabled:desc"}, [one["policy_name"] for one in found]),
        ):
            listed = (await world.client.get("/v1/clusters/c1/policies", **query)).json["cluster_policies"]
            assert [one["policy_name"] for one in listed] == names, query
        whole = (await world.client.get("/v1/clusters/c1")).json["cluster"]
        assert set(whole["policies"]) == {one["id"] for one in found}
        assert (await world.client.get("/v1/clusters")).json["clusters"] == [whole]

        policies = "/v1/clusters/c1/policies"
        assert (await world.client.get(policies, enabled="perhaps")).error[:2] == (400, "HTTPBadRequest")
        assert (await world.client.get(policies, limit=1)).error[:2] == (400, "HTTPBadRequest")
        assert (await world.client.get("/v1/clusters/nope/policies")).error[:2] == (404, "ResourceNotFound")
        assert (await world.client.get(f"{policies}/nope")).error[:2] == (404, "ResourceNotFound")
        assert (await world.client.get(f"{policies}/loose")).error[:2] == (404, "PolicyBindingNotFound")
        kept = (await world.client.delete("/v1/policies/near")).error
        assert kept[:2] == (409, "ResourceInUse") and "'near'" in kept[2] and cluster.id in kept[2]

    run(body)


def act(world: World, verb: str, **given: Any) -> Any:
    return run(lambda: world.client.post("/v1/clusters/c1/actions", {verb: given}))


def test_attaching_changing_and_detaching_are_actions(world: World) -> None:
    cluster = world.cluster(world.profile())
    loose, bound = world.policy("loose"), world.policy("bound", cluster)

    def inputs(verb: str, kind: ActionKind, **given: Any) -> Any:
        action = world.action(act(world, verb, **given).action)
        assert (action.action, action.target) == (kind, cluster.id)
        assert action.name == f"{verb.removeprefix('policy_')}_policy_{cluster.id[:8]}"
        world.end(action.id)
        return action.inputs

    attach, detach, change = (
        ActionKind.CLUSTER_ATTACH_POLICY,
        ActionKind.CLUSTER_DETACH_POLICY,
        ActionKind.CLUSTER_UPDATE_POLICY,
    )
    assert inputs("policy_attach", attach, policy_id="loose") == {"policy_id": loose.id, "enabled": True}
    assert inputs("policy_attach", attach, policy_id=bound.id, enabled="no") == {
        "policy_id": bound.id,
        "enabled": False,
    }
    assert inputs("policy_detach", detach, policy_id="bound") == {"policy_id": bound.id}
    assert inputs("policy_update", change, policy_id="bound", enabled=0) == {"policy_id": bound.id, "enabled": False}
    assert inputs("policy_update", change, policy_id="bound") == {"policy_id": bound.id}


@pytest.mark.parametrize(
    ("verb", "given", "kind", "words"),
    [
        ("policy_attach", {}, "HTTPBadRequest", "policy_attach.policy_id"),
        ("policy_attach", {"policy_id": "loose", "enabled": "perhaps"}, "HTTPBadRequest", "policy_attach.enabled"),
        ("policy_attach", {"policy_id": "foreign"}, "BadRequest", "The specified policy 'foreign' could not be found"),
        ("policy_detach", {"policy_id": "nope"}, "BadRequest", "The specified policy 'nope' could not be found"),
        ("policy_detach", {"policy_id": "loose"}, "BadRequest", "'loose' is not attached to the cluster 'c1'"),
        ("policy_detach", {"policy_id": "loose", "enabled": True}, "HTTPBadRequest", "policy_detach.enabled"),
        ("policy_update", {"policy_id": "loose", "enabled": True}, "BadRequest", "'loose' is not attached"),
        ("policy_update", {"policy_id": "twin", "enabled": True}, "MultipleChoices", "'twin'"),
    ],
)
def test_attachments_that_are_refused(world: World, verb: str, given: Any, kind: str, words: str) -> None:
    world.cluster(world.profile())
    for name in ("loose", "twin", "twin"):
        world.policy(name)
    answer = act(world, verb, **given)
    assert answer.error[:2] == (400, kind)
    assert words in answer.error[2]


class TestClustersMadeWithPolicies:
    def create(self, world: World, *policies: Any) -> Any:
        body = {"cluster": {"name": "made", "profile_id": "web", "policies": list(policies)}}
        return run(lambda: world.client.post("/v1/clusters", body))

    def test_they_are_there_from_the_start(self, world: World) -> None:
        world.profile()
        rule, zone = world.policy(max_per_host=2), world.policy("zone", type=ZONES, zones=[{"name": "a"}])
        answer = self.create(world, {"policy_id": "spread"}, {"policy_id": zone.id, "enabled": False})
        assert answer.status == 202
        made = answer.json["cluster"]
        found = run(lambda: world.client.get("/v1/clusters/made/policies")).json["cluster_policies"]
        assert {(one["policy_id"], one["enabled"]) for one in found} == {(rule.id, True), (zone.id, False)}
        assert set(made["policies"]) == {one["id"] for one in found}
        rules = world.store.run(bindings.rules_for, [made["id"]])[made["id"]]
        assert rules.max_per_host == 2 and rules.quotas == ()

    @pytest.mark.parametrize(
        ("policies", "words"),
        [
            (
                [{"policy_id": "spread"}, {"policy_id": "spread"}],
                "cluster.policies[1].policy_id: 'spread' stands there twice",
            ),
            (
                [{"policy_id": "spread"}, {"policy_id": "other"}],
                "cluster.policies[1]: policy 'other' cannot be attached",
            ),
            ([{"policy_id": "hosts"}], "host clusters"),
            ([{"policy_id": "hooked"}], "the project has no secret 'sign'"),
            (
                [{"policy_id": "spread"}, {"policy_id": "far"}],
                "no host could be in the zones of all enabled policies (a and b)",
            ),
            (
                [{"policy_id": "spread"}, {"policy_id": "nope"}],
                "cluster.policies[1].policy_id: The specified policy 'nope'",
            ),
        ],
    )
    def test_and_refused_by_the_same_rules(self, world: World, policies: Any, words: str) -> None:
        world.profile()
        world.policy(zones=["a"])
        world.policy("other")
        world.policy("far", type=AFFINITY, availability_zone="b")
        world.policy("hosts", type=SCALING, maximum=3)
        hook = {"type": "webhook", "params": {"url": "https://a", "secret": "sign"}}
        world.policy("hooked", type=DELETION, hooks=hook)
        answer = self.create(world, *policies)
        assert answer.error[:2] == (400, "BadRequest")
        assert words in answer.error[2]
        assert run(lambda: world.client.get("/v1/clusters")).json["clusters"] == []
        assert world.rung == 0

    def test_host_clusters_have_policies_of_their_own(self, world: World) -> None:
        machine = {"type": "host.docker", "version": "1.0", "properties": {"endpoint": "unix:///run/a.sock"}}
        world.profile(type=HOST_TYPE, spec=machine)
        world.policy("hosts", type=SCALING, maximum=3)
        assert self.create(world, {"policy_id": "hosts"}).status == 202
