"""What hosts are called before others."""

from __future__ import annotations

import pytest

from spinney.domain.alias import NAMELESS, Called, HostIdentity, alias, called, index_of

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
