"""Limits that a real Keystone keeps: registered for all projects, and other ones for some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.conftest import Service
from cloud.keystone import PASSWORD, Keystone, configuration
from spinney.drivers.openstack.limits import REGISTERED
from system.running import Program

pytestmark = pytest.mark.integration

EVERYBODYS = {"clusters": 2, "nodes": 7, "cores": 20, "memory_mib": 4096, "receivers": -1, "secrets": 5}


@pytest.fixture(scope="module")
def limited(keystone: Keystone) -> str:
    """The id of the endpoint that limits are registered for."""
    service = keystone.make("service", "limited", type="container-clustering")
    entry = {"service_id": service, "interface": "public", "url": "http://127.0.0.1:1", "region_id": "RegionOne"}
    reader = keystone.id("role", "reader")
    keystone.ask("PUT", f"/system/users/{keystone.id('user', 'spinney')}/roles/{reader}")
    common = {"service_id": service, "region_id": "RegionOne"}
    limits = [{**common, "resource_name": name, "default_limit": most} for name, most in EVERYBODYS.items()]
    keystone.ask("POST", "/registered_limits", {"registered_limits": limits})
    return str(keystone.ask("POST", "/endpoints", {"endpoint": entry})["endpoint"]["id"])


@pytest.fixture(scope="module")
def service(keystone: Keystone, limited: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("limited")
    login = {
        "auth_type": "password",
        "auth_url": keystone.url,
        "username": "spinney",
        "password": PASSWORD,
        "user_domain_name": "Default",
        "system_scope": "all",
        "endpoint_id": limited,
    }
    written = "\n".join(f"{name} = {value}" for name, value in login.items())
    more = f"\n[quota]\ndriver = unified\ncache_time = 0.1\n\n[oslo_limit]\n{written}\n"
    (folder / "spinney.conf").write_text(configuration(keystone) + more)
    given = ("--state-dir", str(folder / "state"), "--config-file", str(folder / "spinney.conf"), "--port", "0")
    program = Program(folder, "api", *given)
    try:
        yield Service(program.until_says(r"spinney ready: (http://\S+)/v1"), program, folder)
    finally:
        assert program.terminate() == 0, program.output


def set_limit(keystone: Keystone, limited: str, project: str, **limits: int) -> list[str]:
    service = keystone.ask("GET", f"/endpoints/{limited}")["endpoint"]["service_id"]
    common = {"service_id": service, "region_id": "RegionOne", "project_id": keystone.id("project", project)}
    given = [{**common, "resource_name": name, "resource_limit": most} for name, most in limits.items()]
    return [one["id"] for one in keystone.ask("POST", "/limits", {"limits": given})["limits"]]


def racks(service: Service, token: str, name: str) -> Any:
    """Make a host cluster without hosts yet."""
    spec = {
        "type": "host.docker",
        "version": "1.0",
        "properties": {"inventory": [{"endpoint": f"unix:///srv/{name}.sock"}]},
    }
    service.ask(token, "POST", "/v1/profiles", {"profile": {"name": name, "spec": spec}})
    return service.ask(token, "POST", "/v1/clusters", {"cluster": {"name": name, "profile_id": name}})


def test_registered_limits_are_everybodys_and_those_of_a_project_its_own(
    keystone: Keystone, service: Service, limited: str
) -> None:
    (of_clusters,) = set_limit(keystone, limited, "alpha", clusters=1)
    alpha, beta = (keystone.token(f"{project}-admin", project) for project in ("alpha", "beta"))
    assert [racks(service, alpha, f"100{n}").status for n in range(2)] == [202, 403]
    answers = [racks(service, beta, f"200{n}") for n in range(3)]
    assert [answer.status for answer in answers] == [202, 202, 403]
    assert "clusters is used up: 2 allowed, 2 in use or promised" in answers[2].body["error"]["message"]
    keystone.ask("PATCH", f"/limits/{of_clusters}", {"limit": {"resource_limit": 2}})
    assert racks(service, alpha, "1002").status == 202


def test_limits_are_shown_in_our_units_and_set_in_keystone(keystone: Keystone, service: Service, limited: str) -> None:
    set_limit(keystone, limited, "beta", cores=3)
    project = keystone.id("project", "beta")
    token = keystone.token("beta-admin", "beta")
    shown = service.ask(keystone.token("beta-reader", "beta"), path=f"/v1/quotas/{project}").body["quota"]
    assert {name: shown[name] for name in REGISTERED} == {
        "clusters": 2, "nodes": 7, "cpu": 3, "memory": 4096 * 2**20, "receivers": -1, "secrets": 5, "volumes": 0,
    }  # fmt: skip
    refused = service.ask(token, "PUT", f"/v1/quotas/{project}", {"quota": {"nodes": 99}})
    assert refused.status == 409 and "Keystone" in refused.body["error"]["message"]


def test_without_keystones_answer_nothing_is_added(keystone: Keystone, limited: str, tmp_path: Path) -> None:
    wrong = f"\n[quota]\ndriver = unified\n\n[oslo_limit]\nauth_type = password\nauth_url = {keystone.url}\n"
    wrong += f"username = spinney\npassword = wrong\nuser_domain_name = Default\nsystem_scope = all\nendpoint_id = {limited}\n"
    (tmp_path / "spinney.conf").write_text(configuration(keystone) + wrong)
    given = ("--state-dir", str(tmp_path / "state"), "--config-file", str(tmp_path / "spinney.conf"), "--port", "0")
    program = Program(tmp_path, "api", *given)
    try:
        service = Service(program.until_says(r"spinney ready: (http://\S+)/v1"), program, tmp_path)
        answer = racks(service, keystone.token("alpha-admin", "alpha"), "3000")
        assert answer.status == 503 and "[oslo_limit]" in answer.body["error"]["message"]
        assert "wrong" not in str(answer.body)
    finally:
        assert program.terminate() == 0, program.output
