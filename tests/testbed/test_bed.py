"""The bed itself: hosts are machines apart, their failures look like real ones, and nothing is left of them."""

from __future__ import annotations

import socket as sockets
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import docker_engine
from testbed.bed import FOLDERS, Bed
from testbed.host import TLS_PORT, Host, HostSpec
from testbed.waiting import until

pytestmark = pytest.mark.integration
SLEEPER = {"Image": docker_engine.IMAGE, "Cmd": ["sleep", "600"], "StopSignal": "SIGKILL"}


def started(host: Host, **more: object) -> str:
    made: str = host.call("POST", "/containers/create", {**SLEEPER, **more})["Id"]
    host.call("POST", f"/containers/{made}/start")
    return made


def state(host: Host, container: str) -> str:
    told: str = host.call("GET", f"/containers/{container}/json")["State"]["Status"]
    return told


def asked(bed: Bed, host: Host, credential: str = Bed.TLS) -> str:
    """The first line of its answer through TLS; raises OSError when there is none."""
    folder = bed.credentials / credential
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with sockets.create_connection((host.address, TLS_PORT), timeout=1) as plain:
        with context.wrap_socket(plain, server_hostname=host.address) as secure:
            secure.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return secure.recv(100).decode().partition("\r\n")[0]


def test_hosts_are_machines_apart(bed: Bed) -> None:
    assert len({host.call("GET", "/info")["ID"] for host in bed.hosts}) == len(bed.hosts) == 5
    assert [host.exec("hostname").strip() for host in bed.hosts] == ["h1", "h2", "h3", "h4", "h5"]
    started(bed.hosts[0])
    assert [len(host.call("GET", "/containers/json")) for host in bed.hosts] == [1, 0, 0, 0, 0]
    with pytest.raises(RuntimeError, match="refused"):
        bed.hosts[1].exec("busybox", "nc", "-w", "2", bed.hosts[2].address, "1")


def test_only_our_own_certificate_opens(bed: Bed) -> None:
    host = bed.hosts[0]
    assert asked(bed, host) == "HTTP/1.0 200 OK"
    bed.issue_client()
    assert asked(bed, host) == "HTTP/1.0 200 OK"
    with pytest.raises(OSError):
        asked(bed, host, Bed.ROGUE)


def test_a_cut_cable_swallows_packets(bed: Bed) -> None:
    host = bed.hosts[0]
    container = started(host)
    host.cut()
    with pytest.raises(TimeoutError):
        asked(bed, host)
    assert state(host, container) == "running"
    assert asked(bed, bed.hosts[1]) == "HTTP/1.0 200 OK"
    host.heal()
    assert asked(bed, host) == "HTTP/1.0 200 OK"


def test_a_host_that_hangs_lets_connect_and_says_nothing(bed: Bed) -> None:
    host = bed.hosts[1]
    host.hang()
    sockets.create_connection((host.address, TLS_PORT), timeout=1).close()
    with pytest.raises(TimeoutError):
        asked(bed, host)
    host.resume()
    assert asked(bed, host) == "HTTP/1.0 200 OK"


def test_a_killed_docker_engine_leaves_its_containers(bed: Bed) -> None:
    host = bed.hosts[2]
    container = started(host)
    host.kill()
    with pytest.raises(ConnectionRefusedError):
        asked(bed, host)
    assert host.exec("pidof", "sleep")
    host.start()
    assert state(host, container) == "exited"


def test_a_crash_leaves_what_is_on_disk(bed: Bed) -> None:
    host = bed.hosts[4]
    container = started(host)
    host.crash()
    assert not host.running
    with pytest.raises(TimeoutError):
        asked(bed, host)
    host.start()
    assert state(host, container) == "exited"
    sockets.create_connection((host.address, 22), timeout=1).close()


def test_mending_empties_a_host(bed: Bed) -> None:
    host = bed.hosts[3]
    host.call("POST", "/networks/create", {"Name": "kept"})
    started(host, HostConfig={"NetworkMode": "kept"})
    host.cut()
    host.hang()
    bed.mend()
    assert asked(bed, host) == "HTTP/1.0 200 OK"
    assert host.call("GET", "/containers/json", all="1") == []
    assert {network["Name"] for network in host.call("GET", "/networks")} == {"bridge", "host", "none"}


def test_a_host_that_cannot_be_mended_is_made_anew(bed: Bed) -> None:
    host = bed.hosts[3]
    host.kill()
    (host.place.folder / "data/network/files/local-kv.db").write_bytes(b"garbage" * 1000)
    bed.mend()
    assert asked(bed, host) == "HTTP/1.0 200 OK"
    started(host)


def test_what_a_host_uses_is_told_of_it_alone(bed: Bed) -> None:
    busy, idle = bed.hosts[:2]
    before = busy.group.cpu_seconds(), idle.group.cpu_seconds()
    started(busy, Cmd=["sh", "-c", "while :; do :; done"])
    until("the busy host to have used CPU", lambda: busy.group.cpu_seconds() > before[0] + 1)
    assert idle.group.cpu_seconds() < before[1] + 0.5
    assert 1 << 20 < idle.group.memory() < 1 << 30


def told(bed: Bed, host: Host, series: str) -> float:
    """The sum of a series in what the host's metrics say."""
    with urllib.request.urlopen(bed.metrics.url(host)) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))


def test_metrics_are_those_of_the_host(bed: Bed) -> None:
    host, other = bed.hosts[:2]
    busy = "node_cpu_seconds_total"
    before = told(bed, host, busy), told(bed, other, busy)
    bed.metrics.pretend(host, 1000)
    until("1,000 cores to have been busy", lambda: told(bed, host, busy) > before[0] + 20)
    bed.metrics.pretend(host, 0)
    after = told(bed, host, busy)
    assert told(bed, host, busy) < after + 20
    assert told(bed, other, busy) < before[1] + 10
    assert 0 < told(bed, other, "node_memory_MemAvailable_bytes") < told(bed, other, "node_memory_MemTotal_bytes")


def traces(name: str) -> list[str]:
    groups = subprocess.run(["find", "/sys/fs/cgroup", "-name", f"spinney-bed-{name}"], capture_output=True, text=True)
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
    found = [*groups.stdout.split(), *map(str, FOLDERS.glob(f"spinney-bed-{name}*"))]
    found += [str(path) for path in Path("/run/netns").glob(f"{name}-*")]
    return found + [line for line in links.splitlines() if f" {name}-" in line]


def test_sizes_are_told_and_nothing_is_left() -> None:
    with Bed.up("small", [HostSpec(memory=1 << 30, cpus=1, labels=("disk=ssd",))]) as bed:
        info = bed.hosts[0].call("GET", "/info")
        assert (info["NCPU"], info["MemTotal"]) == (1, 1 << 30)
        assert "disk=ssd" in info["Labels"]
        started(bed.hosts[0])
        assert Bed.open("small").hosts[0].answers
        assert traces("small")
    assert traces("small") == []


def test_a_bed_whose_owner_died_is_taken_down_by_the_next() -> None:
    script = "import os; from testbed.bed import Bed, HostSpec; Bed.up('orphan', [HostSpec()]); os.kill(os.getpid(), 9)"
    tests = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": tests, "PATH": "/usr/bin:/bin"}, check=False)
    assert traces("orphan")
    with Bed.up("next", [HostSpec()]):
        assert traces("orphan") == []
