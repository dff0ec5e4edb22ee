"""Where a load balancer finds a member, and what it is told when it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.balancing.model import Candidate
from spinney.domain.balancing.reaching import candidate, host_name
from spinney.domain.node import Node

ADDRESS = [{"network": "b", "addr": "10.201.0.5", "version": 4}]


def node(host: str | None = "h1", **data: Any) -> Node:
    return Node(
        id="n", name="web.2", profile_id="p", host_id=host, physical_id="c" if host else None, ready=True, data=data
    )


def published(host_ip: str = "0.0.0.0", **more: Any) -> list[dict[str, Any]]:
    other = {"container": 443, "host": 8443, "protocol": "tcp", "host_ip": "0.0.0.0"}
    return [other, {"container": 80, "host": 49153, "protocol": "tcp", "host_ip": host_ip, **more}]


@pytest.mark.parametrize(
    ("found", "place", "address", "port"),
    [
        (node(addresses=ADDRESS), None, "10.201.0.5", 80),
        (node("h2", ports=published()), "192.0.2.7", "192.0.2.7", 49153),
        (node("h2", ports=published("::")), "192.0.2.7", "192.0.2.7", 49153),
        (node("h2", ports=published("192.0.2.9")), None, "192.0.2.9", 49153),
    ],
)
def test_where_a_member_is(found: Node, place: str | None, address: str, port: int) -> None:
    assert candidate(found, 80, "h1", place) == Candidate("n", "c", True, address, port)


@pytest.mark.parametrize(
    ("found", "place", "says"),
    [
        (node(), None, "has no address"),
        (node(addresses=[{"addr": "10.0.0.1 disabled"}]), None, "has no address"),
        (node(addresses=[{"addr": "fd00::1"}]), None, "has no address"),
        (node("h2"), "192.0.2.7", "member web.2 on another host does not publish port 80: add ports to the profile"),
        (node("h2", ports=published(protocol="udp")), "192.0.2.7", "does not publish port 80"),
        (node("h2", ports=published(host=None)), "192.0.2.7", "does not publish port 80"),
        (node("h2", ports=published()), None, "from its own machine alone"),
        (node("h2", ports=published()), "127.0.0.1", "from its own machine alone"),
        (node("h2", ports=published()), "not-resolved", "from its own machine alone"),
        (node("h2", ports=published("127.0.0.1")), "192.0.2.7", "at 127.0.0.1 alone"),
    ],
)
def test_why_it_is_nowhere(found: Node, place: str | None, says: str) -> None:
    got = candidate(found, 80, "h1", place)
    assert got is not None and got.address is None and got.ready and says in got.problem


def test_without_a_container_there_is_nobody() -> None:
    assert candidate(node(None), 80, "h1", None) is None


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("unix:///run/docker.sock", None),
        ("tcp://10.1.2.3:2376", "10.1.2.3"),
        ("tcp://[fd00::1]:2376", "fd00::1"),
        ("ssh://root@web.example:22", "web.example"),
    ],
)
def test_under_which_name_others_find_a_host(endpoint: str, name: str | None) -> None:
    assert host_name(endpoint) == name
