"""HAProxy's configuration for what is wanted: text, pure.

Guaranteed: the same wish gives the same text, and nothing that a user or a Docker engine said can begin a line or a word of its
own: what is put into it is of closed types, and addresses are addresses. The name of the members' section tells what the rest
of the text is, so that the program that runs shows whether it runs with it. Members are places ("slots") that are given away
and taken back while it runs; what is in the file is what it begins with after a restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from spinney.domain.balancing.model import Check, Method, Mode, Persistence, Service, Stands, Wanted, Wish

#: Inside the container: what clients are forwarded to, what is asked for its state, and where two processes meet when one
#: follows the other.
PORT = 8000
_RUNTIME, _PEER = "127.0.0.1:8001", "127.0.0.1:8004"
BACKEND = "members."
FRONTEND = "clients"
_BALANCE: Mapping[Method, tuple[str, ...]] = {
    Method.ROUND_ROBIN: ("balance roundrobin",),
    Method.LEAST_CONNECTIONS: ("balance leastconn",),
    Method.SOURCE_IP: ("balance source", "hash-type consistent"),
}
_OWN_COOKIE = "SPINNEY"
_TABLE = "size 50k expire 30m peers processes"


@dataclass(frozen=True, slots=True)
class Size:
    """``connections`` at a time, over all; ``threads``: to serve them with."""

    connections: int = 2048
    threads: int = 1


def slots_for(least: int, expected: int, highest: int) -> int:
    """How many places a load balancer begins with: twice the members that are expected, because for a while an old and a new
    container of each may be there."""
    wanted = max(least, 2 * expected, highest)
    return 1 << (wanted - 1).bit_length()


def configuration(wanted: Wanted, size: Size) -> str:
    fixed = _fixed(wanted.service, wanted.slots, size)
    name = backend(wanted, size)
    by_slot = {wish.slot: wish for wish in wanted.members}
    servers = [_server(wanted.service, slot, by_slot.get(slot)) for slot in range(1, wanted.slots + 1)]
    return "\n".join((*fixed, "", f"backend {name}", *_indented(_members(wanted.service)), *_indented(servers))) + "\n"


def backend(wanted: Wanted, size: Size) -> str:
    """The name of the members' section: another one for everything that cannot be changed while it runs."""
    said = "\n".join((*_plain(wanted.service, size), *_members(wanted.service), str(wanted.slots)))
    return BACKEND + hashlib.sha256(said.encode()).hexdigest()[:12]


def _fixed(service: Service, slots: int, size: Size) -> Iterable[str]:
    serving = f"    default_backend {backend(Wanted(service, slots), size)}"
    return (*_plain(service, size), *([serving] if service.pool_open else []))


def _plain(service: Service, size: Size) -> tuple[str, ...]:
    limit = size.connections if service.limit is None else min(service.limit, size.connections)
    return (
        "global",
        f"    maxconn {size.connections}",
        f"    nbthread {size.threads}",
        "    hard-stop-after 10m",
        "    localpeer balancer",
        f"    stats socket {_RUNTIME} level admin expose-fd listeners",
        "    stats timeout 1h",
        "",
        "defaults",
        f"    mode {service.mode.value}",
        "    timeout connect 1s",
        "    timeout client 60s",
        "    timeout server 60s",
        "    timeout queue 10s",
        "    timeout http-request 15s",
        "    timeout http-keep-alive 15s",
        "    timeout tunnel 1h",
        # Each attempt goes to another member: where half of them die at once, three would now and then all meet dead ones.
        "    retries 10",
        "    option redispatch 1",
        *(("    option idle-close-on-response", "    option forwardfor") if service.mode is Mode.HTTP else ()),
        "",
        "peers processes",
        f"    peer balancer {_PEER}",
        "",
        f"frontend {FRONTEND}",
        f"    bind *:{PORT}",
        f"    maxconn {limit}",
        *(() if service.open else ("    disabled",)),
        *(() if service.pool_open else ("    # the pool is closed",)),
    )


def _members(service: Service) -> tuple[str, ...]:
    """What holds for all members."""
    repeating = ("retry-on conn-failure empty-response", "http-request disable-l7-retry unless METH_GET")
    return (
        *_BALANCE[service.method],
        *(repeating if service.mode is Mode.HTTP else ()),
        *_persistence(service),
        *(_check(service.check) if service.check is not None else ()),
    )


def _persistence(service: Service) -> tuple[str, ...]:
    if service.persistence is Persistence.SOURCE_IP:
        return (f"stick-table type ip {_TABLE}", "stick on src")
    if service.persistence is Persistence.HTTP_COOKIE:
        return (f"cookie {service.cookie or _OWN_COOKIE} insert indirect nocache httponly",)
    if service.persistence is Persistence.APP_COOKIE:
        return (
            f"stick-table type string len 128 {_TABLE}",
            f"stick store-response res.cook({service.cookie})",
            f"stick match req.cook({service.cookie})",
        )
    return ()


def _check(check: Check) -> tuple[str, ...]:
    asked: tuple[str, ...] = ()
    if check.path is not None:
        asked = (
            "option httpchk",
            f"http-check send meth {check.method} uri '{check.path}' ver HTTP/1.1 hdr Host balancer",
            f"http-check expect status {check.codes}",
        )
    tls = " check-ssl verify none" if check.tls else ""
    often = f"inter {max(check.delay, 1)}s fall {max(check.retries, 1)} rise 1"
    return (*asked, f"timeout check {max(check.timeout, 1)}s", f"default-server check {often}{tls}")


def _server(service: Service, slot: int, wish: Wish | None) -> str:
    place = "127.0.0.1:9" if wish is None else f"{ip_address(wish.address)}:{wish.port:d}"
    cookie = f" cookie {_slot(slot)}" if service.persistence is Persistence.HTTP_COOKIE else ""
    # What finishes now has nothing left to finish after a restart.
    given = wish is not None and wish.stands is Stands.IN
    return f"server {_slot(slot)} {place}{cookie}{'' if given else ' disabled'}"


def _slot(number: int) -> str:
    return f"s{number:d}"


def _indented(lines: Iterable[str]) -> Iterable[str]:
    return (f"    {line}" for line in lines)
