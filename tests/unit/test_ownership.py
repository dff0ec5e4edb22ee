"""Rendezvous hashing: everybody agrees, the load is shared, and only what must changes hands."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.ownership import owner

_ENGINES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=8, unique=True)
_KEYS = st.lists(st.text(max_size=8), max_size=30, unique=True)


@given(_ENGINES, _KEYS)
def test_all_agree_whatever_order_they_see(engines: list[str], keys: list[str]) -> None:
    for key in keys:
        assert owner(key, engines) == owner(key, reversed(engines)) in engines


@given(_ENGINES, _KEYS, st.data())
def test_only_the_keys_of_who_leaves_or_joins_change_hands(
    engines: list[str], keys: list[str], data: st.DataObject
) -> None:
    leaver = data.draw(st.sampled_from(engines))
    rest = [engine for engine in engines if engine != leaver]
    for key in keys:
        before = owner(key, engines)
        assert owner(key, rest) in (rest or [None])
        assert before == leaver or owner(key, rest) == before


def test_the_load_is_shared() -> None:
    counts = Counter(owner(f"host{n}", ["a", "b", "c", "d"]) for n in range(1000))
    assert len(counts) == 4 and min(counts.values()) > 180


def test_without_engines_nobody_owns() -> None:
    assert owner("host", []) is None
