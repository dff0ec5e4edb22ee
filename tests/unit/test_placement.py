"""Placement against an oracle: never against a hard rule, always explained truly, and the same whatever the order."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from spinney.domain.host import HostState
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.decision import Explanation, explain
from spinney.domain.placement.model import Occupant, PlacementRequest, Surroundings
from spinney.domain.placement.rules import NO_RULES, LabelTerm, PlacementRules, Strategy
from spinney.domain.placement.scheduler import Fleet
from unit.placement_world import MIB, Oracle, World, host, hosts_of, request, requests_of, told, worlds


def agrees(explanation: Explanation, oracle: Oracle, wanted: PlacementRequest, members: int) -> None:
    """Each host told fits exactly if the oracle says so, and fails exactly the rules that the oracle says."""
    allowed = oracle.allowed(wanted)
    fails = {one.node_id: oracle.fails(wanted, one, members) for one in allowed}
    shunned = {one.node_id for one in allowed if oracle.shunned(wanted, one)}
    others = any(not fails[key] and key not in shunned for key in fails)
    assert {verdict.host_id for verdict in explanation.hosts} == set(fails)
    for verdict in explanation.hosts:
        key = verdict.host_id
        assert {reason.rule for reason in verdict.reasons} - {"setbacks"} == fails[key]
        assert verdict.fits == (not fails[key] and not (others and key in shunned))
        assert verdict.fits or verdict.reasons
    assert sum(explanation.failed.values()) == sum(1 for broken in fails.values() if broken)


def sizes(requests: list[PlacementRequest], oracle: Oracle) -> dict[str, int]:
    """How many members each workload has in the end, if all are placed."""
    asked = Counter(one.workload for one in requests)
    return {workload: count + oracle.members(workload) for workload, count in asked.items()}


@settings(max_examples=100)
@given(worlds(requests=4))
def test_one_by_one_every_answer_and_every_reason_is_what_the_oracle_says(world: World) -> None:
    requests, hosts, around = world
    oracle, fleet = Oracle(hosts, around), Fleet(hosts, around)
    for wanted in requests:
        (answer,) = fleet.place([wanted])
        members = oracle.members(wanted.workload) + 1
        explanation = told(answer)
        agrees(explanation, oracle, wanted, members)
        fits = [verdict for verdict in explanation.hosts if verdict.fits]
        if isinstance(answer, Placed):
            best = fits[0]
            assert best.host_id == answer.host_id == explanation.host_id
            assert all(list(best.scores.values()) <= list(other.scores.values()) for other in fits)
            oracle.take(wanted, answer.host_id)
        else:
            assert not fits and answer.summary.startswith(f"0 of {len(explanation.hosts)} hosts fit")
            assert answer.nearest == explanation.nearest_miss
            assert (answer.nearest is None) == (not explanation.hosts)


@settings(max_examples=80)
@given(requests_of(0), worlds(), st.integers(1, 8))
def test_each_step_of_a_batch_is_explained_as_it_was(wanted: PlacementRequest, world: World, count: int) -> None:
    """A batch of one kind, so that the steps are the order of placing."""
    _, hosts, around = world
    oracle, fleet = Oracle(hosts, around), Fleet(hosts, around)
    requests = [replace(wanted, node_id=f"n{number}") for number in range(count)]
    members = sizes(requests, oracle)[wanted.workload]
    answers = fleet.place(requests)
    body = json.loads(json.dumps(answers[0].decision.body()))
    for number, answer in enumerate(answers):
        assert answer.step == number and answer.decision is answers[0].decision
        explanation = explain(body, number)
        agrees(explanation, oracle, wanted, members)
        assert explanation.summary == answer.summary
        if isinstance(answer, Placed):
            oracle.take(wanted, answer.host_id)


@settings(max_examples=80)
@given(worlds(requests=10))
def test_a_batch_never_exceeds_what_hosts_have_nor_breaks_a_rule(world: World) -> None:
    requests, hosts, around = world
    oracle = Oracle(hosts, around)
    answers = Fleet(hosts, around).place(requests)
    assert [answer.node_id for answer in answers] == [wanted.node_id for wanted in requests]
    placed = [
        (one, answer.host_id) for one, answer in zip(requests, answers, strict=True) if isinstance(answer, Placed)
    ]
    for wanted, host_id in placed:
        oracle.take(wanted, host_id)
    for wanted, host_id in placed:
        # Everyone but this one is there: it must still fit, except for rules that others may have broken without it.
        without = Oracle(*oracle.world())
        without.cpu[host_id] -= wanted.cpu
        without.memory[host_id] -= wanted.memory
        without.ports[host_id] -= set(wanted.ports)
        without.residents[host_id][wanted.workload] -= 1
        if without.residents[host_id][wanted.workload] == 0 and wanted.counted_on == host_id:
            continue
        broken = without.fails(wanted, oracle.hosts[host_id], 10**6)
        assert not broken - _others_may_break(wanted, requests)


def _others_may_break(wanted: PlacementRequest, requests: list[PlacementRequest]) -> set[str]:
    """Rules that bind only the one who asks for them, where another of the batch does not ask for the same."""
    if any(replace(other, node_id="") != replace(wanted, node_id="") for other in requests):
        return {"cpu", "memory", "affinity", "max_per_host", "quota"} if wanted.rules != NO_RULES else set()
    return set()


@settings(max_examples=60)
@given(worlds(requests=10))
def test_no_host_is_filled_beyond_its_capacity_by_any_batch(world: World) -> None:
    requests, hosts, around = world
    oracle = Oracle(hosts, around)
    touched = set()
    for wanted, answer in zip(requests, Fleet(hosts, around).place(requests), strict=True):
        if isinstance(answer, Placed):
            assert not oracle.ports[answer.host_id] & set(wanted.ports)
            oracle.take(wanted, answer.host_id)
            touched.add(answer.host_id)
    for key in touched:
        assert oracle.cpu[key] <= oracle.hosts[key].cpu + 1e-6 and oracle.memory[key] <= oracle.hosts[key].memory
        assert oracle.hosts[key].state is HostState.READY


@settings(max_examples=100)
@given(worlds(requests=1))
def test_with_the_change_that_the_nearest_miss_names_it_fits_there(world: World) -> None:
    (wanted,), hosts, around = world
    (answer,) = Fleet(hosts, around).place([wanted])
    if isinstance(answer, Waiting) and answer.nearest is not None:
        miss = answer.nearest
        changed, others, beside = applied(miss.change, miss.host_id, wanted, Oracle(hosts, around))
        (again,) = Fleet(others, beside).place([replace(changed, only=miss.host_id)])
        assert isinstance(again, Placed) and again.host_id == miss.host_id, (miss, again)


def applied(change: Any, host_id: str, wanted: PlacementRequest, oracle: Oracle) -> tuple[Any, Any, Surroundings]:
    """The world in which everything that the change names is so."""
    hosts, around = oracle.world()
    (target,) = (one for one in hosts if one.node_id == host_id)
    rules, request_fields = wanted.rules, {}
    for key, value in change.items():
        if key == "cpu":
            target = replace(target, reserved_cpu=target.reserved_cpu - value)
        elif key == "memory":
            target = replace(target, reserved_memory=target.reserved_memory - value)
        elif key == "ports":
            free = set(around.ports[host_id]) - {tuple(port) for port in value}
            around = replace(around, ports={**around.ports, host_id: free})
        elif key == "networks":
            around = replace(around, network_limit=around.network_limit + value)
        elif key == "state":
            target = replace(target, state=HostState(value))
        elif key in ("zones", "regions", "hosts"):
            rules = replace(rules, **{key: tuple(value)})
        elif key == "max_per_host":
            rules = replace(rules, max_per_host=value)
        elif key == "require":
            rules = replace(rules, require=())
        elif key == "quotas":
            rules = replace(rules, quotas=tuple(one for one in rules.quotas if one.key not in value))
        elif key == "affinities":
            kept = (one for one in rules.affinities if [one.workload, one.key] not in value)
            rules = replace(rules, affinities=tuple(kept))
        elif key == "needs":
            target = replace(target, facts={**target.facts, "runtimes": [*value.values()]})
        elif key == "volumes":
            target = replace(target, facts={**target.facts, "volume_plugins": list(value)})
        else:
            assert key == "excluded" and value is False
            request_fields["exclude"] = wanted.exclude - {host_id}
    others = [target if one.node_id == host_id else one for one in hosts]
    return replace(wanted, rules=rules, **request_fields), others, around


@settings(max_examples=60)
@given(worlds(requests=8), st.randoms(use_true_random=False))
def test_the_order_in_which_hosts_and_requests_come_decides_nothing(world: World, chance: Any) -> None:
    requests, hosts, around = world
    first = Fleet(hosts, around).place(requests)
    shuffled, mixed = list(hosts), list(requests)
    chance.shuffle(shuffled)
    chance.shuffle(mixed)
    second = {answer.node_id: answer for answer in Fleet(shuffled, around).place(mixed)}
    for one in first:
        assert one == replace(second[one.node_id], decision=one.decision)
        assert told(one) == told(second[one.node_id])


@settings(max_examples=60)
@given(worlds(requests=3), hosts_of(99))
def test_another_host_makes_no_single_request_unplaceable(world: World, another: Any) -> None:
    requests, hosts, around = world
    for wanted in requests:
        (before,) = Fleet(hosts, around).place([wanted])
        (after,) = Fleet([*hosts, another], around).place([wanted])
        assert isinstance(after, Placed) or isinstance(before, Waiting)


@settings(max_examples=100)
@given(requests_of(0), worlds(), hosts_of(99), st.integers(1, 8))
def test_another_host_takes_no_place_from_a_batch_of_one_kind_without_rules_about_members(
    wanted: PlacementRequest, world: World, another: Any, count: int
) -> None:
    _, hosts, around = world
    wanted = replace(wanted, rules=replace(wanted.rules, quotas=(), affinities=()))
    requests = [replace(wanted, node_id=f"n{number}") for number in range(count)]
    before = Fleet(hosts, around).place(requests)
    after = Fleet([*hosts, another], around).place(requests)
    assert _placed(after) >= _placed(before)


def _placed(answers: list[Placed | Waiting]) -> int:
    return sum(isinstance(answer, Placed) for answer in answers)


STEPS = st.lists(st.tuples(st.sampled_from(["place", "leave", "enter", "put", "drop"]), st.integers(0, 20)), max_size=8)


@settings(max_examples=80)
@given(worlds(requests=6), STEPS, st.data())
def test_a_fleet_that_lived_answers_as_one_that_was_just_made(world: World, steps: Any, data: st.DataObject) -> None:
    """Verdicts are kept and mended; that must never show."""
    requests, hosts, around = world
    requests = [replace(one, rules=replace(one.rules, strategy=_unmeasured(one), weights={})) for one in requests]
    oracle, fleet = Oracle(hosts, around), Fleet(hosts, around)
    present: list[tuple[PlacementRequest, str]] = []
    for number, (step, pick) in enumerate(steps):
        if step == "place":
            batch = [replace(one, node_id=f"s{number}-{one.node_id}") for one in requests]
            for wanted, answer in zip(batch, fleet.place(batch), strict=True):
                if isinstance(answer, Placed):
                    oracle.take(wanted, answer.host_id)
                    present.append((wanted, answer.host_id))
        elif step == "leave" and present:
            wanted, host_id = present.pop(pick % len(present))
            fleet.leave(_occupant(wanted, host_id))
            _untake(oracle, wanted, host_id)
        elif step == "enter" and oracle.hosts:
            wanted, host_id = requests[pick % len(requests)], sorted(oracle.hosts)[pick % len(oracle.hosts)]
            fleet.enter(_occupant(wanted, host_id))
            oracle.take(wanted, host_id)
        elif step == "put":
            known, _ = oracle.world()
            changed = data.draw(hosts_of(pick % 6))
            now = next((one for one in known if one.node_id == changed.node_id), changed)
            changed = replace(
                changed,
                reserved_cpu=now.reserved_cpu,
                reserved_memory=now.reserved_memory,
                containers=now.containers,
            )
            fleet.put(changed)
            oracle = _with(oracle, changed)
        elif step == "drop":
            gone = f"id{pick % 6}"
            fleet.drop(gone)
            present = [(wanted, host_id) for wanted, host_id in present if host_id != gone]
            oracle = _without(oracle, gone)
    hosts, around = oracle.world()
    fresh = Fleet(hosts, around)
    for lived, new in zip(fleet.place(requests), fresh.place(requests), strict=True):
        assert lived == replace(new, decision=lived.decision)
        assert told(lived) == told(new)


def _unmeasured(wanted: PlacementRequest) -> Strategy:
    """What was reserved since the last measurement is known to a fleet that lived alone."""
    strategy = wanted.rules.strategy
    return Strategy.SPREAD if strategy is Strategy.LEAST_UTILIZED else strategy


def _occupant(wanted: PlacementRequest, host_id: str) -> Occupant:
    project = wanted.project if wanted.networked else ""
    return Occupant(host_id, wanted.cpu, wanted.memory, wanted.workload, wanted.ports, project)


def _untake(oracle: Oracle, wanted: PlacementRequest, host_id: str) -> None:
    oracle.cpu[host_id] -= wanted.cpu
    oracle.memory[host_id] -= wanted.memory
    oracle.containers[host_id] -= 1
    oracle.residents[host_id][wanted.workload] -= 1
    oracle.ports[host_id] -= set(wanted.ports)


def _with(oracle: Oracle, changed: Any) -> Oracle:
    hosts, around = oracle.world()
    return Oracle([*(one for one in hosts if one.node_id != changed.node_id), changed], around)


def _without(oracle: Oracle, host_id: str) -> Oracle:
    hosts, around = oracle.world()
    return Oracle([one for one in hosts if one.node_id != host_id], around)


@settings(max_examples=60)
@given(worlds(requests=10), st.booleans())
def test_whoever_takes_turns_each_request_has_the_best_host_of_its_moment(world: World, packing: bool) -> None:
    requests, hosts, around = world
    if packing:
        plain = PlacementRules(strategy=Strategy.BINPACK)
        requests = [replace(one, rules=replace(plain, max_per_host=one.rules.max_per_host)) for one in requests]
    oracle = Oracle(hosts, around)
    for wanted, answer in zip(requests, Fleet(hosts, around).place(requests), strict=True):
        explanation = told(answer)
        fits = [verdict for verdict in explanation.hosts if verdict.fits]
        if isinstance(answer, Placed):
            assert fits[0].host_id == answer.host_id
            assert all(list(fits[0].scores.values()) <= list(other.scores.values()) for other in fits)
            assert sum(explanation.failed.values()) <= explanation.total - len(fits)
            oracle.take(wanted, answer.host_id)
            target = oracle.hosts[answer.host_id]
            assert oracle.cpu[target.node_id] <= target.cpu + 1e-6
            assert oracle.memory[target.node_id] <= target.memory
        else:
            assert not fits


def test_ten_tenths_fit_into_one_core() -> None:
    answers = Fleet([host(0, cpu=1.0)], Surroundings()).place([request(f"n{n}", 0.1) for n in range(11)])
    assert _placed(answers) == 10


def test_what_only_few_hosts_can_take_comes_first() -> None:
    """By size alone, or by name, the free one would take the only host that the other may have."""
    only_ssd = PlacementRules(require=(LabelTerm("disk"),))
    hosts = [host(0, cpu=2.0, labels={"disk": "ssd"}), host(1, cpu=1.5), host(2, cpu=1.5)]
    requests = [request("a", 1.5), request("b", 1.0, rules=only_ssd)]
    assert _placed(Fleet(hosts, Surroundings()).place(requests)) == 2


def test_larger_requests_come_before_smaller_ones() -> None:
    hosts = [host(0, cpu=3.0), host(1, cpu=3.0)]
    requests = [request("a", 1.0), request("b", 1.0), request("c", 2.0), request("d", 2.0)]
    assert _placed(Fleet(hosts, Surroundings()).place(requests)) == 4
    small, large = Fleet([host(0)], Surroundings()).place([request("a", 3.0), request("b", 3.0, 512 * MIB)])
    assert isinstance(small, Waiting) and isinstance(large, Placed), "as large in CPU, and larger in memory"


def test_of_many_hosts_the_best_are_told_and_all_are_counted() -> None:
    hosts = [host(n, state=HostState.CORDONED if n < 60 else HostState.READY) for n in range(200)]
    answers = Fleet(hosts, Surroundings()).place([request(f"n{n:03}", 4.0) for n in range(150)])
    placed, waiting = answers[139], answers[140]
    for answer in (answers[0], placed):
        explanation = told(answer)
        assert isinstance(answer, Placed) and explanation.hosts[0].host_id == answer.host_id
        assert explanation.total == 200 and len(explanation.hosts) <= 65
        assert explanation.failed["state"] == 60
    assert told(placed).failed == {"state": 60, "cpu": 139}
    assert isinstance(waiting, Waiting) and len(told(waiting).hosts) == 64
    assert waiting.summary.startswith(
        "0 of 200 hosts fit: cpu short on 140 (nearest: h100 by 4 cores), not ready on 60"
    )


def test_requests_of_one_kind_share_one_decision() -> None:
    hosts = [host(n, cpu=100.0) for n in range(3)]
    answers = Fleet(hosts, Surroundings()).place(
        [request(f"n{n}", workload=f"w{n}", profile_id=f"f{n}") for n in range(20)]
    )
    assert len({id(answer.decision) for answer in answers}) == 1
    assert len(json.dumps(answers[0].decision.body())) < 20 * 300
