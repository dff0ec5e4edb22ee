"""Places that several parties share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.turns import Entry, Turns


def test_a_party_has_so_many_places_and_so_much_room_to_wait() -> None:
    turns: Turns[int] = Turns(places=0, each=2, room=1)
    assert [turns.enter("a", number) for number in range(4)] == [Entry.IN, Entry.IN, Entry.WAIT, Entry.FULL]
    assert turns.enter("b", 9) is Entry.IN
    assert turns.leave("a") == [2]
    assert turns.leave("a") == []


def test_parties_take_turns_whatever_the_length_of_their_queues() -> None:
    turns: Turns[str] = Turns(places=1, each=0, room=0)
    assert turns.enter("a", "a0") is Entry.IN
    for ticket in ("a1", "a2", "a3"):
        assert turns.enter("a", ticket) is Entry.WAIT
    assert turns.enter("b", "b1") is Entry.WAIT
    order = []
    last = "a"
    while came := turns.leave(last):
        order += came
        last = came[0][0]
    assert order == ["a1", "b1", "a2", "a3"]


def test_who_withdraws_is_not_let_in() -> None:
    turns: Turns[str] = Turns(places=1, each=0, room=0)
    turns.enter("a", "a0")
    turns.enter("a", "a1")
    turns.enter("b", "b1")
    assert turns.withdraw("a", "a1")
    assert not turns.withdraw("a", "a0")
    assert turns.leave("a") == ["b1"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=80), st.integers(1, 4), st.integers(1, 3))
def test_bounds_hold_and_nobody_waits_beside_a_free_place(
    steps: list[tuple[str, bool]], places: int, each: int
) -> None:
    turns: Turns[int] = Turns(places, each, room=0)
    inside: list[str] = []
    waiting: dict[int, str] = {}
    for number, (party, comes) in enumerate(steps):
        if comes:
            if turns.enter(party, number) is Entry.IN:
                inside.append(party)
            else:
                waiting[number] = party
        elif party in inside:
            inside.remove(party)
            inside += [waiting.pop(ticket) for ticket in turns.leave(party)]
        assert len(inside) <= places
        assert all(inside.count(one) <= each for one in "abc")
        if len(inside) < places:
            assert all(inside.count(one) == each for one in waiting.values())
