"""Whatever a specification holds: named errors only, stable values, hardened requests."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from spinney.domain.container import LABEL_PREFIX, ContainerRequest, NetworkRequest
from spinney.errors import BadRequest, ESchema, InvalidSpec, ResourceNotFound
from spinney.profiles.container import CONTAINER, ContainerProperties
from spinney.profiles.container_request import ContainerDefaults, NodeIdentity, container_request, reservation
from spinney.profiles.container_values import ADDABLE_CAPABILITIES, SIGNALS
from spinney.profiles.docker_host import DockerHostProperties
from spinney.profiles.registry import PROFILE_TYPES, validate_spec

DEFAULTS = ContainerDefaults()
BRIDGE = NetworkRequest("spinney-p", "10.7.0.0/24", {})
EVERYTHING = st.characters()  # lone surrogates too
text = st.text(EVERYTHING, max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=12
)
# Words that get past the first check of some reader.
WORDS = """512m 80 8080:80/udp 1::80 [::1]:1:2 always on-failure:3 host all CAP_ALL /run /proc/1 size=4m,exec {} {"a":1} [ '
tcp://h:1 ssh://u@[::1 unix:///x 1m30s SIGTERM nginx \x00"""
words = st.sampled_from(WORDS.split())


def properties_of(model: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Maps with real keys, at both levels, and anything as their values."""
    keys = sorted(model.model_fields)
    parts = [
        "container",
        "host",
        "protocol",
        "limit",
        "reservation",
        "test",
        "size",
        "driver",
        "options",
        "soft",
        "hard",
    ]
    value = (
        words
        | junk
        | st.lists(words | junk, max_size=3)
        | st.dictionaries(st.sampled_from(parts) | words, words | junk)
    )
    return st.dictionaries(st.sampled_from(keys) | text, value, max_size=5)


@given(junk)
def test_a_spec_of_junk_gives_named_errors_only(spec: Any) -> None:
    try:
        validate_spec(spec)
    except (ESchema, ResourceNotFound, InvalidSpec) as error:
        error.message.encode()


@settings(max_examples=300)
@given(st.sampled_from(sorted(PROFILE_TYPES)), st.data())
def test_properties_of_junk_give_one_readable_line(name: str, data: st.DataObject) -> None:
    kind = PROFILE_TYPES[name]
    given_properties = data.draw(properties_of(kind.properties) | junk)
    if isinstance(given_properties, dict) and data.draw(st.booleans()):
        given_properties = {"image": "x", "host_node": "h", **given_properties}
    try:
        validate_spec({"type": kind.name, "version": kind.version, "properties": given_properties})
    except InvalidSpec as error:
        error.message.encode()
        assert "\n" not in error.message
        assert len(error.message) < 10000
        assert error.message.startswith(("properties", "spec"))


@given(
    st.sampled_from([*CONTAINER.operations, "other"]),
    junk | st.dictionaries(st.sampled_from(["timeout", "signal"]), junk | words),
)
def test_operations_with_junk_give_bad_requests_only(operation: str, parameters: Any) -> None:
    try:
        taken = CONTAINER.operation_parameters(operation, parameters)
    except BadRequest as error:
        error.message.encode()
    else:
        json.dumps(taken)


line = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20)
cores = st.floats(0.01, 1000) | st.integers(1, 100).map(str)
sizes = st.integers(6 * 1024**2, 2**44) | st.sampled_from(["64m", "1.5g", "512Mi", "2GB"])
name = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
path = st.lists(st.sampled_from(["run", "tmp", "data", "x.y"]), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
probe = st.one_of(
    st.fixed_dictionaries({"exec": st.lists(line, min_size=1)}, optional={"delay": st.integers(0, 86400)}),
    st.fixed_dictionaries({"tcp": st.integers(1, 65535)}, optional={"interval": st.sampled_from([1, "1500ms"])}),
    st.fixed_dictionaries(
        {
            "http": st.fixed_dictionaries(
                {"port": st.integers(1, 65535)},
                optional={"path": path, "statuses": st.sampled_from([200, "200-299,401", ["500-599"]])},
            )
        }
    ),
)
values: dict[str, st.SearchStrategy[Any]] = {
    "name": line,
    "command": st.lists(line, max_size=3) | st.sampled_from(["", "sleep 1", "sh -c 'a b'"]),
    "entrypoint": st.lists(line, max_size=3),
    "environment": st.dictionaries(name, line | st.booleans() | st.integers()),
    "labels": st.dictionaries(name.map(lambda key: f"l{key}"), line),
    "cpu": cores | cores.map(lambda limit: {"limit": limit}) | cores.map(lambda least: {"reservation": least}),
    "memory": sizes | sizes.map(lambda limit: {"limit": limit}) | sizes.map(lambda least: {"reservation": least}),
    "pids_limit": st.integers(1, 4194304),
    "ulimits": st.dictionaries(st.sampled_from(["nofile", "nproc", "core"]), st.integers(0, 65536)),
    "gpu": st.integers(0, 99) | st.just("all"),
    "restart_policy": st.sampled_from(["no", "none", "always", "on-failure", "on-failure:9"]),
    "healthcheck": st.fixed_dictionaries({"test": line | st.lists(line, min_size=1).map(lambda argv: ["CMD", *argv])})
    | st.just({"disable": True}),
    "probes": st.dictionaries(st.sampled_from(["started", "ready", "alive"]), probe, min_size=1),
    "stop_signal": st.sampled_from(sorted(SIGNALS)) | st.sampled_from([2, "term"]),
    "stop_timeout": st.integers(0, 3600),
    "read_only": st.booleans(),
    "tmpfs": st.dictionaries(path, st.sampled_from(["4m", "exec", "ro,size=1g,mode=700", 65536]), max_size=5)
    | st.lists(path, max_size=3),
    "cap_add": st.lists(st.sampled_from(ADDABLE_CAPABILITIES[:6]).map(lambda cap: f"cap_{cap}".lower()), max_size=3),
    "cap_drop": st.lists(st.sampled_from(["ALL", "SYS_ADMIN", *ADDABLE_CAPABILITIES[6:]]), max_size=3),
    "ports": st.lists(st.integers(1, 65535), max_size=3, unique=True)
    | st.lists(st.integers(1, 65535), max_size=3, unique=True).map(lambda ports: [f"{port}:80/udp" for port in ports]),
    "log": st.sampled_from(
        ["none", "local", {"options": {"max-size": "1m"}}, {"driver": "local", "options": {"max-file": 9}}]
    ),
    "pull_policy": st.sampled_from(["always", "missing", "never"]),
}
valid = st.fixed_dictionaries({"image": st.sampled_from(["nginx", "a/b:1"]), "host_node": line}, optional=values)


@given(valid)
def test_what_was_validated_validates_to_the_same(given_properties: dict[str, Any]) -> None:
    once = ContainerProperties.model_validate(given_properties)
    stored = json.loads(json.dumps(once.given()))
    again = ContainerProperties.model_validate(stored)
    assert again == once
    assert again.given() == once.given()


@given(valid, st.text(max_size=30), st.text("0123456789abcdef-", min_size=8, max_size=36))
def test_every_request_is_hardened(given_properties: dict[str, Any], node_name: str, node_id: str) -> None:
    properties = ContainerProperties.model_validate(given_properties)
    node = NodeIdentity(node_id, node_name, "c1", "p1", 7)
    made = container_request(properties, node=node, deployment="d1", network=BRIDGE, defaults=DEFAULTS)
    assert made == container_request(properties, node=node, deployment="d1", network=BRIDGE, defaults=DEFAULTS)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", made.name)
    assert {key for key in made.labels if key.startswith(LABEL_PREFIX)} >= {"io.spinney.node", "io.spinney.project"}
    assert made.labels["io.spinney.node"] == node_id
    check_limits(made)
    kept = reservation(properties, DEFAULTS)
    assert (kept.cpu, kept.memory) == (made.cpu_reservation, made.memory_reservation)
    assert set(made.cap_add) <= set(ADDABLE_CAPABILITIES)
    assert not set(made.cap_add) & set(made.cap_drop)
    assert all({"nosuid", "nodev"} <= set(options.split(",")) and "size=" in options for options in made.tmpfs.values())
    assert made.log_driver == "none" or {"max-size", "max-file"} <= set(made.log_options)


def check_limits(made: ContainerRequest) -> None:
    assert made.cpu_limit is not None
    assert made.cpu_reservation is not None
    assert 0 < made.cpu_reservation <= made.cpu_limit <= DEFAULTS.max_cpu
    assert made.memory_limit is not None
    assert made.memory_reservation is not None
    assert 0 < made.memory_reservation <= made.memory_limit <= DEFAULTS.max_memory
    assert 1 <= made.pids_limit <= DEFAULTS.max_pids


machine = st.fixed_dictionaries(
    {"endpoint": st.sampled_from(["unix:///run/d.sock", "tcp://[::1]:2376", "ssh://u@H", "tcp://1.2.3.4:1"])},
    optional={
        "zone": st.none() | line,
        "labels": st.dictionaries(name.map(lambda key: f"l{key}"), line),
        "region": line,
    },
)


@given(machine)
def test_hosts_validate_to_the_same_again(given_properties: dict[str, Any]) -> None:
    once = DockerHostProperties.model_validate({"credential": "c", **given_properties})
    again = DockerHostProperties.model_validate(json.loads(json.dumps(once.given())))
    assert again == once
    assert again.machines() == once.machines()
