"""``openstack cluster profile …``, ``policy …`` and their types, with the retired client and with ours."""

from __future__ import annotations

import pytest
import yaml

from clients.oracle import Oracle, container, policy, until
from clients.shell import Openstack

ZONES = policy("senlin.policy.zone_placement", zones=[{"name": "a"}, {"name": "b", "weight": 50}])


def test_profiles(openstack: Openstack, oracle: Oracle) -> None:
    name, spec = oracle.name("profile"), container(hostname="here")
    file = openstack.spec(spec)
    made = openstack.json(f"cluster profile create --spec-file {file} --metadata 'a=b;c=d' {name}")
    found = oracle.get(f"profiles/{made['id']}")
    assert (found["name"], found["spec"], found["metadata"]) == (name, spec, {"a": "b", "c": "d"})
    assert openstack.run(f"cluster profile show {name}").table()["type"] == "container.dockerinc.docker-1.0"
    assert openstack.json(f"cluster profile show {made['id'][:8]}")["id"] == made["id"]

    other = oracle.name("renamed")
    openstack.run(f"cluster profile update --name {other} --metadata x=y {name}")
    found = oracle.get(f"profiles/{made['id']}")
    assert (found["name"], found["metadata"]) == (other, {"x": "y"})
    openstack.run(f"cluster profile update --metadata '{{}}' {other}")
    assert oracle.get(f"profiles/{made['id']}")["metadata"] == {}
    openstack.run(f"cluster profile delete --force {other}")
    assert oracle.gone(f"profiles/{made['id']}")
    assert openstack.run(f"cluster profile delete --force {other} {made['id']}", 1).err.count("Failed to delete 2") == 1
    assert "could not be found" in openstack.run("cluster profile show nothing", 1).err or not openstack.is_ours


def test_profiles_are_listed(openstack: Openstack, oracle: Oracle) -> None:
    name = oracle.name("listed")
    two = [oracle.make("profile", name=name, spec=container()) for _ in range(2)]
    rows = openstack.json(f"cluster profile list --full-id --filters 'name={name}' --sort created_at,name")
    assert sorted(row["id"] for row in rows) == sorted(one["id"] for one in two)
    assert list(rows[0]) == ["id", "name", "type", "created_at"]
    filters = f"type=container.dockerinc.docker-1.0;name={name}"
    rest = openstack.json(f"cluster profile list --filters '{filters}' --limit 3 --marker {rows[0]['id']}")
    assert [row["id"] for row in rest] == [rows[1]["id"][:8]]
    assert openstack.json("cluster profile list --filters type=host.docker-9.9") == []
    everywhere = openstack.json(f"cluster profile list --global-project --filters name={name}")
    assert len(everywhere) == 2 and all(row["project_id"] for row in everywhere)


def test_specifications_are_validated(openstack: Openstack, oracle: Oracle) -> None:
    ran = openstack.run(f"cluster profile validate --spec-file {openstack.spec(container())}")
    assert ran.table()["name"] == "validated_profile"
    ran = openstack.run(f"cluster profile validate --spec-file {openstack.spec(container(bogus=1))}", 1)
    assert "properties.bogus" in ran.err
    assert openstack.run(f"cluster policy validate --spec-file {openstack.spec(ZONES)}").table()["type"] == (
        "senlin.policy.zone_placement-1.0"
    )
    wrong = openstack.spec(policy("senlin.policy.zone_placement", bogus=1))
    assert "properties.bogus" in openstack.run(f"cluster policy validate --spec-file {wrong}", 1).err
    assert oracle.ask("GET", "profiles?name=validated_profile")[1] == {"profiles": []}


def test_policies(openstack: Openstack, oracle: Oracle) -> None:
    name = oracle.name("zones")
    made = openstack.json(f"cluster policy create --spec-file {openstack.spec(ZONES)} {name}")
    assert oracle.get(f"policies/{made['id']}")["spec"] == ZONES
    assert openstack.run(f"cluster policy show {name}").table()["type"] == "senlin.policy.zone_placement-1.0"
    other = oracle.name("weighed")
    openstack.run(f"cluster policy update --name {other} {name}")
    assert oracle.get(f"policies/{made['id']}")["name"] == other

    filters = f"name={other};type=senlin.policy.zone_placement-1.0"
    (row,) = openstack.json(f"cluster policy list --full-id --filters '{filters}' --sort name:desc --limit 5")
    assert row["id"] == made["id"] and list(row) == ["id", "name", "type", "created_at"]
    assert openstack.json(f"cluster policy list --filters name={other} --marker {made['id']}") == []
    assert openstack.json(f"cluster policy list --global-project --filters name={other}")[0]["project_id"]
    openstack.run(f"cluster policy delete --force {other}")
    assert oracle.gone(f"policies/{made['id']}")
    assert "Failed to delete 1" in openstack.run(f"cluster policy delete --force {other}", 1).err


