"""What our plug-in of ``openstack`` adds to the retired client's commands: logs, reasons, plans, hosts, secrets, quotas."""

from __future__ import annotations

import re

from clients.oracle import Oracle, policy, until
from clients.shell import Openstack


def test_logs(ours: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(2, profile_id=oracle.profile(command="sh -c 'echo hello; sleep 100000'")["id"])
    first, second = oracle.members(cluster["id"])
    assert until(lambda: ours.run(f"cluster node logs {first['name']}").out) == "hello\n"
    stamped = ours.run(f"cluster node logs --timestamps --tail 1 {first['id']}").out
    assert re.fullmatch(r"20\d\d-\S+Z hello\n", stamped)
    assert ours.run(f"cluster node logs --since 2099-01-01T00:00:00Z {first['id']}").out == ""
    assert ours.run(f"cluster node logs --until 2001-01-01T00:00:00Z {first['id']}").out == ""
    lines = until(lambda: len(found := ours.run(f"cluster logs {cluster['name']}").out.splitlines()) == 2 and found)
    assert sorted(lines) == sorted(f"{one['name']} | hello" for one in (first, second))
    assert "could not be found" in ours.run("cluster node logs nothing", 1).err


def test_stats(ours: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(2)
    first = oracle.members(cluster["id"])[0]
    assert ours.json(f"cluster node stats {first['name']}")["node_id"] == first["id"]
    rows = ours.json(f"cluster stats --full-id {cluster['name']}")
    assert {row["node_id"] for row in rows} == set(cluster["nodes"]) and all(row["pids"] for row in rows)


def test_why(ours: Openstack, oracle: Oracle) -> None:
    node = oracle.node()
    ran = ours.run(f"cluster why {node['name']}")
    assert f"{node['name']} is on metal: " in ran.out
    (row,) = ours.json(f"cluster why {node['name']}")
    assert (row["host"], row["fits"]) == ("metal", True)


def test_plan(ours: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    rows = ours.json(f"cluster plan --scale-out 2 {cluster['name']}")
    assert [(row["step"], row["to"]) for row in rows] == [("create", "metal")] * 2
    assert [row["step"] for row in ours.json(f"cluster plan --scale-in 1 {cluster['name']}")] == ["delete"]
    assert len(ours.json(f"cluster plan --capacity 4 {cluster['name']}")) == 3
    (waits,) = ours.json(f"cluster plan --lose metal {cluster['name']}")
    assert waits["step"] in ("stay", "wait") and waits["reason"]
    wider = oracle.profile(cpu=0.5)
    (changed,) = ours.json(f"cluster plan --profile {wider['name']} {cluster['name']}")
    assert (changed["step"], changed["batch"], changed["manner"]) == ("change", 1, "in-place")
    assert "exactly one of" in ours.run(f"cluster plan {cluster['name']}", 1).err
    assert len(oracle.members(cluster["id"])) == 1


def test_hosts(ours: Openstack, oracle: Oracle) -> None:
    host = oracle.adopt(oracle.name("machine"))
    row = until(
        lambda: next(
            (one for one in ours.json("cluster host list --filters state=ready --full-id") if one["id"] == host["id"]),
            None,
        )
    )
    assert (row["name"], row["containers"], row["cpu_capacity"]) == (host["name"], 0, 1000.0)
    assert ours.json(f"cluster host show {host['name']}")["engine"]["version"]
    assert "accepted by action" in ours.run(f"cluster host cordon {host['name']}").out
    assert oracle.get(f"hosts/{host['id']}")["state"] == "cordoned"
    assert ours.json(f"cluster host uncordon --wait {host['name']}")["state"] == "ready"
    ours.run(f"cluster host drain --dry-run {host['name']}")
    assert oracle.get(f"hosts/{host['id']}")["state"] == "ready"
    ours.run(f"cluster host drain --max-in-flight 2 --deadline 60 --wait {host['name']}")
    assert oracle.get(f"hosts/{host['id']}")["state"] in ("cordoned", "draining")
    ours.run(f"cluster host remove {host['name']}")
    until(lambda: oracle.gone(f"hosts/{host['id']}"))
    assert "could not be found" in ours.run(f"cluster host remove {host['name']}", 1).err


def test_shares(ours: Openstack, oracle: Oracle) -> None:
    spec = {"type": "host.docker", "version": 1.0, "properties": {"endpoint": f"unix:///{oracle.name('fleet')}"}}
    profile = oracle.make("profile", name=oracle.name("fleet"), spec=spec)
    fleet = oracle.make("cluster", name=oracle.name("fleet"), profile_id=profile["id"])
    assert ours.json(f"cluster share add --project other {fleet['name']}")["project_id"] == "other"
    assert [row["project_id"] for row in ours.json(f"cluster share list {fleet['name']}")] == ["other"]
    ours.run(f"cluster share remove --project other {fleet['name']}")
    assert oracle.get(f"clusters/{fleet['id']}/shares") == []
    assert ours.json("cluster shared list") == []


def test_credentials(ours: Openstack, oracle: Oracle) -> None:
    name = oracle.name("credential")
    (ours.folder / "password").write_text("hunter;2=x")
    held = "--data username=me --data-file password=password --data-list projects=a,b"
    made = ours.json(f"cluster credential create --type registry {held} {name}")
    assert oracle.get(f"credentials/{made['id']}")["name"] == name and "hunter" not in str(made)
    assert name in [row["name"] for row in ours.json("cluster credential list --filters type=registry")]
    ours.run(f"cluster credential update {held} --data serveraddress=registry.example.org {name}")
    assert ours.json(f"cluster credential show {name}")["facts"]["registry"] == "registry.example.org"
    ours.run(f"cluster credential delete --force {name}")
    assert oracle.gone(f"credentials/{made['id']}")


def test_secrets(ours: Openstack, oracle: Oracle) -> None:
    name = oracle.name("secret")
    made = ours.json(f"cluster secret create --data 'password=a;b=c' {name}")
    assert oracle.get(f"secrets/{made['id']}")["type"] == "opaque" and "a;b=c" not in str(made)
    assert name in [row["name"] for row in ours.json("cluster secret list --sort name --full-id")]
    before = oracle.get(f"secrets/{made['id']}")["version"]
    ours.run(f"cluster secret update --data password=other {name}")
    assert oracle.get(f"secrets/{made['id']}")["version"] == before + 1
    assert ours.json(f"cluster secret show {name}")["id"] == made["id"]
    ours.run(f"cluster secret delete --force {name}")
    assert oracle.gone(f"secrets/{made['id']}")


def test_quotas(ours: Openstack, oracle: Oracle) -> None:
    project = oracle.name("project")
    ours.run(f"cluster quota set --clusters 3 --cpu 2.5 --memory 4g {project}")
    found = oracle.get(f"quotas/{project}")
    assert (found["clusters"], found["cpu"], found["memory"]) == (3, 2.5, 4 * 2**30)
    assert ours.json(f"cluster quota show {project}")["used"]["clusters"] == 0
    assert ours.json("cluster quota show")["clusters"] == oracle.get("quotas/-")["clusters"] != 3
    ours.run(f"cluster quota unset {project}")
    assert oracle.get(f"quotas/{project}")["clusters"] != 3


def test_a_command_in_a_container(ours: Openstack, oracle: Oracle) -> None:
    node = oracle.node()
    ran = ours.run(f"cluster node exec --env GREETING=hello {node['name']} -- sh -c 'echo $GREETING; exit 3'", 3)
    assert ran.out == "hello\n"
    assert ours.run(f"cluster node exec --user nobody {node['id']} echo one two").out == "one two\n"
    assert "Say what to run" in ours.run(f"cluster node exec {node['name']}", 1).err
    oracle.done(ours.json(f"cluster node op --operation pause {node['name']}")["action"])
    assert "unpause it first" in ours.run(f"cluster node exec {node['name']} -- true", 1).err


def test_who_may_be_given_work(ours: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    (member,) = ours.json(f"cluster members list --long {cluster['name']}")
    (node,) = ours.json(f"cluster node list --long --cluster {cluster['name']}")
    assert {(one["ready"], one["ready_reason"] or "") for one in (member, node)} == {(True, "")}


def test_why_a_cluster_has_its_size(ours: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    assert "attach a policy of type" in ours.run(f"cluster autoscale explain {cluster['name']}", 1).err
    targets = [{"metric": "cpu", "target": 50}]
    spec = policy("spinney.policy.autoscaling", min=1, max=3, interval=5, targets=targets)
    sizes = oracle.make("policy", name=oracle.name("sizes"), spec=spec)
    attached = {"policy_attach": {"policy_id": sizes["id"]}}
    oracle.done(oracle.ask("POST", f"clusters/{cluster['id']}/actions", attached)[1]["action"])
    (latest, *_) = until(lambda: ours.json(f"cluster autoscale history {cluster['name']}"))
    assert (latest["size"], latest["acted"]) == (1, False) and latest["sentence"]
    assert ours.json(f"cluster autoscale history --acted true {cluster['name']}") == []
    assert {row["metric"] for row in ours.json(f"cluster autoscale explain {cluster['name']}")} >= {"cpu"}
    assert "with 1 members" in ours.run(f"cluster autoscale explain {cluster['name']}").out


def test_revisions_and_going_back_to_them(ours: Openstack, oracle: Oracle) -> None:
    first = oracle.profile()
    cluster = oracle.cluster(2, profile_id=first["id"])
    other = oracle.profile(environment={"A": "b"})
    ours.run(f"cluster update --profile {other['name']} --base-revision 1 --wait {cluster['name']}")
    assert "is at revision 2" in ours.run(f"cluster update --name x --base-revision 1 {cluster['name']}", 1).err
    ours.run(f"cluster rollback --wait {cluster['name']}")
    assert {member["profile_id"] for member in oracle.members(cluster["id"])} == {first["id"]}
    rows = ours.json(f"cluster revision list {cluster['name']}")
    assert [(row["number"], row["current"]) for row in rows] == [(3, True), (2, False), (1, False)]
    assert rows[0]["reason"] == "rollback to 1"
    assert "no revision 9" in ours.run(f"cluster rollback --to 9 {cluster['name']}", 1).err
    for verb in ("pause", "resume", "promote", "abort"):
        assert "no update under way" in ours.run(f"cluster {verb} {cluster['name']}", 1).err


def test_what_is_said_to_an_update(ours: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(3)
    batches = oracle.make(
        "policy", name=oracle.name("batch"), spec=policy("senlin.policy.batch", max_batch_size=1, pause_time=3)
    )
    attached = {"policy_attach": {"policy_id": batches["id"]}}
    oracle.done(oracle.ask("POST", f"clusters/{cluster['id']}/actions", attached)[1]["action"])
    other = oracle.profile(environment={"A": "b"})
    ours.run(f"cluster update --profile {other['name']} {cluster['name']}")
    action = oracle.get(f"actions?target={cluster['id']}&action=CLUSTER_UPDATE")[0]["id"]
    until(lambda: oracle.get(f"actions/{action}")["outputs"].get("done"))
    said = ours.json(f"cluster pause {cluster['name']}")
    assert said["action"] == action
    until(lambda: oracle.get(f"actions/{action}")["outputs"]["state"] == "paused")
    ours.run(f"cluster resume {cluster['name']}")
    until(lambda: oracle.get(f"actions/{action}")["outputs"]["state"] != "paused")
    assert "it has no canary" in ours.run(f"cluster promote {cluster['name']}", 1).err
    ours.run(f"cluster abort {cluster['name']}")
    until(lambda: oracle.get(f"actions/{action}")["outputs"]["rolling_back"])
