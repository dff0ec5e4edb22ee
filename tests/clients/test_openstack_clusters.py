"""``openstack cluster …``, with the retired client and with ours: clusters, their sizes, members and health."""

from __future__ import annotations

import pytest

from clients.oracle import Oracle, until
from clients.shell import Openstack


def accepted(out: str) -> str:
    """The id of the action that a command says it started."""
    assert "accepted by action" in out, out
    return out.strip().rstrip(".").split()[-1]


def test_create_and_show(openstack: Openstack, oracle: Oracle) -> None:
    profile, name = oracle.profile(), oracle.name("made")
    sizes = "--min-size 1 --max-size 4 --desired-capacity 2 --timeout 600"
    made = openstack.json(
        f"cluster create --profile {profile['name']} {sizes} --metadata 'a=b;c=d'"
        f" --config 'node.name.format={name}-$I' {name}"
    )
    found = until(lambda: (one := oracle.get(f"clusters/{made['id']}"))["status"] == "ACTIVE" and one)
    assert [found[key] for key in ("min_size", "max_size", "desired_capacity", "timeout")] == [1, 4, 2, 600]
    assert found["metadata"] == {"a": "b", "c": "d"} and found["profile_id"] == profile["id"]
    assert {one["name"] for one in oracle.members(made["id"])} == {f"{name}-1", f"{name}-2"}
    assert {one.state for one in oracle.containers(made["id"]).values()} == {"running"}

    shown = openstack.json(f"cluster show {name}")
    expected = {"id": made["id"], "name": name, "status": "ACTIVE", "desired_capacity": 2, "profile_id": profile["id"]}
    assert shown.items() >= expected.items()
    table = openstack.run(f"cluster show {made['id'][:8]}").table()
    assert (table["name"], table["status"], table["desired_capacity"]) == (name, "ACTIVE", "2")
    assert table["node_ids"] in found["nodes"]


def test_a_size_follows_from_the_smallest(openstack: Openstack, oracle: Oracle) -> None:
    name = oracle.name("smallest")
    openstack.run(f"cluster create --profile {oracle.profile()['id']} --min-size 1 {name}")
    assert oracle.get(f"clusters/{name}")["desired_capacity"] == 1


def test_list(openstack: Openstack, oracle: Oracle) -> None:
    name = oracle.name("listed")
    two = [oracle.cluster(0, name=name) for _ in range(2)]
    ids = {one["id"] for one in two}
    rows = openstack.json(f"cluster list --full-id --filters name={name}")
    assert {row["id"] for row in rows} == ids
    assert list(rows[0]) == ["id", "name", "status", "created_at", "updated_at"]
    assert openstack.json(f"cluster list --filters 'name={name};status=ERROR'") == []
    short = openstack.json(f"cluster list --filters name={name} --filters status=ACTIVE")
    assert {row["id"] for row in short} == {one[:8] for one in ids}
    ordered = openstack.json(f"cluster list --full-id --filters name={name} --sort created_at:desc,name --limit 1")
    if openstack.is_ours:  # the retired one goes on to the next pages
        assert len(ordered) == 1
    after = openstack.json(f"cluster list --full-id --filters name={name} --sort init_at --marker {rows[0]['id']}")
    assert [row["id"] for row in after] == [rows[1]["id"]]
    everywhere = openstack.json(f"cluster list --global-project --full-id --filters name={name}")
    assert {row["project_id"] for row in everywhere} == {two[0]["project"]}


def test_update(openstack: Openstack, oracle: Oracle) -> None:
    cluster, name = oracle.cluster(1), oracle.name("updated")
    before = oracle.containers(cluster["id"])
    openstack.run(f"cluster update --name {name} --timeout 120 --metadata 'x=y' {cluster['name']}")
    found = until(lambda: (one := oracle.get(f"clusters/{cluster['id']}"))["name"] == name and one)
    assert found["timeout"] == 120 and found["metadata"] == {"x": "y"}
    openstack.run(f"cluster update --metadata '{{}}' --config node.name.format=n-$3I {name}")
    found = until(lambda: (one := oracle.get(f"clusters/{cluster['id']}"))["metadata"] == {} and one)
    assert found["config"] == {"node.name.format": "n-$3I"}
    assert oracle.containers(cluster["id"]).keys() == before.keys()


