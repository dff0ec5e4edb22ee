"""What cannot be in a Compose file is told with its place, all of it at once."""

from __future__ import annotations

import pytest

from unit.compose_files import faults, read, service

FILES = {"a.env": "A=1\n"}

WRONG = [
    ("command: []", "services.web.command: an empty command"),
    ("environment: {A: 1.10}", "services.web.environment.A: 1.10 is read as 1.1: put it in quotes"),
    ("environment: {A: [1]}", "services.web.environment.A: one value is needed here, not a list"),
    ("environment: [=x]", "services.web.environment[0]: '=x' is not allowed"),
    ("env_file: no.env", "services.web.env_file: 'no.env' cannot be read"),
    ("env_file: [{path: a.env, format: json}]", "services.web.env_file[0].format: 'json'"),
    ("network_mode: host", "services.web.network_mode: 'host' is not allowed"),
    ("pull_policy: build", "services.web.pull_policy: 'build' is not allowed"),
    ("restart: on-failure", "services.web.restart: on-failure needs a number"),
    ("restart: sometimes", "services.web.restart: 'sometimes' is not allowed"),
    ("restart: no\ndeploy: {restart_policy: {condition: any}}", "services.web.restart in line 5 says something else"),
    ("deploy: {restart_policy: {condition: any, max_attempts: 3}}", "max_attempts: it goes with on-failure"),
    ("healthcheck: {test: [curl, x]}", "services.web.healthcheck.test: a list begins with CMD"),
    ("healthcheck: {test: x, interval: 30}", "services.web.healthcheck.interval: '30' is not allowed: a duration"),
    ("healthcheck: {test: x, interval: 10ms}", "services.web.healthcheck.interval: 0.01 is not allowed"),
    ("healthcheck: {retries: 2}", "services.web.healthcheck.retries: give test"),
    ("stop_grace_period: 1.5s", "services.web.stop_grace_period: 1.5 is not allowed: a whole number"),
    ("mem_limit: 1q", "services.web.mem_limit: '1q' is not allowed: a size"),
    (
        "mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}}}",
        "services.web.mem_limit in line 5 says something else",
    ),
    ("pids_limit: -1", "services.web.pids_limit: -1 is not allowed"),
    ("ports: ['1:2:3:4']", "services.web.ports[0]: '1:2:3:4' is not allowed"),
    ("ports: ['80-90:80']", "services.web.ports[0]: 80-90:80 is not allowed: both ranges"),
    ("ports: ['0:80']", "services.web.ports[0]: '0' is not allowed: ports go from 1"),
    ("ports: ['80/sctpx']", "services.web.ports[0]"),
    ("ports: [{published: 80}]", "services.web.ports[0]: target is missing"),
    ("ports: [{target: 80, mode: ingress}]", "services.web.ports[0].mode: 'ingress' is not allowed"),
    ("ports: [80, '80']", "services.web.ports[1]: this publishes the same"),
    ("secrets: [nope]", "services.web.secrets[0]: the file has no secret 'nope'"),
    ("secrets: [{source: pw, mode: 440}]", "services.web.secrets[0].mode: 440 would be a decimal number"),
    ("secrets: [{target: x}]", "services.web.secrets[0]: source is missing"),
    ("secrets: [pw]\nrestart: on-failure:2", "services.web.restart: on-failure is not possible with secret files"),
    ("gpus: some", "services.web.gpus: 'some' is not allowed"),
    ("gpus: [{count: 1}, {count: 1}]", "services.web.gpus: 2 entries"),
    ("gpus: [{capabilities: [tpu]}]", "services.web.gpus[0].capabilities: tpu is not allowed"),
    ("gpus: [{driver: amd}]", "services.web.gpus[0].driver: 'amd'"),
    ("deploy: {resources: {reservations: {devices: [{count: 1}]}}}", "devices[0]: capabilities is missing"),
    ("deploy: {mode: global}", "services.web.deploy.mode: 'global' is not allowed"),
    ("deploy: {replicas: 2}\nscale: 3", "services.web.deploy.replicas in line 5 says something else"),
    ("deploy: {placement: {constraints: [node.role == worker]}}", "node.role cannot be compared"),
    ("deploy: {placement: {constraints: [node.hostname != a]}}", "a host cannot be left out by its name"),
    ("deploy: {placement: {constraints: [what]}}", "constraints[0]: 'what' is not allowed"),
    (
        "deploy: {placement: {preferences: [{spread: a}, {spread: b}]}}",
        "preferences[0].spread in line 5 says something",
    ),
    ("deploy: {placement: {preferences: [what]}}", "preferences[0]: 'what' is not allowed"),
    ("deploy: {update_config: {parallelism: -1}}", "parallelism: -1 is not allowed"),
    ("deploy: {update_config: {delay: 1.5s}}", "update_config.delay: 1.5 is not allowed"),
    ("deploy: {update_config: {order: both}}", "update_config.order: 'both' is not allowed"),
    ("deploy: {update_config: {failure_action: stop}}", "update_config.failure_action: 'stop' is not allowed"),
    ("x-spinney-policies: [{type: a.b, version: 1}]", "services.web.x-spinney-policies[0]: The policy_type 'a.b-1'"),
    (
        "x-spinney-policies: [{type: senlin.policy.deletion, version: 1.0, properties: {criteria: X}}]",
        "services.web.x-spinney-policies[0].properties.criteria: 'X' is not allowed",
    ),
    (
        "deploy: {update_config: {}}\nx-spinney-policies: [{type: senlin.policy.batch, version: 1.0, properties: {}}]",
        "a cluster has one policy of type senlin.policy.batch, and services.web.deploy.update_config in line 5 is one",
    ),
    ("image: Nope!", "services.web.image: this key stands in line 5 already"),
    ("init: maybe", "services.web.init: 'maybe' is not allowed"),
    ("depends_on: [db]", "services.web.depends_on[0]: there is no service 'db'"),
    ("depends_on: {web: {}}", "services.web.depends_on.web: condition is missing"),
    ("depends_on: [web]", "services.web.depends_on[0]: web need each other in a circle"),
    ("profiles: debug", "services.web.profiles: a list is needed here"),
    ("user:", "services.web.user: a value is needed"),
]


