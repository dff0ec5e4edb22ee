"""Which moves even out hosts: fewer shares apart after each, and never against a rule."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from spinney.domain.budget import Purse, Standing
from spinney.domain.host import Host, HostState
from spinney.domain.placement.model import Occupant, PlacementRequest, Surroundings
from spinney.domain.placement.rules import Affinity, PlacementRules, Strategy
from spinney.domain.placement.scheduler import Fleet
from spinney.domain.rebalance import LEAST_GAIN, Advice, Movable, Present, Turn, choose, take_turns

GIB = 2**30
FREE = PlacementRules()


def hosts_with(containers: list[list[float]], cpu: float = 4.0) -> list[Host]:
    """One host for each list, with a container of as many cores as each number says."""
    return [
        Host(
            node_id=f"h{number}",
            endpoint=f"sim://{number}",
            name=f"h{number}",
            cluster_id="hosts",
            project="p",
            state=HostState.READY,
            cpu=cpu,
            memory=16 * GIB,
            reserved_cpu=sum(held),
            reserved_memory=len(held) * GIB // 8,
            containers=len(held),
        )
        for number, held in enumerate(containers)
    ]


def movables_of(containers: list[list[float]], rules: PlacementRules = FREE) -> list[Movable]:
    found = []
    for number, held in enumerate(containers):
        for index, cores in enumerate(held):
            request = PlacementRequest(
                f"n{number}-{index}",
                cores,
                GIB // 8,
                host_cluster="hosts",
                workload="w",
                rules=rules,
                exclude=frozenset({f"h{number}"}),
            )
            found.append(Movable(request.node_id, request, Occupant(f"h{number}", cores, GIB // 8, "w")))
    return found


def advise(
    containers: list[list[float]], *, threshold: float = 0.1, max_moves: int = 10, rules: PlacementRules = FREE
) -> Advice:
    hosts = hosts_with(containers)
    residents = {h.node_id: {"w": h.containers} for h in hosts if h.containers}
    fleet = Fleet(hosts, Surroundings(residents=residents))
    return choose(fleet, hosts, movables_of(containers, rules), threshold=threshold, max_moves=max_moves)


def test_a_host_that_has_come_back_gets_its_share() -> None:
    advice = advise([[0.4] * 6, [0.4] * 6, []])
    assert len(advice.moves) == 4 and {move.target for move in advice.moves} == {"h2"}
    assert sorted(move.source for move in advice.moves) == ["h0", "h0", "h1", "h1"]
    assert advice.after < 1e-6 < advice.before


def test_a_host_that_has_nothing_counts_as_full() -> None:
    hosts = [*hosts_with([[1.0]]), replace(hosts_with([[], []])[1], cpu=0.0)]
    advice = choose(Fleet(hosts, Surroundings()), hosts, [], threshold=0.1, max_moves=1)
    assert advice.before == 0.375


def test_memory_counts_where_it_is_the_fuller() -> None:
    hosts = [replace(one, memory=GIB) for one in hosts_with([[0.1] * 6, []])]
    advice = choose(Fleet(hosts, Surroundings()), hosts, movables_of([[0.1] * 6, []]), threshold=0.1, max_moves=9)
    assert (advice.before, advice.after, len(advice.moves)) == (0.375, 0.0, 3)


def test_the_move_that_gains_most_comes_first() -> None:
    advice = advise([[0.1, 0.1, 1.0, 1.0], []], max_moves=1)
    assert [move.node_id for move in advice.moves] == ["n0-2"]


def test_no_more_moves_than_allowed_and_none_below_the_threshold() -> None:
    assert len(advise([[0.4] * 8, [], []], max_moves=3).moves) == 3
    assert advise([[0.4] * 6, [0.4] * 4], threshold=0.11).moves == ()
    assert len(advise([[0.4] * 6, [0.4] * 4], threshold=0.09).moves) == 1


def test_a_move_that_gains_next_to_nothing_is_not_worth_it() -> None:
    assert advise([[0.02, 1.0], [1.0]], threshold=0.0).moves == ()


def test_both_rooms_are_needed_at_once_and_rules_are_kept() -> None:
    assert advise([[3.0, 0.9], [3.5]], threshold=0.0).moves == ()
    apart = replace(FREE, affinities=(Affinity("w", "host", apart=True, hard=True),))
    assert advise([[1.0, 1.0], [1.0]], threshold=0.0, rules=apart).moves == ()


def test_what_wants_to_be_packed_is_not_torn_apart() -> None:
    assert advise([[0.5] * 6, [0.5], []], rules=replace(FREE, strategy=Strategy.BINPACK)).after <= 0.36


fills = st.lists(st.lists(st.sampled_from([0.1, 0.25, 0.5, 1.0]), max_size=4), min_size=1, max_size=5)


@settings(deadline=None)
@given(fills, st.sampled_from([0.0, 0.05, 0.2]), st.integers(1, 8), st.sampled_from(list(Strategy)))
def test_each_move_lowers_the_imbalance_and_every_host_keeps_within_its_room(
    containers: list[list[float]], threshold: float, most: int, strategy: Strategy
) -> None:
    advice = advise(containers, threshold=threshold, max_moves=most, rules=replace(FREE, strategy=strategy))
    assert len(advice.moves) <= most
    assert not advice.moves or advice.before > threshold
    assert len({move.node_id for move in advice.moves}) == len(advice.moves), "nobody moves twice"
    by_id = {movable.request.node_id: movable for movable in movables_of(containers)}
    cores = {f"h{number}": sum(held) for number, held in enumerate(containers)}
    for move in advice.moves:
        size = by_id[move.node_id].occupant.cpu
        before = spread(cores)
        cores[move.target] += size
        assert cores[move.target] <= 4.0 + 1e-6, "while the old one still has its room"
        cores[move.source] -= size
        # Deviations add up: in hosts that differ in nothing but how full they are, the sum of their squares shrinks.
        assert before - spread(cores) >= LEAST_GAIN - 1e-9 and move.gain > 0
        source, after, _, _ = move.fills
        assert abs((source - after) * 4.0 - size) < 1e-6
    mean = sum(cores.values()) / len(cores)
    assert abs(advice.after - max(abs(held - mean) for held in cores.values()) / 4.0) < 1e-6


def spread(cores: dict[str, float]) -> float:
    mean = sum(cores.values()) / len(cores)
    return sum((held / 4.0 - mean / 4.0) ** 2 for held in cores.values())


def test_one_empty_host_is_seen_among_many() -> None:
    advice = advise([*[[0.5] * 5] * 40, []], max_moves=20)
    assert advice.before > 0.6 and len(advice.moves) >= 4
    assert advice.after < 0.15


def test_hosts_that_are_not_ready_neither_give_nor_take() -> None:
    hosts = [
        replace(h, state=HostState.CORDONED) if h.node_id != "h0" else h for h in hosts_with([[0.5] * 6, [], [0.5]])
    ]
    fleet = Fleet(hosts, Surroundings())
    advice = choose(fleet, hosts, movables_of([[0.5] * 6, [], [0.5]]), threshold=0.0, max_moves=9)
    assert (advice.before, advice.moves) == (0.0, ())


HERE = Present("h0", "c", serving=True, busy=False)


def turns(present: dict[str, Present], *, free: int = 9, left: int = 9, first: int = 0) -> Turn:
    purse = Purse([Standing("c", "db", members=9, out=0, budget=left, starts_first=False)])
    return take_turns([("a", "h0"), ("b", "h0"), ("c", "h0")], first, present, purse, free)


def test_moves_begin_in_their_order_as_far_as_there_is_room_for_them() -> None:
    everybody = dict.fromkeys("abc", HERE)
    assert turns(everybody) == Turn((0, 1, 2), 3)
    assert turns(everybody, free=2) == Turn((0, 1), 2)
    assert turns(everybody, first=2, free=1) == Turn((2,), 3)
    assert turns(everybody, free=-1) == Turn((), 0)


def test_what_makes_no_sense_any_more_is_passed_over() -> None:
    present = {"a": replace(HERE, host_id="h1"), "b": replace(HERE, busy=True)}
    assert turns(present) == Turn((), 3)


def test_a_budget_holds_up_the_move_and_those_behind_it() -> None:
    turn = turns(dict.fromkeys("abc", HERE), left=1)
    assert (turn.start, turn.next) == ((0,), 1) and "disruption budget of cluster db" in turn.held
