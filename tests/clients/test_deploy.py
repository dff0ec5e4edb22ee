"""``spinney deploy`` against a whole service with simulated hosts: what is really there after each run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from clients.oracle import Oracle, until
from clients.service import Service
from spinney.cli.deploy.asking import Asking, Begun
from spinney.cli.deploy.command import Asked
from spinney.cli.deploy.deciding import ServicePlan, Step
from spinney.cli.main import app

Deploy = Callable[..., Result]


@pytest.fixture
def deploy(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Deploy:
    """Writes the services into a Compose file in a folder of its own, and runs the command there."""
    settings = {"AUTH_TYPE": "http_basic", "ENDPOINT": f"{service.url}/v1", "USERNAME": "admin"}
    for name, value in {**settings, "PASSWORD": service.password}.items():
        monkeypatch.setenv(f"OS_{name}", value)
    monkeypatch.chdir(tmp_path)

    def run(
        services: dict[str, Any] | None, *words: str, project: str = "shop", code: int = 0, said: str = ""
    ) -> Result:
        if services is not None:
            whole = {"name": project, "services": {name: on_metal(**one) for name, one in services.items()}}
            Path("compose.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
        ran = CliRunner().invoke(app, ["deploy", *words], prog_name="spinney", input=said)
        assert ran.exit_code == code, ran.output
        return ran

    return run


def on_metal(**more: Any) -> dict[str, Any]:
    return {"image": "busybox", "x-spinney-host-node": "metal", "command": "sleep 100000", **more}


def images(oracle: Oracle, cluster: str) -> list[str]:
    there = oracle.containers(oracle.get(f"clusters/{cluster}")["id"])
    return sorted(str(one.image) for one in there.values())


def names(oracle: Oracle, path: str, project: str) -> list[str]:
    return sorted(one["name"] for one in oracle.get(path) if one["name"].startswith(f"{project}-"))


def nothing_of(oracle: Oracle, project: str) -> bool:
    return not any(names(oracle, path, project) for path in ("clusters", "profiles", "policies"))


def test_a_file_becomes_clusters_and_a_second_run_has_nothing_to_do(
    deploy: Deploy, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = {"web": {"deploy": {"replicas": 2, "update_config": {}, "labels": {"team": "a"}}}}
    shown = deploy(services, "--dry-run").stdout
    assert "create  web      shop-web  2 containers of busybox" in shown and nothing_of(oracle, "shop")
    assert "add --yes" in deploy(None, code=1).stderr
    monkeypatch.setattr(Asked, "interactive", True)
    assert "nothing was changed" in deploy(None, code=1, said="n\n").stderr and nothing_of(oracle, "shop")
    deploy(None, "--wait", said="y\n")
    assert images(oracle, "shop-web") == ["busybox:latest"] * 2
    assert oracle.get("clusters/shop-web")["metadata"] == {
        "team": "a", "spinney.deploy": {"project": "shop", "service": "web"},
    }  # fmt: skip
    assert "nothing to do" in deploy(None, "--yes", "--wait").stderr
    deploy(None, "--remove", "--yes")
    assert nothing_of(oracle, "shop")


def test_of_two_runs_at_once_the_later_one_takes_its_cluster_back(
    deploy: Deploy, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Asking._create

    def late(asking: Asking, plan: ServicePlan, step: Step) -> Begun:
        """Somebody else's run makes it after this one has looked."""
        own(asking, plan, step)
        return own(asking, plan, step)

    with monkeypatch.context() as patch:
        patch.setattr(Asking, "_create", late)
        ran = deploy({"web": {}}, "--yes", "--wait", project="twice", code=1)
    assert "somebody else deploys twice at this moment: twice-web is there already" in ran.output
    until(lambda: names(oracle, "clusters", "twice") == ["twice-web"])
    deploy(None, "--remove", "--yes", "--wait", "--project-name", "twice")


