"""Disruption budgets: how many, and that nobody spends more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.budget import Purse, Standing, disruption_budget, starts_first


@pytest.mark.parametrize(
    ("value", "members", "allowed"),
    [(None, 5, 1), (3, 5, 3), ("2", 5, 2), (0, 5, 0), ("25%", 10, 2), ("10%", 5, 1), ("0%", 50, 0), ("100%", 7, 7)],
)
def test_as_a_number_of_members(value: Any, members: int, allowed: int) -> None:
    config = {} if value is None else {"spinney.disruption_budget": value}
    assert disruption_budget(config, members) == allowed


def test_overlap_is_what_starting_first_needs() -> None:
    assert starts_first({}) and starts_first({"spinney.overlap": "at-least-one"})
    assert not starts_first({"spinney.overlap": "at-most-one"})


def test_what_costs_nothing_is_never_refused() -> None:
    purse = Purse([Standing("a", "a", 3, out=3, budget=0), Standing("b", "b", 3, out=3, budget=0, starts_first=False)])
    assert purse.spend("a", serving=True) is None, "its new container comes first"
    assert purse.spend("b", serving=False) is None, "it is out of service already"
    assert purse.spend("", serving=True) is None, "no cluster, no budget"


def test_a_refusal_names_the_cluster_and_its_budget() -> None:
    purse = Purse([Standing("b", "web", 5, out=1, budget=2, starts_first=False)])
    assert purse.spend("b", serving=True) is None
    said = purse.spend("b", serving=True)
    assert said is not None and "web" in said and "2 of its 5" in said
    never = Purse([Standing("b", "web", 5, out=0, budget=0, starts_first=False)]).spend("b", serving=True)
    assert never is not None and "spinney.disruption_budget" in never


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=1, max_size=4), st.data())
def test_never_more_out_than_allowed(clusters: list[tuple[int, int, bool]], data: st.DataObject) -> None:
    standings = [
        Standing(str(i), f"c{i}", 9, out, budget, starts_first=first) for i, (out, budget, first) in enumerate(clusters)
    ]
    purse = Purse(standings)
    spent = dict.fromkeys((s.cluster_id for s in standings), 0)
    for cluster_id, serving in data.draw(st.lists(st.tuples(st.sampled_from(sorted(spent)), st.booleans()))):
        if purse.spend(cluster_id, serving=serving) is None and serving:
            spent[cluster_id] += 1
    for standing in standings:
        assert standing.starts_first or spent[standing.cluster_id] <= standing.left