@pytest.mark.parametrize(("lines", "says"), WRONG, ids=[lines for lines, _ in WRONG])
def test_what_cannot_be_is_told_with_its_place(lines: str, says: str) -> None:
    told = faults(service(lines, "secrets: {pw: {external: true}}\n"), files=FILES)
    told = [line.replace("line 6", "line 5") for line in told]  # with secrets above, all is a line lower
    assert any(says in line for line in told), told


def test_all_faults_of_a_file_are_told_in_its_order() -> None:
    told = faults(service("build: .\ndeploy:\n  mode: global\n  replicas: x\nports: [a]\n") + "networks: {a: {}}\n")
    assert [line.split(":")[1] for line in told] == ["5", "7", "8", "9", "10"]


def test_an_upper_secret_has_to_be_one_of_the_project() -> None:
    told = faults(service("", "secrets: {a: {file: x}, b: {external: false}, c: , d: {external: {name: x}}}\n"))
    assert [line.split(": ")[1] for line in told] == [
        "secrets.a.file",
        "secrets.b.external",
        "secrets.c",
        "secrets.d.external",
    ]


def test_hosts_are_named_by_the_service_or_the_option_or_the_file() -> None:
    text = "x-spinney-host-cluster: file\nservices: {a: {image: i}, b: {image: i, x-spinney-host-cluster: own}}"
    hosts = lambda found: [one.spec["properties"]["host_cluster"] for one in found.services]  # noqa: E731
    assert hosts(read(text)) == ["file", "own"]
    assert hosts(read(text, host_cluster="option")) == ["option", "own"]
    (told,) = faults("services: {a: {image: i}}")
    assert told.startswith("c.yaml:1: services.a: nothing says where it runs")


def test_a_service_without_an_image_is_told_once() -> None:
    (told,) = faults("x-spinney-host-cluster: metal\nservices: {b: {}}")
    assert told == "c.yaml:2: services.b: image is missing: name the image to run"
