"""What a Docker engine reports becomes our values; what has not the right shape becomes HostBroken, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.container import (
    Address,
    ContainerEventKind,
    ContainerState,
    LogChunk,
    PublishedPort,
)
from spinney.drivers.docker import parse
from spinney.drivers.docker.shapes import LONGEST_LINE, Lines, moment
from spinney.drivers.docker.streams import Frames
from spinney.errors import HostBroken

ID = "5d" * 32
INSPECTED: dict[str, Any] = {
    "Id": ID,
    "Name": "/web",
    "RestartCount": 2,
    "State": {
        "Status": "exited",
        "OOMKilled": True,
        "ExitCode": 137,
        "Error": "",
        "StartedAt": "2026-01-02T03:04:05.123456789Z",
        "FinishedAt": "2026-01-02T03:04:06Z",
        "Health": {"Status": "unhealthy", "Log": []},
    },
    "Config": {"Image": "web:1", "Labels": {"io.spinney.generation": "7"}},
    "NetworkSettings": {
        "Networks": {
            "a": {"IPAddress": "10.1.2.3", "GlobalIPv6Address": "fd00::3"},
            "b": {"IPAddress": ""},
            "c": None,
        },
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None, "53/udp": []},
    },
}
LISTED: dict[str, Any] = {
    "Id": ID,
    "Names": ["/other/alias", "/web"],
    "Image": "web:1",
    "Labels": {"io.spinney.node": "n"},
    "State": "running",
    "Status": "Up 3 minutes (unhealthy)",
    "Ports": [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 81, "Type": "tcp"},
    ],
    "NetworkSettings": {"Networks": {"a": {"IPAddress": "10.1.2.3"}}},
}
EVENT: dict[str, Any] = {
    "Type": "container",
    "Action": "die",
    "Actor": {"ID": ID, "Attributes": {"exitCode": "3", "image": "web:1", "name": "web", "io.spinney.node": "n"}},
    "time": 1767323045,
    "timeNano": 1767323045500000000,
}
STATS: dict[str, Any] = {
    "read": "2026-01-02T03:04:06Z",
    "preread": "2026-01-02T03:04:04Z",
    "cpu_stats": {"cpu_usage": {"total_usage": 5_000_000_000}},
    "precpu_stats": {"cpu_usage": {"total_usage": 2_000_000_000}},
    "memory_stats": {"usage": 1000, "limit": 4096, "stats": {"total_inactive_file": 300, "inactive_file": 5}},
    "pids_stats": {"current": 4},
    "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
    "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 7}, {"op": "write", "value": 8}]},
}
INFO: dict[str, Any] = {
    "ID": "engine",
    "ServerVersion": "29.0",
    "NCPU": 4,
    "MemTotal": 1 << 30,
    "Name": "host",
    "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"],
    "LiveRestoreEnabled": True,
    "Runtimes": {"runc": {}, "nvidia": {}},
    "Plugins": {"Network": ["bridge"], "Volume": ["local"], "Log": ["json-file"]},
    "Labels": ["zone=a", "bare"],
    "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}, {"ID": "nvidia.com/gpu=all"}],
}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_an_inspected_container() -> None:
    seen = parse.container(encoded(INSPECTED))
    assert (seen.id, seen.name, seen.image, seen.generation) == (ID, "web", "web:1", 7)
    assert (seen.state, seen.exit_code, seen.oom_killed) == (ContainerState.EXITED, 137, True)
    assert (seen.health, seen.restart_count) == ("unhealthy", 2)
    assert seen.started_at == pytest.approx(1767323045.123456)
    assert seen.finished_at == 1767323046.0
    assert seen.addresses == (Address("a", "10.1.2.3", 4), Address("a", "fd00::3", 6))
    assert seen.ports == (PublishedPort(80, 8080, "tcp", "0.0.0.0"),)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"Status": "created", "ExitCode": 0, "StartedAt": "0001-01-01T00:00:00Z"}, None),
        ({"Status": "created", "ExitCode": 127, "StartedAt": "0001-01-01T00:00:00Z"}, 127),
        ({"Status": "running", "ExitCode": 0, "StartedAt": "2026-01-02T03:04:05Z"}, None),
        ({"Status": "exited", "ExitCode": 0, "StartedAt": "2026-01-02T03:04:05Z"}, 0),
        ({"Status": "restarting", "ExitCode": 1, "StartedAt": "2026-01-02T03:04:05Z"}, 1),
    ],
)
def test_an_exit_code_is_that_of_a_run(state: dict[str, Any], code: int | None) -> None:
    assert parse.container(encoded(INSPECTED | {"State": state})).exit_code == code


def test_a_listing_tells_what_it_can() -> None:
    exited = LISTED | {"State": "exited", "Status": "Exited (3) 2 hours ago", "Ports": None}
    first, second = parse.listing(encoded([LISTED, exited]))
    assert (first.name, first.health, first.exit_code) == ("web", "unhealthy", None)
    assert first.ports == (PublishedPort(80, 8080, "tcp", "0.0.0.0"),)
    assert first.addresses == (Address("a", "10.1.2.3"),)
    assert (second.state, second.health, second.exit_code) == (ContainerState.EXITED, None, 3)
    starting = LISTED | {"Status": "Up 1 second (health: starting)"}
    assert parse.listing(encoded([starting]))[0].health == "starting"
    assert parse.listing(b"null") == []


def test_an_event_with_our_labels() -> None:
    event = parse.event(encoded(EVENT))
    assert event is not None
    assert (event.kind, event.container_id, event.exit_code) == (ContainerEventKind.DIED, ID, 3)
    assert (event.labels, event.at) == ({"io.spinney.node": "n"}, 1767323045.5)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("health_status: unhealthy", ContainerEventKind.UNHEALTHY),
        ("health_status: healthy", ContainerEventKind.HEALTHY),
        ("health_status: running", None),
        ("exec_start: true", None),
        ("oom", ContainerEventKind.OOM),
    ],
)
def test_events_we_follow(action: str, kind: ContainerEventKind | None) -> None:
    event = parse.event(encoded(EVENT | {"Action": action}))
    assert (event and event.kind) == kind


def test_a_sample_of_statistics() -> None:
    stats = parse.stats(encoded(STATS))
    assert (stats.cpu, stats.memory, stats.memory_limit, stats.pids) == (1.5, 700, 4096, 4)
    assert (stats.rx_bytes, stats.tx_bytes, stats.read_bytes, stats.write_bytes) == (11, 22, 7, 8)
    version_2 = STATS | {"memory_stats": {"usage": 1000, "stats": {"inactive_file": 400}}}
    assert parse.stats(encoded(version_2)).memory == 600


def test_unknown_statistics_are_none_and_never_zero() -> None:
    stats = parse.stats(encoded({"read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}}))
    assert {getattr(stats, name) for name in stats.__slots__} == {None}


def test_facts_of_a_host() -> None:
    facts = parse.facts(encoded(INFO), "1.47")
    assert (facts.engine_id, facts.api_version, facts.cpu, facts.memory) == ("engine", "1.47", 4.0, 1 << 30)
    assert (facts.rootless, facts.live_restore, facts.gpus) == (True, True, 1)
    assert (facts.runtimes, facts.labels) == (("nvidia", "runc"), {"zone": "a", "bare": ""})


@pytest.mark.parametrize("kind", ["NamedResourceSpec", "DiscreteResourceSpec"])
def test_gpus_that_an_operator_declared(kind: str) -> None:
    value = {"Kind": "NVIDIA-GPU", "Value": "GPU-1" if kind == "NamedResourceSpec" else 1}
    declared = INFO | {"DiscoveredDevices": None, "GenericResources": [{kind: value}, {"DiscreteResourceSpec": None}]}
    assert parse.facts(encoded(declared), "1.41").gpus == 1


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Each place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


READERS = [
    (parse.container, INSPECTED),
    (parse.listing, [LISTED]),
    (parse.event, EVENT),
    (parse.stats, STATS),
    (lambda body: parse.facts(body, "1.41"), INFO),
]
junk = st.sampled_from(
    [None, True, -1, 1.5, 2**70, "", "x", "/", "9" * 30, [], [None], [[]], {}, {"": None}, {"a": []}]
)


@given(st.data())
def test_nonsense_anywhere_is_a_broken_host_and_nothing_else(data: st.DataObject) -> None:
    reader, answer = data.draw(st.sampled_from(READERS))
    body = encoded(replaced(answer, data.draw(st.sampled_from(places(answer))), data.draw(junk)))
    try:
        reader(body)
    except HostBroken as error:
        assert "Docker engine" in error.message


@given(st.binary(max_size=40))
def test_what_is_no_json_is_a_broken_host(body: bytes) -> None:
    try:
        parse.container(body)
    except HostBroken as error:
        assert len(error.message) < 200
    else:
        raise AssertionError("a container out of nothing")


def test_times_are_seconds_since_the_epoch() -> None:
    assert moment("2026-01-02T03:04:05.5+01:00", "x") == 1767319445.5
    assert moment("0001-01-01T00:00:00Z", "x") is None
    with pytest.raises(HostBroken):
        moment("yesterday", "x")


def frame(stream: int, data: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20)), max_size=6), st.lists(st.integers(1, 30)))
def test_frames_come_apart_however_they_are_cut(written: list[tuple[int, bytes]], cuts: list[int]) -> None:
    sent = b"".join(frame(stream, data) for stream, data in written)
    frames, seen = Frames(), {1: b"", 2: b""}
    for size in (*cuts, len(sent) or 1):
        piece, sent = sent[:size], sent[size:]
        if piece:
            for chunk in frames.feed(piece):
                seen[1 if chunk.stream == "stdout" else 2] += chunk.data
    assert seen == {one: b"".join(data for stream, data in written if stream == one) for one in (1, 2)}


def test_the_output_of_a_terminal_has_no_frames() -> None:
    frames = Frames()
    assert [*frames.feed(b"\x1b[1mhi"), *frames.feed(b"\x01\x00\x00\x00")] == [
        LogChunk("stdout", b"\x1b[1mhi"),
        LogChunk("stdout", b"\x01\x00\x00\x00"),
    ]


def test_a_frame_without_header_after_others_is_broken() -> None:
    frames = Frames()
    assert list(frames.feed(frame(1, b"a"))) == [LogChunk("stdout", b"a")]
    with pytest.raises(HostBroken):
        list(frames.feed(b"text"))


def test_lines_are_cut_anywhere_and_bounded() -> None:
    lines = Lines()
    assert [*lines.feed(b'{"a"'), *lines.feed(b':1}\n\r\n{"b":2}\n{'), lines.rest()] == [b'{"a":1}', b'{"b":2}', b"{"]
    with pytest.raises(HostBroken):
        for _ in range(3):
            list(lines.feed(b"x" * (LONGEST_LINE // 2)))
