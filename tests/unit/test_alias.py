"""What hosts are called before others."""

from __future__ import annotations

import pytest

from spinney.domain.alias import NAMELESS, Called, HostIdentity, alias, called, conceal, index_of

HOST = HostIdentity("id-7", "metal", "ours", 7)


def test_only_its_project_and_operators_know_a_host_by_name() -> None:
    assert called(HOST, "ours") == called(HOST, "theirs", operator=True) == Called("id-7", "metal")
    assert called(HOST, "theirs") == Called("host-7", "host-7")
    assert called(HostIdentity("id", "metal", "ours", -1), "theirs").name == NAMELESS


@pytest.mark.parametrize("index", [1, 7, 1000])
def test_an_alias_leads_back_to_its_index(index: int) -> None:
    assert index_of(alias(index)) == index


@pytest.mark.parametrize("word", ["host-0", "host-01", "host-", "host", "metal", "host-1\n", "xhost-1"])
def test_what_is_no_alias(word: str) -> None:
    assert index_of(word) is None


def test_names_of_others_are_concealed_where_they_stand_as_words() -> None:
    mine, theirs = HostIdentity("a", "h1", "ours", 1), HostIdentity("b", "h2.example", "theirs", 2)
    text = (
        "0 of 2 hosts fit: memory short on 2 (nearest: h2.example by 5 MiB), h1 is cordoned, xh2.example; h2.example."
    )
    told = "0 of 2 hosts fit: memory short on 2 (nearest: host-2 by 5 MiB), h1 is cordoned, xh2.example; host-2."
    assert conceal(text, [mine, theirs], "ours") == told
    assert conceal("h1", [mine, theirs], "theirs") == "host-1"
    assert conceal(text, [mine], "ours") == text
