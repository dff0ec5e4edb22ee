"""What rebalancing gains after a host has gone and come back: imbalance, and the moves it took.

Hosts of one size are filled to 60 % with containers of mixed sizes. Some hosts go: their containers are placed on the others.
Then they come back empty. Without rebalancing they fill by new containers alone (a tenth as many again, placed as they come);
with it containers move, the new one first. Imbalance is how far the host farthest from the mean fill is from it; ``to fill it``
is how many of the largest containers would fill the hosts that came back up to the mean.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from common import Aim, Table, numbers, options, progress, report

from spinney.domain.host import Host, HostState
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import Occupant, PlacementRequest, Surroundings
from spinney.domain.placement.scheduler import Fleet
from spinney.domain.rebalance import Advice, Movable, choose, imbalance

GIB = 2**30
#: Cores and memory of containers, and how often each kind is asked for.
KINDS = (((0.25, GIB // 4), 5), ((0.5, GIB), 3), ((1.0, 4 * GIB), 2), ((2.0, 2 * GIB), 1))
CPU, MEMORY = 16.0, 64 * GIB
FILL = 0.6
THRESHOLD = 0.1
UNLIMITED = 1000


@dataclass(slots=True)
class World:
    """Hosts and who is where."""

    hosts: list[Host]
    fleet: Fleet
    requests: dict[str, PlacementRequest]
    homes: dict[str, str]

    def place(self, requests: Sequence[PlacementRequest]) -> None:
        for request, answer in zip(requests, self.fleet.place(requests), strict=True):
            self.requests[request.node_id] = replace(request, exclude=frozenset())
            if isinstance(answer, Placed):
                self.homes[request.node_id] = answer.host_id

    def occupant(self, node_id: str) -> Occupant:
        request = self.requests[node_id]
        return Occupant(self.homes[node_id], request.cpu, request.memory, request.workload)

    def on(self, host_ids: Iterable[str]) -> list[str]:
        wanted = set(host_ids)
        return [node_id for node_id, home in self.homes.items() if home in wanted]


def asked(first: int, chance: random.Random, cores: float) -> list[PlacementRequest]:
    """Containers of mixed sizes, so many that their cores come to about that."""
    found: list[PlacementRequest] = []
    total = 0.0
    while total < cores:
        ((cpu, memory),) = chance.choices([kind for kind, _ in KINDS], [often for _, often in KINDS])
        name = f"n{first + len(found):06}"
        found.append(PlacementRequest(name, cpu, memory, host_cluster="hosts", workload=f"w{len(found) % 20}"))
        total += cpu
    return found


def filled(count: int, lost: int, chance: random.Random) -> World:
    """The moment at which the lost hosts have just come back."""
    hosts = [
        Host(
            node_id=f"h{number:04}",
            endpoint=f"sim://{number}",
            name=f"h{number:04}",
            cluster_id="hosts",
            project="p",
            state=HostState.READY,
            cpu=CPU,
            memory=MEMORY,
        )
        for number in range(count)
    ]
    world = World(hosts, Fleet(hosts, Surroundings()), {}, {})
    world.place(asked(0, chance, FILL * CPU * (count - lost)))
    gone = [host.node_id for host in hosts[:lost]]
    leaving = world.on(gone)
    moved = [world.requests[node_id] for node_id in leaving]
    world.homes = {node_id: home for node_id, home in world.homes.items() if node_id not in set(leaving)}
    for host_id in gone:
        world.fleet.drop(host_id)
    world.place(moved)
    for host in hosts[:lost]:
        world.fleet.put(host)
    return world


def standing(world: World) -> list[Host]:
    """The hosts with what is reserved on them."""
    reserved: dict[str, list[Occupant]] = {}
    for node_id in world.homes:
        reserved.setdefault(world.homes[node_id], []).append(world.occupant(node_id))
    return [
        replace(
            host,
            reserved_cpu=sum(one.cpu for one in reserved.get(host.node_id, ())),
            reserved_memory=sum(one.memory for one in reserved.get(host.node_id, ())),
            containers=len(reserved.get(host.node_id, ())),
        )
        for host in world.hosts
    ]


def rebalance(world: World, most: int) -> tuple[Advice, float]:
    """What would move, and the seconds of CPU it took to choose."""
    movables = [
        Movable(node_id, replace(request, exclude=frozenset({world.homes[node_id]})), world.occupant(node_id))
        for node_id, request in world.requests.items()
        if node_id in world.homes
    ]
    hosts = standing(world)
    fleet = Fleet(hosts, Surroundings())
    began = time.process_time()
    advice = choose(fleet, hosts, movables, threshold=THRESHOLD, max_moves=most)
    return advice, time.process_time() - began


def least(world: World, lost: int) -> int:
    mean = sum(one.cpu for one in map(world.occupant, world.homes)) / (CPU * len(world.hosts))
    largest = max(cpu for (cpu, _), _ in KINDS)
    return max(round(lost * mean * CPU / largest), 1)


def measure(count: int, lost: int, seed: int) -> list[dict[str, Any]]:
    rows = []
    world = filled(count, lost, random.Random(seed))
    returned, containers, bound = imbalance(standing(world)), len(world.homes), least(world, lost)
    for most in (5 * lost, 10 * lost, UNLIMITED):
        advice, seconds = rebalance(world, most)
        rows.append(
            {
                "hosts": count,
                "returned": lost,
                "containers": containers,
                "at most": most,
                "imbalance on return": returned,
                "after": advice.after,
                "moves": len(advice.moves),
                "to fill it": bound,
                "CPU ms to choose": seconds * 1000,
            }
        )
    new = random.Random(seed + 1)
    world.place(asked(containers, new, 0.1 * FILL * CPU * (count - lost)))
    for row in rows:
        row["a tenth more instead"] = imbalance(standing(world))
    return rows


def table(rows: Sequence[dict[str, Any]]) -> Table:
    titles = tuple(rows[0])
    return Table("After hosts have come back", titles, [tuple(row[title] for title in titles) for row in rows])


def aims(rows: Sequence[dict[str, Any]]) -> list[Aim]:
    unlimited = [row["after"] for row in rows if row["at most"] == UNLIMITED]
    slowest = max(row["CPU ms to choose"] for row in rows)
    return [
        Aim("imbalance when moves are not limited", max(unlimited), THRESHOLD),
        Aim("choosing the moves, ms of CPU", slowest, 1000.0),
    ]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--hosts", type=numbers, default=[5, 20, 100, 500])
    parser.add_argument("--lost", type=int, default=1, help="hosts that go and come back")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows = []
    for count in given.hosts:
        progress(f"{count} hosts")
        rows += measure(count, given.lost, given.seed)
    report(given.json, [table(rows)], aims(rows))


if __name__ == "__main__":
    main()