def test_policies_of_a_cluster(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(0)
    zones = oracle.make("policy", name=oracle.name("zones"), spec=ZONES)
    binding = f"clusters/{cluster['id']}/policies/{zones['id']}"
    attached = openstack.run(f"cluster policy attach --policy {zones['name']} --enabled false {cluster['name']}")
    oracle.done(attached.out.split()[-1])
    assert oracle.get(binding)["enabled"] is False

    shown = openstack.json(f"cluster policy binding show --policy {zones['name']} {cluster['name']}")
    assert (shown["policy_id"], shown["is_enabled"]) == (zones["id"], False)
    updated = openstack.run(f"cluster policy binding update --policy {zones['id']} --enabled true {cluster['name']}")
    oracle.done(updated.out.split()[-1])
    assert oracle.get(binding)["enabled"] is True

    (row,) = openstack.json(f"cluster policy binding list --full-id --sort enabled:desc {cluster['name']}")
    assert list(row) == ["policy_id", "policy_name", "policy_type", "is_enabled"]
    assert (row["policy_id"], row["policy_name"], row["is_enabled"]) == (zones["id"], zones["name"], True)
    filters = f"policy_name={zones['name']};policy_type=senlin.policy.zone_placement-1.0;is_enabled=true"
    (row,) = openstack.json(f"cluster policy binding list --filters '{filters}' {cluster['name']}")
    assert row["policy_id"] == zones["id"][:8]
    assert openstack.json(f"cluster policy binding list --filters enabled=false {cluster['name']}") == []

    detached = openstack.run(f"cluster policy detach --policy {zones['name']} {cluster['name']}")
    oracle.done(detached.out.split()[-1])
    assert oracle.gone(binding)
    assert openstack.run(f"cluster policy binding show --policy {zones['id']} {cluster['name']}", 1).err
    ran = openstack.run(f"cluster policy detach --policy nothing {cluster['name']}", 1 if openstack.is_ours else 0)
    assert "nothing" in ran.out + ran.err


@pytest.mark.parametrize("noun", ["profile", "policy"])
def test_types(openstack: Openstack, oracle: Oracle, noun: str) -> None:
    rows = openstack.json(f"cluster {noun} type list")
    assert list(rows[0]) == ["name", "version", "support_status"]
    listed = {f"{row['name']}-{row['version']}" for row in rows}
    there = {f"{one['name']}-{one['version']}" for one in oracle.get(f"{noun}-types")}
    senlins = {name for name in there if not name.startswith(("host.docker", "spinney."))}
    assert listed == (there if openstack.is_ours else senlins) and senlins
    chosen = sorted(senlins)[0]
    assert "since 20" in openstack.run(f"cluster {noun} type list").out
    shown = yaml.safe_load(openstack.run(f"cluster {noun} type show {chosen}").out)
    assert shown["schema"] == oracle.get(f"{noun}-types/{chosen}")["schema"]
    assert openstack.run(f"cluster {noun} type show nothing-1.0", 1).err


def test_operations_of_a_type(openstack: Openstack, oracle: Oracle) -> None:
    kind = "container.dockerinc.docker-1.0"
    shown = yaml.safe_load(openstack.run(f"cluster profile type ops {kind}").out)
    assert shown["operations"] == oracle.get(f"profile-types/{kind}/ops")


def test_a_file_that_is_none(openstack: Openstack, oracle: Oracle) -> None:
    openstack.run("cluster profile create --spec-file absent.yaml x", 1)
    (openstack.folder / "odd.yaml").write_text("{")
    openstack.run("cluster profile create --spec-file odd.yaml x", 1)
    assert until(lambda: oracle.get("profiles?name=x") == [])
