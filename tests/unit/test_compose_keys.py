"""Every key of a Compose file: what it becomes, or how it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.cli.compose.keys import Keys
from unit.compose_cases import CASES, SECRET
from unit.compose_files import HEAD, all_keys, faults, one, properties

FILES = {"a.env": "A=1\nB=x\n", "b.env": "# more\nA=2\n", "c.env": "C='$X'\n"}


@pytest.mark.parametrize(
    ("path", "lines", "expected"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_key_becomes_what_the_profile_has_for_it(path: str, lines: str, expected: dict[str, Any]) -> None:
    assert properties(lines, SECRET, files=FILES, profiles=frozenset({"debug"})) == expected


PLACEMENT = "spinney.policy.placement"
BATCH, UPDATE = "senlin.policy.batch", "spinney.policy.update"
#: What becomes of keys that are about the cluster: the attribute of what is wanted, and its value.
CLUSTER: list[tuple[str, str, str, Any]] = [
    ("services.*.scale", "scale: 3", "replicas", 3),
    ("services.*.deploy.replicas", "deploy: {replicas: '3'}\nscale: 3", "replicas", 3),
    ("services.*.deploy.labels", "deploy: {labels: [team=a]}", "labels", {"team": "a"}),
    ("services.*.x-spinney-config", "x-spinney-config: {spinney.priority: 5}", "config", {"spinney.priority": 5}),
    ("services.*.x-spinney-min-size", "x-spinney-min-size: 1", "min_size", 1),
    ("services.*.x-spinney-max-size", "x-spinney-max-size: -1", "max_size", -1),
]


@pytest.mark.parametrize(("path", "lines", "attribute", "expected"), CLUSTER)
def test_a_key_becomes_what_the_cluster_has_for_it(path: str, lines: str, attribute: str, expected: Any) -> None:
    assert getattr(one(lines), attribute) == expected


PACE = {"min_in_service": 0, "max_batch_size": 1, "pause_time": 0}
CARE = {"order": "stop-first", "monitor": 0, "failure_ratio": 0, "on_failure": "pause"}
#: Policies that come of keys: their types and properties.
POLICIES: list[tuple[str, str, list[tuple[str, dict[str, Any]]]]] = [
    ("services.*.deploy.placement", "deploy: {placement: {}}", []),
    (
        "services.*.deploy.placement.constraints",
        "deploy: {placement: {constraints: [node.labels.disk == ssd, engine.labels.gpu!=no, node.hostname==h1, zone=a]}}",
        [
            (
                PLACEMENT,
                {
                    "require": [
                        {"key": "disk", "operator": "in", "values": ["ssd"]},
                        {"key": "gpu", "operator": "not_in", "values": ["no"]},
                        {"key": "zone", "operator": "in", "values": ["a"]},
                    ],
                    "hosts": ["h1"],
                },
            )
        ],
    ),
    (
        "services.*.deploy.placement.constraints",
        "deploy: {placement: {constraints: {disk: ssd}}}",
        [(PLACEMENT, {"require": [{"key": "disk", "operator": "in", "values": ["ssd"]}]})],
    ),
    (
        "services.*.deploy.placement.preferences",
        "deploy: {placement: {preferences: [{spread: node.labels.zone}, disk=ssd]}}",
        [
            (
                PLACEMENT,
                {
                    "spread_over": "label:zone",
                    "prefer": [{"key": "disk", "operator": "in", "values": ["ssd"]}],
                },
            )
        ],
    ),
    (
        "services.*.deploy.placement.max_replicas_per_node",
        "deploy: {placement: {max_replicas_per_node: 1}}",
        [(PLACEMENT, {"max_per_host": 1})],
    ),
    ("services.*.deploy.update_config", "deploy: {update_config: {}}", [(BATCH, PACE), (UPDATE, CARE)]),
    (
        "services.*.deploy.update_config.parallelism",
        "deploy: {update_config: {parallelism: 0}}",
        [(BATCH, {**PACE, "max_batch_size": -1}), (UPDATE, CARE)],
    ),
    (
        "services.*.deploy.update_config.delay",
        "deploy: {update_config: {delay: 1m}}",
        [(BATCH, {**PACE, "pause_time": 60}), (UPDATE, CARE)],
    ),
    (
        "services.*.deploy.update_config.order",
        "deploy: {update_config: {order: start-first}}",
        [(BATCH, PACE), (UPDATE, {**CARE, "order": "start-first"})],
    ),
    (
        "services.*.deploy.update_config.monitor",
        "deploy: {update_config: {monitor: 30s}}",
        [(BATCH, PACE), (UPDATE, {**CARE, "monitor": 30})],
    ),
    (
        "services.*.deploy.update_config.failure_action",
        "deploy: {update_config: {failure_action: rollback}}",
        [(BATCH, PACE), (UPDATE, {**CARE, "on_failure": "rollback"})],
    ),
    (
        "services.*.deploy.update_config.max_failure_ratio",
        "deploy: {update_config: {max_failure_ratio: 0.25}}",
        [(BATCH, PACE), (UPDATE, {**CARE, "failure_ratio": 0.25})],
    ),
    (
        "services.*.x-spinney-policies",
        "x-spinney-policies: [{type: senlin.policy.deletion, version: 1.0, properties: {criteria: OLDEST_FIRST}}]",
        [("senlin.policy.deletion", {"criteria": "OLDEST_FIRST"})],
    ),
]


@pytest.mark.parametrize(("path", "lines", "expected"), POLICIES)
def test_a_key_becomes_a_policy(path: str, lines: str, expected: list[tuple[str, dict[str, Any]]]) -> None:
    assert [(own.spec["type"], own.spec["properties"]) for own in one(lines).own_policies] == expected


#: Keys that are about services among each other or the whole file.
ELSEWHERE = {
    ("version",), ("name",), ("services",), ("secrets",), ("x-spinney-host-cluster",),
    ("services.*.x-spinney-host-cluster",), ("services.*.depends_on",), ("services.*.depends_on.*.condition",),
    ("services.*.depends_on.*.required",), ("services.*.depends_on.*.restart",),
}  # fmt: skip


def full(keys: Keys, name: str) -> str:
    return f"{keys.of}.{name}" if keys.of else name


def test_every_key_is_tried() -> None:
    tried = {case[0] for case in (*CASES, *CLUSTER, *POLICIES)} | {path for (path,) in ELSEWHERE}
    known = {full(keys, name) for keys in all_keys() for name in keys.known}
    assert known == tried


def nested(path: str, leaf: str) -> str:
    """A file in which the leaf stands at the path, on a line of its own."""
    lines, depth = [HEAD.rstrip()], 0
    steps = [step for step in path.split(".") if step]
    for index, step in enumerate(steps):
        name = "web" if step == "*" else step.removesuffix("[]")
        lines.append(f"{'  ' * depth}{name}:")
        depth += 1
        if step.endswith("[]"):
            lines.append(f"{'  ' * depth}-")
            depth += 1
        if step == "*" and index == 1 and steps[0] == "services":
            lines.append(f"{'  ' * depth}image: nginx")
    lines.append(f"{'  ' * depth}{leaf}: 1")
    if steps[:1] != ["services"]:
        lines.append("services: {web: {image: nginx}}")
    return "\n".join(lines)


REFUSED = [(keys.of, name, reason) for keys in all_keys() for name, reason in keys.refused.items()]


@pytest.mark.parametrize(("path", "name", "reason"), REFUSED)
def test_a_key_that_is_not_there_is_named_with_its_line_and_why(path: str, name: str, reason: str) -> None:
    text = nested(path, name)
    line = next(i for i, one_line in enumerate(text.splitlines(), 1) if one_line.strip() == f"{name}: 1")
    told = [fault for fault in faults(text) if fault.startswith(f"c.yaml:{line}: ") and fault.endswith(f": {reason}")]
    assert len(told) == 1 and f"{name}: " in told[0], faults(text)


@pytest.mark.parametrize("keys", list(all_keys()), ids=lambda keys: keys.of or "the file")
def test_no_map_takes_a_key_that_nobody_knows(keys: Keys) -> None:
    assert any("nonsense: there is no such key" in fault for fault in faults(nested(keys.of, "nonsense")))
    assert not any("x-mine" in fault for fault in faults(nested(keys.of, "x-mine")))
    assert any("x-spinney-mine: there is no such key" in fault for fault in faults(nested(keys.of, "x-spinney-mine")))
