"""The words of ``spinney deploy``: its files, its refusals, its outputs, against a stub of the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.stub import Answer, Stub, accepted, cluster, fault, node

FILE = "name: shop\nx-spinney-host-cluster: metal\nservices:\n  web: {image: 'nginx:${TAG:-1}', environment: [TAG]}\n"


@pytest.fixture
def deploy(spinney: Any, stub: Stub, nowhere: Path) -> Any:
    """The command in a folder with a Compose file, and a service that has nothing yet."""
    (nowhere / "compose.yaml").write_text(FILE)
    for path in ("clusters", "profiles", "policies"):
        stub.on(f"GET /v1/{path}", {path: []})
    stub.on("POST /v1/profiles/validate", {"profile": {}})
    return lambda *words, **more: spinney("deploy", *words, **more)


def asked_spec(stub: Stub) -> Any:
    return stub.sent("POST")[0].body["profile"]["spec"]["properties"]


def test_a_dry_run_asks_whether_it_would_be_taken_and_makes_nothing(deploy: Any, stub: Stub) -> None:
    result = deploy("--dry-run", "-o", "json")
    assert result.exit_code == 0, result.output
    (step,) = json.loads(result.stdout)
    assert step == {"step": "create", "service": "web", "cluster": "shop-web", "what": "1 container of nginx:1"}
    assert [asked.path for asked in stub.sent("POST")] == ["/v1/profiles/validate"]
    assert deploy("--dry-run", "-o", "name").stdout == "shop-web\n"


def test_variables_come_from_the_environment_then_from_files(
    deploy: Any, stub: Stub, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / ".env").write_text("TAG=2\n")
    (nowhere / "other.env").write_text("TAG=3\n")
    for words, environ, tag in ((), None, "2"), (("--env-file", "other.env"), None, "3"), ((), "4", "4"):
        stub.asked.clear()
        if environ is not None:
            monkeypatch.setenv("TAG", environ)
        assert deploy("--dry-run", *words).exit_code == 0
        assert asked_spec(stub)["image"] == f"nginx:{tag}" and asked_spec(stub)["environment"] == {"TAG": tag}
    (nowhere / ".env").write_text("no line\n")
    assert ".env:1: 'no line' is no NAME=value line" in deploy("--dry-run").stderr


def test_the_file_is_found_or_named_or_read_from_standard_input(deploy: Any, stub: Stub, nowhere: Path) -> None:
    (nowhere / "compose.yaml").rename(nowhere / "elsewhere.yaml")
    assert "name the Compose file with -f FILE" in deploy("--dry-run").stderr
    assert deploy("-f", "elsewhere.yaml", "--dry-run").exit_code == 0
    assert deploy("-f", "-", "--dry-run", input=FILE).exit_code == 0
    (nowhere / "elsewhere.yaml").rename(nowhere / "docker-compose.yml")
    assert deploy("--dry-run").exit_code == 0
    assert "'nope.yaml' cannot be read: No such file" in deploy("-f", "nope.yaml").stderr
    (nowhere / "docker-compose.yml").write_bytes(b"\xff\xfe\x00")
    assert "no text in UTF-8" in deploy().stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--dry-run", "--wait"), "--dry-run and --wait are both given"),
        (("--dry-run", "--yes"), "--dry-run and --yes are both given"),
        (("--remove", "--prune"), "--remove and --prune are both given"),
        (("--remove", "--project-name", "a", "-f", "compose.yaml"), "--project-name and -f are both given"),
        (("--env-file", "nope"), "--env-file 'nope' cannot be read"),
        (("--project-name", "My Shop"), "compose.yaml:1: 'My Shop' is no name of a project"),
        ((), "nobody can be asked here; add --yes"),
    ],
)
def test_what_is_refused_changes_nothing(deploy: Any, stub: Stub, words: tuple[str, ...], says: str) -> None:
    result = deploy(*words)
    assert result.exit_code == 1 and says in result.stderr, result.stderr
    assert {asked.path for asked in stub.sent("POST")} <= {"/v1/profiles/validate"}


def test_what_the_service_refuses_is_told_where_it_stands_in_the_file(deploy: Any, stub: Stub) -> None:
    stub.on(
        "POST /v1/profiles/validate", fault(400, "properties.host_cluster: 'metal' could not be found.", "BadRequest")
    )
    result = deploy("--yes")
    assert result.exit_code == 1
    assert "compose.yaml:4: services.web: 'metal' could not be found" in result.stderr
    stub.on("POST /v1/profiles/validate", fault(503, "Later.", "Unavailable"))
    assert "Later" in deploy("--yes").stderr


def a_cluster(**more: Any) -> dict[str, Any]:
    mark = {"spinney.deploy": {"project": "shop", "service": "web"}}
    return {**cluster(name="shop-web", desired=1), "metadata": mark, "config": {}, "policies": [], **more}


def test_without_waiting_it_says_how_to_follow(deploy: Any, stub: Stub) -> None:
    stub.on("POST /v1/profiles", Answer({"profile": {"id": "p1"}}, 201))
    stub.on("POST /v1/clusters", accepted({"cluster": a_cluster()}))
    result = deploy("--yes")
    assert result.exit_code == 0 and "shop-web: create requested" in result.stdout
    profile, made = [asked.body for asked in stub.sent("POST")[1:]]
    assert profile["profile"]["metadata"] == made["cluster"]["metadata"] == a_cluster()["metadata"]
    assert made["cluster"]["profile_id"] == "p1" and made["cluster"]["desired_capacity"] == 1
    (told,) = json.loads(deploy("--yes", "-o", "json").stdout)
    assert told == {"service": "web", "cluster": "c1", "step": "create", "action": "a1"}


def test_waiting_ends_when_the_members_are_ready(deploy: Any, stub: Stub) -> None:
    stub.on("POST /v1/profiles", Answer({"profile": {"id": "p1"}}, 201))
    stub.on("POST /v1/clusters", accepted({"cluster": a_cluster()}))
    stub.on("GET /v1/actions/a1", {"action": {"id": "a1", "status": "SUCCEEDED"}})
    stub.on("GET /v1/clusters/c1", {"cluster": a_cluster()})
    unready, ready = ({"readiness": {"ready": told}} for told in (False, True))
    stub.on("GET /v1/nodes", {"nodes": [node(data=unready)]}, {"nodes": [node(data=ready)]})
    result = deploy("--yes", "--wait")
    assert result.exit_code == 0 and "1 not ready" in result.stderr, result.output
    stub.on("GET /v1/nodes", {"nodes": [node(data=unready)]})
    assert deploy("--yes", "--wait", "--timeout", "0.3").exit_code == 3


def test_a_cluster_that_is_busy_is_left_until_it_is_done(deploy: Any, stub: Stub) -> None:
    spec = {
        "type": "container.dockerinc.docker",
        "version": "1.0",
        "properties": {"image": "old", "host_cluster": "metal"},
    }
    stub.on("GET /v1/clusters", {"clusters": [a_cluster(status="UPDATING")]})
    mark = a_cluster()["metadata"]
    stub.on("GET /v1/profiles", {"profiles": [{"id": "p1", "name": "shop-web-1", "spec": spec, "metadata": mark}]})
    result = deploy("--yes")
    assert result.exit_code == 1 and "shop-web is UPDATING: wait until that has ended" in result.stderr


def test_removing_what_is_not_there_is_no_fault(deploy: Any) -> None:
    result = deploy("--remove", "--project-name", "nothing")
    assert result.exit_code == 0 and "nothing to do" in result.stderr
