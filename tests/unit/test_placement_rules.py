"""Each rule and strategy by example: what it refuses, what it prefers, and how it says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from spinney.domain.host import Host, HostState
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.filters import offers
from spinney.domain.placement.model import Occupant, PlacementRequest, Surroundings
from spinney.domain.placement.rules import (
    Affinity,
    LabelTerm,
    Operator,
    PlacementRules,
    Preference,
    Quota,
    Share,
    Strategy,
    Thresholds,
)
from spinney.domain.placement.scheduler import Fleet
from spinney.domain.placement.sentence import without_amounts
from unit.placement_world import MIB, NOW, host, request, told


def where(requests: list[PlacementRequest], hosts: list[Host], around: Surroundings | None = None) -> list[str | None]:
    """Names of the hosts chosen."""
    names = {one.node_id: one.name for one in hosts}
    answers = Fleet(hosts, around or Surroundings(now=NOW)).place(requests)
    return [names[answer.host_id] if isinstance(answer, Placed) else None for answer in answers]


def members(count: int, cpu: float = 0.5, **fields: Any) -> list[PlacementRequest]:
    return [request(f"n{number}", cpu, **fields) for number in range(count)]


def waiting(wanted: PlacementRequest, hosts: list[Host], around: Surroundings | None = None) -> Waiting:
    (answer,) = Fleet(hosts, around or Surroundings(now=NOW)).place([wanted])
    assert isinstance(answer, Waiting)
    return answer


# --- which host is best ------------------------------------------------------------------------------------------------


def test_equal_requests_are_spread_evenly_over_equal_hosts() -> None:
    assert sorted(Counter(where(members(10), [host(n) for n in range(4)])).values()) == [2, 2, 3, 3]


def test_of_equal_hosts_the_emptier_then_the_first_by_name_is_taken() -> None:
    assert where(members(1), [host(0, containers=2), host(1, containers=1)]) == ["h1"]
    assert where(members(1), [host(1), host(0)]) == ["h0"]


def test_binpack_fills_a_host_before_it_begins_another() -> None:
    hosts = [host(n) for n in range(3)]
    rules = PlacementRules(strategy=Strategy.BINPACK)
    assert sorted(Counter(where(members(9, rules=rules), hosts)).values()) == [1, 8]


def test_binpack_gives_a_host_what_suits_what_is_left_on_it() -> None:
    """By size alone the two that need CPU would share a host, and those that need memory another, and four were needed."""
    rules = PlacementRules(strategy=Strategy.BINPACK)
    wide = [request(f"a{n}", 3.0, 256 * MIB, rules=rules) for n in range(2)]
    tall = [request(f"b{n}", 1.0, 768 * MIB, rules=rules) for n in range(2)]
    assert len(set(where([*wide, *tall], [host(n) for n in range(4)]))) == 2


def test_what_the_others_took_meanwhile_is_in_the_explanation_of_each_turn() -> None:
    rules = PlacementRules(strategy=Strategy.BINPACK)
    wide = [request(f"a{n}", 2.0, 64 * MIB, rules=rules) for n in range(2)]
    tall = [request(f"b{n}", 1.0, 900 * MIB, rules=rules) for n in range(2)]
    answers = Fleet([host(0), host(1), host(2)], Surroundings()).place([*wide, *tall])
    assert [answer.step for answer in answers] == [0, 1, 0, 1]
    seen = [{verdict.host_name: verdict.fits for verdict in told(answer).hosts} for answer in answers]
    assert seen[2] == {"h0": True, "h1": True, "h2": True}
    assert "15% of it left free" in answers[0].summary, "b0 is there already"
    assert {"h0": False, "h1": True, "h2": True} in (seen[1], seen[3])
    assert len({answer.host_id for answer in answers if isinstance(answer, Placed)}) == 2


MEASURED: dict[str, Any] = {"sampled_at": NOW - 10, "used_memory": 0}
LEAST = PlacementRules(strategy=Strategy.LEAST_UTILIZED)


@pytest.mark.parametrize(
    ("hosts", "chosen"),
    [
        # Below the threshold of 80 % all are equally good, and the reservations decide.
        ([host(0, used_cpu=3.0, **MEASURED), host(1, used_cpu=1.0, reserved_cpu=1.0, **MEASURED)], "h0"),
        # Above it the least used is best, whatever is reserved.
        ([host(0, used_cpu=3.9, **MEASURED), host(1, used_cpu=3.5, reserved_cpu=2.0, **MEASURED)], "h1"),
        # Below comes before above.
        ([host(0, used_cpu=3.5, **MEASURED), host(1, used_cpu=3.0, reserved_cpu=3.0, **MEASURED)], "h1"),
        # Exactly at the threshold is not below.
        ([host(0, used_cpu=3.2, **MEASURED), host(1, used_cpu=3.1, reserved_cpu=3.0, **MEASURED)], "h1"),
        # Never measured is not zero, and an old sample is none.
        ([host(0), host(1, used_cpu=3.9, **MEASURED)], "h1"),
        ([host(0, used_cpu=0.0, sampled_at=NOW - 61), host(1, used_cpu=3.9, **MEASURED)], "h1"),
        # If none is known, reservations decide.
        ([host(0, reserved_cpu=1.0), host(1)], "h1"),
    ],
)
def test_least_utilized_prefers_hosts_below_the_threshold_then_the_least_used(hosts: list[Host], chosen: str) -> None:
    assert where(members(1, rules=LEAST), hosts) == [chosen]


def test_least_utilized_looks_at_memory_if_it_has_a_threshold() -> None:
    both = replace(LEAST, thresholds=Thresholds(cpu=0.8, memory=0.5))
    sampled = {"sampled_at": NOW, "used_cpu": 0.1}
    full, free = host(0, used_memory=600 * MIB, **sampled), host(1, used_memory=500 * MIB, reserved_cpu=2.0, **sampled)
    assert where(members(1, rules=LEAST), [full, free]) == ["h0"]
    assert where(members(1, rules=both), [full, free]) == ["h1"]
    assert where(members(1, rules=both), [full, replace(free, used_memory=None)]) == ["h0"]


def test_a_batch_counts_as_used_so_it_does_not_pile_up_on_the_least_used_host() -> None:
    rules = replace(LEAST, thresholds=Thresholds(cpu=0.1))
    hosts = [host(0, used_cpu=0.5, **MEASURED), host(1, used_cpu=1.5, **MEASURED)]
    assert Counter(where(members(5, rules=rules), hosts)) == {"h0": 3, "h1": 2}


def test_a_new_measurement_takes_the_place_of_what_was_reserved_since_the_last() -> None:
    rules = replace(LEAST, thresholds=Thresholds(cpu=0.1))
    hosts = [host(0, used_cpu=0.5, **MEASURED), host(1, used_cpu=2.0, **MEASURED)]
    fleet = Fleet(hosts, Surroundings(now=NOW))
    fleet.place(members(3, rules=rules))
    fleet.put(replace(hosts[0], used_cpu=0.6, sampled_at=NOW, reserved_cpu=1.5))
    (answer,) = fleet.place([request("z", 0.5, rules=rules)])
    assert isinstance(answer, Placed) and answer.host_id == "id0"


def test_samples_grow_old_while_a_fleet_lives() -> None:
    hosts = [host(0, used_cpu=0.1, sampled_at=NOW - 50), host(1, used_cpu=3.9, sampled_at=NOW)]
    around = Surroundings(now=NOW)
    fleet = Fleet(hosts, around)
    (young,) = fleet.place([request("a", 0.0, rules=LEAST)])
    around.now = NOW + 20
    (old,) = fleet.place([request("b", 0.0, rules=LEAST)])
    assert isinstance(young, Placed) and isinstance(old, Placed)
    assert (young.host_id, old.host_id) == ("id0", "id1")


def test_balanced_keeps_cpu_and_memory_equally_reserved() -> None:
    rules = PlacementRules(strategy=Strategy.BALANCED)
    hosts = [host(0, reserved_cpu=2.0), host(1, reserved_memory=512 * MIB, reserved_cpu=1.0)]
    assert where([request("n", 1.0, MIB, rules=rules)], hosts) == ["h1"]
    assert where([request("n", 0.0, 512 * MIB, rules=rules)], hosts) == ["h0"]


def test_measured_use_weighs_as_much_as_is_said() -> None:
    hosts = [host(0, used_cpu=4.0, **MEASURED), host(1, reserved_cpu=1.0, used_cpu=0.0, **MEASURED)]
    weighed = [PlacementRules(weights={"used": part}) for part in (0.0, 0.9)]
    assert [where(members(1, rules=rules), hosts) for rules in weighed] == [["h0"], ["h1"]]


def test_random_draws_the_same_for_the_same_seed_and_about_evenly() -> None:
    hosts = [host(n, cpu=1000.0) for n in range(4)]
    draws = {
        seed: where(members(400, rules=PlacementRules(strategy=Strategy.RANDOM, seed=seed)), hosts) for seed in (1, 2)
    }
    assert draws[1] == where(members(400, rules=PlacementRules(strategy=Strategy.RANDOM, seed=1)), hosts)
    assert draws[1] != draws[2]
    assert all(70 <= count <= 130 for count in Counter(draws[1]).values())


# --- soft rules ---------------------------------------------------------------------------------------------------------

ZONED = [host(0, zone="a"), host(1, zone="a"), host(2, zone="b"), host(3)]


def test_members_are_spread_over_zones_and_hosts_without_one_come_last() -> None:
    rules = PlacementRules(spread_over="zone")
    chosen = where(members(6, rules=rules), ZONED)
    assert Counter(chosen) == {"h2": 3, "h0": 2, "h1": 1}


def test_soft_quotas_divide_by_weight_and_are_exceeded_only_when_nothing_else_is_left() -> None:
    quota = Quota("zone", (Share("a", 100), Share("b", 300)))
    hosts = [host(0, zone="a"), host(1, zone="b", cpu=2.0), host(2, zone="c")]
    assert Counter(where(members(4, rules=PlacementRules(quotas=(quota,))), hosts)) == {"h0": 1, "h1": 3}
    crowded = where(members(8, rules=PlacementRules(quotas=(quota,))), hosts)
    assert Counter(crowded)["h1"] == 4 and None not in crowded


@pytest.mark.parametrize("together", [1, 2, 6])
@pytest.mark.parametrize(("before", "after"), [("aaabbb", "aaabbb"), ("aaaabb", "aaabbb"), ("aaaaaa", "aaabbb")])
def test_members_whose_new_containers_start_first_keep_soft_quotas_and_even_them_out(
    before: str, after: str, together: int
) -> None:
    """So many at a time: they count in both places until the old container has gone."""
    rules = PlacementRules(quotas=(Quota("zone", (Share("a"), Share("b"))),))
    hosts = [host(0, zone="a"), host(1, zone="a"), host(2, zone="b"), host(3, zone="b")]
    fleet = Fleet(hosts, Surroundings(now=NOW))
    at = [f"id{'ab'.index(zone) * 2 + number % 2}" for number, zone in enumerate(before)]
    for host_id in at:
        fleet.enter(Occupant(host_id, 0.25, 0, "w"))
    for begin in range(0, 6, together):
        batch = range(begin, begin + together)
        wanted = [request(f"n{n}", 0.25, rules=rules, members=6).staying(at[n]) for n in batch]
        for n, answer in zip(batch, fleet.place(wanted), strict=True):
            assert isinstance(answer, Placed)
            fleet.leave(Occupant(at[n], 0.25, 0, "w"))
            at[n] = answer.host_id
    assert "".join(sorted("ab"[int(host_id[2]) // 2] for host_id in at)) == after


def test_hard_quotas_leave_the_rest_waiting() -> None:
    quota = Quota("zone", (Share("a", 100), Share("b", 100, cap=1)), hard=True)
    chosen = where(members(6, rules=PlacementRules(quotas=(quota,))), [host(0, zone="a"), host(1, zone="b"), host(2)])
    assert Counter(chosen) == {"h0": 3, "h1": 1, None: 2}


def test_a_quota_can_name_its_hosts() -> None:
    quota = Quota("zone", (Share("left", 1, hosts=("h1",)), Share("right", 1, hosts=("id2",))), hard=True)
    assert set(where(members(2, rules=PlacementRules(quotas=(quota,))), ZONED)) == {"h1", "h2"}


def test_a_node_that_moves_does_not_stand_in_its_own_way() -> None:
    quota = Quota("zone", (Share("a", 1), Share("b", 1)), hard=True)
    apart = Affinity("w", "zone")
    around = Surroundings(residents={"id0": {"w": 1}, "id2": {"w": 1}})
    moving = request(members=2, exclude=frozenset({"id0"}), rules=PlacementRules(quotas=(quota,), affinities=(apart,)))
    assert where([moving], ZONED, around) == [None]
    assert where([replace(moving, counted_on="id0")], ZONED, around) == ["h1"]


def test_affinity_keeps_together_or_apart_and_soft_ones_give_way() -> None:
    around = Surroundings(residents={"id2": {"db": 2}})

    def choice(affinity: Affinity, count: int = 1) -> list[str | None]:
        return where(members(count, rules=PlacementRules(affinities=(affinity,))), ZONED, around)

    assert choice(Affinity("db", "host", apart=False)) == ["h2"]
    assert choice(Affinity("db", "zone"), 2) == ["h0", "h1"]
    assert choice(Affinity("w", "host"), 5).count(None) == 1
    assert choice(Affinity("w", "host", hard=False), 5).count(None) == 0
    assert len(set(choice(Affinity("w", "zone", apart=False), 3))) <= 2
    assert choice(Affinity("nobody", "host", apart=False)) == [None]
    assert choice(Affinity("w", "host", apart=True, also=("db",)), 4).count("h2") == 0


def test_whether_there_is_anybody_to_be_with_is_asked_again_for_each_batch() -> None:
    wanted = request(rules=PlacementRules(affinities=(Affinity("w", "host", apart=False),)))
    fleet = Fleet([host(0), host(1)], Surroundings())
    first, after_leaving, after_entering = "a", "b", "c"
    there = Occupant("id0", 1.0, MIB, "w")

    def choice(name: str) -> str:
        (answer,) = fleet.place([replace(wanted, node_id=name)])
        assert isinstance(answer, Placed)
        return answer.host_id

    assert choice(first) == "id0"
    fleet.leave(there)
    fleet.enter(replace(there, workload="other"))
    assert choice(after_leaving) == "id1"
    fleet.leave(replace(there, host_id="id1"))
    fleet.enter(replace(there, cpu=2.0))
    assert choice(after_entering) == "id0"


def test_preferences_are_weighed_and_only_then_the_strategy() -> None:
    prefer = (
        Preference(LabelTerm("disk", Operator.IN, ("ssd",)), 10),
        Preference(LabelTerm("old", Operator.NOT_EXISTS), 3),
    )
    hosts = [host(0), host(1, labels={"disk": "ssd", "old": "yes"}, reserved_cpu=2.0)]
    assert where(members(1, rules=PlacementRules(prefer=prefer)), hosts) == ["h1"]


def test_soft_rules_count_in_the_order_that_is_documented() -> None:
    """One host per rule, each worse than the next only in that rule; taken away one after the other."""
    rules = PlacementRules(
        quotas=(Quota("zone", (Share("a", 1),)),),
        spread_over="label:rack",
        affinities=(Affinity("db", "host", hard=False),),
        prefer=(Preference(LabelTerm("disk")),),
    )
    good: dict[str, Any] = {"zone": "a", "labels": {"rack": "1", "disk": "ssd"}}
    hosts = [
        host(0, **good),
        host(1, **{**good, "zone": "b"}),
        host(2, **{**good, "labels": {"rack": "2", "disk": "ssd"}}),
        host(3, **good),
        host(4, **{**good, "labels": {"rack": "1"}}),
        host(5, **good, reserved_cpu=1.0),
    ]
    around = Surroundings(setbacks={"id0": {"f": 3}}, residents={"id2": {"w": 1}, "id3": {"db": 1}})
    order = []
    wanted = request(members=10, rules=rules)
    while hosts:
        (name,) = where([wanted], hosts, around)
        order.append(name)
        hosts = [one for one in hosts if one.name != name]
    assert order == ["h5", "h4", "h3", "h2", "h1", "h0"]


def test_where_a_workload_failed_it_goes_only_while_nothing_else_fits() -> None:
    around = Surroundings(setbacks={"id0": {"f": 3}})
    hosts = [host(0), host(1, cpu=1.0)]
    fleet = Fleet(hosts, around)
    elsewhere, there = fleet.place(members(2, 1.0))
    assert isinstance(elsewhere, Placed) and elsewhere.host_id == "id1"
    (reason,) = next(verdict for verdict in told(elsewhere).hosts if verdict.host_id == "id0").reasons
    assert reason.rule == "setbacks" and "failed there 3 times" in reason.text
    assert isinstance(there, Placed) and there.host_id == "id0" and "no other host fits" in there.summary
    assert where(members(1, profile_id="another"), hosts, around) == ["h0"]


# --- what a host must have ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("need", "value", "met"),
    [
        ("runtime", "nvidia", True),
        ("runtime", "kata", False),
        ("arch", "x86_64", True),
        ("arch", "aarch64", False),
        ("gpus", "2", True),
        ("gpus", "3", False),
        ("rootless", "false", True),
        ("rootless", "true", False),
        ("volume_plugin", "nfs", True),
        ("cgroup", "2", False),
    ],
)
def test_what_docker_engines_report_is_compared_by_its_sort(need: str, value: str, met: bool) -> None:
    facts = {"runtimes": ["nvidia", "runc"], "arch": "x86_64", "gpus": 2, "rootless": False, "volume_plugins": ["nfs"]}
    assert offers(host(0, facts=facts), need, value) is met


def test_both_named_means_that_host_in_that_cluster() -> None:
    wanted = request(host_node="id0", host_cluster="c1")
    assert where([wanted], [host(0), host(1, cluster_id="c1")]) == [None]
    assert where([wanted], [host(0, cluster_id="c1")]) == ["h0"]


# --- what is said of those that wait ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host_node": "x"}, "the host node named"),
        ({"host_cluster": "x"}, "the host cluster named"),
        ({"only": "x"}, "plan again"),
    ],
)
def test_a_name_that_means_no_host_says_which(fields: dict[str, str], words: str) -> None:
    answer = waiting(request(**fields), [host(0)])
    assert words in answer.summary and answer.nearest is None


def test_a_shortfall_is_one_sentence_with_the_nearest_and_hosts_counted_once() -> None:
    hosts = [host(n, zone="b", memory=1024 * MIB, reserved_memory=(900 - n) * MIB) for n in range(9)]
    hosts += [host(n, zone="a") for n in range(9, 12)]
    answer = waiting(request("n", 1.0, 512 * MIB, rules=PlacementRules(zones=("b",))), hosts)
    assert answer.summary == "0 of 12 hosts fit: memory short on 9 (nearest: h8 by 380 MiB), zone b only on 3"
    assert answer.nearest is not None and answer.nearest.host_name == "h8"
    assert answer.nearest.change == {"memory": 380 * MIB}
    assert answer.nearest.text == "h8 would fit with 380 MiB more memory to reserve"


def test_a_host_that_would_have_to_be_bigger_is_further_away_than_a_full_one() -> None:
    answer = waiting(request("n", 4.0), [host(0, cpu=3.9), host(1, reserved_cpu=3.0)])
    assert answer.nearest is not None and answer.nearest.change == {"cpu": 3.0}


def test_the_nearest_miss_counts_the_members_that_are_there() -> None:
    answer = waiting(
        request(rules=PlacementRules(max_per_host=2)), [host(0)], Surroundings(residents={"id0": {"w": 2}})
    )
    assert answer.nearest is not None and answer.nearest.change == {"max_per_host": 3}


def test_of_hosts_short_of_both_the_one_that_lacks_least_is_nearest() -> None:
    full = {"reserved_cpu": 4.0, "reserved_memory": 1024 * MIB}
    for less in ({"reserved_cpu": 3.5}, {"reserved_memory": 1023 * MIB}):
        answer = waiting(request("n", 1.0, 64 * MIB), [host(0, **full), host(1, **{**full, **less})])
        assert answer.nearest is not None and answer.nearest.host_name == "h1"


@pytest.mark.parametrize(
    ("hosts", "fields", "sentence"),
    [
        ({"state": HostState.CORDONED}, {}, "not ready on 1 (h0 is cordoned)"),
        ({}, {"rules": PlacementRules(regions=("r", "s"))}, "regions r, s only on 1"),
        ({}, {"rules": PlacementRules(hosts=("h7",))}, "hosts named by policy only on 1"),
        (
            {},
            {"rules": PlacementRules(require=(LabelTerm("disk", Operator.IN, ("ssd",)),))},
            "label disk in (ssd) not met on 1",
        ),
        ({}, {"needs": {"runtime": "nvidia"}}, "runtime nvidia missing on 1"),
        ({}, {"volumes": ("nfs",)}, "volume plug-in nfs missing on 1"),
        ({}, {"exclude": frozenset({"id0"})}, "being moved away on 1"),
        ({}, {"ports": (("tcp", 80),)}, "port 80/tcp taken on 1"),
        ({}, {"networked": True}, "no subnet left on 1"),
        ({}, {"rules": PlacementRules(max_per_host=1)}, "1 per host reached on 1"),
        ({}, {"rules": PlacementRules(affinities=(Affinity("w"),))}, "affinity not met on 1"),
        (
            {"zone": "a"},
            {"members": 1, "rules": PlacementRules(quotas=(Quota("zone", (Share("a"),), True),))},
            "no share of its zone or region left on 1",
        ),
        ({}, {"cpu": 3.5, "rules": PlacementRules(headroom_cpu=0.25)}, "cpu short on 1 (nearest: h0 by 0.5 cores)"),
    ],
)
def test_every_rule_has_its_words(hosts: dict[str, Any], fields: dict[str, Any], sentence: str) -> None:
    around = Surroundings(
        ports={"id0": [("tcp", 80)]}, residents={"id0": {"w": 1}}, networks={"id0": ["other"]}, network_limit=1
    )
    assert waiting(request(**fields), [host(0, **hosts)], around).summary == f"0 of 1 hosts fit: {sentence}"


def test_a_decision_shows_what_was_asked_for() -> None:
    wanted = request(host_node="id0", ports=(("tcp", 80),), needs={"runtime": "runc"}, volumes=("nfs",))
    shown = {"cpu": 1.0, "memory": MIB, "host_node": "id0", "host_cluster": "c0"}
    more = {"ports": [["tcp", 80]], "needs": {"runtime": "runc"}, "volumes": ["nfs"]}
    assert waiting(wanted, [host(0)]).decision.body()["request"] == {**shown, **more}
    assert waiting(request(cpu=9.0), [host(0)]).decision.body()["request"] == {
        "cpu": 9.0, "memory": MIB, "host_cluster": "c0",
    }  # fmt: skip


def test_all_failures_of_a_host_are_told_first_ones_first() -> None:
    answer = waiting(
        request("n", 8.0, 2048 * MIB, rules=PlacementRules(zones=("b",), headroom_cpu=0.5)),
        [host(0, zone="a", state=HostState.LOST)],
    )
    (verdict,) = told(answer).hosts
    assert [reason.rule for reason in verdict.reasons] == ["zone", "state", "cpu", "memory"]
    texts = {reason.rule: reason for reason in verdict.reasons}
    assert texts["cpu"].text == "2 of 4 cores can be reserved, 50% of it kept free, 8 needed"
    assert (texts["memory"].needed, texts["memory"].available) == ("2048 MiB", "1024 MiB")


@pytest.mark.parametrize(
    ("term", "met"),
    [
        (LabelTerm("engine.arch", Operator.IN, ("x86_64", "aarch64")), True),
        (LabelTerm("engine.arch", Operator.NOT_IN, ("x86_64",)), False),
        (LabelTerm("engine.rootless", Operator.IN, ("false",)), True),
        (LabelTerm("engine.runtimes", Operator.IN, ("kata",)), True),
        (LabelTerm("engine.runtimes", Operator.IN, ("gvisor",)), False),
        (LabelTerm("engine.kernel", Operator.EXISTS), False),
        (LabelTerm("engine.arch", Operator.EXISTS), True),
        (LabelTerm("arch", Operator.EXISTS), False),
    ],
)
def test_a_rule_may_ask_what_the_docker_engine_says_of_itself(term: LabelTerm, met: bool) -> None:
    facts = {"arch": "x86_64", "rootless": False, "runtimes": ["runc", "kata"], "kernel": ""}
    rules = PlacementRules(require=(term,))
    assert (where(members(1, rules=rules), [host(0, facts=facts)]) == ["h0"]) is met


def test_where_the_draw_decides_nothing_else_is_told_as_a_score() -> None:
    asked = members(6, rules=PlacementRules(strategy=Strategy.RANDOM))
    answers = Fleet([host(0), host(1)], Surroundings(now=NOW)).place(asked)
    assert {answer.host_id for answer in answers if isinstance(answer, Placed)} == {"id0", "id1"}
    for answer in answers:
        assert [dict(verdict.scores) for verdict in told(answer).hosts] == [{}, {}]


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("used", [None, 0.1, 3.9])
def test_what_is_told_of_hosts_of_others_has_no_amounts(strategy: Strategy, used: float | None) -> None:
    measured = {"used_cpu": used, "sampled_at": NOW} if used is not None else {}
    rules = PlacementRules(strategy=strategy, seed=7, thresholds=Thresholds(cpu=0.5, memory=0.5))
    (answer,) = Fleet([host(0, **measured), host(1, **measured)], Surroundings(now=NOW)).place([request(rules=rules)])
    known = f"{strategy.value}: h0 is the best of 2 hosts that fit, of 2"
    assert answer.summary.replace("h1", "h0").startswith(f"{known} (")
    drawn = " (drawn by seed 7)" if strategy is Strategy.RANDOM else ""
    assert without_amounts(answer.summary).replace("h1", "h0") == known + drawn


@pytest.mark.parametrize(("wanted", "short"), [({"cpu": 9.5}, "cpu"), ({"memory": 2**40 + 1}, "memory")])
def test_what_is_lacking_on_hosts_of_others_has_no_amounts(wanted: dict[str, Any], short: str) -> None:
    summary = waiting(request(**wanted), [host(0), host(1, state=HostState.SUSPECT)]).summary
    told = without_amounts(summary)
    assert told != summary and f"{short} short on 1 (nearest: h0)" in told and "(h1 is suspect)" in told


class TestHostsOfOthers:
    """A policy means them by the aliases that its project is shown; their names are nobody's to guess."""

    HOSTS: ClassVar[list[Host]] = [host(number, index=number + 1) for number in range(2)]

    def asked(self, *, viewer: str, **rules: Any) -> PlacementRequest:
        quotas = tuple(Quota(q.key, q.shares, q.hard, viewer) for q in rules.pop("quotas", ()))
        return request(project=viewer, rules=PlacementRules(viewer=viewer, quotas=quotas, **rules))

    def test_an_alias_is_obeyed_and_a_name_is_not(self) -> None:
        assert where([self.asked(viewer="theirs", hosts=("host-2",))], self.HOSTS) == ["h1"]
        for word in ("h1", "h0"):
            answer = waiting(self.asked(viewer="theirs", hosts=(word,)), self.HOSTS)
            assert "0 of 2 hosts fit: hosts named by policy only on 2" in answer.summary
            assert word not in answer.summary
            assert answer.nearest is not None and answer.nearest.change["hosts"][0] == word
            assert answer.nearest.change["hosts"][1].startswith("host-")

    def test_to_their_own_project_names_are_names_and_aliases_none(self) -> None:
        assert where([self.asked(viewer="p", hosts=("h1",))], self.HOSTS) == ["h1"]
        assert "0 of 2 hosts fit" in waiting(self.asked(viewer="p", hosts=("host-2",)), self.HOSTS).summary

    def test_shares_of_a_quota_likewise(self) -> None:
        quota = Quota("zone", (Share("a", hosts=("host-1",)),), True)
        assert where([self.asked(viewer="theirs", quotas=(quota,), max_per_host=3)], self.HOSTS) == ["h0"]
        named = Quota("zone", (Share("a", hosts=("h0",)),), True)
        assert "0 of 2 hosts fit" in waiting(self.asked(viewer="theirs", quotas=(named,)), self.HOSTS).summary
