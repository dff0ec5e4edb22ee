"""One host of the bed: a machine of its own as far as its Docker engine can see.

It has mount, process, network, name and IPC namespaces, a control group, and a cable (a veth pair) to the bed's switch. Its
first process reaps orphans; ending that one is a power failure, after which the kernel drops all of its mounts too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import docker_engine
from testbed.cgroups import Group
from testbed.waiting import until

TLS_PORT = 2376
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Folder, name and (unless it is the machine's own) root of the host.
_FIRST_PROCESS = """
set -e
folder=$1 name=$2 root=$3
if [ -n "$root" ]; then
    mount --bind "$root" "$root"
    mount --rbind /dev "$root/dev"
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
fi
mkdir -p "$folder/sys" "$folder/exec"
mount -t sysfs sysfs "$folder/sys"
mount --rbind /sys/fs/cgroup "$folder/sys/fs/cgroup"
mount --move "$folder/sys" "$root/sys"
mount -t proc proc "$root/proc"
[ ! -e "$folder/meminfo" ] || mount --bind "$folder/meminfo" "$root/proc/meminfo"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/run/sshd" "$root/run/lock"
mount -t tmpfs -o mode=711 tmpfs "$root$folder/exec"
if [ -n "$root" ]; then
    cd "$root"
    pivot_root . mnt
    umount -l /mnt
    cd /
fi
hostname "$name"
: >"$folder/ready"
set +e
while :; do
    sleep 86400 &
    wait
done
"""


@dataclass(frozen=True, slots=True)
class HostSpec:
    """What a host is to be like. Without sizes it reports those of the machine."""

    #: Bytes, and CPUs of the machine it may use.
    memory: int | None = None
    cpus: int | None = None
    #: Of the Docker engine, ``name=value``.
    labels: tuple[str, ...] = ()
    #: An SSH server besides.
    ssh: bool = False
    #: A Debian root with another Docker engine in it; the machine's own unless given.
    root: str | None = None
    #: More settings for ``daemon.json``.
    settings: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> HostSpec:
        return cls(**{**content, "labels": tuple(content["labels"])})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host belongs in its bed."""

    bed: str
    name: str
    folder: Path
    address: str
    #: Network namespaces of the bed's switch and of the host.
    switch: str
    space: str
    #: ``ca.pem``, ``cert.pem`` and ``key.pem`` of its Docker engine.
    certificates: Path
    #: ``host_key`` and ``authorized_keys`` for its SSH server.
    ssh_keys: Path


