"""What counts against a quota, and in which words more is refused."""

from __future__ import annotations

import pytest

from spinney.domain.quota import (
    CPU,
    MEMORY,
    NODES,
    RECEIVERS,
    ClusterUse,
    Share,
    fault,
    grows,
    less,
    of_nodes,
    shown,
    unlimited,
)

MIB = 2**20
SMALL, LARGE = Share(0.5, 64 * MIB), Share(2.0, 32 * MIB)


@pytest.mark.parametrize(
    ("use", "nodes", "cpu", "memory"),
    [
        (ClusterUse(3, SMALL), 3, 1.5, 192),
        # Those of another profile count with the dearer of both, those still to come with the new one.
        (ClusterUse(3, SMALL, [(LARGE, 2)]), 3, 4.5, 192),
        # Those that have not left yet count too.
        (ClusterUse(1, SMALL, [(SMALL, 2), (LARGE, 1)]), 3, 3.0, 192),
        (ClusterUse(0, LARGE), 0, 0, 0),
    ],
)
def test_what_a_cluster_counts(use: ClusterUse, nodes: int, cpu: float, memory: int) -> None:
    assert use.amounts == {NODES: nodes, CPU: cpu, MEMORY: memory * MIB}


def test_what_nodes_count_and_what_is_left() -> None:
    assert of_nodes(SMALL, 3) == {NODES: 3, CPU: 1.5, MEMORY: 192 * MIB}
    assert less(of_nodes(SMALL, 3), of_nodes(SMALL), {NODES: 1}) == {NODES: 1, CPU: 1.0, MEMORY: 128 * MIB}
    assert shown({CPU: 0.1 + 0.2, NODES: 2.0}) | {CPU: 0.3, NODES: 2} == shown({CPU: 0.3, NODES: 2})


def test_only_what_is_asked_for_and_limited_is_looked_at() -> None:
    limits = {**unlimited(), NODES: 4, CPU: 2.0, RECEIVERS: 0}
    assert grows(of_nodes(SMALL), limits) == [NODES, CPU]
    assert grows({NODES: -1, CPU: 0.0, MEMORY: MIB}, limits) == []
    assert fault(limits, {NODES: 3, CPU: 1.5}, of_nodes(SMALL)) is None, "exactly as much as is allowed"
    assert fault(limits, {RECEIVERS: 9}, of_nodes(SMALL)) is None
    said = fault(limits, {NODES: 1, CPU: 1.75}, of_nodes(SMALL)) or ""
    assert said.startswith(
        "the quota of cpu is used up: 2 cores allowed, 1.75 cores in use or promised, 0.5 cores more asked for. Ask for less"
    )
    full = {**limits, MEMORY: 64 * MIB}
    assert "quota of memory is used up: 64 MiB allowed, 1 MiB" in (fault(full, {MEMORY: MIB}, of_nodes(SMALL)) or "")