def test_update_of_the_profile_alone_leaves_the_nodes(openstack: Openstack, oracle: Oracle) -> None:
    cluster, other = oracle.cluster(1), oracle.profile(environment={"COLOUR": "green"})
    openstack.run(f"cluster update --profile {other['name']} --profile-only true {cluster['name']}")
    until(lambda: oracle.get(f"clusters/{cluster['id']}")["profile_id"] == other["id"])
    (member,) = oracle.members(cluster["id"])
    assert member["profile_id"] == cluster["profile_id"]


def test_delete(openstack: Openstack, oracle: Oracle) -> None:
    one, other = oracle.cluster(1), oracle.cluster(1)
    ran = openstack.run(f"cluster delete --force {one['name']} {other['id']}")
    assert ran.out.count("accepted by action") == 2
    for cluster in (one, other):
        until(lambda cluster=cluster: oracle.gone(f"clusters/{cluster['id']}"))
        assert oracle.containers(cluster["id"]) == {}
    ran = openstack.run("cluster delete --force nothing", 1 if openstack.is_ours else 0)
    assert "could not be found" in ran.out + ran.err


def test_delete_by_force(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    openstack.run(f"cluster delete --force --force-delete {cluster['id']}")
    until(lambda: oracle.gone(f"clusters/{cluster['id']}"))


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        ("--capacity 3", 3),
        ("--adjustment -1", 1),
        ("--percentage 50", 3),
        ("--percentage 1 --min-step 2", 4),
        ("--capacity 9", 5),
        ("--min-size 3", 3),
        ("--max-size 1", 1),
        ("--capacity 4 --strict", 4),
    ],
)
def test_resize(openstack: Openstack, oracle: Oracle, flags: str, size: int) -> None:
    cluster = oracle.cluster(2)
    action = accepted(openstack.run(f"cluster resize {flags} {cluster['name']}").out)
    assert oracle.done(action)["action"] == "CLUSTER_RESIZE"
    assert len(oracle.members(cluster["id"])) == len(oracle.containers(cluster["id"])) == size


