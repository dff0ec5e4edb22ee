"""The service on a bed of several hosts: its operator's configuration, the hosts taken through the public command."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker_engine
from system.docker_side import NODE, DockerSide
from system.running import Service, fresh, spinney
from testbed.bed import Bed
from testbed.host import Host

FLEET = "fleet"
#: Short waits, because tests cut hosts off all the time.
IMPATIENT = """
[engine]
retry_delay = 0.3
retry_ceiling = 1
retries = 30

[health]
suspect_after = 1.5
reap_after = 1
listing_interval = 2
repair_delay = 0.2
repair_ceiling = 1

[hosts]
sample_interval = 0.5
average_over = 1

[driver]
credentials_dir = {credentials}
call_timeout = 10
"""


class Fleet(Service):
    """Containers go to host cluster ``fleet``; its hosts bear the names, zones and labels that ``inventory`` gives them."""

    def __init__(self, folder: Path, bed: Bed, configuration: str) -> None:
        super().__init__(folder, bed.hosts[0].socket, configuration)
        self.bed = bed

    @property
    def sides(self) -> dict[str, DockerSide]:
        """Each host's Docker engine behind the service's back, cut off or not."""
        return {host.name: DockerSide(host.socket, self.docker.deployment) for host in self.bed.hosts}

    def profile(self, *command: str, **properties: Any) -> str:
        return super().profile(*command, **{"host_cluster": FLEET, **properties})

    def policy(self, spec: dict[str, Any]) -> str:
        reply = self.api.call("POST", "/policies", {"policy": {"name": fresh("policy"), "spec": spec}})
        assert reply.status == 201, reply.body
        return str(reply.body["policy"]["id"])

    def host(self, name: str) -> dict[str, Any]:
        return dict(next(h for h in self.api.get("/hosts") if h["name"] == name))

    def tell(self, *arguments: str) -> str:
        """What the public command answers; it must succeed."""
        said = spinney(self, *arguments)
        assert said.returncode == 0, f"spinney {' '.join(arguments)}: {said.stdout}{said.stderr}"
        return said.stdout

    def where(self, cluster: str) -> Counter[str]:
        """How many members the service says it has on which host."""
        return Counter(str(member["data"]["placement"]["host_name"]) for member in self.members(cluster))

    def containers(self) -> dict[str, list[dict[str, Any]]]:
        """What really is there, by host."""
        return {name: side.ours() for name, side in self.sides.items()}

    def until_true(self, cluster: str, size: int) -> None:
        """Until every member has just one container, which runs, on the host that the service names."""

        def look() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
            told = [(str(m["data"].get("placement", {}).get("host_name")), m["id"]) for m in self.members(cluster)]
            seen = [
                (name, c["Labels"][NODE])
                for name, found in self.containers().items()
                for c in found
                if c["State"] == "running" and c["Labels"][NODE] in {node for _, node in told}
            ]
            return sorted(told), sorted(seen)

        self.until(look, lambda both: both[0] == both[1] and len(both[0]) == size)

    def clear(self) -> None:
        kept = {FLEET, *(host["cluster_id"] for host in self.api.get("/hosts"))}
        for cluster in self.api.get("/clusters"):
            if cluster["name"] not in kept and cluster["id"] not in kept:
                self.delete("cluster", cluster["id"], force=True)
        for policy in self.api.get("/policies"):
            self.api.call("DELETE", f"/policies/{policy['id']}")

    def boot(self, host: Host) -> None:
        """Start its Docker engine. One that was killed may not come up any more (dockerd 20.10 then panics over its own
        database); its machine is then exchanged, which the service has to cope with as well."""
        try:
            host.start()
        except RuntimeError as error:
            print(f"{host.name} is made anew: {error}")
            host.renew()
            docker_engine.demo_image(host.socket)

    def use_every_host(self) -> None:
        names = [host.name for host in self.bed.hosts]
        self.tell("host", "uncordon", *names)
        for name in names:
            self.until_host_is("ready", name)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.program.process.poll() is None:
                self.program.terminate()


def inventory(bed: Bed) -> str:
    """Zones a and b by turns, the last host by SSH; a label ``disk``: ssd on the first two."""
    lines = []
    for number, host in enumerate(bed.hosts):
        endpoint, credential = _approach(bed, host)
        lines.append(
            f"- {{name: {host.name}, endpoint: '{endpoint}', credential: {credential}, zone: {'ab'[number % 2]}, "
            f"labels: {{disk: {'ssd' if number < 2 else 'hdd'}}}, metrics_url: '{bed.metrics.url(host)}'}}"
        )
    return "\n".join(lines) + "\n"


def _approach(bed: Bed, host: Host) -> tuple[str, str]:
    return (host.ssh_endpoint, bed.SSH) if host.spec.ssh else (host.endpoint, bed.TLS)


@contextlib.contextmanager
def fleet_of(bed: Bed, folder: Path, more: str = "") -> Iterator[Fleet]:
    """A running service with every host of the bed in its host cluster."""
    fleet = Fleet(folder, bed, IMPATIENT.format(credentials=bed.credentials) + more)
    fleet.start("--no-local-host")
    try:
        file = folder / "hosts.yaml"
        file.write_text(inventory(bed))
        fleet.tell("host", "import", str(file), "--cluster", FLEET, "--wait")
        yield fleet
    finally:
        fleet.close()
