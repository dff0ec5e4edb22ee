"""``openstack cluster run``: a script on every node of a cluster, over SSH, from here.

Nothing of it goes through the service but the addresses of the nodes.
"""

from __future__ import annotations

import shlex
import subprocess
from argparse import Namespace
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from osc_lib.exceptions import CommandError

from spinney.osc.families import Plain
from spinney.osc.parsing import flag, switch, text_file, word

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Outcome:
    status: str
    output: str = ""
    error: str = ""


class Unreachable(Exception):
    """A node has no address, or more than one, to go to."""


class RunScript(Plain):
    """Run a script on all nodes of a cluster, over SSH."""

    flags = (
        word("cluster", "Name or ID; USER@CLUSTER says whom to log in as."),
        flag("--script", required=True, help="File with the script."),
        flag("--port", type=int, default=22, help="Port of SSH; 22 if not given."),
        flag("--address-type", help="fixed or floating; if not given, floating where there is one."),
        flag("--network", default="", help="Network of the address, where a node has several."),
        switch("--ipv6", "Use IPv6."),
        flag("--user", default="root", help="Whom to log in as; root if not given."),
        flag("--identity-file", help="Private key, as ssh -i takes it."),
        flag("--ssh-options", default="", help="More options of ssh."),
    )

    def take_action(self, parsed_args: Namespace) -> None:
        user, at, cluster = parsed_args.cluster.rpartition("@")
        parsed_args.user = user if at else parsed_args.user
        script = text_file(parsed_args.script, "--script")
        found = self.api.get("clusters", cluster, "attrs", "details")["cluster_attributes"]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            outcomes = list(pool.map(lambda one: run(parsed_args, one["value"], script), found))
        for one, outcome in zip(found, outcomes, strict=True):
            self.say(f"node: {one['id']}\nstatus: {outcome.status}")
            for name, text in (("output", outcome.output), ("error", outcome.error)):
                if text:
                    self.say(f"{name}:\n{text}")
        failed = sum(not outcome.status.startswith("SUCCEEDED") for outcome in outcomes)
        if failed:
            raise CommandError(f"The script failed on {failed} of the {len(found)} nodes.")


def run(args: Namespace, details: Mapping[str, Any], script: str) -> Outcome:
    try:
        at = address(details.get("addresses") or {}, args.network, args.address_type, 6 if args.ipv6 else 4)
    except Unreachable as error:
        return Outcome("FAILED", error=str(error))
    try:
        done = subprocess.run(command(args, at, script), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        return Outcome("FAILED", error=f"ssh cannot be started: {error}")
    status = "SUCCEEDED" if done.returncode == 0 else "FAILED"
    return Outcome(f"{status} ({done.returncode})", done.stdout, done.stderr)


def command(args: Namespace, at: str, script: str) -> list[str]:
    identity = ["-i", args.identity_file] if args.identity_file else []
    version = "-6" if args.ipv6 else "-4"
    return [
        "ssh",
        version,
        f"-p{args.port}",
        *identity,
        *shlex.split(args.ssh_options),
        "--",
        f"{args.user}@{at}",
        script,
    ]


def address(networks: Mapping[str, Sequence[Mapping[str, Any]]], network: str, kind: str | None, version: int) -> str:
    """The one address to go to. Raises: Unreachable, which tells why there is none."""
    if network and network not in networks:
        raise Unreachable(f"It is not attached to network '{network}', but to: {', '.join(networks) or 'none'}.")
    if not network and len(networks) > 1:
        raise Unreachable(f"It is attached to several networks; name one with --network: {', '.join(networks)}.")
    there = [one for name, many in networks.items() if name == (network or name) for one in many]
    kinds = (kind,) if kind else ("floating", "fixed")
    for wanted in kinds:
        fitting = [
            str(one["addr"])
            for one in there
            if one.get("version") == version and one.get("OS-EXT-IPS:type", "floating") == wanted
        ]
        if len(fitting) > 1:
            raise Unreachable(f"It has several {wanted} IPv{version} addresses: {', '.join(fitting)}.")
        if fitting:
            return fitting[0]
    raise Unreachable(f"It has no {' or '.join(kinds)} IPv{version} address.")
