"""Policies and bindings in the database, and what they come to for placement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from spinney.domain.placement.rules import Affinity, PlacementRules, Strategy
from spinney.domain.policy import HostScaling, Policy
from spinney.errors import ResourceInUse
from spinney.policies.attaching import Attached
from spinney.policies.registry import validate_spec
from spinney.store import bindings, policies
from spinney.store.database import Store
from spinney.store.listing import ListQuery, SortKey
from spinney.store.rows import CLUSTERS
from store.made import Clock, cluster, in_memory, new_id

PLACEMENT, AFFINITY = "spinney.policy.placement", "senlin.policy.affinity"


@pytest.fixture
def store() -> Iterator[Store]:
    made = in_memory(Clock())
    yield made
    made.close()


def a_cluster(store: Store, name: str = "web", project: str = "p") -> str:
    made = cluster(name=name, project=project)
    store.run(CLUSTERS.insert, [made])
    return made.id


def a_policy(store: Store, type: str = PLACEMENT, **properties: Any) -> Policy:
    spec = {"type": type, "version": "1.0", "properties": properties}
    made = Policy(
        id=new_id(), name="rule", type=f"{type}-1.0", spec=spec, user="u", project="p", domain=None, created_at=1.0
    )
    store.run(policies.insert, made)
    return made


def attach(store: Store, cluster_id: str, policy: Policy, *, enabled: bool = True) -> None:
    new = Attached(policy.id, policy.name, validate_spec(policy.spec), enabled)
    store.run(bindings.attach, cluster_id, new, new_id())


def rules(store: Store, *cluster_ids: str) -> dict[str, PlacementRules]:
    return store.run(bindings.rules_for, cluster_ids)


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_policy_that_is_attached_is_not_removed(store: Store) -> None:
    web, rule = a_cluster(store), a_policy(store)
    attach(store, web, rule)
    with pytest.raises(ResourceInUse, match="'my-word' cannot be deleted: it is attached to the cluster 'web'"):
        store.run(policies.remove, rule.id, "my-word")
    store.run(bindings.detach, web, rule.id)
    store.run(policies.remove, rule.id, "my-word")
    assert store.run(policies.hold, rule.id) is None


def test_renaming_leaves_the_rest(store: Store) -> None:
    rule = a_policy(store, zones=["a"])
    store.run(policies.rename, rule.id, "other", 5.0)
    found = store.run(policies.hold, rule.id)
    assert found is not None
    assert (found.name, found.updated_at, found.spec) == ("other", 5.0, rule.spec)


def test_bindings_are_listed_filtered_and_sorted(store: Store) -> None:
    web, other = a_cluster(store), a_cluster(store, "other")
    near, far = a_policy(store), a_policy(store, AFFINITY)
    attach(store, web, near, enabled=False)
    attach(store, web, far)
    attach(store, other, far)

    def listed(query: ListQuery) -> list[str]:
        return [row.policy_id for row in store.run(bindings.find, web, query)]

    assert set(listed(ListQuery(None))) == {near.id, far.id}
    assert listed(ListQuery(None, {"enabled": [True]})) == [far.id]
    assert listed(ListQuery(None, {"policy_type": [near.type]})) == [near.id]
    assert listed(ListQuery(None, {"policy_name": ["nope"]})) == []
    assert listed(ListQuery(None, sort=(SortKey("enabled", descending=True),))) == [far.id, near.id]
    row = store.run(bindings.get, web, far.id)
    assert row is not None
    assert (row.cluster_name, row.policy_name, row.policy_type) == ("web", "rule", "senlin.policy.affinity-1.0")
    assert (row.priority, row.enabled, row.data, row.last_op) == (300, True, {}, None)
    assert store.run(bindings.get, other, near.id) is None


def test_a_policy_is_attached_to_a_cluster_once(store: Store) -> None:
    web, rule = a_cluster(store), a_policy(store)
    attach(store, web, rule)
    with pytest.raises(sa.exc.IntegrityError):
        attach(store, web, rule)


def test_all_bindings_of_a_cluster_go_together(store: Store) -> None:
    web, other = a_cluster(store), a_cluster(store, "other")
    near, far = a_policy(store), a_policy(store, AFFINITY)
    for one in (near, far):
        attach(store, web, one)
    attach(store, other, far)
    assert {key: len(ids) for key, ids in store.run(bindings.ids_of, [web, other, new_id()]).items()} == {
        web: 2,
        other: 1,
    }
    store.run(bindings.detach, web)
    assert list(store.run(bindings.ids_of, [web, other])) == [other]
    assert store.run(bindings.ids_of, []) == {}


# --- what they come to ------------------------------------------------------------------------------------------------


def test_rules_of_many_clusters_with_those_left_out_that_have_none(store: Store) -> None:
    web, db, bare, off = (a_cluster(store, name) for name in ("web", "db", "bare", "off"))
    pack, apart = a_policy(store, strategy="binpack"), a_policy(store, AFFINITY)
    attach(store, web, pack)
    attach(store, web, apart)
    attach(store, db, apart)
    attach(store, off, pack, enabled=False)
    assert rules(store, web, db, bare, off) == {
        web: PlacementRules(Strategy.BINPACK, affinities=(Affinity(web),), viewer="p"),
        db: PlacementRules(affinities=(Affinity(db),), viewer="p"),
    }
    assert rules(store) == {}
    store.run(bindings.enable, web, pack.id, False)
    assert rules(store, web)[web].strategy is Strategy.SPREAD


def test_lower_priorities_come_first(store: Store) -> None:
    web = a_cluster(store)
    region = a_policy(store, "senlin.policy.region_placement", regions=[{"name": "eu"}])
    zone = a_policy(store, "senlin.policy.zone_placement", zones=[{"name": "a"}])
    attach(store, web, zone)
    attach(store, web, region)
    assert [quota.key for quota in rules(store, web)[web].quotas] == ["region", "zone"]


def test_names_mean_every_cluster_of_the_project_that_bears_them(store: Store) -> None:
    web, foreign = a_cluster(store), a_cluster(store, "db", project="theirs")
    attach(store, web, a_policy(store, anti_affinity=["db", foreign]))
    assert rules(store, web)[web].affinities == (Affinity("db"), Affinity(foreign))
    first, second = sorted((a_cluster(store, "db"), a_cluster(store, "db")))
    assert rules(store, web)[web].affinities[0] == Affinity(first, also=(second,))


def test_a_group_is_all_clusters_of_the_project_that_name_it(store: Store) -> None:
    web, db, off, alone, foreign = (
        a_cluster(store, name, project) for name, project in zip("abcde", ("p", "p", "p", "p", "theirs"), strict=True)
    )
    named = a_policy(store, AFFINITY, servergroup={"name": "g", "policies": "affinity"})
    ours = a_policy(store, affinity=[{"group": "g"}, {"group": "h"}])
    attach(store, web, named)
    attach(store, db, ours)
    attach(store, off, named, enabled=False)
    attach(store, alone, a_policy(store, AFFINITY, servergroup={"name": "h"}))
    attach(store, foreign, named)
    found = rules(store, web, db, alone, foreign)
    assert found[web].affinities == (Affinity(web, apart=False, also=(db,)),)
    assert found[db].affinities == (Affinity(db, apart=False, also=(web,)), Affinity(db, apart=False, also=(alone,)))
    assert found[foreign].affinities == (Affinity(foreign, apart=False),)


@pytest.mark.parametrize(
    ("properties", "statements"), [({}, 1), ({"affinity": ["x"]}, 2), ({"affinity": [{"group": "g"}]}, 2)]
)
def test_many_clusters_cost_no_more_statements_than_one(
    store: Store, properties: dict[str, Any], statements: int
) -> None:
    rule = a_policy(store, **properties)
    ids = [a_cluster(store, f"c{number}") for number in range(20)]
    for cluster_id in ids:
        attach(store, cluster_id, rule)
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    sa.event.listen(store.engine, "before_cursor_execute", note)
    assert len(rules(store, *ids)) == 20
    sa.event.remove(store.engine, "before_cursor_execute", note)
    assert len(seen) == statements


def test_host_scaling_of_those_that_have_it(store: Store) -> None:
    farm, other = a_cluster(store, "farm"), a_cluster(store, "other")
    rule = a_policy(store, "spinney.policy.host_scaling", maximum=4, idle_time=30)
    attach(store, farm, rule)
    attach(store, other, rule, enabled=False)
    assert store.run(bindings.host_scaling_for, [farm, other]) == {farm: HostScaling(0, 4, 300, 30)}
    assert rules(store, farm) == {}
