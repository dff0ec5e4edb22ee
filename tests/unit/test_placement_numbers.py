"""The numbers behind the choice of a host: each strategy's score, and the order in which a batch is packed, as documented."""

from __future__ import annotations

import operator
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from spinney.domain.host import Host
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.room import Room
from spinney.domain.placement.rules import PlacementRules, Strategy, Thresholds
from spinney.domain.placement.scheduler import Fleet
from spinney.domain.placement.scores import Scorer
from unit.placement_world import MIB, NOW, host, request, told

# --- scores -----------------------------------------------------------------------------------------------------------

SPREAD, BINPACK, BALANCED, LEAST = Strategy.SPREAD, Strategy.BINPACK, Strategy.BALANCED, Strategy.LEAST_UTILIZED
MEASURED: dict[str, Any] = {"used_cpu": 2.0, "used_memory": 800, "sampled_at": NOW}
NO_LIMITS = {"thresholds": Thresholds(cpu=None)}


@pytest.mark.parametrize(
    ("strategy", "rules", "fields", "score"),
    [
        (SPREAD, {}, {}, (0, 0.6)),
        (SPREAD, {}, {"reserved_cpu": 2.0}, (0, 0.75)),
        (SPREAD, {"weights": {"cpu": 2.0}}, {}, (0, 1.0)),
        (SPREAD, {"weights": {"memory": 0.5}}, {}, (0, 0.5)),
        (SPREAD, {"weights": {"used": 0.5}}, MEASURED, (0, 0.75)),
        (SPREAD, {"weights": {"used": 0.5}}, {**MEASURED, "used_memory": None}, (0, 0.625)),
        (SPREAD, {"weights": {"used": 0.5}}, {**MEASURED, "sampled_at": NOW - 61}, (0, 0.6)),
        (BINPACK, {}, {}, (0, 0.45)),
        (BINPACK, {"weights": {"cpu": 3.0}}, {}, (0, 0.475)),
        (BINPACK, {"weights": {"cpu": 0.0, "memory": 0.0}}, {}, (0, 0.0)),
        (BALANCED, {}, {}, (10, 0.6)),
        (BALANCED, {"weights": {"used": 1.0}}, MEASURED, (15, 0.9)),
        (LEAST, {}, {}, (2, 0.6)),
        (LEAST, {}, MEASURED, (0, 0.6)),
        (LEAST, {}, {**MEASURED, "used_cpu": 3.5}, (1, 1.125)),
        (LEAST, NO_LIMITS, MEASURED, (1, 0.9)),
        (LEAST, NO_LIMITS, {**MEASURED, "used_memory": None}, (1, 0.75)),
    ],
)
def test_scores_are_as_documented(
    strategy: Strategy, rules: dict[str, Any], fields: dict[str, Any], score: tuple[int, float]
) -> None:
    """One core and 100 bytes more, on a host of four and 1000 of which one and 500 are reserved."""
    scorer = Scorer(PlacementRules(strategy=strategy, **rules), 1.0, 100)
    scorer.now = NOW
    room = Room(host(0, **{"memory": 1000, "reserved_cpu": 1.0, "reserved_memory": 500, **fields}), Surroundings())
    assert scorer.score(room) == pytest.approx(score, abs=1e-9)


# --- packing ----------------------------------------------------------------------------------------------------------


@dataclass
class Filled:
    """Shares of a host that are taken."""

    one: Host
    cpu: float = field(init=False)
    memory: float = field(init=False)

    def __post_init__(self) -> None:
        self.cpu, self.memory = self.one.reserved_cpu / self.one.cpu, self.one.reserved_memory / self.one.memory

    def size(self, wanted: PlacementRequest) -> tuple[float, float]:
        return wanted.cpu / self.one.cpu, wanted.memory / self.one.memory

    def fits(self, wanted: PlacementRequest) -> bool:
        cpu, memory = self.size(wanted)
        return self.cpu + cpu <= 1 + 1e-9 and self.memory + memory <= 1 + 1e-9

    def free_with(self, wanted: PlacementRequest) -> float:
        cpu, memory = self.size(wanted)
        return 2 - self.cpu - cpu - self.memory - memory


def packed(waiting: list[list[PlacementRequest]], hosts: list[Filled]) -> dict[str, tuple[str, set[str]]]:
    """Where each goes by the words of the module, and which hosts could have taken it: kinds of requests in turn, each to the
    fullest host that can take it."""
    found: dict[str, tuple[str, set[str]]] = {}
    while True:
        bests = [
            (kind, min(able, key=lambda one: one.free_with(kind[0])))
            for kind in waiting
            if kind and (able := [one for one in hosts if one.fits(kind[0])])
        ]
        if not bests:
            return found
        fullest = max((best for _, best in bests), key=lambda one: one.cpu + one.memory)
        sizes = [(fullest.size(kind[0]), len(kind)) for kind, _ in bests]
        lacking = [sum(size[which] * count for size, count in sizes) for which in (0, 1)]
        worths = [
            (1 - full) ** 1.5 * lack**3 for full, lack in zip((fullest.cpu, fullest.memory), lacking, strict=True)
        ]
        takers = [kind for kind, best in bests if best is fullest]
        taken = max(takers, key=lambda kind: sum(map(operator.mul, fullest.size(kind[0]), worths)))
        open_to_it = {one.one.node_id for one in hosts if one.fits(taken[0])}
        cpu, memory = fullest.size(taken[0])
        fullest.cpu, fullest.memory = fullest.cpu + cpu, fullest.memory + memory
        found[taken.pop(0).node_id] = fullest.one.node_id, open_to_it


def test_a_batch_is_packed_in_the_order_that_is_documented() -> None:
    rules = PlacementRules(strategy=BINPACK)
    for seed in range(40):
        chance = random.Random(seed)
        hosts = [
            host(
                number,
                cpu=chance.uniform(3, 6),
                memory=chance.randint(800, 1600) * MIB,
                reserved_cpu=chance.uniform(0, 1),
                reserved_memory=chance.randint(0, 200) * MIB,
            )
            for number in range(3)
        ]
        kinds = []
        for kind in range(3):
            cpu, memory = chance.uniform(0.1, 2), chance.randint(20, 600) * MIB
            kinds.append([request(f"n{kind}-{n}", cpu, memory, rules=rules) for n in range(chance.randint(1, 6))])
        answers = Fleet(hosts, Surroundings()).place([one for kind in kinds for one in kind])
        placed = {
            one.node_id: (one.host_id, {verdict.host_id for verdict in told(one).hosts if verdict.fits})
            for one in answers
            if isinstance(one, Placed)
        }
        assert placed == packed(kinds, [Filled(one) for one in hosts]), seed
