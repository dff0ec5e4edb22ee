"""The scheduler alone: how many placements a second, and how good they are. No service, no Docker engine, one process.

Speed: hosts that are about half full, then batches of requests of several kinds with as many departures between them, all
on one fleet that lives on. Beside it, in turn, a bare scan that looks at every host for every request with the same score
and knows no rules and no reasons. Times are CPU seconds of this process, so that other work on the machine counts less.

Quality: hosts that binpack needs, over a lower bound that column generation proves with OR-tools; how even spread fills
unequal hosts, beside round-robin, random choice and the fewest containers.
"""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from common import Aim, Table, numbers, options, progress, report
from ortools.linear_solver import pywraplp
from ortools.sat.python import cp_model

from spinney.domain.host import Host, HostState
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import Occupant, PlacementRequest, Surroundings
from spinney.domain.placement.rules import PlacementRules, Strategy
from spinney.domain.placement.scheduler import Fleet

_MIB = 2**20
_CPU = (0.1, 0.25, 0.5, 1.0, 2.0)
_MEMORY = (64, 128, 256, 512, 1024, 2048)
_SCANNED = 60

Size = tuple[float, int]


@dataclass(frozen=True, slots=True)
class Profile:
    size: Size
    rules: PlacementRules
    workload: str


# -- Speed -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Speed:
    what: str
    hosts: int
    containers: int
    first: float
    batches: list[float]
    batch: int
    body: float
    scan: float

    @property
    def per_second(self) -> float:
        return self.batch * len(self.batches) / sum(self.batches)