def test_what_somebody_else_made_is_neither_taken_nor_removed(deploy: Deploy, oracle: Oracle) -> None:
    theirs = oracle.cluster(1, name="theirs-web")
    refused = deploy({"web": {}}, "--yes", project="theirs", code=1)
    assert "that this deployment did not make" in refused.stderr
    assert "nothing to do" in deploy(None, "--remove", "--yes").stderr
    assert oracle.get(f"clusters/{theirs['id']}")["status"] == "ACTIVE"


def test_what_the_service_refuses_is_told_with_the_line_before_anything_is_made(deploy: Deploy, oracle: Oracle) -> None:
    services = {
        "a": {"x-spinney-host-node": "nowhere"},
        "b": {"secrets": ["pw"]},
        "c": {"x-spinney-grants": ["nope"], "x-spinney-policies": ["unknown"]},
    }
    (whole := Path("compose.yaml")).write_text("")
    deploy(services, "--yes", project="wrong", code=1)
    whole.write_text(f"{whole.read_text()}secrets: {{pw: {{external: true}}}}\n")
    refused = deploy(None, "--yes", code=1).stderr
    assert "compose.yaml:" in refused and "x-spinney-policies[0]: there is no policy 'unknown'" in refused
    whole.write_text(whole.read_text().replace("- unknown", "[]").replace("    x-spinney-policies:\n    []\n", ""))
    refused = deploy(None, "--yes", code=1).stderr
    for said in ("services.a.x-spinney-host-node: ", "services.b.secrets[0]: 'pw' could not be found", "services.c"):
        assert said in refused
    assert nothing_of(oracle, "wrong")


@pytest.mark.integration
def test_files_that_change(deploy: Deploy, oracle: Oracle) -> None:
    db = {"image": "postgres", "mem_limit": "64m"}
    web = {"image": "nginx:1", "depends_on": ["db"], "deploy": {"replicas": 2, "update_config": {"parallelism": 1}}}
    deploy({"web": web, "db": db}, "--yes", "--wait", project="life")
    db_containers = oracle.containers(oracle.get("clusters/life-db")["id"])

    grown = {**web, "image": "nginx:2", "deploy": {"replicas": 3, "update_config": {"parallelism": 2}}}
    ran = deploy({"web": grown, "db": {**db, "mem_limit": "128m"}}, "--yes", "--wait", project="life").stdout
    steps = [line.split()[:2] for line in ran.splitlines()[1:]]
    assert steps == [["update", "db"], ["detach", "web"], ["attach", "web"], ["replace", "web"], ["scale", "web"]]
    assert len(images(oracle, "life-web")) == 3 and not {"nginx:1"} & set(images(oracle, "life-web"))
    spec = oracle.get(f"profiles/{oracle.get('clusters/life-web')['profile_id']}")["spec"]
    assert spec["properties"]["image"] == "nginx:2"
    after = oracle.containers(oracle.get("clusters/life-db")["id"])
    assert [one.id for one in after.values()] == [one.id for one in db_containers.values()]

    alone = {key: value for key, value in grown.items() if key != "depends_on"}
    left = deploy({"web": alone}, "--yes", "--wait", project="life")
    assert "left as it is: life-db (--prune removes it)" in left.stderr
    deploy(None, "--yes", "--prune")
    assert names(oracle, "clusters", "life") == ["life-web"]
    assert [name for name in names(oracle, "profiles", "life") if "-db-" in name] == []
    deploy(None, "--remove", "--yes")
    assert nothing_of(oracle, "life")


@pytest.mark.integration
def test_a_run_that_could_not_be_finished_is_finished_by_the_next(deploy: Deploy, oracle: Oracle) -> None:
    db = {"ports": ["7001:80"], "deploy": {"replicas": 2}}  # of which one host can have one
    web = {"depends_on": ["db"]}
    failed = deploy({"db": db, "web": web}, "--yes", project="half", code=2)
    assert "Run the same command again" in failed.stderr
    assert names(oracle, "clusters", "half") == ["half-db"]
    mended = {**db, "ports": ["80"]}
    deploy({"db": mended, "web": web}, "--yes", "--wait", project="half")
    assert len(images(oracle, "half-db")) == 2 and len(images(oracle, "half-web")) == 1
    assert "nothing to do" in deploy(None, "--yes").stderr
    deploy(None, "--remove", "--yes")
