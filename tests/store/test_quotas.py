"""What counts against a project's limits, and that many who reserve at once never have more than is allowed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from spinney.domain.profile import Profile
from spinney.domain.quota import RESOURCES, UNLIMITED, Amounts
from spinney.errors import OverQuota
from spinney.store import quotas, tables
from spinney.store.database import Store
from spinney.store.quotas import Change
from spinney.store.rows import CLUSTERS, NODES, PROFILES
from store import made

MIB = 2**20
FREE: Amounts = dict.fromkeys(RESOURCES, UNLIMITED)


@pytest.fixture
def store() -> Store:
    return made.in_memory(made.Clock())


def add_profile(store: Store, cpu: float | None = 0.5, memory: int | None = 64 * MIB) -> str:
    profile = Profile(
        id=made.new_id(), name="x", type="t-1.0", spec={}, metadata={}, user="u", project="p", domain=None,
        created_at=1.0, cpu=cpu, memory=memory,
    )  # fmt: skip
    store.run(lambda c: PROFILES.insert(c, [profile]))
    return profile.id


def add_cluster(store: Store, profile_id: str, desired: int, members: int = 0, **fields: Any) -> str:
    one = made.cluster(profile_id=profile_id, desired_capacity=desired, **fields)
    nodes = [made.node(profile_id=profile_id, cluster_id=one.id, index=i) for i in range(members)]
    store.run(lambda c: (CLUSTERS.insert(c, [one]), NODES.insert(c, nodes)))
    return one.id


def used(store: Store, project: str = "p") -> dict[str, float]:
    found = store.run(quotas.used, project)
    return {name: amount for name, amount in found.items() if amount}


def test_a_cluster_counts_for_what_it_is_to_have_or_has(store: Store) -> None:
    small = add_profile(store)
    add_cluster(store, small, desired=3)
    assert used(store) == {"clusters": 1, "nodes": 3, "cpu": 1.5, "memory": 192 * MIB}
    add_cluster(store, small, desired=1, members=2)
    assert used(store) == {"clusters": 2, "nodes": 5, "cpu": 2.5, "memory": 320 * MIB}
    assert used(store, "q") == {}


def test_orphans_count_themselves_and_hosts_are_nodes_without_a_share(store: Store) -> None:
    small, host = add_profile(store), add_profile(store, None, None)
    store.run(lambda c: NODES.insert(c, [made.node(profile_id=small), made.node(profile_id=host)]))
    assert used(store) == {"nodes": 2, "cpu": 0.5, "memory": 64 * MIB}


def test_a_member_counts_with_the_dearer_of_its_profile_and_its_clusters(store: Store) -> None:
    small, big = add_profile(store), add_profile(store, 2.0, 16 * MIB)
    cluster = add_cluster(store, small, desired=2, members=2)
    store.run(lambda c: c.execute(tables.cluster.update().values(profile_id=big)))
    assert used(store) == {"clusters": 1, "nodes": 2, "cpu": 4.0, "memory": 128 * MIB}
    store.run(lambda c: c.execute(tables.node.update().values(profile_id=big)))
    assert used(store)["memory"] == 32 * MIB
    limits = {**FREE, "cpu": 4.0, "memory": 64 * MIB}
    cheaper = store.run(quotas.growth_fault, "p", cluster, Change(profile_id=small), limits)
    assert cheaper is not None and "memory is used up: 64 MiB allowed, 32 MiB in use" in cheaper


def test_an_update_of_one_node_asks_for_the_difference(store: Store) -> None:
    small, big = add_profile(store), add_profile(store, 2.0)
    node = made.node(profile_id=small)
    store.run(lambda c: NODES.insert(c, [node]))
    limits = {**FREE, "cpu": 2.0}
    assert store.run(quotas.update_fault, node.id, big, limits) is None
    add_cluster(store, small, desired=1)
    told = store.run(quotas.update_fault, node.id, big, limits)
    assert told is not None and "2 cores allowed, 1 cores in use or promised, 1.5 cores more asked for" in told


def test_joining_orphans_are_counted_once(store: Store) -> None:
    small = add_profile(store)
    cluster = add_cluster(store, small, desired=0)
    orphans = [made.node(profile_id=small) for _ in range(3)]
    store.run(lambda c: NODES.insert(c, orphans))
    limits = {**FREE, "nodes": 3.0}
    change = Change(desired=3, joining=[node.id for node in orphans])
    assert store.run(quotas.growth_fault, "p", cluster, change, limits) is None
    assert store.run(quotas.growth_fault, "p", cluster, Change(desired=1), limits) is not None


def test_a_further_member_counts_only_beyond_what_the_cluster_is_to_have(store: Store) -> None:
    small = add_profile(store)
    cluster = add_cluster(store, small, desired=2, members=1)
    limits = {**FREE, "nodes": 2.0}
    assert store.run(quotas.growth_fault, "p", cluster, Change(member=small), limits) is None
    store.run(lambda c: NODES.insert(c, [made.node(profile_id=small, cluster_id=cluster)]))
    with pytest.raises(OverQuota, match="nodes is used up: 2 allowed, 2 in use or promised, 1 more asked for"):
        store.run(quotas.reserve_growth, "p", cluster, Change(member=small), limits)


def test_limits_of_a_project_replace_the_deployments_one_by_one(store: Store) -> None:
    store.run(quotas.put, "p", {"nodes": 2, "cpu": -1})
    store.run(quotas.put, "p", {"nodes": 4})
    limits = {**FREE, "cpu": 8.0, "memory": 1.0}
    assert store.run(quotas.of, "p", limits) == {**limits, "nodes": 4, "cpu": -1}
    assert store.run(quotas.of, "q", limits) == limits
    store.run(quotas.forget, "p")
    assert store.run(quotas.of, "p", limits) == limits


def test_a_limit_below_what_is_used_only_blocks_growth(store: Store) -> None:
    small = add_profile(store)
    cluster = add_cluster(store, small, desired=5)
    limits = {**FREE, "nodes": 2.0, "cpu": 0.0}
    assert store.run(quotas.growth_fault, "p", cluster, Change(desired=4), limits) is None
    assert store.run(quotas.growth_fault, "p", cluster, Change(desired=6), limits) is not None
    assert store.run(quotas.fault, "p", {"clusters": 1}, limits) is None


def test_nobody_queues_up_where_nothing_is_limited(store: Store) -> None:
    store.run(quotas.reserve, "p", {"clusters": 1, "nodes": 3}, FREE)
    assert store.run(quotas.projects) == []
    store.run(quotas.reserve, "p", {"nodes": 3}, {**FREE, "nodes": 3.0})
    assert store.run(quotas.projects) == ["p"]


def test_many_at_once_never_have_more_than_is_allowed(tmp_path: Path) -> None:
    """Two processes on one database, as far as the database can tell."""
    store, other = (Store(made.in_file(tmp_path), made.Clock()) for _ in range(2))
    tables.metadata.create_all(store.engine)
    small = add_profile(store)
    limits = {**FREE, "clusters": 12.0, "cpu": 5.0}

    def create(connection: Any, size: int) -> None:
        asked = {"clusters": 1, "nodes": size, "cpu": 0.5 * size}
        quotas.reserve(connection, "p", asked, limits)
        CLUSTERS.insert(connection, [made.cluster(profile_id=small, desired_capacity=size)])

    async def body() -> None:
        wanted = [one.transact(create, size) for size in (1, 2, 3) * 5 for one in (store, other)]
        ended = await asyncio.gather(*wanted, return_exceptions=True)
        refused = [one for one in ended if one is not None]
        assert refused and all(isinstance(one, OverQuota) for one in refused)

    with store, other:
        asyncio.run(body())
        found = used(store)
        assert found["clusters"] <= 12 and 4.5 <= found["cpu"] <= 5.0
