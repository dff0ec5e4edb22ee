"""What a profile may say of its containers' probes, and what that comes to."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.probe_spec import ExecCheck, HttpCheck, Probe, Probes, TcpCheck
from spinney.errors import InvalidSpec
from spinney.profiles.container import ContainerProperties
from spinney.profiles.registry import PROFILE_TYPES, validate_spec


def properties(probes: Any) -> ContainerProperties:
    given = {"image": "nginx", "host_node": "h1", "probes": probes}
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": given}
    found = validate_spec(spec).properties
    assert isinstance(found, ContainerProperties)
    return found


def probes(**given: Any) -> Probes:
    found = properties(given).probes
    assert found is not None
    return found.probes()


@pytest.mark.parametrize(
    ("given", "check"),
    [
        ({"exec": "test -f '/tmp/is up'"}, ExecCheck(("test", "-f", "/tmp/is up"))),
        ({"exec": ["true"]}, ExecCheck(("true",))),
        ({"exec": {"command": ["sh", "-c", "exit 0"]}}, ExecCheck(("sh", "-c", "exit 0"))),
        ({"tcp": 5432}, TcpCheck(5432)),
        ({"tcp": {"port": "5432"}}, TcpCheck(5432)),
        ({"http": {"port": 80}}, HttpCheck(80, "/", "localhost", ((200, 399),))),
        (
            {"http": {"port": 80, "path": "/up?deep=1", "host": "shop.example:8080", "statuses": "200, 204-206"}},
            HttpCheck(80, "/up?deep=1", "shop.example:8080", ((200, 200), (204, 206))),
        ),
        ({"http": {"port": 80, "statuses": [401, "200-299"]}}, HttpCheck(80, statuses=((401, 401), (200, 299)))),
    ],
)
def test_what_a_probe_asks(given: Any, check: Any) -> None:
    assert probes(ready=given) == Probes(ready=Probe(check))


def test_its_times_and_numbers() -> None:
    given = {"tcp": 80, "interval": "1500ms", "timeout": 0.5, "failures": "5", "successes": 2, "delay": "1m"}
    assert probes(alive=given).alive == Probe(TcpCheck(80), 1.5, 0.5, 5, 2, 60.0)


def test_what_was_said_reads_the_same_again() -> None:
    given = {"started": {"exec": "a b", "interval": "2s"}, "ready": {"http": {"port": 80, "statuses": 200}}}
    part = properties(given).probes
    assert part is not None
    assert properties(part.given()).probes == part
    assert part.given()["ready"] == {"http": {"port": 80, "statuses": ["200"]}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "properties.probes: give at least one of started, ready and alive"),
        ({"ready": {}}, "properties.probes.ready: give exactly one of exec, http and tcp"),
        ({"ready": {"tcp": 80, "exec": "x"}}, "properties.probes.ready: give exactly one of exec, http and tcp"),
        ({"ready": {"tcp": 0}}, "properties.probes.ready.tcp.port: 0 is not allowed"),
        ({"ready": {"tcp": "10.0.0.1:80"}}, "properties.probes.ready.tcp.port: '10.0.0.1:80' is not allowed"),
        ({"ready": {"http": {"port": 80, "address": "10.0.0.1"}}}, "properties.probes.ready.http.address: there is no"),
        (
            {"ready": {"http": {"port": 80, "url": "http://x/"}}},
            "properties.probes.ready.http.url: there is no such key",
        ),
        ({"ready": {"http": {"port": 80, "path": "up"}}}, "properties.probes.ready.http.path: 'up' is not allowed"),
        ({"ready": {"http": {"port": 80, "path": "/a b"}}}, "properties.probes.ready.http.path"),
        ({"ready": {"http": {"port": 80, "path": "/\r\nX: y"}}}, "properties.probes.ready.http.path"),
        ({"ready": {"http": {"port": 80, "host": "a\r\nX: y"}}}, "properties.probes.ready.http.host"),
        ({"ready": {"http": {"port": 80, "host": "a b"}}}, "properties.probes.ready.http.host: 'a b' is not allowed"),
        ({"ready": {"http": {"port": 80, "statuses": []}}}, "properties.probes.ready.http.statuses: a list is not"),
        ({"ready": {"http": {"port": 80, "statuses": "300-200"}}}, "statuses: '300-200' is not allowed"),
        ({"ready": {"http": {"port": 80, "statuses": 99}}}, "statuses: '99' is not allowed: a status from 100 to 599"),
        ({"ready": {"exec": []}}, "properties.probes.ready.exec.command: a list is not allowed: a program"),
        ({"ready": {"exec": ["", "x"]}}, "properties.probes.ready.exec.command: a list is not allowed: a program"),
        ({"ready": {"exec": "a 'b"}}, "properties.probes.ready.exec.command: "),
        ({"alive": {"tcp": 1, "interval": 0.5}}, "properties.probes.alive.interval: 0.5 is not allowed"),
        ({"alive": {"tcp": 1, "timeout": 0}}, "properties.probes.alive.timeout: 0 is not allowed"),
        ({"alive": {"tcp": 1, "timeout": 61}}, "properties.probes.alive.timeout: 61 is not allowed"),
        ({"alive": {"tcp": 1, "failures": 0}}, "properties.probes.alive.failures: 0 is not allowed"),
        ({"alive": {"tcp": 1, "successes": 101}}, "properties.probes.alive.successes: 101 is not allowed"),
        ({"alive": {"tcp": 1, "retries": 3}}, "properties.probes.alive.retries: there is no such key"),
        ({"live": {"tcp": 1}}, "properties.probes.live: there is no such key; did you mean 'alive'?"),
        ("ready", "properties.probes: 'ready' is not allowed: a map"),
        ({"ready": None}, "properties.probes.ready: null is not allowed: leave the key out"),
    ],
)
def test_what_is_refused(given: Any, says: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        properties(given)
    assert says in caught.value.message


def test_other_probes_need_no_other_container() -> None:
    kind = PROFILE_TYPES["container.dockerinc.docker-1.0"]
    before, after = properties({"ready": {"tcp": 80}}), properties({"ready": {"tcp": 80, "interval": 2}})
    changes = kind.compare(before, after)
    assert (changes.in_place, changes.recreate) == ({"probes"}, frozenset())
