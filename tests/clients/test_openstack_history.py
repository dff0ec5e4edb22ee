"""``openstack cluster action …``, ``event …``, ``service list`` and ``build info``, with the retired client and with ours."""

from __future__ import annotations

from clients.oracle import Oracle
from clients.shell import Openstack


def test_actions(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    (creation,) = oracle.get(f"actions?target={cluster['id']}")
    assert openstack.json(f"cluster action show {creation['id'][:8]}")["target_id"] == cluster["id"]
    table = openstack.run(f"cluster action show {creation['name']}").table()
    assert (table["action"], table["status"]) == ("CLUSTER_CREATE", "SUCCEEDED")

    filters = f"cluster_id={cluster['id']}"
    rows = openstack.json(f"cluster action list --full-id --filters {filters} --sort action,created_at:desc")
    assert [row["action"] for row in rows] == ["CLUSTER_CREATE", "NODE_CREATE"]
    assert list(rows[0]) == [
        *("id", "name", "action", "status", "target_id", "depends_on", "depended_by", "created_at", "cluster_id")
    ]
    assert (rows[0]["id"], rows[0]["target_id"]) == (creation["id"], cluster["id"])
    filters = f"target={cluster['id']};action=CLUSTER_CREATE;status=SUCCEEDED;name={creation['name']}"
    (row,) = openstack.json(f"cluster action list --filters '{filters}' --limit 1")
    assert (row["id"], row["target_id"]) == (creation["id"][:8], cluster["id"][:8])
    after = openstack.json(
        f"cluster action list --sort action --filters cluster_id={cluster['id']} --marker {creation['id']}"
    )
    assert [row["action"] for row in after] == ["NODE_CREATE"]
    everywhere = openstack.json(f"cluster action list --global-project --filters target={cluster['id']}")
    assert [row["action"] for row in everywhere] == ["CLUSTER_CREATE"]


def test_an_action_is_cancelled(openstack: Openstack, oracle: Oracle) -> None:
    host = oracle.adopt(oracle.name("slow"))
    profile = oracle.profile(host_node=host["name"])
    cluster = oracle.make("cluster", name=oracle.name("stuck"), profile_id=profile["id"], desired_capacity=1)
    (creation,) = oracle.get(f"actions?target={cluster['id']}")
    openstack.run(f"cluster action update --status CANCELLED {creation['id']}")
    found = oracle.last_action(cluster["id"])
    assert (found["id"], found["status"]) == (creation["id"], "CANCELLED")
    assert openstack.run(f"cluster action update --status CANCELLED {creation['id']}", 1).err
    assert openstack.run(f"cluster action update --status RUNNING {creation['id']}", 1).err


def test_events(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(0)
    filters = f"oid={cluster['id']};otype=CLUSTER;level=INFO;action=CLUSTER_CREATE;oname={cluster['name']}"
    rows = openstack.json(f"cluster event list --full-id --sort status --filters '{filters}'")
    assert [(row["obj_id"], row["status"]) for row in rows] == [(cluster["id"], "end"), (cluster["id"], "start")]
    assert list(rows[0]) == [
        *("id", "generated_at", "obj_type", "obj_id", "obj_name"),
        *("action", "status", "level", "cluster_id", "meta_data"),
    ]
    assert oracle.get(f"events/{rows[0]['id']}")["action"] == "CLUSTER_CREATE"
    rest = openstack.json(
        f"cluster event list --sort status --limit 2 --marker {rows[0]['id']} --filters cluster_id={cluster['id']}"
    )
    assert [row["status"] for row in rest] == ["start"]
    assert rest[0]["obj_id"] == cluster["id"][:8]
    assert openstack.json(f"cluster event list --global-project --filters oid={cluster['id']}")[0]["project_id"]
    shown = openstack.json(f"cluster event show {rows[0]['id'][:8]}")
    assert (shown["obj_name"], shown["status"]) == (cluster["name"], "end")


def test_the_service(openstack: Openstack, oracle: Oracle) -> None:
    (row,) = openstack.json("cluster service list")
    assert list(row) == ["binary", "host", "status", "state", "updated_at", "disabled_reason"]
    assert (row["host"], row["state"]) == (oracle.get("services")[0]["host"], "up")
    assert '"revision": "1.0"' in openstack.run("cluster build info").out