def test_resize_that_makes_no_sense(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    openstack.run(f"cluster resize {cluster['name']}", 1)
    openstack.run(f"cluster resize --capacity 1 --adjustment 1 {cluster['name']}", 1)
    openstack.run(f"cluster resize --capacity 1 --min-step 1 {cluster['name']}", 1)
    ran = openstack.run(f"cluster resize --capacity 9 --strict {cluster['name']}", 1 if openstack.is_ours else 0)
    assert "max_size" in ran.out + ran.err
    assert len(oracle.members(cluster["id"])) == 1


def test_expand_and_shrink(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    for command, size in (
        ("cluster expand --count 2", 3),
        ("cluster expand", 4),
        ("cluster shrink", 3),
        ("cluster shrink --count 2", 1),
    ):
        action = accepted(openstack.run(f"{command} {cluster['name']}").out)
        oracle.done(action)
        assert len(oracle.members(cluster["id"])) == len(oracle.containers(cluster["id"])) == size
    assert "nothing" in openstack.run("cluster expand nothing", 1).err


def test_check_and_recover(openstack: Openstack, oracle: Oracle) -> None:
    cluster, other = oracle.cluster(1), oracle.cluster(1)
    openstack.run(f"cluster check {cluster['name']} {other['name']}")
    assert [oracle.last_action(one["id"])["action"] for one in (cluster, other)] == ["CLUSTER_CHECK"] * 2
    before = oracle.containers(cluster["id"])
    oracle.done(accepted(openstack.run(f"cluster recover --check true {cluster['name']}").out))
    assert {one.id for one in oracle.containers(cluster["id"]).values()} == {one.id for one in before.values()}
    action = accepted(openstack.run(f"cluster recover {cluster['name']}").out)
    assert oracle.done(action)["action"] == "CLUSTER_RECOVER"
    assert {one.state for one in oracle.containers(cluster["id"]).values()} == {"running"}


def test_operations(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(2)
    oracle.done(accepted(openstack.run(f"cluster op --operation pause {cluster['name']}").out))
    assert {one.state for one in oracle.containers(cluster["id"]).values()} == {"paused"}
    oracle.done(accepted(openstack.run(f"cluster op --operation unpause {cluster['name']}").out))
    action = accepted(openstack.run(f"cluster op --operation restart --params timeout=3 {cluster['name']}").out)
    assert oracle.done(action)["inputs"]["params"] == {"timeout": 3}
    ran = openstack.run(f"cluster op --operation explode {cluster['name']}", 1 if openstack.is_ours else 0)
    assert "explode" in ran.out + ran.err


def test_collect(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(2)
    rows = openstack.json(f"cluster collect --full-id --path details.container.state {cluster['name']}")
    assert {row["node_id"]: row["attr_value"] for row in rows} == dict.fromkeys(cluster["nodes"], "running")
    short = openstack.json(f"cluster collect --path $.name {cluster['name']}")
    assert {row["node_id"] for row in short} == {one[:8] for one in cluster["nodes"]}


def test_run(openstack: Openstack, oracle: Oracle) -> None:
    cluster, called = oracle.cluster(1), openstack.folder / "ssh.called"
    called.unlink(missing_ok=True)
    (openstack.folder / "script").write_text("uptime --pretty")
    flags = "--port 2222 --address-type fixed --user somebody --identity-file key --ssh-options=-v --script script"
    ran = openstack.run(f"cluster run {flags} {cluster['name']}")
    (container,) = oracle.containers(cluster["id"]).values()
    assert f"node: {cluster['nodes'][0]}" in ran.out and "SUCCEEDED (0)" in ran.out and "it ran" in ran.out
    words = called.read_text().splitlines()
    assert f"somebody@{container.addresses[0].addr}" in words and "uptime --pretty" in words
    assert "-p2222" in words and "-v" in words and "-4" in words
    ran = openstack.run(f"cluster run --ipv6 --script script {cluster['name']}", 1 if openstack.is_ours else 0)
    assert "FAILED" in ran.out and "IPv6" in ran.out
    ran = openstack.run(
        f"cluster run --network elsewhere --script script {cluster['name']}", 1 if openstack.is_ours else 0
    )
    assert "not attached to network 'elsewhere'" in ran.out


def test_members(openstack: Openstack, oracle: Oracle) -> None:
    cluster, loose = oracle.cluster(1), oracle.node()
    (first,) = cluster["nodes"]
    added = oracle.done(accepted(openstack.run(f"cluster members add --nodes {loose['name']} {cluster['name']}").out))
    assert added["action"] == "CLUSTER_ADD_NODES"
    rows = openstack.json(f"cluster members list --full-id --sort index {cluster['name']}")
    assert [row["id"] for row in rows] == [first, loose["id"]]
    assert list(rows[0]) == ["id", "name", "index", "status", "physical_id", "created_at"]
    assert rows[0]["physical_id"] == oracle.containers(cluster["id"])[first].id
    few = openstack.json(f"cluster members list --filters 'name={loose['name']};status=ACTIVE' {cluster['name']}")
    assert [row["id"] for row in few] == [loose["id"][:8]]
    after = openstack.json(f"cluster members list --sort index --limit 5 --marker {first} {cluster['name']}")
    assert [row["id"] for row in after] == [loose["id"][:8]]

    oracle.done(accepted(openstack.run(f"cluster members del --nodes {loose['id']} {cluster['name']}").out))
    assert oracle.get(f"nodes/{loose['id']}")["cluster_id"] == "" and oracle.container(loose["id"]).state == "running"
    replaced = openstack.run(f"cluster members replace --nodes {first}={loose['id']} {cluster['name']}")
    oracle.done(accepted(replaced.out))
    assert [one["id"] for one in oracle.members(cluster["id"])] == [loose["id"]]
    assert oracle.get(f"nodes/{first}")["cluster_id"] == ""
    oracle.done(accepted(openstack.run(f"cluster members del --nodes {loose['id']} -d true {cluster['name']}").out))
    until(lambda: oracle.gone(f"nodes/{loose['id']}"))
    assert oracle.members(cluster["id"]) == []


def test_members_that_are_none(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(0)
    code = 1 if openstack.is_ours else 0
    for command in ("add --nodes nothing", "del --nodes nothing", "replace --nodes nothing=nobody"):
        ran = openstack.run(f"cluster members {command} {cluster['name']}", code)
        assert "nothing" in ran.out + ran.err
