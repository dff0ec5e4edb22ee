"""The example of a Compose file, deployed onto a real Docker engine by the command itself."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

import docker_engine
from system.running import SPINNEY, Service

FILE = Path(__file__).parents[2] / "examples" / "shop" / "compose.yaml"


def deploy(service: Service, *words: str, **environ: str) -> str:
    """What it says on both its outputs; fails unless it ends well."""
    variables = {**os.environ, "SPINNEY_STATE_DIR": str(service.state_dir), "IMAGE": docker_engine.IMAGE, **environ}
    ran = subprocess.run(
        [*SPINNEY, "deploy", "-f", str(FILE), *words], env=variables, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def greetings(service: Service) -> list[str]:
    """What the web containers were told, once their health checks are content."""
    members = service.members(service.api.get("/clusters/shop-web")["id"])
    looks = [partial(_greeting, service, member["id"]) for member in members]
    return [greeting for look in looks for greeting in service.until(look)]


def _greeting(service: Service, node: str) -> list[str]:
    (container,) = service.docker.of_node(node)
    seen = service.docker.inspect(container["Id"])
    if seen["State"]["Health"]["Status"] != "healthy":
        return []
    return [one.removeprefix("GREETING=") for one in seen["Config"]["Env"] if one.startswith("GREETING=")]


@pytest.mark.integration
def test_the_example(service: Service) -> None:
    assert "create  stock" in deploy(service, "--yes", "--wait")
    assert greetings(service) == ["Welcome"] * 3
    assert "nothing to do" in deploy(service, "--yes", "--wait")
    assert "replace  web" in deploy(service, "--yes", "--wait", GREETING="Good morning")
    assert greetings(service) == ["Good morning"] * 3
    deploy(service, "--remove", "--yes")
    assert [one["name"] for one in service.api.get("/profiles") if one["name"].startswith("shop")] == []
