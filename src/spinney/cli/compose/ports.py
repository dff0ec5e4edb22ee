"""Published ports: ``[ADDRESS:][HOST:]CONTAINER[/PROTOCOL]`` with ranges, and maps."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spinney.cli.compose import values
from spinney.cli.compose.keys import Key, Keys, Reading, walk
from spinney.cli.compose.places import Part, Scalar, Spot, Table, Unfit

_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_FORM = "as in 80, 8080:80, 127.0.0.1:8080:80, 9000-9002:80-82 or 53:53/udp"


def read_ports(part: Part, reading: Reading) -> None:
    for one in values.items(part):
        with reading.faults.caught():
            if isinstance(one, Table):
                _long(one, reading)
            else:
                _short(values.scalar(one), reading)


def _short(part: Scalar, reading: Reading) -> None:
    written = values.text(part).strip()
    ports, slash, protocol = written.partition("/")
    address, host, container = _split(ports, part.at)
    if slash and not protocol:
        raise Unfit(part.at, f"{written!r} is not allowed: a port {_FORM}")
    _publish(reading, part.at, container, host, address or None, protocol or None)


def _split(ports: str, at: Spot) -> Sequence[str]:
    """Address, port of the host and port of the container; empty where there is none."""
    if ports.startswith("["):
        address, bracket, rest = ports[1:].partition("]:")
        parts = rest.split(":")
        if bracket and len(parts) == 2:
            return [address, *parts]
    else:
        parts = ports.split(":")
        if len(parts) <= 3:
            return [""] * (3 - len(parts)) + parts
    raise Unfit(
        at, f"{ports!r} is not allowed: a port {_FORM}; an IPv6 address stands in brackets, as in [::1]:8080:80"
    )


def _long(part: Table, reading: Reading) -> None:
    walk(part, PORT, reading)
    entries = part.entries
    if "target" not in entries:
        raise Unfit(part.at, "target is missing: give the port of the container")
    given = {
        name: values.text(entries[name]) for name in ("target", "published", "host_ip", "protocol") if name in entries
    }
    if "-" in given["target"]:
        raise Unfit(entries["target"].at, f"{given['target']!r} is not allowed: one port of the container")
    _publish(reading, part.at, given["target"], given.get("published", ""), given.get("host_ip"), given.get("protocol"))


def _mode(part: Part, reading: Reading) -> None:
    if values.text(part) != "host":
        raise Unfit(
            part.at,
            f"{values.text(part)!r} is not allowed: only host, which publishes each container on the host it runs on; "
            "to have requests spread over all containers attach a policy of type senlin.policy.loadbalance",
        )


PORT = Keys(
    "services.*.ports[]",
    {
        "target": Key(None, "`ports[].container`"),
        "published": Key(None, "`ports[].host`", "Left out: the Docker engine picks a free one."),
        "host_ip": Key(None, "`ports[].host_ip`"),
        "protocol": Key(None, "`ports[].protocol`"),
        "mode": Key(_mode, "", "Only `host`, which is what every published port is here."),
    },
    {
        "name": "nothing here shows it: leave it out, or write it as a comment",
        "app_protocol": "nothing here looks at it: leave it out",
    },
)


def _publish(reading: Reading, at: Spot, container: str, host: str, address: str | None, protocol: str | None) -> None:
    inside = _span(container, at)
    outside = _span(host, at) if host else [None] * len(inside)
    if len(inside) != len(outside):
        raise Unfit(
            at,
            f"{host}:{container} is not allowed: both ranges need the same length; for any free port of the host leave its "
            "port out",
        )
    taken = len(reading.draft.value(("profile", "ports")) or ())
    for index, (inner, outer) in enumerate(zip(inside, outside, strict=True), start=taken):
        found = {"container": inner, "host": outer, "host_ip": address, "protocol": protocol}
        for key, value in found.items():
            if value is not None:
                reading.draft.put(("profile", "ports", index, key), value, at)


def _span(written: str, at: Spot) -> list[int] | list[int | None]:
    found = _RANGE.fullmatch(written)
    if found is None:
        raise Unfit(at, f"{written!r} is not allowed: a port {_FORM}")
    first = int(found[1])
    last = int(found[2] or first)
    if not 1 <= first <= last <= 65535:
        raise Unfit(
            at, f"{written!r} is not allowed: ports go from 1 to 65535, and a range from the lower to the higher"
        )
    return list(range(first, last + 1))
