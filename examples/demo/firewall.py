"""What a Docker engine leaves in the machine's packet filter when it ends, and taking it back.

A Docker engine that ends leaves its chains, the policy DROP for what is forwarded, and forwarding switched on. Guaranteed:
nothing is touched that was there before our own engine, nor while another Docker engine runs in any form.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

TOOLS = ("iptables", "ip6tables")
TABLES = ("filter", "nat", "raw")
_BRIDGE = re.compile(r"br-[0-9a-f]{12}")
FORWARDING = {"iptables": "net/ipv4/ip_forward", "ip6tables": "net/ipv6/conf/all/forwarding"}


def snapshot() -> dict[str, str]:
    """What to go back to, empty where a Docker engine has already left its marks."""
    before = {}
    for tool in filter(shutil.which, TOOLS):
        rules = _rules(tool, "filter")
        if not any(line.startswith(":DOCKER") for line in rules):
            before[f"{tool} policy"] = next(
                (line.split()[1] for line in rules if line.startswith(":FORWARD ")), "ACCEPT"
            )
            before[tool] = _forwarding(tool).read_text().strip() if _forwarding(tool).exists() else ""
    return before


def restore(before: dict[str, str]) -> None:
    """Take away what our own engine, which has ended, has left."""
    if others_run():
        return
    for tool in TOOLS:
        if tool not in before:
            continue
        for table in TABLES:
            _remove_chains(tool, table)
        _run(tool, "-P", "FORWARD", before[f"{tool} policy"])
        if before[tool] and _forwarding(tool).read_text().strip() != before[tool]:
            _forwarding(tool).write_text(before[tool])


def _remove_chains(tool: str, table: str) -> None:
    rules = _rules(tool, table)
    for line in rules:
        words = shlex.split(line)
        if words[:1] == ["-A"] and not words[1].startswith("DOCKER") and (_jumps_to_docker(words) or _of_bridge(words)):
            _run(tool, "-t", table, "-D", *words[1:])
    chains = [line[1:].split()[0] for line in rules if line.startswith(":DOCKER")]
    for action in ("-F", "-X"):
        for chain in chains:
            _run(tool, "-t", table, action, chain)


def _jumps_to_docker(words: list[str]) -> bool:
    return "-j" in words and words[words.index("-j") + 1].startswith("DOCKER")


def _of_bridge(words: list[str]) -> bool:
    """A rule for the bridge of a network that is no more."""
    there = {name for _, name in socket.if_nameindex()}
    return any(_BRIDGE.fullmatch(word) and word not in there for word in words)


def others_run() -> bool:
    """Whether any Docker engine uses the same packet filter."""
    mine = Path("/proc/self/ns/net").readlink()
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if comm.read_text().strip() == "dockerd" and comm.with_name("ns").joinpath("net").readlink() == mine:
                return True
    return False


def _forwarding(tool: str) -> Path:
    return Path("/proc/sys") / FORWARDING[tool]


def _rules(tool: str, table: str) -> list[str]:
    said = subprocess.run([f"{tool}-save", "-t", table], check=False, capture_output=True, text=True)
    return said.stdout.splitlines()


def _run(tool: str, *arguments: str) -> None:
    subprocess.run([tool, "--wait", *arguments], check=False, capture_output=True)
