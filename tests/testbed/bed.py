"""Several hosts on one machine: real Docker engines, each behind mutual TLS on a machine of its own, joined by a switch.

The switch is a bridge in a network namespace of its own, so the machine's packet filter never touches what hosts say to each
other; hosts have no way out of it but to this machine. Guaranteed: ``down`` leaves nothing behind, whatever was done to the
hosts before; a bed whose owner died is taken down by the next one. Needs root, and Linux with overlayfs, veth and bridges.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh

import docker_engine
from testbed.authority import Authority
from testbed.host import PATH, Host, HostSpec, Place, run
from testbed.metrics import Metrics

FOLDERS = Path("/var/tmp")
PACKAGES = {
    "dockerd": "docker.io",
    "docker-init": "tini",
    "iptables": "iptables",
    "ip": "iproute2",
    "ss": "iproute2",
    "nsenter": "util-linux",
    "busybox": "busybox-static",
    "sshd": "openssh-server",
}
#: More at once only wait for each other.
_AT_ONCE = os.cpu_count() or 2


def missing_packages() -> list[str]:
    return sorted({package for program, package in PACKAGES.items() if shutil.which(program, path=PATH) is None})


class Bed:
    """The hosts ``h1``, ``h2``, …, and the credentials to reach them."""

    def __init__(self, name: str, folder: Path, subnet: str) -> None:
        self.name = name
        self.folder = folder
        self.subnet = ipaddress.IPv4Network(subnet)
        self.hosts: list[Host] = []
        self._switch = f"{name}-switch"
        self._plug = f"{name}-up"
        self._metrics: Metrics | None = None

    # Making, finding, removing

    @classmethod
    def up(cls, name: str, specs: Sequence[HostSpec], *, owner: bool = True) -> Bed:
        """Hosts as ``specs`` say, with the test image on each. With ``owner`` the bed is this process's and goes with it."""
        if os.geteuid():
            raise RuntimeError("a bed of hosts needs root: it makes namespaces, mounts and control groups")
        if missing := missing_packages():
            raise RuntimeError(f"a bed of hosts lacks programs. Install with: apt-get install {' '.join(missing)}")
        if not (name.isalnum() and len(name) <= 8):
            raise ValueError(f"bed {name!r}: a name has at most 8 letters and digits")
        with _one_at_a_time():
            for abandoned in cls.all():
                if not abandoned._wanted():
                    abandoned.down()
            bed = cls(name, FOLDERS / f"spinney-bed-{name}", _free_subnet())
            if bed.folder.exists():
                raise RuntimeError(f"bed {name} is up; take it down first, or use another name")
            bed.folder.mkdir()
            try:
                bed._lay(specs, _identity(os.getpid()) if owner else "")
            except BaseException:
                bed.down()
                raise
        try:
            bed._each(Host.start)
            bed._each(lambda host: docker_engine.demo_image(host.socket))
        except BaseException:
            bed.down()
            raise
        return bed

    @classmethod
    def open(cls, name: str) -> Bed:
        """One that is up. Raises FileNotFoundError when there is none."""
        folder = FOLDERS / f"spinney-bed-{name}"
        state = json.loads((folder / "bed.json").read_text())
        bed = cls(name, folder, state["subnet"])
        bed._add_hosts([HostSpec.from_json(spec) for spec in state["hosts"]])
        return bed

    @classmethod
    def all(cls) -> list[Bed]:
        return [
            cls.open(path.parent.name.removeprefix("spinney-bed-")) for path in FOLDERS.glob("spinney-bed-*/bed.json")
        ]

    def down(self) -> None:
        if self._metrics is not None:
            self._metrics.close()
        self._each(Host.power_off)
        for host in self.hosts:
            host.unwire()
        if self.hosts:
            self.hosts[0].group.remove_parent()
        run("ip", "netns", "delete", self._switch, check=False)
        # The kernel removes it with its peer, but later.
        run("ip", "link", "delete", self._plug, check=False)
        shutil.rmtree(self.folder)

    def __enter__(self) -> Bed:
        return self

    def __exit__(self, *failure: object) -> None:
        self.down()

    # Using; names of credentials

    TLS, SSH, ROGUE = "bed", "bed-ssh", "rogue"

    @property
    def credentials(self) -> Path:
        """A folder of credentials: ``TLS`` and ``SSH`` are good for every host, ``ROGUE`` is one that no host trusts."""
        return self.folder / "credentials"

    def host(self, name: str) -> Host:
        found = next((host for host in self.hosts if name in (host.name, host.name[1:])), None)
        if found is None:
            raise KeyError(f"there is no host {name}; there are {', '.join(host.name for host in self.hosts)}")
        return found

    def load(self, archive: bytes) -> None:
        """An archive of ``docker save``, on every host."""
        self._each(lambda host: host.call("POST", "/images/load", archive, quiet="1"))

    def mend(self) -> None:
        """Every host up, reachable, as busy as it is, and without containers and networks."""
        if self._metrics is not None:
            for host in self.hosts:
                self._metrics.pretend(host, 0)
        self._each(_mend)

    @property
    def metrics(self) -> Metrics:
        """What a node_exporter on each host would tell, served by this process."""
        if self._metrics is None:
            self._metrics = Metrics(str(self.subnet[1]), self.hosts)
        return self._metrics

    def issue_client(self) -> None:
        """Replace the certificate and key of credential ``TLS`` by new ones that hosts trust as well."""
        self._authority().issue(self.credentials / self.TLS, "client")

    # How

    def _lay(self, specs: Sequence[HostSpec], owner: str) -> None:
        state = {"subnet": str(self.subnet), "owner": owner, "hosts": [spec.as_json() for spec in specs]}
        (self.folder / "bed.json").write_text(json.dumps(state))
        self._add_hosts(specs)
        authority, stranger = self._authority(), Authority("stranger")
        authority.issue(self.credentials / self.TLS, "client")
        stranger.issue(self.credentials / self.ROGUE, "client", trusts=authority)
        for host in self.hosts:
            authority.issue(host.place.certificates, host.name, addresses=(host.address, "127.0.0.1"))
        self._make_ssh_keys()
        self._make_switch()
        for host in self.hosts:
            host.wire(self.subnet.prefixlen)

    def _authority(self) -> Authority:
        return Authority.kept_in(self.folder / "authority.key", "hosts of the bed")

    def _add_hosts(self, specs: Sequence[HostSpec]) -> None:
        for number, spec in enumerate(specs, start=1):
            name = f"h{number}"
            place = Place(
                bed=self.name,
                name=name,
                folder=self.folder / name,
                address=str(self.subnet[10 + number]),
                switch=self._switch,
                space=f"{self.name}-{name}",
                certificates=self.folder / name / "certificates",
                ssh_keys=self.folder / "ssh",
            )
            self.hosts.append(Host(place, spec))

    def _make_ssh_keys(self) -> None:
        keys, credential = self.folder / "ssh", self.credentials / self.SSH
        for folder in (keys, credential):
            folder.mkdir(mode=0o700)
        host_key, client_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        for file, key in ((keys / "host_key", host_key), (credential / "id", client_key)):
            file.touch(0o600)
            file.write_bytes(key.export_private_key())
        (keys / "authorized_keys").write_bytes(client_key.export_public_key())
        public = host_key.export_public_key().decode()
        (credential / "known_hosts").write_text("".join(f"{host.address} {public}" for host in self.hosts))

    def _make_switch(self) -> None:
        within = ("ip", "-n", self._switch)
        run("ip", "netns", "add", self._switch)
        run(*within, "link", "set", "lo", "up")
        run(*within, "link", "add", "switch", "type", "bridge")
        run(*within, "link", "set", "switch", "up")
        run("ip", "link", "add", self._plug, "type", "veth", "peer", "name", "machine", "netns", self._switch)
        run(*within, "link", "set", "machine", "master", "switch", "up")
        run("ip", "address", "add", f"{self.subnet[1]}/{self.subnet.prefixlen}", "dev", self._plug)
        run("ip", "link", "set", self._plug, "up")

    def _each(self, do: Callable[[Host], object]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(do, self.hosts))

    def _wanted(self) -> bool:
        """False when the process died that this bed was for."""
        owner = json.loads((self.folder / "bed.json").read_text())["owner"]
        return not owner or _identity(int(owner.partition(":")[0])) == owner


def _mend(host: Host) -> None:
    """A host that cannot be mended is made anew, so that one test's damage is not every later test's."""
    try:
        host.mend()
    except (RuntimeError, OSError) as error:
        print(f"{host.name} could not be mended and is made anew: {error}", file=sys.stderr)
        host.renew()
        docker_engine.demo_image(host.socket)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two beds that look for a free subnet at once would find the same."""
    with Path("/run/spinney-bed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _free_subnet() -> str:
    routes: list[dict[str, Any]] = json.loads(run("ip", "-4", "-j", "route") or "[]")
    used = [ipaddress.ip_network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    for number in range(80, 250):
        subnet = ipaddress.ip_network(f"10.78.{number}.0/24")
        if not any(subnet.overlaps(other) for other in used):
            return str(subnet)
    raise RuntimeError("no subnet is free in 10.78.80.0 to 10.78.249.0; take down beds that are no longer needed")


def _identity(pid: int) -> str:
    """A process and when it began, because numbers are used again; nothing when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return f"{pid}:{fields[19]}" if fields[0] not in "ZX" else ""
