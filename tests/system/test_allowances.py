"""What operators allow, on a real Docker engine: grants give exactly what they say, and pinned tags stay what they were."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from system.registry import Registry
from system.running import CONFIGURATION, Service, spinney, standalone


@pytest.fixture(scope="module")
def models() -> Iterator[Path]:
    """A folder of the host with a file in it."""
    folder = Path(f"/srv/spinney-test-{uuid.uuid4().hex[:8]}")
    folder.mkdir(parents=True)
    (folder / "weights").write_text("42\n")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def allowing(docker_socket: str, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("allowing")
    grants = {
        "models": {"host_path": {"path": str(models), "container_path": "/models"}, "roles": ["member"]},
        "zeros": {
            "device": {"path": "/dev/zero", "container_path": "/dev/zeros", "permissions": "r"},
            "roles": ["member"],
        },
        "tunnels": {"capability": "NET_ADMIN", "roles": ["member"]},
    }
    (folder / "grants.yaml").write_text(yaml.safe_dump({"grants": grants}))
    more = f"\n[container]\ngrants_file = {folder}/grants.yaml\n"
    with standalone(folder, docker_socket, CONFIGURATION + more) as service:
        yield service


@pytest.fixture
def service(allowing: Service) -> Iterator[Service]:
    yield allowing
    allowing.clear()
    allowing.expect_nothing_left()


def only(service: Service, cluster: str) -> Any:
    (member,) = service.members(cluster)
    return service.docker.inspect(member["physical_id"])


def test_grants_give_a_path_read_only_a_device_and_a_capability(service: Service, models: Path) -> None:
    cluster = service.active_cluster(service.profile(grants=["models", "zeros", "tunnels"]))
    container = only(service, cluster)
    assert service.docker.execute(container["Id"], "cat", "/models/weights") == (0, "42")
    status, said = service.docker.execute(container["Id"], "sh", "-c", "echo 43 > /models/weights")
    assert status != 0 and "Read-only file system" in said
    assert (
        service.docker.execute(container["Id"], "sh", "-c", "head -c 2 /dev/zeros | od -An -tx1")[1].split()
        == ["00"] * 2
    )
    config = container["HostConfig"]
    devices = [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/zeros", "CgroupPermissions": "r"}]
    assert config["Devices"] == devices
    assert [(one["Source"], one["Target"], one["ReadOnly"]) for one in config["Mounts"]] == [
        (str(models), "/models", True)
    ]
    assert {name.removeprefix("CAP_") for name in config["CapAdd"]} >= {"NET_ADMIN"} and not config["Privileged"]
    (node,) = service.members(cluster)
    assert node["data"]["grants"] == ["models", "zeros", "tunnels"]
    plain = only(service, service.active_cluster(service.profile()))["HostConfig"]
    added = set(config["CapAdd"]) - set(plain["CapAdd"])
    assert {name.removeprefix("CAP_") for name in added} == {"NET_ADMIN"}
    assert not plain["Devices"] and not plain.get("Mounts")


def test_the_command_line_shows_what_may_be_used(service: Service) -> None:
    said = spinney(service, "grant", "list").stdout
    assert "path /models, read-only" in said and "device /dev/zeros, r, of /dev/zero" in said


def test_a_pinned_tag_stays_what_it_was_for_its_cluster(service: Service) -> None:
    older = service.profile()
    with Registry().running() as registry:
        try:
            service.api.call(
                "PUT", "/image-rules/*", {"image_rule": {"pin": True, "allow": [f"{registry.address}/app"]}}
            )
            profile = service.profile(image=registry.tag, pull_policy="always")
            cluster = service.active_cluster(profile)
            first = registry.asked[-1]
            registry.publish("second")
            service.finished(service.api.act(f"/clusters/{cluster}/actions", scale_out={"count": 1}))
            both = [service.docker.inspect(member["physical_id"]) for member in service.members(cluster)]
            assert [_edition(one) for one in both] == ["first", "first"]
            assert {one["Config"]["Image"] for one in both} == {f"{registry.address}/app@{first}"}
            other = service.active_cluster(profile)
            assert _edition(only(service, other)) == "second"
            refused = service.cluster(older)
            told = service.until_cluster_is("WARNING", refused)["status_reason"]
            assert "image rules: images of docker.io/library/" in told
        finally:
            service.clear()
            service.api.call("DELETE", "/image-rules/*")
            for image in service.docker.call("GET", "/images/json"):
                if any(registry.address in name for name in (image["RepoTags"] or []) + (image["RepoDigests"] or [])):
                    service.docker.call("DELETE", f"/images/{image['Id']}", force="1")


def _edition(container: Any) -> str:
    return next(one for one in container["Config"]["Env"] if one.startswith("EDITION=")).partition("=")[2]


def test_an_image_of_the_host_itself_cannot_be_pinned(service: Service) -> None:
    service.api.call("PUT", "/image-rules/*", {"image_rule": {"pin": True}})
    try:
        cluster = service.cluster(service.profile())
        told = service.until_cluster_is("WARNING", cluster)["status_reason"]
        assert "has no digest on the host" in told
        assert service.docker.ours() == []
    finally:
        service.api.call("DELETE", "/image-rules/*")
