"""How values are written for people, and how words become requests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spinney.cli import cluster_members, host_view, logs, node, output, spec, text, types
from spinney.cli.command import list_query, pairs, scalars
from spinney.cli.faults import CliError
from spinney.cli.lazy import Entry, load
from spinney.cli.transport import refusal, segment
from spinney.profiles.registry import validate_spec

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("2026-05-01T11:58:00Z", "2m ago"),
        ("2026-05-01T11:59:59", "1s ago"),
        ("2026-05-01T08:30:00+00:00", "3h30m ago"),
        ("2026-04-01T12:00:00Z", "30d ago"),
        ("2026-05-01T12:00:05Z", "in 5s"),
        (NOW.timestamp() - 60, "1m ago"),
        (None, "-"),
        ("soon", "soon"),
    ],
)
def test_relative_times(value: object, written: str) -> None:
    assert text.ago(value, NOW) == written


def test_exact_times() -> None:
    assert text.exact("2026-05-01T14:00:00+02:00") == "2026-05-01 12:00:00 UTC"


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "-"), (0, "0B"), (1023, "1023B"), (1536, "1.5K"), (2 * 1024**3, "2G"), (5e18, "4441P")],
)
def test_sizes(value: float | None, written: str) -> None:
    assert text.size(value) == written


@pytest.mark.parametrize(
    ("part", "whole", "drawn"),
    [
        (None, 8, "··········"),
        (1, None, "··········"),
        (0, 8, "░░░░░░░░░░"),
        (0.01, 8, "█░░░░░░░░░"),
        (7.99, 8, "█████████░"),
        (8, 8, "██████████"),
        (9, 8, "██████████"),
    ],
)
def test_bars_show_the_least_and_are_full_only_when_full(part: float | None, whole: float | None, drawn: str) -> None:
    assert text.bar(part, whole) == drawn


def test_unknown_is_never_zero() -> None:
    assert host_view.reserved({"capacity": {"cpu": 4}, "reserved": {"cpu": None}}, "cpu") == "-/4 -"


def test_plain_tables_line_up() -> None:
    assert output.plain_table(["A", "LONG"], [["xyz", "1"], ["", "2"]]) == ["A    LONG", "xyz  1", "     2"]


def test_pairs() -> None:
    assert pairs(["a=b=c", "d="], "--env") == {"a": "b=c", "d": ""}
    for wrong in (["a"], ["=b"], ["a=1", "a=2"]):
        with pytest.raises(CliError, match="--env"):
            pairs(wrong, "--env")


def test_scalars_keep_what_only_looks_like_a_number() -> None:
    given = ["n=3", "m=-1", "t=True", "v=1.0", "z=007", "e="]
    assert scalars(given, "--config") == {"n": 3, "m": -1, "t": True, "v": "1.0", "z": "007", "e": ""}


def test_the_same_filter_twice_means_either() -> None:
    assert list_query(filters=["s=a", "s=b"], limit=0) == {"s": ["a", "b"], "limit": "0"}


def test_resize_request() -> None:
    ask = cluster_members.resize_request
    assert ask(capacity=0) == {"strict": True, "adjustment_type": "EXACT_CAPACITY", "number": 0}
    assert ask(percentage=-25.0, min_step=2, best_effort=True) == {
        "strict": False, "adjustment_type": "CHANGE_IN_PERCENTAGE", "number": -25.0, "min_step": 2,
    }  # fmt: skip
    assert ask(max_size=-1) == {"strict": True, "max_size": -1}


def test_ports_are_written_without_what_goes_without_saying() -> None:
    def port(host_ip: str, protocol: str = "tcp", **more: int) -> dict[str, object]:
        return {"host": 32768, "container": 8080, "protocol": protocol, "host_ip": host_ip, **more}

    several = [port("0.0.0.0"), port("::"), port("10.0.0.1", container=80), port("::1"), port("", "udp", host=53)]
    written = "32768->8080, 10.0.0.1:32768->80, [::1]:32768->8080, 53->8080/udp"
    assert node.ports({"data": {"ports": several}}) == written
    assert node.ports({"data": None}) == node.ports({}) == ""


def test_what_has_a_word_beside_its_status_keeps_its_colour() -> None:
    column = output.Column("STATUS", node.status, is_status=True)
    assert column.style_of(node.status({"status": "ACTIVE", "data": {"power": "stopped"}})) == "green"


def test_every_option_of_the_quick_form_is_what_the_profile_type_takes() -> None:
    everything = spec.QuickContainer(
        image="nginx:alpine", host_cluster="hosts", host_node="h", command="nginx -g 'daemon off;'", entrypoint="/bin/sh",
        ports=["8080:80", "53/udp"], environment={"A": "b"}, labels={"l": "v"}, cpu=0.5, memory="128m", user="1000",
        restart="on-failure", health="true", pull="never", credential="hub",
    )  # fmt: skip
    built = spec.from_options(everything)
    assert len(built["properties"]) == 15
    assert validate_spec(built).name_version == "container.dockerinc.docker-1.0"
    plain = spec.QuickContainer(image="a", host_node="h", memory="134217728")
    assert plain.properties()["memory"] == 134217728


def test_a_schema_is_shown_by_paths() -> None:
    item = {"type": "Map", "schema": {"network": {"type": "String", "required": True}}}
    rows = list(types.flattened({"networks": {"type": "List", "schema": {"*": item}}}))
    assert [(row["path"], row["needed"]) for row in rows] == [
        ("networks", ""), ("networks[]", ""), ("networks[].network", "yes"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "time"),
    [("10m", "2026-05-01T11:50:00Z"), ("1d1h", "2026-04-30T11:00:00Z"), ("0", "1970-01-01T00:00:00Z"),
     ("2026-05-01T14:00:00+02:00", "2026-05-01T12:00:00Z")],
)  # fmt: skip
def test_points_in_time(word: str, time: str) -> None:
    assert logs.point_in_time(word, NOW, "--since") == time


@pytest.mark.parametrize("word", ["", "soon", "10x", "-5m"])
def test_what_is_no_time_is_refused(word: str) -> None:
    with pytest.raises(CliError, match="--since"):
        logs.point_in_time(word, NOW, "--since")


def test_log_lines_are_whole_however_they_arrive() -> None:
    assert [entry["line"] for entry in logs.entries([b'{"line": "a', b'"}\n\n{"li', b'ne": "b"}'])] == ["a", "b"]


def test_a_name_never_leaves_its_segment() -> None:
    assert segment("a/b") == "a%2Fb"
    assert segment(".") == "%2E"
    with pytest.raises(CliError):
        segment("")


def test_a_refusal_without_words_says_who_answered() -> None:
    assert str(refusal(502, None, "http://x/v1")) == "http://x/v1 answered 502 Bad Gateway"


@pytest.mark.parametrize("place", [("spinney.cli.absent", "app"), ("spinney.cli.faults", "absent")])
def test_a_command_that_is_not_installed_is_named(place: tuple[str, str]) -> None:
    with pytest.raises(CliError, match="'engine' cannot be loaded"):
        load("engine", Entry(*place, help="", panel=""))
