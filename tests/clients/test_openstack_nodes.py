"""``openstack cluster node …``, with the retired client and with ours."""

from __future__ import annotations

import json
import shlex

from clients.oracle import Oracle, until
from clients.shell import Openstack


def accepted(out: str) -> str:
    """The id of the action that a command says it started."""
    assert "accepted by action" in out, out
    return out.strip().splitlines()[0].rstrip(".").split()[-1]


def test_create_show_and_update(openstack: Openstack, oracle: Oracle) -> None:
    profile, name = oracle.profile(), oracle.name("single")
    made = openstack.json(
        f"cluster node create --profile {profile['name']} --role leader --metadata 'a=b;c=d' {name}",
    )
    found = until(lambda: (one := oracle.get(f"nodes/{made['id']}"))["status"] == "ACTIVE" and one)
    assert (found["role"], found["metadata"], found["cluster_id"]) == ("leader", {"a": "b", "c": "d"}, "")
    assert oracle.container(found["id"]).state == "running"

    shown = openstack.json(f"cluster node show {name}")
    assert shown["physical_id"] == oracle.container(found["id"]).id and not shown.get("details")
    table = openstack.run(f"cluster node show {name}").table()
    assert (table["name"], table["status"], table["role"]) == (name, "ACTIVE", "leader")
    detailed = openstack.json(f"cluster node show --details {name}")["details"]
    if openstack.is_ours:  # the retired one puts a drawn table into JSON
        assert detailed["container"]["state"] == "running"
    else:
        assert '"state": "running"' in detailed

    other = oracle.name("renamed")
    openstack.run(f"cluster node update --name {other} --role follower --tainted true --metadata x=y {name}")
    found = until(lambda: (one := oracle.get(f"nodes/{made['id']}"))["name"] == other and one)
    assert (found["role"], found["tainted"], found["metadata"]) == ("follower", True, {"x": "y"})
    openstack.run(f"cluster node update --metadata '{{}}' --tainted no {other}")
    until(lambda: oracle.get(f"nodes/{made['id']}")["metadata"] == {})
    assert oracle.get(f"nodes/{made['id']}")["tainted"] is False


def test_a_node_in_a_cluster(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(0)
    profile = cluster["profile_id"]
    openstack.run(f"cluster node create --profile {profile} --cluster {cluster['name']} ignored")
    (member,) = until(lambda: [one for one in oracle.members(cluster["id"]) if one["status"] == "ACTIVE"])
    assert oracle.containers(cluster["id"])[member["id"]].state == "running"


def test_list(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(3)
    rows = openstack.json(f"cluster node list --cluster {cluster['name']} --full-id --sort index:desc")
    assert [row["index"] for row in rows] == [3, 2, 1]
    assert list(rows[0]) == [
        *("id", "name", "index", "status", "cluster_id", "physical_id"),
        *("profile_name", "created_at", "updated_at", "tainted"),
    ]
    containers = oracle.containers(cluster["id"])
    assert {row["id"]: row["physical_id"] for row in rows} == {node: one.id for node, one in containers.items()}
    member = oracle.members(cluster["id"])[1]
    filters = f"name={member['name']};status=ACTIVE"
    (row,) = openstack.json(f"cluster node list --cluster {cluster['id']} --filters '{filters}'")
    assert (row["id"], row["cluster_id"]) == (member["id"][:8], cluster["id"][:8])
    rest = openstack.json(
        f"cluster node list --cluster {cluster['id']} --full-id --sort index --limit 2 --marker {member['id']}"
    )
    assert [row["index"] for row in rest] == [3]
    everywhere = openstack.json(f"cluster node list --global-project --cluster {cluster['id']}")
    assert len(everywhere) == 3


def test_delete(openstack: Openstack, oracle: Oracle) -> None:
    one, other, third = oracle.node(), oracle.node(), oracle.node()
    ran = openstack.run(f"cluster node delete --force {one['name']} {other['id']}")
    assert ran.out.count("accepted by action") == 2
    openstack.run(f"cluster node delete --force --force-delete {third['name']}")
    for node in (one, other, third):
        until(lambda node=node: oracle.gone(f"nodes/{node['id']}"))
    ran = openstack.run("cluster node delete --force nothing", 1 if openstack.is_ours else 0)
    assert "could not be found" in ran.out + ran.err


def test_check_recover_and_operations(openstack: Openstack, oracle: Oracle) -> None:
    one, other = oracle.node(), oracle.node()
    ran = openstack.run(f"cluster node check {one['name']} {other['name']}")
    assert ran.out.count("is accepted by action") == 2
    assert [oracle.last_action(node["id"])["action"] for node in (one, other)] == ["NODE_CHECK"] * 2
    before = oracle.container(one["id"]).id
    oracle.done(accepted(openstack.run(f"cluster node recover --check true {one['name']}").out))
    assert oracle.container(one["id"]).id == before
    oracle.done(accepted(openstack.run(f"cluster node recover {one['name']}").out))
    assert oracle.container(one["id"]).id != before

    code = 0 if openstack.is_ours else 1  # the retired one falls over its own answer, after the request
    oracle.done(accepted(openstack.run(f"cluster node op --operation pause {one['name']}", code).out))
    assert oracle.container(one["id"]).state == "paused"
    oracle.done(accepted(openstack.run(f"cluster node op --operation unpause {one['name']}", code).out))
    action = accepted(openstack.run(f"cluster node op --operation stop --params timeout=2 {one['name']}", code).out)
    oracle.done(action)
    assert oracle.container(one["id"]).state == "exited"
    ran = openstack.run(f"cluster node op --operation explode {one['name']}", 1)
    assert "explode" in ran.out + ran.err


def test_adopt(openstack: Openstack, oracle: Oracle) -> None:
    name = oracle.name("spare")
    overrides = shlex.quote(json.dumps({"labels": {"disk": "ssd"}}))
    asked = f"cluster node adopt --identity unix:///{name} --type host.docker-1.0 --overrides {overrides}"
    preview = openstack.run(f"{asked} --preview")
    assert f"unix:///{name}" in preview.out and oracle.gone(f"nodes/{name}")
    node = openstack.json(f"{asked} --name {name} --metadata rack=7")
    found = oracle.get(f"hosts/{name}")
    assert found["id"] == node["id"] and found["labels"]["disk"] == "ssd"
    assert oracle.get(f"nodes/{name}")["metadata"] == {"rack": "7"}
