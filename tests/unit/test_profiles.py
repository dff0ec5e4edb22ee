"""The registry of profile types, whole specifications, and what is told about them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest

from spinney.cli import reference
from spinney.errors import BadRequest, ESchema, InvalidSpec, ResourceNotFound
from spinney.profiles.container import CONTAINER, ContainerProperties
from spinney.profiles.docker_host import DOCKER_HOST
from spinney.profiles.registry import PROFILE_TYPES, listed_types, profile_type, support_status, validate_spec

SPEC = {
    "type": "container.dockerinc.docker",
    "version": "1.0",
    "properties": {"image": "nginx", "host_node": "h1"},
}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in SPEC.items() if name != key}


@pytest.mark.parametrize("version", ["1.0", 1.0])
def test_a_version_may_be_a_number(version: object) -> None:
    found = validate_spec({**SPEC, "version": version})
    assert (found.type, found.version, found.name_version) == (
        "container.dockerinc.docker",
        "1.0",
        "container.dockerinc.docker-1.0",
    )


@pytest.mark.parametrize("key", ["type", "version"])
@pytest.mark.parametrize("absent", [True, False])
def test_without_type_or_version_the_contract_says_500(key: str, absent: bool) -> None:
    with pytest.raises(ESchema, match=rf"spec\.{key}") as caught:
        validate_spec(without(key) if absent else {**SPEC, key: None})
    assert (caught.value.status, caught.value.type_name) == (500, "ESchema")


def test_an_unknown_type_is_not_found() -> None:
    with pytest.raises(ResourceNotFound, match=r"profile_type 'os\.magnum\.cluster-1\.0'"):
        validate_spec({**SPEC, "type": "os.magnum.cluster"})


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("container", "spec: a map"),
        ({**SPEC, "type": ["x"]}, "spec.type"),
        ({**SPEC, "extra": 1}, "'extra' is not known"),
        (without("properties"), "spec.properties"),
        ({**SPEC, "properties": None}, "spec.properties"),
        ({**SPEC, "properties": "nginx"}, "properties: 'nginx' is not allowed: a map"),
        ({**SPEC, "properties": []}, "properties: a list is not allowed: a map"),
    ],
)
def test_a_spec_of_another_shape_is_refused(spec: object, told: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        validate_spec(spec)
    assert told in caught.value.message


def test_properties_may_be_a_json_string() -> None:
    assert validate_spec({**SPEC, "properties": '{"image": "nginx", "host_node": "h1"}'}) == validate_spec(SPEC)


def test_our_own_types_are_listed_only_to_those_who_speak_our_version() -> None:
    assert [kind.name_version for kind in listed_types(with_ours=False)] == ["container.dockerinc.docker-1.0"]
    assert [kind.name_version for kind in listed_types(with_ours=True)] == sorted(PROFILE_TYPES)
    assert profile_type("host.docker-1.0") is DOCKER_HOST


def test_support_status_has_what_clients_iterate() -> None:
    assert support_status("container.dockerinc.docker") == {"1.0": [{"status": "EXPERIMENTAL", "since": "2017.02"}]}


@pytest.mark.parametrize("kind", PROFILE_TYPES.values(), ids=lambda kind: kind.name)
def test_every_rendered_property_is_complete(kind: Any) -> None:
    def check(rendered: dict[str, Any], path: str) -> None:
        assert rendered["type"] in {"String", "Integer", "Number", "Boolean", "List", "Map"}, path
        assert isinstance(rendered["required"], bool), path
        assert isinstance(rendered["updatable"], bool), path
        assert rendered.get("default", 0) is not None, path
        if rendered["type"] == "List":
            assert set(rendered["schema"]) == {"*"}, path
        for name, inner in rendered.get("schema", {}).items():
            check(inner, f"{path}.{name}")

    for name, rendered in kind.schema().items():
        assert rendered["description"], name
        check(rendered, name)


def test_senlins_properties_are_rendered_with_their_types() -> None:
    schema = CONTAINER.schema()
    kinds = {name: schema[name]["type"] for name in ("context", "image", "name", "command", "port", "host_node")}
    assert kinds == {
        "context": "Map",
        "image": "String",
        "name": "String",
        "command": "String",
        "port": "Integer",
        "host_node": "String",
    }
    assert schema["port"]["default"] == 2375
    assert [name for name, rendered in schema.items() if rendered["required"]] == ["image"]
    assert [name for name, rendered in schema.items() if not rendered["updatable"]] == ["context", "port"]
    assert schema["network"]["constraints"] == [{"type": "AllowedValues", "constraint": ["bridge", "none"]}]
    assert schema["ports"]["schema"]["*"]["schema"]["container"]["required"] is True


def test_operations_are_rendered_without_updatable() -> None:
    rendered = CONTAINER.operations_schema()
    assert set(rendered) == {"start", "stop", "restart", "pause", "unpause", "kill"}
    assert rendered["pause"]["parameters"] == {}
    assert rendered["restart"]["parameters"]["wait_time"]["type"] == "Integer"
    assert "updatable" not in rendered["restart"]["parameters"]["wait_time"]
    assert DOCKER_HOST.operations_schema() == {}


@pytest.mark.parametrize(
    ("operation", "given", "taken"),
    [
        ("start", None, {}),
        ("stop", {}, {}),
        ("stop", {"timeout": "3"}, {"timeout": 3}),
        ("restart", {"wait_time": "5"}, {"timeout": 5}),
        ("restart", {"timeout": 0}, {"timeout": 0}),
        ("restart", {"timeout": 5, "wait_time": 5}, {"timeout": 5}),
        ("kill", {}, {"signal": "SIGKILL"}),
        ("kill", {"signal": "hup"}, {"signal": "SIGHUP"}),
        ("kill", {"signal": 15}, {"signal": "SIGTERM"}),
    ],
)
def test_operations_take(operation: str, given: object, taken: dict[str, Any]) -> None:
    assert CONTAINER.operation_parameters(operation, given) == taken


@pytest.mark.parametrize(
    ("operation", "given", "told"),
    [
        ("explode", {}, "container.dockerinc.docker-1.0 has no operation 'explode'"),
        ("pause", {"timeout": 1}, "pause.timeout: there is no such key"),
        ("stop", {"timeout": "soon"}, "stop.timeout: 'soon' is not allowed: a whole number"),
        ("stop", {"timeout": -1}, "stop.timeout: -1 is not allowed: whole seconds from 0 to 3600"),
        ("stop", [], "stop: a list is not allowed: a map"),
        ("restart", {"wait_time": 1, "timeout": 2}, "two names of one thing"),
        ("kill", {"signal": "SIGSTOP"}, "kill.signal: 'SIGSTOP' is not allowed"),
    ],
)
def test_operations_refuse(operation: str, given: object, told: str) -> None:
    with pytest.raises(BadRequest) as caught:
        CONTAINER.operation_parameters(operation, given)
    assert told in caught.value.message


def test_a_change_is_sorted_by_what_it_takes() -> None:
    def properties(**more: object) -> ContainerProperties:
        found = validate_spec({**SPEC, "properties": {"image": "nginx", "host_node": "h1", **more}}).properties
        assert isinstance(found, ContainerProperties)
        return found

    changes = CONTAINER.compare(properties(), properties(image="nginx:2", cpu=2, port=2376))
    assert (changes.in_place, changes.recreate, changes.refused) == ({"cpu"}, {"image"}, {"port"})
    same = CONTAINER.compare(properties(ports=["80"]), properties(ports=[{"container": 80, "protocol": "tcp"}]))
    assert same == CONTAINER.compare(properties(), properties())


@pytest.mark.parametrize("kind", PROFILE_TYPES.values(), ids=lambda kind: kind.name)
def test_what_changes_in_which_way_names_real_properties(kind: Any) -> None:
    known = set(kind.properties.model_fields)
    assert kind.properties.in_place | kind.properties.fixed | kind.properties.nullable <= known
    assert not kind.properties.in_place & kind.properties.fixed


def test_the_reference_page_is_what_the_generator_prints() -> None:
    committed = Path(__file__).parents[2] / "docs" / "reference" / "profiles.md"
    assert committed.read_text() == reference.profiles_page(), "run: python -m spinney.cli.reference profiles"


def test_the_generator_knows_its_pages() -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert reference.main(["profiles"]) == 0
        assert reference.main(["nothing"]) == 2
    assert out.getvalue().startswith("# Profile types")
    assert "usage" in err.getvalue()
