"""Which Docker engines keep the contract: all of it, on each Docker engine and each version of its API, and on Podman.

Each Docker engine is that of a Debian release, in a root of its own made by debootstrap, on a host of the test bed; the
contract is ``tests/drivers/test_bed_contract.py`` through mutual TLS, with the version of the API that is spoken capped.
Podman's Docker API is met at a unix socket. ``docs/how-to/docker-engines.md`` says what follows, ``bench/campaigns.md`` has
the figures, in the form in which this prints them. Needs root and debootstrap; takes about 15 minutes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import docker_engine
from spinney.drivers.docker.client import OLDEST_VERSION
from testbed.bed import Bed
from testbed.cgroups import Group
from testbed.host import Host, HostSpec
from testbed.roots import debian_root
from testbed.waiting import until

TESTS = Path(__file__).parents[2] / "tests"
RELEASES = ("bookworm", "trixie", "forky")
_BED = "engines"
#: Podman's own, for want of systemd and of the right to raise limits on a host of the bed.
_CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
"""


@dataclass(frozen=True, slots=True)
class Run:
    """The contract on one engine."""

    engine: str
    version: str
    release: str
    api: str
    passed: int
    failed: tuple[str, ...]

    def __str__(self) -> str:
        return f"| {self.engine} {self.version} | {self.release} | {self.api} | {self.passed} | {len(self.failed)} |"


def contract(module: str, only: str, environment: Mapping[str, str]) -> tuple[int, tuple[str, ...]]:
    """How many promises were kept, and which not."""
    with tempfile.TemporaryDirectory() as folder:
        told = f"{folder}/told.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "integration or not integration",
            "-k",
            only,
            f"--junitxml={told}",
        ]
        done = subprocess.run(
            [*command, "-W", "default", f"drivers/{module}.py"],
            cwd=TESTS,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise RuntimeError(f"the contract could not be run:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        cases = list(xml.parse(told).getroot().iter("testcase"))
    failed = {
        case.attrib["name"] for case in cases if case.find("failure") is not None or case.find("error") is not None
    }
    return len({case.attrib["name"] for case in cases} - failed), tuple(sorted(failed))


def docker_runs(host: Host, release: str) -> Iterator[Run]:
    version = host.call("GET", "/version")
    newest = int(version["ApiVersion"].partition(".")[2])
    for minor in range(OLDEST_VERSION[1], newest + 1):
        api = f"1.{minor}"
        found = contract("test_bed_contract", "ThroughTls", {"SPINNEY_BED": _BED, "SPINNEY_API": api})
        yield Run("Docker", version["Version"], release, api, *found)


@contextmanager
def podman(host: Host) -> Iterator[str]:
    """The socket of Podman's Docker API on a host."""
    folder = host.place.folder / "podman"
    folder.mkdir()
    files, processes = (resource.getrlimit(which)[1] for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
    (folder / "containers.conf").write_text(_CONTAINERS_CONF.format(files=files, processes=processes))
    socket = f"{folder}/podman.sock"
    command = f"podman --root {folder}/data --runroot /run/podman system service --time 0 unix://{socket}"
    start = f"CONTAINERS_CONF={folder}/containers.conf setsid --fork {command} >{folder}/log 2>&1 </dev/null"
    group = Group("libpod_parent")
    host.exec("sh", "-c", start)
    until("Podman to answer", lambda: docker_engine.answers(socket))
    try:
        yield socket
    finally:
        host.power_off()
        group.remove()


def podman_run(socket: str, release: str) -> Run:
    version: dict[str, Any] = docker_engine.call(socket, "GET", "/version")[1]
    found = contract("test_docker_contract", "TestDocker", {"DOCKER_HOST": f"unix://{socket}"})
    return Run("Podman", version["Version"], release, version["ApiVersion"], *found)


def runs_of(release: str, root: Path, engines: Sequence[str]) -> Iterator[Run]:
    with Bed.up(_BED, [HostSpec(root=str(root))]) as bed:
        host = bed.hosts[0]
        if "docker" in engines:
            yield from docker_runs(host, release)
        if "podman" in engines:
            with podman(host) as socket:
                yield podman_run(socket, release)


def entry(runs: Sequence[Run], seconds: float) -> str:
    """What goes into campaigns.md."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=TESTS, capture_output=True, text=True, check=False
    )
    lines = [
        f"`./run campaign docker-engines`, commit {commit.stdout.strip()}, {time.strftime('%Y-%m-%d')}, {seconds:.0f} s.",
        "",
        "| engine | Debian | API | promises kept | not kept |",
        "|---|---|---|---:|---:|",
        *map(str, runs),
    ]
    for run in runs:
        if run.failed:
            lines += ["", f"Not kept by {run.engine} {run.version} with API {run.api}:", ""]
            lines += [f"- `{name}`" for name in run.failed]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--releases", nargs="+", default=RELEASES, help=f"of Debian (default: {' '.join(RELEASES)})")
    parser.add_argument("--engines", nargs="+", choices=("docker", "podman"), default=("docker", "podman"))
    parser.add_argument("--roots", type=Path, help="keep the roots in this folder, and use those that are there")
    given = parser.parse_args()
    began, runs = time.monotonic(), []
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="spinney-roots-") as scratch:
        for release in given.releases:
            with debian_root(release, given.roots or Path(scratch), keep=given.roots is not None) as root:
                for run in runs_of(release, root, given.engines):
                    print(run, *(f"    {name}" for name in run.failed), sep="\n", file=sys.stderr, flush=True)
                    runs.append(run)
    print(entry(runs, time.monotonic() - began))


if __name__ == "__main__":
    main()
