"""``spinney simulate-hosts``: as many simulated Docker engines as wanted, on real sockets, to try the service with.

Guaranteed: when the ready line is printed every engine answers; on SIGTERM or SIGINT the sockets are removed. The inventory
and the certificates stay, to be read after the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
import yaml

from spinney.cli.faults import CliError
from spinney.clock import SystemClock
from spinney.drivers.simulated import (
    EngineSettings,
    Fault,
    FaultKind,
    FaultPlan,
    Rule,
    SimulatedEngine,
    parse_faults,
)
from spinney.drivers.simulated.faults import BadFaults
from spinney.drivers.simulated.pki import Pki, make_pki
from spinney.drivers.simulated.server import EngineServer
from spinney.drivers.simulated.values import GIB

#: Name of the TLS credential in the inventory, and of its folder: the service's folder of credentials may be DIR/pki.
CREDENTIAL = "client"
_ZONES = 3
#: The longest path of a unix socket that Linux takes.
_LONGEST_PATH = 107


def simulate_hosts(
    count: Annotated[int, typer.Option("--count", min=1, max=10_000, metavar="N", help="How many hosts.")],
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where sockets and hosts.yaml go.")],
    latency: Annotated[float, typer.Option("--latency", min=0, metavar="MS", help="Milliseconds per call.")] = 0.0,
    faults: Annotated[
        str,
        typer.Option(
            "--faults",
            metavar="SPEC",
            help="What goes wrong: OPERATION:KIND[=VALUE][:CHANCE[:TIMES]],… such as create:after:0.05,pull:hang:0.01.",
        ),
    ] = "",
    tls: Annotated[bool, typer.Option("--tls", help="Listen on TCP ports with mutual TLS too.")] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Decides faults and, with DIR, ids.")] = 0,
    cpu: Annotated[int, typer.Option("--cpu", min=1, metavar="CORES", help="Cores of each host.")] = 4,
    memory: Annotated[int, typer.Option("--memory", min=1, metavar="GIB", help="Memory of each host.")] = 8,
) -> None:
    """Run simulated Docker engines until interrupted: no containers run, but everything behaves as if.

    Allow their sockets to the service, and import DIR/hosts.yaml into a host cluster.
    """
    rules = _rules(faults, latency)
    names = [f"host-{index:04d}" for index in range(count)]
    folder = folder.absolute()
    longest = folder / f"{names[-1]}.sock"
    if len(str(longest)) > _LONGEST_PATH:
        raise CliError(
            f"--dir {folder}: {longest.name} in it has a path longer than a unix socket's may be: choose a shorter"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        pki = make_pki(folder / "pki", datetime.now(UTC)) if tls else None
        uvloop.run(_run(folder, fleet(names, rules, seed, cpu, memory, folder), pki))
    except OSError as error:
        raise CliError(f"--dir {folder}: cannot serve there: {error}: choose a folder that is yours") from error


def _rules(faults: str, latency: float) -> tuple[Rule, ...]:
    try:
        rules = parse_faults(faults)
    except BadFaults as error:
        raise CliError(f"--{error}") from None
    seconds = latency / 1000
    return (*rules, Rule(None, Fault(FaultKind.LATENCY, (seconds, seconds)))) if latency else rules


def fleet(
    names: Sequence[str], rules: Sequence[Rule], seed: int, cpu: int, memory: int, folder: Path
) -> list[SimulatedEngine]:
    """With the same folder and seed they have the same ids again; in another folder they are others."""
    clock = SystemClock()
    return [
        SimulatedEngine(
            EngineSettings(name, cpu=cpu, memory=memory * GIB, seed=seed, fleet=f"{folder}/"),
            clock,
            plan=FaultPlan(rules, random.Random(f"{seed}/{name}")) if rules else None,
        )
        for name in names
    ]


async def _run(folder: Path, engines: Sequence[SimulatedEngine], pki: Pki | None) -> None:
    asked_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_end.set)
    context = pki.server_context() if pki is not None else None
    async with contextlib.AsyncExitStack() as open_servers:
        hosts: list[dict[str, Any]] = []
        for index, engine in enumerate(engines):
            server = EngineServer(engine)
            open_servers.push_async_callback(server.close)
            path = folder / f"{engine.name}.sock"
            await server.listen_unix(path)
            endpoint = f"unix://{path}"
            if context is not None:
                endpoint = f"tcp://127.0.0.1:{await server.listen_tls('127.0.0.1', context)}"
            hosts.append(_inventory_entry(index, engine.name, endpoint, CREDENTIAL if context is not None else None))
        inventory = folder / "hosts.yaml"
        inventory.write_text(yaml.safe_dump(hosts, sort_keys=False))
        typer.echo(f"simulated hosts ready: {inventory}")
        await asked_to_end.wait()


def _inventory_entry(index: int, name: str, endpoint: str, credential: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "endpoint": endpoint,
        "labels": {"simulated": "true"},
        "zone": f"zone-{index % _ZONES + 1}",
        "region": "simulated",
        "credential": credential,
        "capacity": None,
        "metrics_url": None,
    }
