"""The property schemas of Senlin's eight policy types and of the container profile, as clients see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from api.contract import ask, contents
from api.world import OURS, World

TYPES = {"String", "Integer", "Number", "Boolean", "List", "Map"}
KEYS = {
    "type", "description", "default", "required", "updatable", "constraints", "schema", "min_version", "max_version",
}  # fmt: skip

POLLING = ("NODE_STATUS_POLLING", "NODE_STATUS_POLL_URL", "HYPERVISOR_STATUS_POLLING")
AFFINITIES = ("affinity", "soft-affinity", "anti-affinity", "soft-anti-affinity")
ADJUSTMENTS = ("EXACT_CAPACITY", "CHANGE_IN_CAPACITY", "CHANGE_IN_PERCENTAGE")
NONE = None
REQUIRED = "required"

#: By property: its type, its default (or that it is required), the words that are allowed.
Properties = Mapping[str, tuple[str, Any, tuple[str, ...]]]
DELETION: Properties = {
    "criteria": ("String", "RANDOM", ("OLDEST_FIRST", "OLDEST_PROFILE_FIRST", "YOUNGEST_FIRST", "RANDOM")),
    "destroy_after_deletion": ("Boolean", True, ()),
    "grace_period": ("Integer", 0, ()),
    "reduce_desired_capacity": ("Boolean", True, ()),
    "hooks": ("Map", NONE, ()),
    "hooks.type": ("String", "zaqar", ("zaqar", "webhook")),
    "hooks.timeout": ("Integer", 0, ()),
    "hooks.params": ("Map", NONE, ()),
    "hooks.params.queue": ("String", "", ()),
    "hooks.params.url": ("String", "", ()),
}
SCALING: Properties = {
    "event": ("String", REQUIRED, ("CLUSTER_SCALE_IN", "CLUSTER_SCALE_OUT")),
    "adjustment": ("Map", NONE, ()),
    "adjustment.type": ("String", "CHANGE_IN_CAPACITY", ADJUSTMENTS),
    "adjustment.number": ("Number", 1, ()),
    "adjustment.min_step": ("Integer", 1, ()),
    "adjustment.best_effort": ("Boolean", False, ()),
    "adjustment.cooldown": ("Integer", 0, ()),
}
HEALTH: Properties = {
    "detection": ("Map", REQUIRED, ()),
    "detection.interval": ("Integer", 60, ()),
    "detection.node_update_timeout": ("Integer", 300, ()),
    "detection.recovery_conditional": ("String", "ANY_FAILED", ("ANY_FAILED", "ALL_FAILED")),
    "detection.detection_modes": ("List", NONE, ()),
    "detection.detection_modes.*": ("Map", NONE, ()),
    "detection.detection_modes.*.type": ("String", REQUIRED, ("LIFECYCLE_EVENTS", *POLLING)),
    "detection.detection_modes.*.options": ("Map", NONE, ()),
    "detection.detection_modes.*.options.poll_url": ("String", "", ()),
    "detection.detection_modes.*.options.poll_url_ssl_verify": ("Boolean", True, ()),
    "detection.detection_modes.*.options.poll_url_conn_error_as_unhealthy": ("Boolean", True, ()),
    "detection.detection_modes.*.options.poll_url_healthy_response": ("String", "", ()),
    "detection.detection_modes.*.options.poll_url_retry_limit": ("Integer", 3, ()),
    "detection.detection_modes.*.options.poll_url_retry_interval": ("Integer", 3, ()),
    "recovery": ("Map", REQUIRED, ()),
    "recovery.actions": ("List", NONE, ()),
    "recovery.actions.*.name": ("String", REQUIRED, ("REBOOT", "REBUILD", "RECREATE")),
    "recovery.actions.*.params": ("Map", NONE, ()),
    "recovery.fencing": ("List", NONE, ()),
    "recovery.fencing.*": ("String", NONE, ("COMPUTE",)),
    "recovery.node_delete_timeout": ("Integer", 20, ()),
    "recovery.node_force_recreate": ("Boolean", False, ()),
}
AFFINITY: Properties = {
    "servergroup": ("Map", NONE, ()),
    "servergroup.name": ("String", NONE, ()),
    "servergroup.policies": ("String", "anti-affinity", AFFINITIES),
    "availability_zone": ("String", NONE, ()),
    "enable_drs_extension": ("Boolean", False, ()),
}
BATCH: Properties = {
    "min_in_service": ("Integer", 1, ()),
    "max_batch_size": ("Integer", -1, ()),
    "pause_time": ("Integer", 60, ()),
}
ZONES: Properties = {
    "zones.*.name": ("String", REQUIRED, ()),
    "zones.*.weight": ("Integer", 100, ()),
}
REGIONS: Properties = {
    "regions.*.name": ("String", REQUIRED, ()),
    "regions.*.weight": ("Integer", 100, ()),
    "regions.*.cap": ("Integer", -1, ()),
}
LOADBALANCE: Properties = {
    "pool": ("Map", REQUIRED, ()),
    "pool.protocol": ("String", "HTTP", ("HTTP", "HTTPS", "TCP")),
    "pool.protocol_port": ("Integer", 80, ()),
    "pool.subnet": ("String", REQUIRED, ()),
    "pool.lb_method": ("String", "ROUND_ROBIN", ("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP")),
    "pool.admin_state_up": ("Boolean", True, ()),
    "pool.session_persistence": ("Map", NONE, ()),
    "pool.session_persistence.type": ("String", NONE, ("SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE", "NONE")),
    "pool.session_persistence.cookie_name": ("String", NONE, ()),
    "pool.id": ("String", NONE, ()),
    "vip": ("Map", REQUIRED, ()),
    "vip.subnet": ("String", NONE, ()),
    "vip.network": ("String", NONE, ()),
    "vip.address": ("String", NONE, ()),
    "vip.connection_limit": ("Integer", -1, ()),
    "vip.protocol": ("String", "HTTP", ("HTTP", "HTTPS", "TCP")),
    "vip.protocol_port": ("Integer", 80, ()),
    "vip.admin_state_up": ("Boolean", True, ()),
    "health_monitor": ("Map", NONE, ()),
    "health_monitor.type": ("String", "PING", ("PING", "TCP", "HTTP", "HTTPS")),
    "health_monitor.delay": ("Integer", 10, ()),
    "health_monitor.timeout": ("Integer", 5, ()),
    "health_monitor.max_retries": ("Integer", 3, ()),
    "health_monitor.admin_state_up": ("Boolean", True, ()),
    "health_monitor.http_method": ("String", NONE, ("GET", "POST", "PUT", "DELETE")),
    "health_monitor.url_path": ("String", NONE, ()),
    "health_monitor.expected_codes": ("String", NONE, ()),
    "health_monitor.id": ("String", NONE, ()),
    "lb_status_timeout": ("Integer", 300, ()),
    "loadbalancer": ("String", NONE, ()),
    "availability_zone": ("String", NONE, ()),
    "flavor_id": ("String", NONE, ()),
}
#: By type: its properties, and by version the statuses it has had.
POLICY_TYPES: Mapping[str, tuple[Properties, Mapping[str, list[tuple[str, str]]]]] = {
    "senlin.policy.deletion": (DELETION, {"1.0": [("SUPPORTED", "2016.04")], "1.1": [("SUPPORTED", "2018.01")]}),
    "senlin.policy.scaling": (SCALING, {"1.0": [("SUPPORTED", "2016.04")]}),
    "senlin.policy.health": (
        HEALTH,
        {
            "1.0": [("EXPERIMENTAL", "2017.02"), ("SUPPORTED", "2018.06")],
            "1.1": [("SUPPORTED", "2018.09")],
            "1.2": [("SUPPORTED", "2020.09")],
        },
    ),
    "senlin.policy.affinity": (AFFINITY, {"1.0": [("SUPPORTED", "2016.10")]}),
    "senlin.policy.batch": (BATCH, {"1.0": [("EXPERIMENTAL", "2017.02")]}),
    "senlin.policy.zone_placement": (ZONES, {"1.0": [("EXPERIMENTAL", "2016.04"), ("SUPPORTED", "2016.10")]}),
    "senlin.policy.region_placement": (REGIONS, {"1.0": [("EXPERIMENTAL", "2016.04"), ("SUPPORTED", "2016.10")]}),
    "senlin.policy.loadbalance": (
        LOADBALANCE,
        {
            "1.0": [("SUPPORTED", "2016.04")],
            "1.1": [("SUPPORTED", "2018.01")],
            "1.2": [("SUPPORTED", "2020.02")],
            "1.3": [("SUPPORTED", "2020.03")],
        },
    ),
}
VERSIONS = [f"{name}-{version}" for name, (_, versions) in POLICY_TYPES.items() for version in versions]


def flat(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, rendered in schema.items():
        yield f"{path}{name}", rendered
        yield from flat(rendered.get("schema", {}), f"{path}{name}.")


def schema_of(world: World, kind: str, name_version: str) -> dict[str, Mapping[str, Any]]:
    return dict(flat(contents(ask(world, "GET", f"/{kind}-types/{name_version}"))["schema"]))


@pytest.mark.parametrize("name_version", VERSIONS)
def test_properties_of_a_policy_type(world: World, name_version: str) -> None:
    found = schema_of(world, "policy", name_version)
    for path, (kind, default, allowed) in POLICY_TYPES[name_version.rpartition("-")[0]][0].items():
        rendered = found[path]
        assert rendered["type"] == kind, path
        assert rendered["required"] == (default is REQUIRED), path
        if kind in ("Map", "List") or default in (NONE, REQUIRED):
            assert "default" not in rendered, path
        else:
            assert rendered["default"] == default and type(rendered["default"]) is type(default), path
        words = [list(one["constraint"]) for one in rendered.get("constraints", [])]
        assert [sorted(each) for each in words] == ([sorted(allowed)] if allowed else []), path


def test_keys_that_later_versions_of_the_load_balancer_brought(world: World) -> None:
    found = schema_of(world, "policy", "senlin.policy.loadbalance-1.3")
    since = {path: rendered["min_version"] for path, rendered in found.items() if "min_version" in rendered}
    assert since == {"loadbalancer": "1.1", "availability_zone": "1.2", "flavor_id": "1.3"}
    for key, first in since.items():
        for version in ("1.0", "1.1", "1.2", "1.3"):
            properties = {"pool": {"subnet": "s"}, "vip": {"subnet": "s"}, key: "x"}
            spec = {"type": "senlin.policy.loadbalance", "version": version, "properties": properties}
            answer = ask(world, "POST", "/policies/validate", {"policy": {"spec": spec}})
            assert (answer.status == 200) == (version >= first), (key, version, answer.body)


def test_the_list_has_these_types_and_no_others_but_for_who_speaks_our_version(world: World) -> None:
    listed = contents(ask(world, "GET", "/policy-types"))
    assert sorted(f"{one['name']}-{one['version']}" for one in listed) == sorted(VERSIONS)
    for one in listed:
        (entries,) = one["support_status"].values()
        assert [(entry["status"], entry["since"]) for entry in entries] == POLICY_TYPES[one["name"]][1][one["version"]]
    ours = contents(ask(world, "GET", "/policy-types", version=OURS))
    assert {one["name"] for one in ours} > set(POLICY_TYPES)


def test_profile_types_are_a_subset_of_senlins(world: World) -> None:
    listed = contents(ask(world, "GET", "/profile-types"))
    assert {one["name"] for one in listed} <= {"container.dockerinc.docker", "os.nova.server", "os.heat.stack"}


def test_every_type_is_rendered_in_the_dialect(world: World) -> None:
    for kind in ("profile", "policy"):
        for one in contents(ask(world, "GET", f"/{kind}-types", version=OURS)):
            for path, rendered in schema_of(world, kind, f"{one['name']}-{one['version']}").items():
                assert set(rendered) <= KEYS and {"type", "required", "updatable"} <= set(rendered), path
                assert rendered["type"] in TYPES and None not in rendered.values(), path
                assert isinstance(rendered["required"], bool) and isinstance(rendered["updatable"], bool)
                if rendered["type"] == "List":
                    assert set(rendered["schema"]) == {"*"}, path
                elif rendered["type"] != "Map":
                    assert "schema" not in rendered, path
                for constraint in rendered.get("constraints", []):
                    assert constraint["type"] == "AllowedValues" and constraint["constraint"], path


def test_operations_of_the_container_type(world: World) -> None:
    operations = contents(ask(world, "GET", "/profile-types/container.dockerinc.docker-1.0/ops"))
    assert {"pause", "unpause", "restart", "start", "stop", "kill"} <= set(operations)
    for operation in operations.values():
        assert set(operation) == {"description", "parameters"} and operation["description"]
        for _, rendered in flat(operation["parameters"]):
            assert "updatable" not in rendered and rendered["type"] in TYPES and "required" in rendered
    assert operations["pause"]["parameters"] == {}


@pytest.mark.parametrize(
    ("context", "taken"), [({}, True), ({"region_name": "east"}, True), ({"bogus": 1}, False), ("x", False)]
)
def test_every_profile_type_has_a_context_of_known_keys(world: World, context: Any, taken: bool) -> None:
    for name in ("container.dockerinc.docker-1.0", "host.docker-1.0"):
        assert schema_of(world, "profile", name)["context"]["type"] == "Map"
    world.cluster(world.profile("machine", "host.docker-1.0"), "farm")
    properties = {"image": "a", "host_cluster": "farm", "context": context}
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}
    answer = ask(world, "POST", "/profiles/validate", {"profile": {"spec": spec}})
    assert answer.status == 200 if taken else answer.error[:2] == (400, "InvalidSpec")


def test_values_are_read_as_leniently_as_senlin_reads_them(world: World) -> None:
    for properties in (
        {"grace_period": "7", "destroy_after_deletion": "no", "criteria": "OLDEST_FIRST"},
        {"grace_period": 7, "hooks": '{"type": "zaqar", "params": {"queue": "q"}}'},
        {"hooks": {"type": "zaqar", "timeout": "10", "params": {"queue": 7}}},
    ):
        spec = {"type": "senlin.policy.deletion", "version": 1.0, "properties": properties}
        answer = ask(world, "POST", "/policies/validate", {"policy": {"spec": spec}})
        assert contents(answer)["spec"] == spec
    for properties in (
        {"grace_period": "soon"},
        {"grace_period": None},
        {"destroy_after_deletion": "perhaps"},
        {"criteria": "oldest_first"},
        {"hooks": {"bogus": 1}},
        {"hooks": []},
    ):
        spec = {"type": "senlin.policy.deletion", "version": "1.0", "properties": properties}
        answer = ask(world, "POST", "/policies/validate", {"policy": {"spec": spec}})
        assert answer.error[:2] == (500, "ESchema"), properties