class Bed:
    """Hosts of three sizes with containers on them, and profiles to make more of."""

    def __init__(self, hosts: int, containers: int, kinds: int, rules: Sequence[PlacementRules], seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.hosts = [
            Host(
                node_id=f"{number:08x}-{chance.getrandbits(64):016x}",
                endpoint="",
                name=f"host-{number:04}",
                cluster_id="hosts",
                project="p",
                state=HostState.READY,
                zone=f"zone-{number % 3}",
                cpu=chance.choice([16.0, 32.0, 64.0]),
                memory=chance.choice([64, 128, 256]) * 1024 * _MIB,
                used_cpu=chance.uniform(0.0, 16.0),
                used_memory=chance.randrange(32 * 1024 * _MIB),
                sampled_at=0.0,
            )
            for number in range(hosts)
        ]
        self.profiles = [
            Profile((chance.choice(_CPU), chance.choice(_MEMORY) * _MIB), rules[kind % len(rules)], f"cluster-{kind}")
            for kind in range(kinds)
        ]
        self.fleet = Fleet(self.hosts, Surroundings())
        self.living: list[Occupant] = []
        for _ in range(containers):
            profile, host = chance.choice(self.profiles), chance.choice(self.hosts)
            occupant = Occupant(host.node_id, profile.size[0] / 2, profile.size[1] // 2, profile.workload)
            self.fleet.enter(occupant)
            self.living.append(occupant)

    def leave(self, count: int) -> None:
        for _ in range(count):
            index = self.chance.randrange(len(self.living))
            self.living[index], self.living[-1] = self.living[-1], self.living[index]
            self.fleet.leave(self.living.pop())

    def requests(self, count: int) -> list[PlacementRequest]:
        chosen = [self.chance.choice(self.profiles) for _ in range(count)]
        return [
            PlacementRequest(
                f"{self.chance.getrandbits(64):016x}",
                *profile.size,
                host_cluster="hosts",
                workload=profile.workload,
                profile_id=profile.workload,
                rules=profile.rules,
            )
            for profile in chosen
        ]

    def place(self, requests: Sequence[PlacementRequest]) -> tuple[float, float]:
        """Seconds for placing, and for writing the decisions down."""
        began = time.process_time()
        answers = self.fleet.place(requests)
        placed = time.process_time()
        for decision in {id(answer.decision): answer.decision for answer in answers}.values():
            decision.body()
        written = time.process_time()
        for wanted, answer in zip(requests, answers, strict=True):
            assert isinstance(answer, Placed)
            self.living.append(Occupant(answer.host_id, wanted.cpu, wanted.memory, wanted.workload))
        return placed - began, written - placed


def scan(bed: Bed) -> float:
    """Seconds for one placement by looking at every host."""
    reserved = {host.node_id: [host.reserved_cpu, float(host.reserved_memory)] for host in bed.hosts}
    requests = bed.requests(_SCANNED)
    began = time.process_time()
    for wanted in requests:
        best: tuple[float, str] | None = None
        for host in bed.hosts:
            cpu, memory = reserved[host.node_id]
            cpu += wanted.cpu
            memory += wanted.memory
            if cpu <= host.cpu and memory <= host.memory:
                rank = (max(cpu / host.cpu, memory / host.memory), host.node_id)
                if best is None or rank < best:
                    best = rank
        assert best is not None
        reserved[best[1]][0] += wanted.cpu
        reserved[best[1]][1] += wanted.memory
    return (time.process_time() - began) / _SCANNED


def speed(
    what: str, hosts: int, containers: int, batch: int, rounds: int, kinds: int, rules: Sequence[PlacementRules]
) -> Speed:
    bed = Bed(hosts, containers, kinds, rules, seed=1)
    gc.collect()
    first, _ = bed.place(bed.requests(batch))
    batches: list[float] = []
    bodies: list[float] = []
    scans: list[float] = []
    for number in range(rounds):
        bed.leave(batch)
        took, body = bed.place(bed.requests(batch))
        batches.append(took)
        bodies.append(body)
        if number % 5 == 0:
            scans.append(scan(bed))
    return Speed(what, hosts, containers, first, batches, batch, sum(bodies) / rounds / batch, min(scans))


_MIXED = [
    PlacementRules(strategy=one)
    for one in (Strategy.SPREAD, Strategy.BINPACK, Strategy.LEAST_UTILIZED, Strategy.BALANCED)
]


def speeds(sizes: Sequence[int], batch: int, rounds: int, kinds: int) -> list[Speed]:
    found = []
    for hosts in sizes:
        progress(f"speed, {hosts} hosts")
        run = partial(speed, hosts=hosts, containers=hosts * 30, batch=batch, rounds=rounds, kinds=kinds)
        found.append(run("spread", rules=[PlacementRules()]))
        if hosts <= 1000:
            found.append(run("all strategies", rules=_MIXED))
            found.append(run("over zones", rules=[PlacementRules(spread_over="zone")]))
            found.append(run("random", rules=[PlacementRules(strategy=Strategy.RANDOM)]))
    return found


def small_fleet(rounds: int) -> float:
    """Seconds for one of 100 placements on 4 hosts, with everything made anew each time, as an engine does."""
    bed = Bed(4, 0, 5, [PlacementRules()], seed=2)
    best = math.inf
    for _ in range(rounds):
        requests = bed.requests(100)
        began = time.process_time()
        answers = Fleet(bed.hosts, Surroundings()).place(requests)
        best = min(best, time.process_time() - began)
        assert len(answers) == 100
    return best / 100


def speed_table(found: Sequence[Speed]) -> Table:
    columns = (
        "kinds",
        "hosts",
        "containers",
        "placements/s",
        "p50 batch ms",
        "p99 batch ms",
        "first batch ms",
        "body us each",
        "scan us each",
        "ratio",
    )
    rows = []
    for one in found:
        ordered = sorted(one.batches)
        each = 1 / one.per_second
        rows.append(
            (
                one.what,
                one.hosts,
                one.containers,
                round(one.per_second),
                round(ordered[len(ordered) // 2] * 1e3, 1),
                round(ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)] * 1e3, 1),
                round(one.first * 1e3),
                round(one.body * 1e6),
                round(one.scan * 1e6),
                round(one.scan / each, 1),
            )
        )
    return Table("Placements, CPU time; the bare scan costs so many times as much", columns, rows)


# -- Packing ---------------------------------------------------------------------------------------------------------

#: Of each sort of instance, one is drawn with each.
_SEEDS = (1, 2, 3, 7)
_BIN: Size = (16.0, 65536 * _MIB)


def instances(items: int, seed: int = 7) -> dict[str, list[tuple[Size, int]]]:
    """Sizes with how many there are of each, for hosts of 16 cores and 64 GiB."""
    chance = random.Random(seed)

    def drawn(kinds: int, size: Callable[[], tuple[float, float]]) -> list[tuple[Size, int]]:
        sizes = [size() for _ in range(kinds)]
        counts = [0] * kinds
        for _ in range(items):
            counts[chance.randrange(kinds)] += 1
        return [((cpu, int(gib * 1024) * _MIB), count) for (cpu, gib), count in zip(sizes, counts, strict=True)]

    def uniform() -> tuple[float, float]:
        return chance.randrange(1, 33) / 8, chance.randrange(1, 65) / 4

    def skewed() -> tuple[float, float]:
        large, small = chance.randrange(16, 49) / 8, chance.randrange(1, 9) / 8
        return (large, small * 4) if chance.random() < 0.5 else (small, large * 4)

    def large() -> tuple[float, float]:
        return chance.randrange(16, 81) / 8, chance.randrange(32, 161) / 4

    def few() -> tuple[float, float]:
        return chance.choice(_CPU), chance.choice(_MEMORY) / 256

    return {
        "random": drawn(20, uniform),
        "random, all different": drawn(items, uniform),
        "skewed to CPU or memory": drawn(20, skewed),
        "large": drawn(20, large),
        "usual profiles": drawn(15, few),
    }


def packed(instance: Sequence[tuple[Size, int]]) -> int:
    rules = PlacementRules(strategy=Strategy.BINPACK)
    requests = [
        PlacementRequest(f"{kind:03}-{number:04}", *size, host_cluster="c", rules=rules)
        for kind, (size, count) in enumerate(instance)
        for number in range(count)
    ]
    hosts = [
        Host(
            node_id=f"{n:05}",
            endpoint="",
            name=f"{n:05}",
            cluster_id="c",
            project="p",
            state=HostState.READY,
            cpu=_BIN[0],
            memory=_BIN[1],
        )
        for n in range(len(requests))
    ]
    answers = Fleet(hosts, Surroundings()).place(requests)
    return len({answer.host_id for answer in answers if isinstance(answer, Placed)})


def bound(instance: Sequence[tuple[Size, int]]) -> int:
    """What no packing can go below: the linear relaxation over all patterns that fit one host, rounded up.

    While patterns that help are still found, the value of the relaxation is no bound; Farley's is.
    """
    kinds = [(size, count) for size, count in instance if count]
    needed = [count for _, count in kinds]
    simple = max(math.ceil(sum(size[axis] * count for size, count in kinds) / _BIN[axis] - 1e-9) for axis in (0, 1))
    if len(kinds) > 50:
        return simple
    patterns = [
        [min(int(_BIN[0] / size[0]), _BIN[1] // size[1], count) if row == column else 0 for row in range(len(kinds))]
        for column, (size, count) in enumerate(kinds)
    ]
    best = float(simple)
    for _ in range(400):
        prices = _prices(patterns, needed)
        pattern, worth = _pattern(kinds, prices)
        best = max(best, sum(price * count for price, count in zip(prices, needed, strict=True)) / max(worth, 1.0))
        if worth <= 1 + 1e-6:
            break
        patterns.append(pattern)
    return math.ceil(best - 1e-6)


def _prices(patterns: Sequence[Sequence[int]], needed: Sequence[int]) -> list[float]:
    solver = pywraplp.Solver.CreateSolver("GLOP")
    uses = [solver.NumVar(0, solver.infinity(), "") for _ in patterns]
    rows = [
        solver.Add(
            sum(use * pattern[row] for use, pattern in zip(uses, patterns, strict=True) if pattern[row]) >= count
        )
        for row, count in enumerate(needed)
    ]
    solver.Minimize(sum(uses))
    assert solver.Solve() == pywraplp.Solver.OPTIMAL
    return [max(row.dual_value(), 0.0) for row in rows]


def _pattern(kinds: Sequence[tuple[Size, int]], prices: Sequence[float]) -> tuple[list[int], float]:
    """The most that one host can hold at these prices."""
    model = cp_model.CpModel()
    counts = [model.new_int_var(0, count, "") for _, count in kinds]
    model.add(
        sum(count * round(size[0] * 1000) for count, (size, _) in zip(counts, kinds, strict=True))
        <= round(_BIN[0] * 1000)
    )
    model.add(sum(count * (size[1] // _MIB) for count, (size, _) in zip(counts, kinds, strict=True)) <= _BIN[1] // _MIB)
    # Rounded up, so that what is said to be the most is not less than it.
    model.maximize(sum(count * math.ceil(price * 1e9) for count, price in zip(counts, prices, strict=True)))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    assert solver.solve(model) == cp_model.OPTIMAL
    return [solver.value(count) for count in counts], solver.best_objective_bound / 1e9


# -- Balance ---------------------------------------------------------------------------------------------------------


def balance(containers: int) -> Table:
    """Unequal hosts filled to two thirds in batches of 100, by four ways to choose."""
    chance = random.Random(11)
    sizes = [(16.0, 64), (32.0, 128), (64.0, 256)]
    hosts = []
    for number in range(60):
        cpu, gib = sizes[number % 3]
        hosts.append(
            Host(
                node_id=f"{number:03}",
                endpoint="",
                name=f"{number:03}",
                cluster_id="c",
                project="p",
                state=HostState.READY,
                cpu=cpu,
                memory=gib * 1024 * _MIB,
            )
        )
    wanted = [
        (chance.choice([0.1, 0.25, 0.5, 1.0, 4.0]), chance.choice([128, 512, 1024, 8192]) * _MIB)
        for _ in range(containers)
    ]
    ways: dict[str, Callable[[Filled, int], str]] = {
        "fewest containers": lambda filled, _: min(filled, key=lambda key: filled[key][2]),
        "round-robin": lambda filled, turn: list(filled)[turn % len(filled)],
        "random": lambda filled, _: chance.choice(list(filled)),
    }
    results = {"spread": _spread(hosts, wanted)} | {name: _simple(hosts, wanted, way) for name, way in ways.items()}
    rows = []
    for name, filled in results.items():
        shares = [max(filled[h.node_id][0] / h.cpu, filled[h.node_id][1] / h.memory) for h in hosts]
        mean = sum(shares) / len(shares)
        deviation = (sum((share - mean) ** 2 for share in shares) / len(shares)) ** 0.5
        counts = [filled[h.node_id][2] for h in hosts]
        rows.append(
            (
                name,
                round(mean, 3),
                round(deviation, 4),
                round(max(shares), 3),
                round(min(shares), 3),
                max(counts) - min(counts),
            )
        )
    return Table(
        "Reserved shares of 60 unequal hosts",
        ("choice", "mean", "imbalance", "highest", "lowest", "containers: range"),
        rows,
    )


Filled = dict[str, list[float]]


def _spread(hosts: Sequence[Host], wanted: Sequence[Size]) -> Filled:
    fleet = Fleet(hosts, Surroundings())
    filled: Filled = {host.node_id: [0.0, 0.0, 0] for host in hosts}
    for start in range(0, len(wanted), 100):
        batch = [
            PlacementRequest(f"{start + number:06}", *size, host_cluster="c")
            for number, size in enumerate(wanted[start : start + 100])
        ]
        for one, answer in zip(batch, fleet.place(batch), strict=True):
            assert isinstance(answer, Placed)
            _fill(filled, answer.host_id, (one.cpu, one.memory))
    return filled


def _simple(hosts: Sequence[Host], wanted: Sequence[Size], choose: Callable[[Filled, int], str]) -> Filled:
    """Among the hosts that have room, as the ways compared with also ask for."""
    sizes = {host.node_id: (host.cpu, host.memory) for host in hosts}
    filled: Filled = {host.node_id: [0.0, 0.0, 0] for host in hosts}
    for turn, size in enumerate(wanted):
        room = {
            key: now
            for key, now in filled.items()
            if now[0] + size[0] <= sizes[key][0] and now[1] + size[1] <= sizes[key][1]
        }
        _fill(filled, choose(room, turn), size)
    return filled


def _fill(filled: Filled, host_id: str, size: Size) -> None:
    now = filled[host_id]
    now[0] += size[0]
    now[1] += size[1]
    now[2] += 1


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sizes", type=numbers, default=[1000, 5000], help="hosts; 30 containers are on each")
    parser.add_argument("--batch", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--kinds", type=int, default=15)
    parser.add_argument("--items", type=int, default=1000, help="to be packed")
    given = parser.parse_args()
    progress("packing")
    packing = []
    drawn = [instances(given.items, seed) for seed in _SEEDS]
    for name in drawn[0]:
        progress(f"  {name}")
        several = [one[name] for one in drawn]
        packing.append((name, sum(map(packed, several)), sum(map(bound, several))))
    progress("balance")
    evenness = balance(1200)
    small = small_fleet(30)
    found = speeds(given.sizes, given.batch, given.rounds, given.kinds)
    rows = [(name, used, least, f"{used / least - 1:.1%}") for name, used, least in packing]
    tables = [
        speed_table(found),
        Table(f"Hosts used by binpack, sums over {len(_SEEDS)} instances", ("instance", "used", "bound", "more"), rows),
        evenness,
    ]
    aims = [Aim("4 hosts, 100 nodes: us per placement", small * 1e6, 15)]
    floors = {1000: 5000, 5000: 1500}
    aims += [
        Aim(f"{one.hosts} hosts, {one.what}: placements/s", one.per_second, floors[one.hosts], least=True)
        for one in found
        if one.hosts in floors
    ]
    aims += [Aim(f"packing, {name}: used over bound", used / least, 1.03) for name, used, least in packing]
    report(given.json, tables, aims)


if __name__ == "__main__":
    main()
