"""Verbs whose requests or goals are special, against a stub of the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stub import Answer, Stub, accepted, cluster, fault, node


def finished(stub: Stub, status: str = "SUCCEEDED") -> None:
    stub.on("GET /v1/actions/a1", {"action": {"id": "a1", "status": status, "status_reason": "why"}})


def test_a_host_joins_a_host_cluster_which_is_made_when_there_is_none(spinney: Any, stub: Stub) -> None:
    empty, hosts = cluster(name="hosts", desired=0), cluster(name="hosts", desired=1)
    stub.on("POST /v1/nodes/adopt", {"node": node("h", profile_id="prof-h", cluster_id="")})
    stub.on("POST /v1/clusters", accepted({"cluster": empty}))
    stub.on("POST /v1/clusters/c1/actions", Answer({"action": "a1"}, 202))
    stub.on("GET /v1/clusters/c1", {"cluster": empty}, {"cluster": hosts})
    stub.on("GET /v1/nodes/id-h", {"node": node("h", profile_id="prof-h", cluster_id="")})
    stub.on("GET /v1/nodes", {"nodes": []}, {"nodes": [node("h")]})
    stub.on(
        "GET /v1/hosts/id-h", {"host": {"id": "id-h", "state": "joining"}}, {"host": {"id": "id-h", "state": "ready"}}
    )
    finished(stub)
    result = spinney("host", "add", "tcp://10.0.0.1:2376", "--credential", "lab", "--cluster", "hosts", "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout == "h: added to hosts\n"
    adopted, made, joined = (asked.body for asked in stub.sent("POST"))
    assert adopted["overrides"] == {"credential": "lab"}
    assert made["cluster"] == {"name": "hosts", "profile_id": "prof-h", "desired_capacity": 0}
    assert joined == {"add_nodes": {"nodes": ["id-h"]}}


def test_importing_again_takes_up_where_it_stopped(spinney: Any, stub: Stub, tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = [{"name": name, "endpoint": f"unix:///run/{name}.sock"} for name in "abc"]
    entries[1]["zone"] = "z"
    (tmp_path / "hosts.yaml").write_text(yaml.safe_dump(entries))
    hosts = cluster(name="hosts")
    there = {"id": "id-a", "name": "a", "cluster_id": "c1", "state": "ready"}
    stub.on("GET /v1/hosts", {"hosts": [there]})
    stub.on("GET /v1/clusters/hosts", {"cluster": hosts})
    stub.on("GET /v1/clusters/c1", {"cluster": hosts})
    stub.on("POST /v1/nodes/adopt", {"node": node("b")}, fault(400, "c: not an allowed socket.", "BadRequest"))
    stub.on("POST /v1/clusters/c1/actions", Answer({"action": "a1"}, 202))
    stub.on("GET /v1/nodes", {"nodes": [node("a"), node("b")]})
    finished(stub)
    result = spinney("host", "import", str(tmp_path / "hosts.yaml"), "--cluster", "hosts")
    assert result.exit_code == 1
    assert "c: not an allowed socket" in result.stderr and "1 of 3 hosts were not taken" in result.stderr
    adopted = [asked.body["name"] for asked in stub.sent("POST") if asked.path.endswith("adopt")]
    assert adopted == ["b", "c"]
    assert stub.sent("POST")[0].body["overrides"] == {"zone": "z"}
    assert stub.sent("POST")[-1].body == {"add_nodes": {"nodes": ["id-b"]}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: 1", "no list"),
        ("[]", "no list"),
        ("- 1", "host 1 is no map"),
        ("- {name: a}", "endpoint None"),
        ("- {name: a, endpoint: x, lables: {}}", "'lables'"),
        ("- {name: a, endpoint: x}\n- {name: a, endpoint: y}", "host 2 has the name 'a' of another one"),
        ("- [", "not valid YAML"),
    ],
)
def test_a_wrong_inventory_is_refused_before_anything_is_sent(
    spinney: Any, stub: Stub, tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "hosts.yaml").write_text(content)
    result = spinney("host", "import", str(tmp_path / "hosts.yaml"), "--cluster", "hosts")
    assert result.exit_code == 1
    assert said in result.stderr
    assert stub.asked == []


def test_a_host_of_another_cluster_is_left_there_and_that_cluster_is_named(
    spinney: Any, stub: Stub, tmp_path: Path
) -> None:
    (tmp_path / "hosts.yaml").write_text("- {name: a, endpoint: x}")
    stub.on("GET /v1/hosts", {"hosts": [{"id": "id-a", "name": "a", "cluster_id": "c9"}]})
    stub.on("GET /v1/clusters/c9", {"cluster": cluster(id="c9", name="others")})
    result = spinney("host", "import", str(tmp_path / "hosts.yaml"), "--cluster", "hosts")
    assert result.exit_code == 1 and stub.sent("POST") == []
    assert "a: it is a member of the cluster others: take it out there first" in result.stderr


def test_an_update_waits_for_every_member_to_have_the_new_profile(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/profiles/v2", {"profile": {"id": "p2", "name": "v2"}})
    stub.on("PATCH /v1/clusters/web", accepted({"cluster": cluster()}))
    stub.on("GET /v1/clusters/c1", {"cluster": cluster(profile_id="p2")})
    old, new = node("web-1", profile_id="p1"), node("web-1", profile_id="p2")
    stub.on("GET /v1/nodes", {"nodes": [old]}, {"nodes": [new]})
    finished(stub)
    assert spinney("cluster", "update", "web", "--profile", "v2", "--wait", "-o", "json").exit_code == 0
    assert stub.sent("PATCH")[0].body == {"cluster": {"profile_id": "v2"}}
    assert len([asked for asked in stub.asked if asked.path == "/v1/nodes"]) == 2


def test_an_update_that_was_rolled_back_exits_2(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/profiles/v2", {"profile": {"id": "p2", "name": "v2"}})
    stub.on("PATCH /v1/clusters/web", accepted({"cluster": cluster()}))
    stub.on("GET /v1/clusters/c1", {"cluster": cluster(profile_id="p1")})
    stub.on("GET /v1/nodes", {"nodes": [node(profile_id="p1")]})
    finished(stub, "FAILED")
    assert spinney("cluster", "update", "web", "--profile", "v2", "--wait").exit_code == 2


def test_an_update_not_waited_for_says_what_was_asked(spinney: Any, stub: Stub) -> None:
    stub.on("PATCH /v1/nodes/web-1", accepted({"node": node()}))
    assert "update requested" in spinney("node", "update", "web-1", "--role", "db").stdout
    assert json.loads(spinney("node", "update", "web-1", "--role", "db", "-o", "json").stdout) == node()


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ("add-nodes web n", {"add_nodes": {"nodes": ["id-n"]}}),
        ("del-nodes web n --destroy", {"del_nodes": {"nodes": ["id-n"], "destroy_after_deletion": True}}),
        ("replace-nodes web n=m", {"replace_nodes": {"nodes": {"id-n": "id-m"}}}),
        ("recover web --operation rebuild --check", {"recover": {"operation": "REBUILD", "check": True}}),
        ("scale-in web", {"scale_in": {}}),
    ],
)
def test_what_cluster_verbs_send(spinney: Any, stub: Stub, words: str, body: Any) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    for name in ("n", "m"):
        stub.on(f"GET /v1/nodes/{name}", {"node": node(name)})
    stub.on("POST /v1/clusters/c1/actions", Answer({"action": "a1"}, 202))
    assert spinney("cluster", *words.split()).exit_code == 0
    assert stub.sent("POST")[0].body == body


def test_operations_go_wrapped_to_clusters_and_bare_to_nodes(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("GET /v1/nodes/web-1", {"node": node()})
    for path in ("clusters/c1", "nodes/id-web-1"):
        stub.on(f"POST /v1/{path}/ops", Answer({"action": "a1"}, 202))
    assert spinney("cluster", "op", "web", "stop", "timeout=3", "--only", "role=db").exit_code == 0
    assert spinney("node", "op", "web-1", "stop", "timeout=3").exit_code == 0
    assert [asked.body for asked in stub.sent("POST")] == [
        {"stop": {"params": {"timeout": "3"}, "filters": {"role": "db"}}},
        {"stop": {"timeout": "3"}},
    ]


def test_cancelling_uses_the_whole_id_and_waits_for_the_end(spinney: Any, stub: Stub) -> None:
    states = [{"action": {"id": "a1-whole", "status": status}} for status in ("RUNNING", "CANCELLED")]
    stub.on("GET /v1/actions/a1", states[0])
    stub.on("GET /v1/actions/a1-whole", *states)
    stub.on("PATCH /v1/actions/a1-whole", Answer(None, 202, raw=b""))
    assert spinney("action", "cancel", "a1", "--force", "--wait").exit_code == 0
    sent = stub.sent("PATCH")[0]
    assert (sent.query, sent.body) == ({"force": ["true"]}, {"action": {"status": "CANCELLED"}})
    stub.on("GET /v1/actions/a1-whole", {"action": {"id": "a1-whole", "status": "SUCCEEDED"}})
    assert spinney("action", "cancel", "a1", "--wait").exit_code == 2


def test_what_waits_for_a_hook_is_completed_by_its_whole_id(spinney: Any, stub: Stub) -> None:
    waiting = {"id": "a1-whole", "cluster_id": "c1", "status": "WAITING_LIFECYCLE_COMPLETION"}
    stub.on("GET /v1/actions/a1", {"action": waiting})
    stub.on("GET /v1/actions/a2", {"action": {**waiting, "status": "SUCCEEDED"}})
    stub.on("POST /v1/clusters/c1/actions", Answer({"action": "a1-whole"}, 202))
    assert "nothing was done" in spinney("action", "complete", "a2").stderr and not stub.sent("POST")
    assert "may go on" in spinney("action", "complete", "a1").stdout
    assert spinney("action", "complete", "a1", "-o", "name").stdout == "a1-whole\n"
    assert stub.sent("POST")[0].body == {"complete_lifecycle": {"lifecycle_action_token": "a1-whole"}}


def test_types_and_what_they_take(spinney: Any, stub: Stub) -> None:
    support = {"1.0": [{"status": "SUPPORTED", "since": "2026.05"}]}
    stub.on("GET /v1/profile-types", {"profile_types": [{"name": "t", "version": "1.0", "support_status": support}]})
    assert "SUPPORTED since 2026.05" in spinney("profile", "types").stdout
    assert spinney("profile", "types", "-o", "name").stdout == "t-1.0\n"
    schema = {"image": {"type": "String", "required": True, "description": "What to run."}}
    stub.on("GET /v1/profile-types/t-1.0", {"profile_type": {"name": "t-1.0", "schema": schema}})
    assert "What to run." in spinney("profile", "type-show", "t-1.0").stdout
    stub.on(
        "GET /v1/profile-types/t-1.0/ops", {"operations": {"stop": {"parameters": {"timeout": {"type": "Integer"}}}}}
    )
    assert "stop.timeout" in spinney("profile", "type-show", "t-1.0", "--ops").stdout
    assert json.loads(spinney("profile", "type-show", "t-1.0", "--ops", "-o", "json").stdout)["stop"]


def test_a_node_without_room_is_told_from_one_that_works(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/nodes", accepted({"node": node("n", "INIT")}))
    stub.on("GET /v1/nodes/id-n", {"node": node("n", "WARNING", status_reason="no host has 64 cores free")})
    finished(stub)
    result = spinney("node", "create", "n", "--profile", "p", "--wait")
    assert result.exit_code == 2
    assert "no host has 64 cores free" in result.stderr


def test_a_second_delete_of_a_profile_in_use_stops_at_the_refusal(spinney: Any, stub: Stub) -> None:
    stub.on("DELETE /v1/profiles/a", Answer(None, 204, raw=b""))
    stub.on("DELETE /v1/profiles/b", fault(409, "The profile 'b' cannot be deleted: still in use.", "ResourceInUse"))
    result = spinney("profile", "delete", "a", "b")
    assert (result.exit_code, result.stdout) == (1, "a: deleted\n")
    assert "still in use" in result.stderr


def test_services_and_build(spinney: Any, stub: Stub) -> None:
    row = {"id": "s", "binary": "spinney-engine", "host": "h", "status": "enabled", "state": "up", "updated_at": None}
    stub.on("GET /v1/services", {"services": [row]})
    stub.on("GET /v1/build-info", {"build_info": {"api": {"revision": "1.0"}, "engine": {"revision": "1.1"}}})
    assert "spinney-engine" in spinney("service", "list").stdout
    assert spinney("build-info").stdout == "api     1.0\nengine  1.1\n"
