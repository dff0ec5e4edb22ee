"""Subnets are cut out of the pool without overlapping."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.config import NetworkSettings
from spinney.domain import subnets


@given(st.integers(8, 24), st.integers(0, 5))
def test_all_subnets_lie_in_the_pool_and_none_overlaps_another(prefix: int, bits: int) -> None:
    pool = ip_network((0x0A000000, prefix))
    settings = NetworkSettings(str(pool), prefix + bits)
    found = [ip_network(subnets.subnet(settings, index)) for index in range(subnets.count(settings))]
    assert len(found) == 2**bits and all(one.prefixlen == prefix + bits for one in found)
    assert all(one.subnet_of(pool) for one in found)  # type: ignore[arg-type]
    assert not any(a.overlaps(b) for a, b in combinations(found, 2))


def test_the_default_pool_holds_256_projects_per_host() -> None:
    settings = NetworkSettings()
    assert subnets.count(settings) == 256
    assert (subnets.subnet(settings, 0), subnets.subnet(settings, 255)) == ("10.201.0.0/24", "10.201.255.0/24")


@pytest.mark.parametrize("index", [-1, 256])
def test_an_index_outside_of_the_pool_is_refused_with_both(index: int) -> None:
    with pytest.raises(ValueError, match=rf"{index} is outside of the pool 10.201.0.0/16 cut at /24"):
        subnets.subnet(NetworkSettings(), index)


def test_ipv6_pools_work_too() -> None:
    settings = NetworkSettings("fd00:1::/56", 64)
    assert (subnets.count(settings), subnets.subnet(settings, 255)) == (256, "fd00:1:0:ff::/64")


def test_deployments_and_projects_do_not_share_a_bridge() -> None:
    names = {subnets.network_name(d, p) for d in ("d1", "d2") for p in ("p1", "p2")}
    assert len(names) == 4
