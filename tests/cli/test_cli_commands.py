"""Commands against a stub of the service: what is sent, what is printed, how it exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stub import Answer, Stub, accepted, cluster, fault, node


def ok(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return result


def actions(*statuses: str) -> list[Any]:
    return [{"action": {"id": "a1", "status": status, "status_reason": "because"}} for status in statuses]


# --- lists and objects -----------------------------------------------------------------------------------------------


def test_a_list_in_json_is_an_array_of_the_objects_as_they_came(spinney: Any, stub: Stub) -> None:
    rows = [cluster(), cluster("WARNING", name="db", extra={"kept": True})]
    stub.on("GET /v1/clusters", {"clusters": rows})
    assert json.loads(ok(spinney("cluster", "list", "-o", "json")).stdout) == rows
    assert yaml.safe_load(ok(spinney("cluster", "list", "-o", "yaml")).stdout) == rows
    assert ok(spinney("cluster", "list", "-o", "name")).stdout.split() == ["web", "db"]


def test_an_object_in_json_has_no_envelope(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    assert json.loads(ok(spinney("cluster", "show", "web", "-o", "json")).stdout) == cluster()


def test_people_see_first_what_they_look_for_and_exact_times(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": {"config": {}, **cluster(init_at="2026-05-01T12:00:00Z")}})
    lines = ok(spinney("cluster", "show", "web")).stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["name", "id", "status"]
    assert ["init_at", "2026-05-01", "12:00:00", "UTC"] in [line.split() for line in lines]


def test_a_table_where_there_is_no_terminal_is_never_cut_and_has_no_colour(spinney: Any, stub: Stub) -> None:
    long = "a-very-" + "long-" * 40 + "name"
    stub.on("GET /v1/clusters", {"clusters": [cluster(name=long)]})
    shown = ok(spinney("cluster", "list")).stdout
    assert long in shown
    assert "\x1b" not in shown


def test_an_empty_list_says_so_beside_the_result(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters", {"clusters": []})
    result = ok(spinney("cluster", "list"))
    assert result.stdout == ""
    assert "spinney cluster create" in result.stderr
    assert json.loads(ok(spinney("cluster", "list", "-o", "json")).stdout) == []


def test_every_request_names_both_versions(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters", {"clusters": []})
    ok(spinney("cluster", "list"))
    assert stub.asked[0].headers["OpenStack-API-Version"] == "clustering 1.14, spinney latest"


def test_list_options_become_the_query(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/nodes", {"nodes": []})
    words = "--limit 5 --sort name:desc --filter status=ACTIVE --filter status=ERROR --cluster web --all-projects"
    ok(spinney("node", "list", *words.split()))
    assert stub.asked[0].query == {
        "limit": ["5"], "sort": ["name:desc"], "status": ["ACTIVE", "ERROR"], "cluster_id": ["web"],
        "global_project": ["true"],
    }  # fmt: skip


def test_events_come_newest_first_and_a_node_that_is_gone_is_found_by_name(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/events", {"events": []})
    ok(spinney("event", "list", "--node", "web-7", "--level", "error"))
    assert stub.asked[-1].query == {
        "sort": ["timestamp:desc"], "limit": ["100"], "oname": ["web-7"], "level": ["ERROR"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("日本", "/v1/clusters/%E6%97%A5%E6%9C%AC"),
        ("a/../b?c#d%", "/v1/clusters/a%2F..%2Fb%3Fc%23d%25"),
        ("..", "/v1/clusters/%2E%2E"),
    ],
)
def test_odd_names_stay_in_their_place_in_the_path(spinney: Any, stub: Stub, name: str, path: str) -> None:
    stub.on(f"GET {path}", {"cluster": cluster(name=name)})
    assert json.loads(ok(spinney("cluster", "show", name, "-o", "json")).stdout)["name"] == name


def test_what_a_terminal_would_obey_does_not_get_out(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters", {"clusters": [cluster("ERROR", status_reason="\x1b]0;owned\x07 and \x1b[2J")]})
    shown = ok(spinney("cluster", "list")).stdout
    assert "\x1b" not in shown and "\x07" not in shown
    assert "owned" in shown


# --- refusals --------------------------------------------------------------------------------------------------------


def test_the_words_of_the_service_are_shown_and_the_exit_code_is_1(spinney: Any, stub: Stub) -> None:
    said = "Multiple results found matching the query criteria 'web'. Please be more specific."
    stub.on("GET /v1/clusters/web", fault(400, said, "MultipleChoices"))
    result = spinney("cluster", "show", "web")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"spinney: {said}\n")


@pytest.mark.parametrize(
    ("command", "said", "told"),
    [
        ("cluster create web --profile p", "profile_id: The specified profile 'p'", "--profile: The specified"),
        ("cluster create web --profile p", "policies[0].policy_id: The specified policy", "--policy: The specified"),
        ("cluster create web --profile p", "host_id: The specified host", "host_id: The specified"),
    ],
)
def test_a_field_is_told_as_the_option_it_came_from(
    spinney: Any, stub: Stub, command: str, said: str, told: str
) -> None:
    stub.on("POST /v1/clusters", fault(400, said, "BadRequest"))
    assert spinney(*command.split()).stderr.startswith(f"spinney: {told}")


def test_wrong_credentials_say_what_to_check(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters", Answer(None, 401, raw=b"<html>"))
    result = spinney("cluster", "list")
    assert result.exit_code == 1
    assert "password" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["cluster", "lits"],
        ["cluster", "create", "web"],
        ["cluster", "create", "web", "--profile", "p", "--desired", "many"],
        ["cluster", "create", "web", "--profile", "p", "--metadata", "novalue"],
        ["cluster", "create", "web", "--profile", "p", "--timeout", "5"],
        ["cluster", "resize", "web"],
        ["cluster", "resize", "web", "--capacity", "3", "--adjustment", "1"],
        ["cluster", "resize", "web", "--capacity", "3", "--min-step", "1"],
        ["cluster", "scale-out", "web", "3", "--count", "2"],
        ["cluster", "update", "web"],
        ["cluster", "show", ""],
        ["profile", "create", "p"],
        ["profile", "create", "p", "--image", "nginx"],
        ["profile", "create", "p", "--image", "nginx", "--spec-file", "x.yaml"],
        ["profile", "validate", "--spec-file", "absent.yaml"],
        ["host", "add", "10.0.0.1"],
        ["nonsense"],
    ],
)
def test_wrong_use_exits_1_and_sends_nothing(spinney: Any, stub: Stub, words: list[str]) -> None:
    result = spinney(*words)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert stub.asked == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("clutser list", "No such command 'clutser'. Did you mean 'cluster'? See `spinney --help`."),
        ("cluster lits", "No such command 'lits'. Did you mean 'list'? See `spinney cluster --help`."),
        ("--nope", "No such option: --nope. See `spinney --help`."),
        ("logs web --tail x", "--tail 'x' is not allowed: a whole number. See `spinney logs --help`."),
        (
            "cluster create web --profile p --desired -1",
            "--desired '-1' is not allowed: 0 or more. See `spinney cluster create --help`.",
        ),
        (
            "cluster resize web --capacity 100%",
            "--capacity '100%' is not allowed: a whole number. See `spinney cluster resize --help`.",
        ),
        (
            "standalone --port 70000",
            "--port '70000' is not allowed: 65535 or less. See `spinney standalone --help`.",
        ),
        ("cluster create web", "Missing option '--profile'. See `spinney cluster create --help`."),
        (
            "cluster list --limt 3",
            "No such option: --limt (Possible options: --limit). See `spinney cluster list --help`.",
        ),
    ],
)
def test_a_typing_error_is_answered_in_one_line(spinney: Any, words: str, said: str) -> None:
    result = spinney(*words.split())
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"spinney: {said}\n")


def test_a_group_alone_shows_its_commands_without_those_of_completion(spinney: Any) -> None:
    for words, inside in (["cluster"], "scale-out"), (["db"], "upgrade"), (["db", "--help"], "upgrade"):
        shown = spinney(*words).output
        assert inside in shown and "spinney: " not in shown and "completion" not in shown


def test_nothing_known_says_how_to_start(run: Any, nowhere: Path) -> None:
    result = run("cluster", "list")
    assert result.exit_code == 1
    assert "`spinney standalone`" in result.stderr and "--os-cloud" in result.stderr


# --- changing things without waiting ---------------------------------------------------------------------------------


def test_creating_sends_what_was_given_and_nothing_else(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters", accepted({"cluster": cluster("INIT")}))
    words = "--profile nginx --desired 2 --metadata a=b --config spinney.self_healing=false --config x.y=3"
    shown = ok(spinney("cluster", "create", "web", *words.split(), "-o", "json")).stdout
    assert json.loads(shown)["status"] == "INIT"
    assert stub.asked[0].body == {
        "cluster": {
            "name": "web", "profile_id": "nginx", "desired_capacity": 2, "metadata": {"a": "b"},
            "config": {"spinney.self_healing": False, "x.y": 3},
        }
    }  # fmt: skip


def test_quick_profile_is_a_container_specification(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/profiles", Answer({"profile": {"id": "p1", "name": "p"}}, 201))
    words = "--image nginx --host-cluster hosts --port 8080:80 --env A=b=c --cpu 0.5 --memory 128m"
    ok(spinney("profile", "create", "p", *words.split()))
    assert stub.asked[0].body["profile"]["spec"] == {
        "type": "container.dockerinc.docker",
        "version": "1.0",
        "properties": {
            "image": "nginx", "host_cluster": "hosts", "ports": ["8080:80"], "environment": {"A": "b=c"}, "cpu": 0.5,
            "memory": "128m",
        },
    }  # fmt: skip


def test_profile_from_a_file(spinney: Any, stub: Stub, tmp_path: Path) -> None:
    stub.on("POST /v1/profiles", Answer({"profile": {"id": "p1", "name": "p"}}, 201))
    spec = {"type": "t", "version": 1.0, "properties": {"a": 1}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(spec))
    ok(spinney("profile", "create", "p", "--spec-file", str(tmp_path / "s.yaml")))
    ok(spinney("profile", "create", "p", "--spec-file", "-", input=json.dumps(spec)))
    assert [asked.body["profile"]["spec"] for asked in stub.asked] == [spec, spec]


def test_one_refusal_of_several_does_not_stop_the_others(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("DELETE /v1/clusters/c1", accepted(None))
    result = spinney("cluster", "delete", "absent", "web")
    assert result.exit_code == 1
    assert "absent: " in result.stderr
    assert "web: delete requested" in result.stdout
    assert stub.sent("DELETE")[0].body is None


def test_action_replies_tell_programs_the_action(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("POST /v1/clusters/c1/actions", Answer({"action": "a1"}, 202))
    shown = ok(spinney("cluster", "scale-out", "web", "3", "-o", "json")).stdout
    assert json.loads(shown) == {"cluster": "c1", "action": "a1"}
    assert stub.sent("POST")[0].body == {"scale_out": {"count": 3}}


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("scale-in", "web", "--count", "2"), {"scale_in": {"count": 2}}),
        (("scale-out", "web", "2", "--count", "2"), {"scale_out": {"count": 2}}),
        (("resize", "web", "--min", "1", "--max", "3"), {"resize": {"strict": True, "min_size": 1, "max_size": 3}}),
        (("resize", "web", "--max-size", "3", "--best-effort"), {"resize": {"strict": False, "max_size": 3}}),
    ],
)
def test_sizes_may_be_said_in_several_ways(spinney: Any, stub: Stub, words: tuple[str, ...], body: Any) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("POST /v1/clusters/c1/actions", Answer({"action": "a1"}, 202))
    ok(spinney("cluster", *words))
    assert stub.sent("POST")[0].body == body


def test_limits_of_a_new_cluster_are_named_as_those_of_a_resize(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters", accepted({"cluster": cluster("INIT")}))
    for low, high in (("--min", "--max"), ("--min-size", "--max-size")):
        ok(spinney("cluster", "create", "web", "--profile", "p", low, "1", high, "3"))
        assert stub.asked[-1].body == {"cluster": {"name": "web", "profile_id": "p", "min_size": 1, "max_size": 3}}


def test_what_the_limits_forbid_is_refused_with_the_option_that_helps(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    refusal = fault(400, "max_size (1) is less than 2; give a capacity or strict=false.", "BadRequest")
    stub.on("POST /v1/clusters/c1/actions", refusal)
    result = spinney("cluster", "resize", "web", "--max", "1")
    assert (result.exit_code, result.stderr) == (
        1, "spinney: max_size (1) is less than 2; give a capacity or --best-effort.\n",
    )  # fmt: skip


def test_removing_a_host_in_use_says_by_what(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/nodes/h", {"node": node("h")})
    held = {"nodes": [{"id": "1", "name": "n7"}], "profiles": [{"id": "2", "name": "p9"}]}
    stub.on("GET /v1/hosts/id-h", {"host": {"name": "h", **held}})
    stub.on("DELETE /v1/nodes/id-h", fault(409, "The node 'h' is in use.", "ResourceInUse"))
    result = spinney("host", "remove", "h")
    assert result.exit_code == 1
    assert "profiles that name it: p9" in result.stderr and "containers on it: n7" in result.stderr
    assert "spinney host drain h" in result.stderr


def test_adding_a_host_adopts_its_docker_engine(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/nodes/adopt", {"node": node("h")})
    ok(spinney("host", "add", "/var/run/docker.sock", "--name", "h", "--label", "disk=ssd", "--zone", "a"))
    assert stub.asked[0].body == {
        "identity": "unix:///var/run/docker.sock", "type": "host.docker-1.0", "name": "h",
        "overrides": {"zone": "a", "labels": {"disk": "ssd"}},
    }  # fmt: skip


def test_hosts_show_what_is_reserved(spinney: Any, stub: Stub) -> None:
    gib = 1024**3
    host = {
        "id": "h1", "name": "h", "state": "ready", "zone": "a", "containers": 3, "engine": {"version": "28.1"},
        "capacity": {"cpu": 8.0, "memory": 16 * gib}, "reserved": {"cpu": 2.0, "memory": 4 * gib},
    }  # fmt: skip
    stub.on("GET /v1/hosts", {"hosts": [host]})
    shown = ok(spinney("host", "list")).stdout
    assert "2/8 25%" in shown and "4G/16G 25%" in shown
    assert "SEEN" not in shown


def test_only_of_a_host_that_does_not_answer_it_is_told_when_it_last_did(spinney: Any, stub: Stub) -> None:
    hosts = [
        {"id": name, "name": name, "state": state, "seen_at": "2026-01-01T00:00:00Z"}
        for name, state in (("well", "ready"), ("ill", "suspect"))
    ]
    stub.on("GET /v1/hosts", {"hosts": hosts})
    head, well, ill = ok(spinney("host", "list")).stdout.splitlines()
    assert "SEEN" in head and " ago" in ill and " ago" not in well


def test_members_counts_those_in_service(spinney: Any, stub: Stub) -> None:
    broken = cluster("ERROR", nodes=["n1", "n2"], members={"active": 1, "ready": 0, "total": 2})
    stub.on("GET /v1/clusters", {"clusters": [broken, cluster(name="senlins", nodes=["n3"])]})
    lines = [line.split() for line in ok(spinney("cluster", "list")).stdout.splitlines()]
    assert lines[0][3] == "MEMBERS"
    assert [line[3] for line in lines[1:]] == ["0/2", "-/2"]  # who does not tell is not believed to be well


def test_nodes_show_whether_they_are_ready_and_why_not(spinney: Any, stub: Stub) -> None:
    unready = {"ready": False, "since": "2026-01-01T00:00:00Z", "reason": "its ready probe failed: no"}
    nodes = [
        node("a", data={"readiness": {**unready, "ready": True, "reason": ""}}),
        node("b", data={"readiness": unready}),
    ]
    stub.on("GET /v1/nodes", {"nodes": [*nodes, node("c", "INIT", status_reason="Waiting.", data={})]})
    head, *lines = ok(spinney("node", "list")).stdout.splitlines()
    at, why = head.index("READY"), head.index("REASON")
    assert [line[at:].split()[0] for line in lines] == ["yes", "no", "-"]
    assert [line[why:].strip() for line in lines] == ["", "its ready probe failed: no", "Waiting."]


def test_nodes_show_ports_and_who_was_put_to_rest(spinney: Any, stub: Stub) -> None:
    port = {"host_ip": "0.0.0.0", "host": 32768, "container": 8080, "protocol": "tcp"}
    nodes = [node("a", data={"ports": [port]}), node("b", data={"power": "stopped"}), node("c", data={})]
    stub.on("GET /v1/nodes", {"nodes": nodes})
    head, a, b, _ = ok(spinney("node", "list")).stdout.splitlines()
    assert "PORTS" in head and "32768->8080" in a and "ACTIVE (stopped)" in b and "ACTIVE (" not in a
    stub.on("GET /v1/nodes", {"nodes": nodes[1:]})
    assert "PORTS" not in ok(spinney("node", "list")).stdout


def test_the_beginning_of_an_action_is_told_by_its_id(spinney: Any, stub: Stub) -> None:
    begun = {"id": "e1", "status": "start", "status_reason": "23708147", "level": "INFO"}
    stub.on("GET /v1/events", {"events": [begun, {**begun, "status": "end", "status_reason": "Done."}]})
    _, first, second = ok(spinney("event", "list")).stdout.splitlines()
    assert "start   action 23708147" in first and "end     Done." in second
    assert json.loads(ok(spinney("event", "list", "-o", "json")).stdout)[0] == begun


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_create_and_wait_believes_members_not_the_action(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters", accepted({"cluster": cluster("INIT")}))
    stub.on("GET /v1/actions/a1", *actions("RUNNING", "SUCCEEDED"))
    stub.on("GET /v1/clusters/c1", {"cluster": cluster("CREATING")}, {"cluster": cluster()})
    one, both = [node("web-1"), node("web-2", "CREATING")], [node("web-1"), node("web-2")]
    stub.on("GET /v1/nodes", {"nodes": one}, {"nodes": one}, {"nodes": both})
    result = ok(spinney("cluster", "create", "web", "--profile", "nginx", "--desired", "2", "--wait", "-o", "json"))
    assert json.loads(result.stdout)["status"] == "ACTIVE"
    assert "1 of 2 members ACTIVE" in result.stderr and "2 of 2 members ACTIVE" in result.stderr
    assert len([asked for asked in stub.asked if asked.path == "/v1/nodes"]) == 3


def test_while_waiting_members_say_what_holds_them_up(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters", accepted({"cluster": cluster("INIT", 1)}))
    stub.on("GET /v1/actions/a1", *actions("RUNNING", "RUNNING", "SUCCEEDED"))
    stub.on("GET /v1/clusters/c1", {"cluster": cluster("CREATING", 1)}, {"cluster": cluster("ACTIVE", 1)})
    pulling = node("web-1", "CREATING", status_reason="no such host (try 2 of 6 follows)")
    stub.on("GET /v1/nodes", {"nodes": [node("web-1", "CREATING", status_reason="Initializing")]}, {"nodes": [pulling]},
            {"nodes": [node("web-1")]})  # fmt: skip
    said = ok(spinney("cluster", "create", "web", "--profile", "p", "--wait")).stderr.splitlines()
    assert said[0] == "web: CREATING, 0 of 1 members ACTIVE (0s)"
    assert said[1].endswith("(0s): no such host (try 2 of 6 follows)")


def test_what_ended_badly_exits_2_with_the_reasons_of_the_members(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters", accepted({"cluster": cluster("INIT")}))
    stub.on("GET /v1/actions/a1", *actions("SUCCEEDED"))
    stub.on("GET /v1/clusters/c1", {"cluster": cluster("ERROR")})
    broken = [node(f"web-{i}", "ERROR", status_reason="no such image: ngnix") for i in (1, 2)]
    stub.on("GET /v1/nodes", {"nodes": broken})
    result = spinney("cluster", "create", "web", "--profile", "nginx", "--wait")
    assert result.exit_code == 2
    assert "web-1, web-2: no such image: ngnix" in result.stderr


def test_what_takes_too_long_exits_3(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("GET /v1/clusters/c1", {"cluster": cluster("RESIZING", 3)})
    stub.on("POST /v1/clusters/c1/actions", Answer({"action": "a1"}, 202))
    stub.on("GET /v1/actions/a1", *actions("RUNNING"))
    stub.on("GET /v1/nodes", {"nodes": [node()]})
    result = spinney("cluster", "scale-out", "web", "--wait", "--timeout", "0")
    assert result.exit_code == 3
    assert "work on it goes on" in result.stderr


def test_deleting_waits_for_404(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("GET /v1/clusters/c1", {"cluster": cluster("DELETING")}, fault(404, "gone"))
    stub.on("DELETE /v1/clusters/c1", accepted(None))
    stub.on("GET /v1/actions/a1", *actions("SUCCEEDED"))
    stub.on("GET /v1/nodes", {"nodes": []})
    ok(spinney("cluster", "delete", "web", "--wait"))


def test_a_check_that_finds_a_dead_member_exits_2_though_its_action_succeeded(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("GET /v1/clusters/c1", {"cluster": cluster("WARNING")})
    stub.on("POST /v1/clusters/c1/actions", Answer({"action": "a1"}, 202))
    stub.on("GET /v1/actions/a1", *actions("SUCCEEDED"))
    stub.on("GET /v1/nodes", {"nodes": [node(), node("web-2", "ERROR", status_reason="container exited with 137")]})
    result = spinney("cluster", "check", "web", "--wait")
    assert result.exit_code == 2
    assert "web-2: container exited with 137" in result.stderr


def test_waiting_for_a_status(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("GET /v1/clusters/c1", {"cluster": cluster("RESIZING", 1)}, {"cluster": cluster("ACTIVE", 1)})
    stub.on("GET /v1/actions", {"actions": [{"id": "a"}]}, {"actions": []})
    stub.on("GET /v1/nodes", {"nodes": [node()]})
    ok(spinney("wait", "web", "--status", "active"))
    stub.on("GET /v1/clusters/c1", {"cluster": cluster("ERROR", 1)})
    assert spinney("wait", "web").exit_code == 2
    assert spinney("wait", "absent").exit_code == 1
    ok(spinney("wait", "absent", "--status", "DELETED"))


# --- logs and stats --------------------------------------------------------------------------------------------------


def test_the_logs_of_a_node_come_byte_for_byte(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/nodes/web-1", {"node": node()})
    stub.on("GET /v1/nodes/id-web-1/logs", Answer(raw=b"caf\xe9\r\nend"))
    assert ok(spinney("logs", "web-1", "--tail", "5", "-f")).stdout_bytes == b"caf\xe9\r\nend"
    assert stub.asked[-1].query == {"tail": ["5"], "follow": ["true"]}


def test_the_logs_of_a_cluster_are_prefixed_and_an_unreadable_node_is_named(spinney: Any, stub: Stub) -> None:
    lines: list[dict[str, Any]] = [
        {"node_id": "1", "node_name": "web-1", "stream": "stdout", "time": "T", "line": "\x1b[32mhello\x1b[0m\n"},
        {"node_id": "2", "node_name": "web-2", "error": "host lost"},
    ]
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("GET /v1/clusters/c1/logs", Answer(raw="".join(json.dumps(line) + "\n" for line in lines).encode()))
    assert ok(spinney("logs", "web", "-t")).stdout == "web-1 | T hello\nweb-2 | cannot be read: host lost\n"


def test_a_word_that_is_both_is_asked_back(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("GET /v1/nodes/web", {"node": node("web")})
    result = spinney("logs", "web")
    assert result.exit_code == 1 and "--cluster" in result.stderr


def test_unknown_figures_are_dashes(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on(
        "GET /v1/clusters/c1/stats", {"stats": [{"node_id": "n1", "node_name": "web-1", "cpu": None, "memory": 1536}]}
    )
    line = ok(spinney("stats", "web")).stdout.splitlines()[1]
    assert line.split()[:4] == ["web-1", "-", "1.5K/-", "-"]
