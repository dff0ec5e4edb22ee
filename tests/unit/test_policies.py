"""Policy types: what specifications are taken, what is refused and how, and what each asks of placement."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinney.domain.placement.rules import LabelTerm, Operator, Preference, Quota, Share, Strategy, Thresholds
from spinney.domain.policy import HostScaling
from spinney.errors import ESchema, InvalidSpec, ResourceNotFound
from spinney.policies.base import Contribution, Members, Toward
from spinney.policies.host_scaling import HostScalingProperties, host_scaling
from spinney.policies.registry import PLACING, POLICY_TYPES, listed_types, policy_type, support_status, validate_spec

PLACEMENT, AFFINITY = "spinney.policy.placement", "senlin.policy.affinity"
ZONES, REGIONS, SCALING = (
    "senlin.policy.zone_placement",
    "senlin.policy.region_placement",
    "spinney.policy.host_scaling",
)


def spec(type_: str, **properties: Any) -> dict[str, Any]:
    return {"type": type_, "version": "1.0", "properties": properties}


def asks(type_: str, **properties: Any) -> Contribution:
    found = validate_spec(spec(type_, **properties)).contribution()
    assert found is not None
    return found


# --- what is taken ----------------------------------------------------------------------------------------------------


def test_everything_that_placement_can_be_asked_for() -> None:
    found = asks(
        PLACEMENT,
        strategy="least_utilized",
        thresholds={"cpu": "0.7", "memory": 0.9, "max_age": 30},
        hosts=["h1"],
        zones=["a", "b"],
        regions=["eu"],
        require=["disk=ssd", "!old", {"key": "rack", "operator": "not_in", "values": [1, "2"]}, "gpu"],
        prefer=["net!=slow", {"key": "fast", "weight": 7}],
        spread_over="label:rack",
        affinity=["cache", {"group": "front", "key": "zone", "hard": False}],
        anti_affinity=[{}, {"cluster": "db", "key": "label:rack"}],
        max_per_host=3,
        headroom={"cpu": 0.25},
    )
    assert found == Contribution(
        strategy=Strategy.LEAST_UTILIZED,
        thresholds=Thresholds(0.7, 0.9, 30.0),
        hosts=("h1",),
        zones=("a", "b"),
        regions=("eu",),
        require=(
            LabelTerm("disk", Operator.IN, ("ssd",)),
            LabelTerm("old", Operator.NOT_EXISTS),
            LabelTerm("rack", Operator.NOT_IN, ("1", "2")),
            LabelTerm("gpu", Operator.EXISTS),
        ),
        prefer=(Preference(LabelTerm("net", Operator.NOT_IN, ("slow",)), 1), Preference(LabelTerm("fast"), 7)),
        spread_over="label:rack",
        toward=(
            Toward(cluster="cache", apart=False),
            Toward(group="front", key="zone", apart=False, hard=False),
            Toward(apart=True),
            Toward(cluster="db", key="label:rack", apart=True),
        ),
        max_per_host=3,
        headroom_cpu=0.25,
    )


def test_an_empty_policy_of_ours_asks_for_the_default_strategy_and_nothing_else() -> None:
    assert asks(PLACEMENT) == Contribution(strategy=Strategy.SPREAD)


def test_scores_can_be_weighed_and_chance_seeded() -> None:
    weighed = asks(PLACEMENT, strategy="balanced", weights={"used": 0.5, "memory": 0})
    assert weighed.weights == {"used": 0.5, "cpu": 1.0, "memory": 0.0}
    assert asks(PLACEMENT, strategy="random", seed="7").seed == 7


def test_the_two_forms_of_a_label_mean_the_same() -> None:
    long = [{"key": "disk", "values": ["ssd"]}, {"key": "gpu", "operator": "exists"}]
    assert asks(PLACEMENT, require=["disk=ssd", "gpu"]) == asks(PLACEMENT, require=long)


@pytest.mark.parametrize(
    ("word", "apart", "hard"),
    [
        ("affinity", False, True),
        ("soft-affinity", False, False),
        ("anti-affinity", True, True),
        ("soft-anti-affinity", True, False),
    ],
)
def test_the_four_words_of_a_server_group(word: str, apart: bool, hard: bool) -> None:
    found = asks(AFFINITY, servergroup={"name": "g", "policies": word}, availability_zone="a")
    assert found == Contribution(zones=("a",), toward=(Toward(group="g", apart=apart, hard=hard),))


def test_a_server_group_is_anti_affinity_of_the_cluster_itself_unless_something_else_is_said() -> None:
    assert asks(AFFINITY) == asks(AFFINITY, servergroup={}) == Contribution(toward=(Toward(),))


def test_zones_and_regions_are_soft_quotas_unless_asked_otherwise() -> None:
    shares = (Share("a"), Share("b", 50, hosts=("h1", "h2")))
    zones = [{"name": "a"}, {"name": "b", "weight": "50", "hosts": ["h1", "h2"]}]
    assert asks(ZONES, zones=zones).quotas == (Quota("zone", shares),)
    assert asks(ZONES, zones=zones, hard=True).quotas == (Quota("zone", shares, hard=True),)
    regions = [{"name": "eu", "cap": 3}, {"name": "us", "weight": 0}]
    assert asks(REGIONS, regions=regions).quotas == (Quota("region", (Share("eu", 100, 3), Share("us", 0))),)


def test_host_scaling() -> None:
    validated = validate_spec(spec(SCALING, minimum=1, maximum="9", cooldown=60))
    assert validated.contribution() is None
    assert isinstance(validated.properties, HostScalingProperties)
    assert host_scaling(validated.properties) == HostScaling(1, 9, 60, 600)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "properties", "words"),
    [
        (PLACEMENT, {"strategy": "spred"}, "properties.strategy: 'spred' is not allowed: one of spread, binpack"),
        (PLACEMENT, {"stratgy": "spread"}, "properties.stratgy: there is no such key; did you mean 'strategy'?"),
        (PLACEMENT, {"require": ["a b"]}, "properties.require[0].key: 'a b'"),
        (PLACEMENT, {"require": [{"key": "a", "operator": "like"}]}, "properties.require[0].operator: 'like'"),
        (PLACEMENT, {"prefer": [{"key": "a", "weight": 0}]}, "properties.prefer[0].weight: 0"),
        (
            PLACEMENT,
            {"spread_over": "rack"},
            "properties.spread_over: 'rack' is not allowed: host, zone, region or label:",
        ),
        (
            PLACEMENT,
            {"zones": ["a", "a"]},
            "properties.zones: a list is not allowed: a list in which nothing stands twice",
        ),
        (PLACEMENT, {"zones": "a"}, "properties.zones: 'a' is not allowed: a list"),
        (PLACEMENT, {"headroom": {"cpu": 1}}, "properties.headroom.cpu: 1 is not allowed: a share from 0 to 0.95"),
        (PLACEMENT, {"max_per_host": 0}, "properties.max_per_host: 0"),
        (PLACEMENT, {"affinity": [{"key": "planet"}]}, "properties.affinity[0].key: 'planet'"),
        (AFFINITY, {"servergroup": {"policies": "love"}}, "properties.servergroup.policies: 'love'"),
        (ZONES, {}, "properties.zones: this is required"),
        (ZONES, {"zones": [{"weight": 1}]}, "properties.zones[0].name: this is required"),
        (ZONES, {"zones": [{"name": "a", "cap": 1}]}, "properties.zones[0].cap: there is no such key"),
        (REGIONS, {"regions": [{"name": "a", "cap": -2}]}, "properties.regions[0].cap: -2"),
        (SCALING, {}, "properties.maximum: this is required"),
    ],
)
def test_against_the_schema(type_: str, properties: dict[str, Any], words: str) -> None:
    with pytest.raises(ESchema) as raised:
        validate_spec(spec(type_, **properties))
    assert words in raised.value.message


@pytest.mark.parametrize(
    ("type_", "properties", "words"),
    [
        (PLACEMENT, {"thresholds": {}}, "properties.thresholds: the strategy spread does not look at it"),
        (PLACEMENT, {"strategy": "random", "weights": {}}, "set strategy to spread or balanced"),
        (
            PLACEMENT,
            {"seed": 1},
            "properties.seed: the strategy spread does not look at it: leave it out, or set strategy",
        ),
        (
            PLACEMENT,
            {"strategy": "least_utilized", "thresholds": {"cpu": None}},
            "properties.thresholds: cpu and memory",
        ),
        (PLACEMENT, {"weights": {"cpu": 0, "memory": 0}}, "properties.weights: cpu and memory are both 0"),
        (
            PLACEMENT,
            {"require": [{"key": "a", "operator": "in"}]},
            "properties.require[0].values: the operator in needs",
        ),
        (PLACEMENT, {"require": [{"key": "a", "operator": "exists", "values": [1]}]}, "takes no values"),
        (
            PLACEMENT,
            {"affinity": [{"cluster": "a", "group": "b"}]},
            "properties.affinity[0]: cluster and group are both",
        ),
        (AFFINITY, {"enable_drs_extension": "yes"}, "properties.enable_drs_extension: it belongs to vSphere"),
        (ZONES, {"zones": []}, "properties.zones: an empty list"),
        (ZONES, {"zones": [{"name": "a"}, {"name": "a"}]}, "properties.zones[1].name: 'a' is zones[0]'s already"),
        (REGIONS, {"regions": [{"name": "a", "weight": 0}]}, "properties.regions: every weight is 0"),
        (SCALING, {"minimum": 3, "maximum": 2}, "properties.minimum: 3 is more than maximum (2)"),
    ],
)
def test_values_that_do_not_go_together(type_: str, properties: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        validate_spec(spec(type_, **properties))
    assert words in raised.value.message


@pytest.mark.parametrize(
    ("given_spec", "kind", "words"),
    [
        ("x", ESchema, "spec: a map"),
        ({"version": "1.0", "properties": {}}, ESchema, "spec.type: this is required"),
        ({"type": AFFINITY, "properties": {}}, ESchema, "spec.version: this is required"),
        ({"type": AFFINITY, "version": [], "properties": {}}, ESchema, "spec.version"),
        ({"type": AFFINITY, "version": "1.0"}, ESchema, "spec.properties: this is required"),
        ({**spec(AFFINITY), "foo": 1}, ESchema, "'foo' is not known"),
        ({**spec(AFFINITY), "description": {}}, ESchema, "spec.description"),
        (spec("b"), ResourceNotFound, "There are senlin.policy.affinity-1.0, "),
        (spec("senlin.policy.bathc"), ResourceNotFound, "Did you mean 'senlin.policy.batch-1.0'?"),
        ({**spec(AFFINITY), "version": "2.0"}, ResourceNotFound, "policy_type 'senlin.policy.affinity-2.0'"),
    ],
)
def test_specifications_that_are_none(given_spec: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words.replace("[", r"\[")):
        validate_spec(given_spec)


def test_a_version_may_be_a_number_and_a_description_is_kept_out_of_the_way() -> None:
    assert (
        validate_spec({**spec(AFFINITY), "version": 1.0, "description": "why"}).kind is POLICY_TYPES[f"{AFFINITY}-1.0"]
    )


_text = st.text(max_size=8)
_junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | _text
    | st.sampled_from(["disk=ssd", "!x", "zone", "random"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_text | st.sampled_from(["key", "name"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(POLICY_TYPES)), st.data())
def test_junk_gives_named_errors_only(name: str, data: st.DataObject) -> None:
    kind = POLICY_TYPES[name]
    keys = st.sampled_from(sorted(kind.properties.model_fields)) | _text
    properties = data.draw(st.dictionaries(keys, _junk, max_size=4) | _junk)
    try:
        validated = validate_spec({"type": kind.name, "version": kind.version, "properties": properties})
    except (ESchema, InvalidSpec) as error:
        error.message.encode()
    else:
        assert (validated.contribution() is not None) == (name in PLACING)


# --- the types themselves ---------------------------------------------------------------------------------------------


def test_lists_of_types_leave_ours_out_unless_asked() -> None:
    versions = {"deletion": "01", "health": "012", "loadbalance": "0123"}
    types = ("affinity", "batch", "deletion", "health", "loadbalance", "region_placement", "scaling", "zone_placement")
    senlins = [f"senlin.policy.{one}-1.{minor}" for one in types for minor in versions.get(one, "0")]
    assert [kind.name_version for kind in listed_types(with_ours=False)] == senlins
    assert [kind.name_version for kind in listed_types(with_ours=True)] == [
        *senlins,
        *(
            f"spinney.policy.{one}-1.0"
            for one in ("autoscaling", "health", "host_scaling", "job", "lifecycle", "placement", "update")
        ),
    ]
    assert support_status(ZONES) == {
        "1.0": [{"status": "EXPERIMENTAL", "since": "2016.04"}, {"status": "SUPPORTED", "since": "2016.10"}]
    }
    with pytest.raises(ResourceNotFound):
        policy_type("nope-1.0")


def test_priorities_and_what_they_are_for_are_senlins() -> None:
    assert {kind.name: kind.priority for kind in POLICY_TYPES.values() if not kind.ours} == {
        "senlin.policy.scaling": 100,
        "senlin.policy.batch": 200,
        REGIONS: 200,
        ZONES: 300,
        AFFINITY: 300,
        "senlin.policy.deletion": 400,
        "senlin.policy.loadbalance": 500,
        "senlin.policy.health": 600,
    }
    assert [kind.name for kind in POLICY_TYPES.values() if not kind.singleton] == ["senlin.policy.scaling"]
    assert {kind.members for name, kind in POLICY_TYPES.items() if name in PLACING} == {Members.CONTAINERS}


@pytest.mark.parametrize("name", sorted(POLICY_TYPES))
def test_every_property_is_described_and_none_can_be_updated(name: str) -> None:
    def check(schema: dict[str, Any], path: str) -> None:
        for key, part in schema.items():
            assert part["updatable"] is False and part["type"], f"{path}{key}"
            assert key == "*" or part.get("description"), f"{path}{key}"
            check(part.get("schema", {}), f"{path}{key}.")

    check(POLICY_TYPES[name].schema(), "")


def test_senlins_schemas_have_senlins_keys() -> None:
    affinity = POLICY_TYPES[f"{AFFINITY}-1.0"].schema()
    assert set(affinity) == {"servergroup", "availability_zone", "enable_drs_extension"}
    words = ["affinity", "soft-affinity", "anti-affinity", "soft-anti-affinity"]
    policies = affinity["servergroup"]["schema"]["policies"]
    assert policies["constraints"] == [{"type": "AllowedValues", "constraint": words}]
    assert policies["default"] == "anti-affinity"
    region = POLICY_TYPES[f"{REGIONS}-1.0"].schema()["regions"]["schema"]["*"]["schema"]
    assert {"name", "weight", "cap"} <= set(region) and (region["weight"]["default"], region["cap"]["default"]) == (
        100,
        -1,
    )
