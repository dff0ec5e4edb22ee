"""A bed of hosts by hand: ``PYTHONPATH=tests python -m testbed up 4 --ssh 1``, as root.

It stays until ``down``. What is missing on the machine is installed with apt-get.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from testbed.bed import Bed, missing_packages
from testbed.host import Host, HostSpec

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_DEEDS = {
    deed: getattr(Host, deed) for deed in ("cut", "heal", "hang", "resume", "kill", "stop", "crash", "start", "mend")
}


def size(text: str) -> int:
    """``512m`` or ``2g`` in bytes."""
    unit = _UNITS.get(text[-1].lower())
    return int(float(text[:-1]) * unit) if unit else int(text)


def specs(given: argparse.Namespace) -> list[HostSpec]:
    """Sizes are dealt out in turn; the last hosts have SSH."""

    def dealt(values: str | None, number: int, convert: Any) -> Any:
        parts = values.split(",") if values else []
        return convert(parts[number % len(parts)]) if parts else None

    return [
        HostSpec(
            memory=dealt(given.memory, number, size),
            cpus=dealt(given.cpus, number, int),
            labels=tuple(given.label),
            ssh=number >= given.hosts - given.ssh,
            root=given.root,
        )
        for number in range(given.hosts)
    ]


def install() -> None:
    missing = missing_packages()
    if missing:
        print("installing", *missing, file=sys.stderr)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing]
        if subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL).returncode:
            subprocess.run(["apt-get", "update", "-q"], env=environment, check=True, stdout=subprocess.DEVNULL)
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def show(bed: Bed) -> None:
    print(f"credentials: {bed.credentials} ({bed.TLS}, {bed.SSH})")
    for host in bed.hosts:
        state = "off" if not host.running else "hangs" if host.group.frozen else "answers" if host.answers else "silent"
        link = "linked" if host.linked else "cut"
        print(
            f"{host.name}  {host.endpoint:28}{host.ssh_endpoint if host.spec.ssh else '-':26}{state:9}{link:8}{host.socket}"
        )


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="testbed", description=__doc__)
    top.add_argument("--name", default="bed", help="several beds can be up at once")
    commands = top.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="make hosts")
    up.add_argument("hosts", type=int)
    up.add_argument("--memory", help="of each in turn, such as 1g,2g")
    up.add_argument("--cpus", help="of each in turn, such as 1,2")
    up.add_argument("--label", action="append", default=[], help="of every Docker engine, name=value")
    up.add_argument("--ssh", type=int, default=0, help="how many have an SSH server too (default: 0)")
    up.add_argument("--root", help="a Debian root whose Docker engine is to be used")
    for plain in ("down", "show"):
        commands.add_parser(plain)
    for deed in _DEEDS:
        commands.add_parser(deed).add_argument("hosts", nargs="+", help="such as h1, or all")
    within = commands.add_parser("exec", help="run a command on a host")
    within.add_argument("host")
    within.add_argument("argv", nargs=argparse.REMAINDER)
    commands.add_parser("load", help="an archive of docker save, on every host").add_argument("file", type=Path)
    return top


def main() -> None:
    given = parser().parse_args()
    if given.command == "up":
        install()
        show(Bed.up(given.name, specs(given), owner=False))
        return
    bed = Bed.open(given.name)
    if given.command == "down":
        bed.down()
    elif given.command == "show":
        show(bed)
    elif given.command == "exec":
        print(bed.host(given.host).exec(*given.argv), end="")
    elif given.command == "load":
        bed.load(given.file.read_bytes())
    else:
        for host in bed.hosts if given.hosts == ["all"] else [bed.host(name) for name in given.hosts]:
            _DEEDS[given.command](host)


if __name__ == "__main__":
    main()
