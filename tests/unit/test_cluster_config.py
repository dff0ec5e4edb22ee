"""The keys of a cluster's configuration that mean something."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.cluster_config import RebalanceMode, Rebalancing, config_fault, rebalancing


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"mine": {"any": "thing"}, "node.name.format": "web-$3I"},
        {"cluster.stop_node_before_delete": "true", "cluster.stop_timeout_before_update": "30"},
        {"spinney.self_healing": False, "spinney.priority": -5, "spinney.overlap": "at-most-one"},
        {"spinney.disruption_budget": 3},
        {"spinney.disruption_budget": "25%"},
        {"spinney.rebalance": "advise", "spinney.rebalance_threshold": "15%", "spinney.rebalance_settling": 0},
    ],
)
def test_allowed(config: dict[str, Any]) -> None:
    assert config_fault(config) is None


@pytest.mark.parametrize(
    "config",
    [
        {"node.name.format": 3},
        {"node.name.format": None},
        {"cluster.stop_timeout_before_update": -1},
        {"spinney.self_healing": "perhaps"},
        {"spinney.self_healing": None},
        {"spinney.disruption_budget": "125%"},
        {"spinney.disruption_budget": "x"},
        {"spinney.disruption_budget": -1},
        {"spinney.overlap": "both"},
        {"spinney.priority": "high"},
        {"spinney.rebalance": "on"},
        {"spinney.rebalance_threshold": 0.5},
        {"spinney.rebalance_moves_per_minute": 0},
        {"spinney.unknown": 1},
    ],
)
def test_refused_by_name(config: dict[str, Any]) -> None:
    (key,) = config
    fault = config_fault({"fine": 1, **config})
    assert fault is not None and fault.startswith(key)


def test_what_is_said_of_rebalancing() -> None:
    assert rebalancing({}).mode is RebalanceMode.OFF
    said = {
        "spinney.rebalance": "auto",
        "spinney.rebalance_threshold": "25%",
        "spinney.rebalance_moves_per_minute": "3",
        "spinney.rebalance_settling": 5,
    }
    assert rebalancing(said) == Rebalancing(RebalanceMode.AUTO, 0.25, 3, 5.0)
