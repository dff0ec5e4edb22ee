"""Secret files outlive what befalls a host: its Docker engine stops and starts, and no command runs without its files."""

from __future__ import annotations

import re

from system.conftest import Outpost
from system.running import Service, fresh

FILE = "/run/secrets/password"


def said(service: Service, container: str) -> list[str]:
    """What the command found at each of its starts."""
    return re.findall(r"found:\S*", str(service.docker.call("GET", f"/containers/{container}/logs", stdout="1")))


def test_a_host_that_stops_and_starts_again(outpost: Outpost) -> None:
    service, secret = outpost.service, fresh("secret")
    service.api.create("secret", name=secret, data={"password": "correct-horse"})
    command = ("sh", "-c", f"echo found:$(cat {FILE}); exec sleep 600")
    profile = service.profile(*command, secrets=[{"secret": secret, "path": FILE}], init=True)
    cluster = service.active_cluster(profile, 2)
    before = {one["id"]: one for one in service.members(cluster)}
    outpost.engine.stop()
    outpost.engine.start()
    service.until(
        lambda: [service.docker.of_node(node) for node in before],
        lambda found: all(len(one) == 1 and one[0]["State"] == "running" for one in found),
    )
    service.until_cluster_is("ACTIVE", cluster)
    for node in before:
        (container,) = service.docker.of_node(node)
        found = said(service, container["Id"])
        assert found and set(found) == {"found:correct-horse"}, found
    volumes = service.docker.call("GET", "/volumes")["Volumes"]
    assert len(volumes) == 2
    service.delete("cluster", cluster)
    assert service.docker.call("GET", "/volumes")["Volumes"] == []