def run(*command: str, check: bool = True) -> str:
    """What it printed. Raises RuntimeError with what it said when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip() or done.stdout}")
    return done.stdout


class Host:
    def __init__(self, place: Place, spec: HostSpec) -> None:
        self.place = place
        self.spec = spec
        self.name = place.name
        self.address = place.address
        self.group = Group(f"spinney-bed-{place.bed}/{place.name}")
        self._first: subprocess.Popen[bytes] | None = None

    # What to reach it by

    @property
    def endpoint(self) -> str:
        """For mutual TLS."""
        return f"tcp://{self.address}:{TLS_PORT}"

    @property
    def ssh_endpoint(self) -> str:
        if not self.spec.ssh:
            raise ValueError(f"{self.name} has no SSH server; make it with HostSpec(ssh=True)")
        return f"ssh://root@{self.address}"

    @property
    def socket(self) -> str:
        """The same Docker engine, behind the back of whoever is tested; works while the link is cut too."""
        return f"{self.place.folder}/docker.sock"

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """What its Docker engine answers through that socket. Raises RuntimeError when it refuses."""
        status, answer = docker_engine.call(self.socket, method, path, body, query=query)
        if status >= 300:
            raise RuntimeError(f"{method} {path} on {self.name}: {status} {answer}")
        return answer

    def exec(self, *command: str) -> str:
        """What a command printed that ran on the host."""
        return run(*self._inside(*command))

    # Failures, and what makes them good

    def cut(self) -> None:
        """Pull its cable: packets vanish, nothing is reset."""
        self._link("down")

    def heal(self) -> None:
        self._link("up")

    def hang(self) -> None:
        """Everything on it stands still: connections are accepted by the kernel, and nobody answers."""
        self.group.freeze()

    def resume(self) -> None:
        self.group.thaw()

    def kill(self) -> None:
        """End its Docker engine at once; containers run on."""
        self._end_engine(signal.SIGKILL)

    def stop(self) -> None:
        """End its Docker engine as an operator does; containers end too, unless live-restore is set."""
        self._end_engine(signal.SIGTERM)

    def crash(self) -> None:
        """Power failure: unreachable, then every process gone at once, and all that is not on disk."""
        if self.wired:
            self.cut()
        self.power_off()

    def start(self) -> None:
        """Boot it if it is off, start what is missing on it, and wait until its Docker engine answers."""
        if not self._first_pid():
            self._power_on()
            self.heal()
        if not self._processes("dockerd"):
            self._start_engine()
        if self.spec.ssh and not self._processes("sshd"):
            self._start_ssh()

    def mend(self) -> None:
        """Undo whatever was done to it, and remove its containers and networks."""
        self.resume()
        self.heal()
        self.start()
        self.clear()

    def renew(self) -> None:
        """As it was when it was made, but without its image: for one whose Docker engine starts no more."""
        self.power_off()
        shutil.rmtree(self.place.folder / "data")
        self.start()

    def clear(self) -> None:
        for container in self.call("GET", "/containers/json", all="1"):
            with suppress(RuntimeError):
                self.call("DELETE", f"/containers/{container['Id']}", force="1", v="1")
        for network in self.call("GET", "/networks"):
            if network["Name"] not in ("bridge", "host", "none", "docker_gwbridge", "ingress"):
                self.call("DELETE", f"/networks/{network['Id']}")

    # Looking

    @property
    def running(self) -> bool:
        return bool(self._first_pid())

    @property
    def answers(self) -> bool:
        return not self.group.frozen and docker_engine.answers(self.socket)

    @property
    def wired(self) -> bool:
        return Path(f"/run/netns/{self.place.space}").exists()

    @property
    def linked(self) -> bool:
        shown = run("ip", "-n", self.place.switch, "-j", "link", "show", self.name, check=False)
        return bool(shown.strip()) and "UP" in json.loads(shown)[0]["flags"]

    # How

    def wire(self, prefix: int) -> None:
        """Connect it with the switch."""
        space, switch = self.place.space, self.place.switch
        if self.wired:
            return
        run("ip", "netns", "add", space)
        run("ip", "-n", switch, "link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", space)
        run("ip", "-n", switch, "link", "set", self.name, "master", "switch", "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", space, "address", "add", f"{self.address}/{prefix}", "dev", "eth0")
        run("ip", "-n", space, "link", "set", "eth0", "up")

    def unwire(self) -> None:
        run("ip", "netns", "delete", self.place.space, check=False)

    def power_off(self) -> None:
        self.resume()
        first = self._first_pid()
        if first:
            os.kill(first, signal.SIGKILL)
        until(f"all processes of {self.name} to end", lambda: not [pid for pid in self.group.pids() if _alive(pid)])
        if self._first is not None:
            self._first.wait()
            self._first = None
        self.group.remove()

    def _link(self, state: str) -> None:
        run("ip", "-n", self.place.switch, "link", "set", self.name, state)

    def _inside(self, *command: str) -> list[str]:
        first = self._first_pid()
        if not first:
            raise RuntimeError(f"{self.name} is off; start it first")
        entering = ("nsenter", f"--target={first}", "--mount", "--pid", "--uts", "--ipc", "--net", "--")
        return self.group.within(*entering, *command)

    def _power_on(self) -> None:
        folder = self.place.folder
        (folder / "data").mkdir(parents=True, exist_ok=True)
        for left in ("ready", "docker.sock", "dockerd.pid"):
            (folder / left).unlink(missing_ok=True)
        if self.spec.memory:
            (folder / "meminfo").write_text(_meminfo(self.spec.memory))
        self.group.create(self.spec.memory)
        script = folder / "first-process"
        script.write_text(_FIRST_PROCESS)
        apart = ("unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--propagation", "private")
        command = self.group.within(
            *("nsenter", f"--net=/run/netns/{self.place.space}", *apart),
            *("sh", str(script), str(folder), self.name, self.spec.root or ""),
        )
        with (folder / "boot.log").open("wb") as log:
            self._first = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        until(f"{self.name} to boot", lambda: (folder / "ready").exists() or self._failed("boot.log", self._first))

    def _failed(self, log: str, process: subprocess.Popen[bytes] | None = None, *, ended: bool = False) -> bool:
        """False, or RuntimeError when what we wait for can no longer come."""
        if ended or (process is not None and process.poll() is not None):
            said = (self.place.folder / log).read_text(errors="replace").splitlines()[-5:]
            raise RuntimeError(f"{self.name} did not start; the end of its {log}:\n" + "\n".join(said))
        return False

    def _start_engine(self) -> None:
        folder = self.place.folder
        (folder / "daemon.json").write_text(json.dumps(self._settings(), indent=1))
        (folder / "dockerd.pid").unlink(missing_ok=True)
        command = ["env", f"PATH={PATH}", "setsid", "--fork", "dockerd", f"--config-file={folder}/daemon.json"]
        if self.spec.cpus:
            command = ["taskset", "--cpu-list", f"0-{self.spec.cpus - 1}", *command]
        self._spawn(command, "dockerd.log")
        until(f"the Docker engine of {self.name} to come up", lambda: bool(self._processes("dockerd")))
        until(
            f"the Docker engine of {self.name} to answer",
            lambda: self.answers or self._failed("dockerd.log", ended=not self._processes("dockerd")),
            seconds=60,
        )

    def _settings(self) -> dict[str, Any]:
        folder, certificates = self.place.folder, self.place.certificates
        settings: dict[str, Any] = {
            "hosts": ["unix:///run/docker.sock", f"unix://{self.socket}", self.endpoint],
            "tlsverify": True,
            "tlscacert": f"{certificates}/ca.pem",
            "tlscert": f"{certificates}/cert.pem",
            "tlskey": f"{certificates}/key.pem",
            "data-root": f"{folder}/data",
            "exec-root": f"{folder}/exec",
            "pidfile": f"{folder}/dockerd.pid",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{self.group.name}",
            "shutdown-timeout": 5,
            "labels": [f"bed={self.name}", *self.spec.labels],
        }
        if self.engine_version() < (23, 0):
            # Old Docker engines take their id from a file of the machine: hosts that share it would be taken for one.
            settings["deprecated-key-path"] = f"{folder}/key.json"
        return settings | dict(self.spec.settings)

    def engine_version(self) -> tuple[int, int]:
        """Of the Docker engine that is installed, such as (20, 10)."""
        where = ("chroot", self.spec.root) if self.spec.root else ()
        found = re.search(r"version (\d+)\.(\d+)", run(*where, "env", f"PATH={PATH}", "dockerd", "--version"))
        assert found is not None
        return int(found[1]), int(found[2])

    def _start_ssh(self) -> None:
        keys = self.place.ssh_keys
        lines = (
            f"ListenAddress {self.address}",
            f"HostKey {keys}/host_key",
            f"AuthorizedKeysFile {keys}/authorized_keys",
            *("StrictModes no", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin prohibit-password"),
            *("PidFile none", "MaxSessions 200", "MaxStartups 100"),
        )
        (self.place.folder / "sshd_config").write_text("\n".join(lines) + "\n")
        program = shutil.which("sshd", path=PATH)
        if program is None:
            raise RuntimeError("a host with SSH needs sshd. Install with: apt-get install openssh-server")
        self._spawn(["setsid", "--fork", program, "-D", "-e", "-f", f"{self.place.folder}/sshd_config"], "sshd.log")
        until(f"the SSH server of {self.name} to come up", lambda: ":22 " in self.exec("ss", "-ltn"))

    def _spawn(self, command: list[str], log: str) -> None:
        with (self.place.folder / log).open("ab") as out:
            subprocess.run(
                self._inside(*command), check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/"
            )

    def _end_engine(self, how: signal.Signals) -> None:
        for pid in self._processes("dockerd"):
            os.kill(pid, how)
        for program in ("dockerd", "containerd"):
            until(f"{program} of {self.name} to end", partial(self._ended, program))

    def _first_pid(self) -> int | None:
        return next((pid for pid, inner in self._own() if inner == 1), None)

    def _ended(self, program: str) -> bool:
        return not self._processes(program)

    def _processes(self, program: str) -> list[int]:
        """Its own ones that run this program, not those in containers; until they are reaped, as sockets stay till then."""
        return [pid for pid, _ in self._own() if _read(f"/proc/{pid}/comm").strip() == program]

    def _own(self) -> list[tuple[int, int]]:
        """Its processes outside of containers: their numbers here and there."""
        found = []
        depth = len(_numbers(os.getpid())) + 1
        for pid in self.group.pids():
            numbers = _numbers(pid)
            if len(numbers) == depth:
                found.append((pid, numbers[-1]))
        return found


def _numbers(pid: int) -> list[int]:
    """What a process is called in each process namespace that holds it, ours first."""
    found = re.search(r"^NSpid:\s+(.*)$", _read(f"/proc/{pid}/status"), re.MULTILINE)
    return [int(number) for number in found[1].split()] if found else []


def _alive(pid: int) -> bool:
    stat = _read(f"/proc/{pid}/stat")
    return bool(stat) and stat.rpartition(")")[2].split()[0] not in "ZX"


def _read(path: str) -> str:
    """Nothing when the process has gone."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _meminfo(memory: int) -> str:
    """What the machine says of its memory, for a host that has only so much."""

    def smaller(line: re.Match[str]) -> str:
        least = memory // 1024 if line[1] == "MemTotal" else min(memory // 1024, int(line[2]))
        return f"{line[1] + ':':<16}{least} kB"

    return re.sub(r"^(MemTotal|MemFree|MemAvailable):\s+(\d+) kB", smaller, _read("/proc/meminfo"), flags=re.MULTILINE)
