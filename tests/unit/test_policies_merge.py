"""What the policies of one cluster come to together, and which cannot be together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.placement.rules import (
    NO_RULES,
    Affinity,
    LabelTerm,
    PlacementRules,
    Preference,
    Quota,
    Share,
    Strategy,
    Thresholds,
)
from spinney.policies.attaching import Attached, Target, contradiction, hindrance
from spinney.policies.base import Contribution, Members, Toward
from spinney.policies.merge import Names, conflict, merge
from spinney.policies.registry import validate_spec

_words = st.lists(st.sampled_from("abc"), max_size=2, unique=True).map(tuple)
_labels = st.lists(st.sampled_from([LabelTerm("x"), LabelTerm("y")]), max_size=2).map(tuple)
_contributions = st.lists(
    st.builds(
        Contribution,
        strategy=st.none() | st.sampled_from(Strategy),
        seed=st.none() | st.integers(0, 3),
        hosts=_words,
        zones=_words,
        regions=_words,
        require=_labels,
        quotas=st.lists(st.just(Quota("zone", (Share("a"),))), max_size=1).map(tuple),
        spread_over=st.none() | st.sampled_from(["host", "zone"]),
        toward=st.lists(st.builds(Toward, cluster=st.none() | st.just("db"), apart=st.booleans()), max_size=2).map(
            tuple
        ),
        max_per_host=st.none() | st.integers(1, 5),
        headroom_cpu=st.sampled_from([0.0, 0.1, 0.5]),
    ),
    max_size=4,
)


def test_nothing_asks_for_nothing() -> None:
    assert merge([], "c") == merge([Contribution()], "c") == NO_RULES


def test_the_first_strategy_counts_with_what_belongs_to_it() -> None:
    first = Contribution(strategy=Strategy.LEAST_UTILIZED, thresholds=Thresholds(0.5))
    second = Contribution(strategy=Strategy.RANDOM, seed=7, spread_over="zone")
    assert merge([first, second], "c") == PlacementRules(Strategy.LEAST_UTILIZED, Thresholds(0.5), spread_over="zone")
    assert merge([Contribution(spread_over="host"), second], "c") == PlacementRules(
        Strategy.RANDOM, seed=7, spread_over="host"
    )


def test_restrictions_add_up() -> None:
    quota, other = Quota("zone", (Share("a"),)), Quota("region", (Share("eu"),), hard=True)
    first = Contribution(zones=("a", "b"), require=(LabelTerm("x"),), quotas=(quota,), max_per_host=4, headroom_cpu=0.1)
    second = Contribution(
        zones=("b", "c"), require=(LabelTerm("x"), LabelTerm("y")), prefer=(Preference(LabelTerm("z")),),
        quotas=(quota, other), max_per_host=2, headroom_memory=0.5,
    )  # fmt: skip
    assert merge([first, second], "c") == PlacementRules(
        zones=("b",), require=(LabelTerm("x"), LabelTerm("y")), prefer=(Preference(LabelTerm("z")),),
        quotas=(quota, other), max_per_host=2, headroom_cpu=0.1, headroom_memory=0.5,
    )  # fmt: skip


def test_names_in_affinities_become_clusters() -> None:
    names = Names({"db": ["d1", "d2"]}, {"front": ["a", "me", "z"]})
    asked = Contribution(
        toward=(Toward(), Toward(cluster="db"), Toward(cluster="later"), Toward(group="front"), Toward(group="mine"))
    )
    assert merge([asked], "me", names).affinities == (
        Affinity("me"),
        Affinity("d1", also=("d2",)),
        Affinity("later"),  # nothing is called so yet, so nothing is there
        Affinity("me", also=("a", "z")),
    )


@given(_contributions)
def test_every_restriction_of_every_policy_is_kept(contributions: list[Contribution]) -> None:
    rules = merge(contributions, "me", Names({"db": ["d"]}))
    impossible = conflict(contributions) is not None
    for one in contributions:
        assert set(one.require) <= set(rules.require) and set(one.quotas) <= set(rules.quotas)
        assert one.max_per_host is None or (rules.max_per_host or 99) <= one.max_per_host
        assert one.headroom_cpu <= rules.headroom_cpu
        for mine, merged in ((one.hosts, rules.hosts), (one.zones, rules.zones), (one.regions, rules.regions)):
            assert not mine or impossible or (merged and set(merged) <= set(mine))
            assert not mine or merged, "an empty list would mean any"
        assert len(rules.affinities) == len(set(rules.affinities))


@given(_contributions, _contributions)
def test_what_comes_later_changes_no_choice_made_before(first: list[Contribution], later: list[Contribution]) -> None:
    before, after = merge(first, "c"), merge([*first, *later], "c")
    if any(one.strategy is not None for one in first):
        assert (before.strategy, before.seed) == (after.strategy, after.seed)
    assert before.spread_over is None or before.spread_over == after.spread_over


# --- attaching --------------------------------------------------------------------------------------------------------

CONTAINERS = Target("container.dockerinc.docker-1.0", Members.CONTAINERS)


def policy(id: str, type: str = "spinney.policy.placement", *, enabled: bool = True, **properties: Any) -> Attached:
    spec = {"type": type, "version": "1.0", "properties": properties}
    return Attached(id, f"name-{id}", validate_spec(spec), enabled)


_FOLLOWING: dict[str, Any] = {"max": 3, "targets": [{"metric": "cpu", "target": 50}]}
ZONE_B = policy("p2", "senlin.policy.affinity", availability_zone="b")


def test_a_policy_that_nothing_hinders() -> None:
    assert hindrance(policy("p"), CONTAINERS, [ZONE_B]) is None


def test_one_of_a_type_is_enough() -> None:
    fault = hindrance(policy("p"), CONTAINERS, [policy("q", enabled=False)])
    assert fault is not None and "at most one policy of type spinney.policy.placement-1.0" in fault
    assert "'name-q' (q)" in fault


def test_types_are_for_some_clusters() -> None:
    fault = hindrance(policy("p"), Target("host.docker-1.0", Members.HOSTS), [])
    assert fault is not None and "for clusters of containers" in fault and "host.docker-1.0" in fault
    scaling = policy("s", "spinney.policy.host_scaling", maximum=3)
    assert hindrance(scaling, Target("host.docker-1.0", Members.HOSTS), []) is None
    fault = hindrance(scaling, CONTAINERS, [])
    assert fault is not None and "for host clusters" in fault
    assert hindrance(policy("p"), Target("os.other-1.0", None), []) is not None


def test_the_size_of_a_cluster_that_does_a_job_is_not_measured() -> None:
    job, sizes = policy("j", "spinney.policy.job"), policy("a", "spinney.policy.autoscaling", **_FOLLOWING)
    for new, other in ((job, sizes), (sizes, replace(job, enabled=False))):
        fault = hindrance(new, CONTAINERS, [other])
        assert fault is not None and f"'{other.name}' ({other.policy_id}) is attached; detach that first" in fault


def test_zones_that_have_none_in_common() -> None:
    here = policy("p", zones=["a", "c"])
    fault = hindrance(here, CONTAINERS, [ZONE_B])
    assert fault is not None and "'name-p' cannot be enabled" in fault and "zones" in fault and "(b and a, c)" in fault
    assert hindrance(policy("p", zones=["a", "b"]), CONTAINERS, [ZONE_B]) is None
    assert hindrance(policy("p", enabled=False, zones=["a"]), CONTAINERS, [ZONE_B]) is None
    disabled = policy("p2", "senlin.policy.affinity", enabled=False, availability_zone="b")
    assert contradiction(here, [disabled, here]) is None
    assert contradiction(here, [ZONE_B, here]) is not None
