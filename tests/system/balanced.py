"""A web service on a bed of hosts, behind the load balancer of its cluster, with clients who count what fails."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spinney.drivers.balancer import building
from system.fleet import FLEET, Fleet, fleet_of
from system.load import Course, Load
from testbed.bed import Bed

PORT = 8080
VIP = 8000
#: Each answers with its version and its name. Whoever is asked to stop ends at once: nobody is to be asked any more by then.
SERVE = "mkdir /tmp/www; echo $VERSION $HOSTNAME >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"


def dying(seconds: int) -> dict[str, Any]:
    """A version that is fine for a while."""
    return {"command": ["sh", "-c", SERVE.replace("exec", f"exec timeout {seconds}")]}


#: Versions that are no good; the last one is found out only if a batch is watched for longer than it lives.
BROKEN: dict[str, dict[str, Any]] = {
    "never starts": {"command": ["/no/such/program"]},
    "fails its probe": {"command": ["sleep", "3600"]},
    "dies after a while": dying(3),
}


def balancer_image() -> Path:
    """The image of load balancers, made once for a machine and program."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spinney-tests"
    cache.mkdir(parents=True, exist_ok=True)
    recipe = Path(building.__file__).parent
    made_of = b"".join(path.read_bytes() for path in sorted(recipe.iterdir()) if path.is_file())
    file = cache / f"balancer-{hashlib.sha256(made_of).hexdigest()[:12]}.tar"
    with (cache / "balancer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            part = file.with_suffix(".part")
            part.write_bytes(building.build())
            part.rename(file)
    return file


@contextlib.contextmanager
def balanced_fleet(bed: Bed, folder: Path, more: str = "") -> Iterator[Fleet]:
    with fleet_of(bed, folder, f"\n[balancer]\nimage_archive = {balancer_image()}\ndrain_time = 10\n{more}") as fleet:
        yield fleet


class Shop:
    """One such cluster."""

    def __init__(
        self, fleet: Fleet, size: int, *, order: str = "auto", monitor: int = 5, vip: int = VIP, **config: Any
    ) -> None:
        self.fleet = fleet
        self.size = size
        self._version = 0
        policies = [
            self._policy("spinney.policy.update", order=order, monitor=monitor, ready_timeout=8, on_failure="rollback"),
            self._policy("senlin.policy.batch", min_in_service=1, max_batch_size=2, pause_time=0),
            self._policy(
                "senlin.policy.loadbalance",
                pool={"protocol": "HTTP", "protocol_port": PORT, "subnet": "none"},
                vip={"subnet": "none", "protocol": "HTTP", "protocol_port": vip},
            ),
        ]
        self.cluster = fleet.active_cluster(
            self.profile(), size, policies=[{"policy_id": one, "enabled": True} for one in policies]
        )
        self.url = self._url()
        self.until_ready(size)

    def _policy(self, name: str, **properties: Any) -> str:
        return self.fleet.policy({"type": name, "version": "1.0", "properties": properties})

    def attach(self, name: str, **properties: Any) -> str:
        """One more policy; its id."""
        policy = self._policy(name, **properties)
        attached = self.act(policy_attach={"policy_id": policy})
        assert attached["status"] == "SUCCEEDED", attached["status_reason"]
        return policy

    def profile(self, **properties: Any) -> str:
        """The next version of what members are."""
        self._version += 1
        return self.fleet.profile(
            **{
                "command": ["sh", "-c", SERVE],
                "host_cluster": FLEET,
                "environment": {"VERSION": str(self._version)},
                "ports": [{"container": PORT}],
                "probes": {"ready": {"http": {"port": PORT}, "interval": 1, "failures": 2}},
                "restart_policy": "always",
                "stop_timeout": 2,
                **properties,
            }
        )

    def _url(self) -> str:
        """Where clients find it."""
        look = lambda: self.fleet.api.get(f"/clusters/{self.cluster}/balancers")  # noqa: E731
        (balancer,) = self.fleet.until(look, lambda found: [one["state"] for one in found] == ["active"], seconds=60)
        address = balancer["addresses"][0]
        return f"http://{address['address']}:{address['port']}/"

    def until_ready(self, size: int) -> None:
        """Until so many members are in the load balancer's pool."""

        def pool() -> list[str]:
            (balancer,) = self.fleet.api.get(f"/clusters/{self.cluster}/balancers")
            return [str(one["state"]) for one in balancer["members"] if one["state"] != "out"]

        self.fleet.until(pool, lambda states: states == ["in"] * size)

    def load(self, rate: float | Course, **more: Any) -> Load:
        return Load(self.url, rate=rate, **more)

    # -- what is done to it ------------------------------------------------------------------------------------------

    def update(self, **properties: Any) -> dict[str, Any]:
        """The action, once it is final."""
        body = {"cluster": {"profile_id": self.profile(**properties)}}
        reply = self.fleet.api.call("PATCH", f"/clusters/{self.cluster}", body)
        assert reply.status == 202, reply.body
        return self._final(reply.headers["location"])

    def act(self, **action: Any) -> dict[str, Any]:
        reply = self.fleet.api.call("POST", f"/clusters/{self.cluster}/actions", action)
        assert reply.status == 202, reply.body
        return self._final(reply.headers["location"])

    def _final(self, location: str) -> dict[str, Any]:
        action = location.rsplit("/", 1)[-1]
        look = lambda: dict(self.fleet.api.get(f"/actions/{action}"))  # noqa: E731
        return self.fleet.until(look, lambda one: one["status"] in ("SUCCEEDED", "FAILED", "CANCELLED"), seconds=180)

    def profiles(self) -> set[str]:
        return {str(member["profile_id"]) for member in self.fleet.members(self.cluster)}

    def drain(self, name: str) -> None:
        self.fleet.tell("host", "drain", name, "--wait")
        self.fleet.tell("host", "uncordon", name)
        self.fleet.until_host_is("ready", name)
