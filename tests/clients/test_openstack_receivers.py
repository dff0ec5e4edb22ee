"""``openstack cluster receiver …``, with the retired client and with ours."""

from __future__ import annotations

import urllib.error
import urllib.request

from clients.oracle import Oracle
from clients.shell import Openstack


def test_receivers(openstack: Openstack, oracle: Oracle) -> None:
    cluster, name = oracle.cluster(1), oracle.name("receiver")
    flags = f"--type webhook --cluster {cluster['name']} --action CLUSTER_SCALE_OUT --params 'count=2;a=b'"
    made = openstack.json(f"cluster receiver create {flags} {name}")
    found = oracle.get(f"receivers/{made['id']}")
    assert (found["cluster_id"], found["action"]) == (cluster["id"], "CLUSTER_SCALE_OUT")
    assert found["params"] == {"count": "2", "a": "b"}
    assert openstack.run(f"cluster receiver show {name}").table()["type"] == "webhook"

    filters = f"name={name};type=webhook;action=CLUSTER_SCALE_OUT;cluster_id={cluster['id']};user_id=admin"
    (row,) = openstack.json(f"cluster receiver list --full-id --filters '{filters}' --sort name,created_at:desc")
    assert list(row) == ["id", "name", "type", "cluster_id", "action", "created_at"]
    assert (row["id"], row["cluster_id"]) == (made["id"], cluster["id"])
    (row,) = openstack.json(f"cluster receiver list --filters name={name} --limit 5")
    assert (row["id"], row["cluster_id"]) == (made["id"][:8], cluster["id"][:8])
    assert openstack.json(f"cluster receiver list --filters name={name} --marker {made['id']}") == []
    assert openstack.json(f"cluster receiver list --global-project --filters name={name}")[0]["project_id"]

    other = oracle.name("renamed")
    openstack.run(f"cluster receiver update --name {other} --action CLUSTER_SCALE_IN --params count=1 {name}")
    found = oracle.get(f"receivers/{made['id']}")
    assert (found["name"], found["action"], found["params"]) == (other, "CLUSTER_SCALE_IN", {"count": "1"})
    openstack.run(f"cluster receiver delete --force {other}")
    assert oracle.gone(f"receivers/{made['id']}")
    assert "Failed to delete 1" in openstack.run(f"cluster receiver delete --force {other}", 1).err


def test_receivers_that_make_no_sense(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(0)
    openstack.run(f"cluster receiver create --cluster {cluster['name']} --action CLUSTER_CREATE x", 1)
    assert "nothing" in openstack.run("cluster receiver create --cluster nothing --action CLUSTER_CHECK x", 1).err
    assert oracle.get(f"receivers?cluster_id={cluster['id']}") == []


def test_the_url_that_is_shown_once_works(ours: Openstack, oracle: Oracle) -> None:
    cluster, name = oracle.cluster(1), oracle.name("receiver")
    flags = f"--cluster {cluster['name']} --action CLUSTER_SCALE_OUT --rate-limit 5 --expires-at 2099-01-01T00:00:00Z"
    made = ours.json(f"cluster receiver create {flags} {name}")
    assert post(made["channel"]["alarm_url"]) == 202
    assert oracle.last_action(cluster["id"])["action"] == "CLUSTER_SCALE_OUT"
    assert len(oracle.members(cluster["id"])) == 2
    rotated = ours.json(f"cluster receiver rotate {name}")
    assert post(made["channel"]["alarm_url"]) != 202 and post(rotated["channel"]["alarm_url"]) == 202
    oracle.last_action(cluster["id"])
    assert len(oracle.members(cluster["id"])) == 3
    ours.run(f"cluster receiver update --enabled false {name}")
    assert post(rotated["channel"]["alarm_url"]) != 202


def post(url: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, b"", method="POST")) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
