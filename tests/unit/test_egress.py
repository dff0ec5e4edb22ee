"""Which addresses the service speaks with."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spinney.domain import egress
from spinney.domain.egress import NO_RULES, Chosen, fault, literal, url_fault

BOTH = (Chosen.BY_OPERATOR, Chosen.BY_PROJECT)
LOOPBACK = st.integers(0, 2**24 - 1).map(lambda rest: ipaddress.IPv4Address((127 << 24) + rest))


def number(value: int, base: int, zeros: int) -> str:
    return {8: f"0{'0' * zeros}{value:o}", 10: str(value), 16: f"0x{'0' * zeros}{value:x}"}[base]


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """A loopback address as some resolver takes it."""
    address = draw(LOOPBACK)
    value = int(address)
    kind = draw(st.sampled_from(["parts", "mapped", "compatible", "6to4", "nat64", "long", "v6", "name"]))
    if kind == "parts":
        count = draw(st.integers(1, 4))
        front = [(value >> (24 - 8 * index)) & 255 for index in range(count - 1)]
        last = value & (256 ** (4 - len(front)) - 1)
        bases = draw(st.lists(st.sampled_from([8, 10, 16]), min_size=count, max_size=count))
        zeros = draw(st.integers(0, 6))
        return ".".join(number(one, base, zeros) for one, base in zip([*front, last], bases, strict=True))
    if kind == "6to4":
        return str(ipaddress.IPv6Address((0x2002 << 112) + (value << 80) + draw(st.integers(0, 2**80 - 1))))
    if kind == "v6":
        return draw(st.sampled_from(["::1", "[::1]", "0:0:0:0:0:0:0:1", "::1%lo", "0000::0001"]))
    if kind == "name":
        return draw(st.sampled_from(["localhost", "LOCALHOST", "localhost.", "a.b.localhost"]))
    start = {"mapped": "::ffff:0:0", "compatible": "::", "nat64": "64:ff9b::", "long": "::ffff:0:0:0"}[kind]
    found = ipaddress.IPv6Address(int(ipaddress.IPv6Address(start)) + value)
    return draw(st.sampled_from([str(found), found.exploded, f"[{found.compressed.upper()}]"]))


@given(spellings())
@example("127.1")
@example("2130706433")
@example("0x7f.1")
@example("017700000001")
@example("::ffff:127.0.0.1")
def test_every_spelling_of_a_loopback_address_is_seen_and_refused(spelling: str) -> None:
    address = literal(spelling)
    assert address is not None
    for chosen in BOTH:
        assert fault(address, 443, chosen, NO_RULES) == "a loopback address"
    host = spelling if ":" not in spelling or spelling.startswith("[") else f"[{spelling}]"
    assert url_fault(f"http://{host}/", Chosen.BY_PROJECT, NO_RULES) is not None


@given(st.one_of(spellings(), st.text("0123456789abcdefx.:", max_size=20)))
def test_a_number_that_the_system_takes_for_an_address_is_taken_for_the_same(spelling: str) -> None:
    """An oracle of its own: the C library. What it alone understands is judged when connecting."""
    try:
        packed = socket.inet_aton(spelling)
    except (OSError, ValueError):
        return
    found = literal(spelling)
    assert found is None or ipaddress.ip_address(found) == ipaddress.IPv4Address(packed)


@given(st.ip_addresses(v=4))
def test_what_the_standard_library_calls_special_is_refused_to_projects(address: ipaddress.IPv4Address) -> None:
    special = not address.is_global or address.is_multicast or address.is_reserved
    refused = fault(str(address), 443, Chosen.BY_PROJECT, NO_RULES) is not None
    assert refused or not special
    by_operator = fault(str(address), 2376, Chosen.BY_OPERATOR, NO_RULES)
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert by_operator is not None


@given(st.ip_addresses(v=6))
def test_the_same_of_ipv6(address: ipaddress.IPv6Address) -> None:
    refused = fault(str(address), 443, Chosen.BY_PROJECT, NO_RULES) is not None
    assert refused or not (address.is_multicast or address.is_link_local or address.is_loopback or address.is_private)
    embedding = ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96")
    possible = [ipaddress.IPv6Network(one) for one in ("2000::/3", *embedding)]
    assert refused or any(address in network for network in possible)


@given(st.ip_addresses(v=4))
def test_ipv6_addresses_are_judged_as_what_they_stand_for(address: ipaddress.IPv4Address) -> None:
    for chosen in BOTH:
        plain = fault(str(address), 443, chosen, NO_RULES)
        assert fault(f"::ffff:{address}", 443, chosen, NO_RULES) == plain
        assert fault(f"64:ff9b::{address}", 443, chosen, NO_RULES) == plain


@pytest.mark.parametrize(
    ("address", "operator", "project"),
    [
        ("10.0.0.5", None, "a private address"),
        ("192.168.1.1", None, "a private address"),
        ("100.64.0.1", None, "a private address"),
        ("fd12::1", None, "a private address"),
        ("93.184.216.34", None, None),
        ("2606:2800:220:1::1", None, None),
        ("169.254.169.254", "a cloud's metadata", "a cloud's metadata"),
        ("168.63.129.16", "a cloud's metadata", "a cloud's metadata"),
        ("100.100.100.200", "a cloud's metadata", "a cloud's metadata"),
        ("fd00:ec2::254", "a cloud's metadata", "a cloud's metadata"),
        ("::ffff:169.254.169.254", "a cloud's metadata", "a cloud's metadata"),
        ("169.254.7.7", "a link-local", "a link-local"),
        ("fe80::1%eth0", "a link-local", "a link-local"),
        ("0.0.0.0", "an unspecified", "an unspecified"),
        ("::", "an unspecified", "an unspecified"),
        ("255.255.255.255", "a reserved", "a reserved"),
        ("224.0.0.1", "a multicast", "a multicast"),
        ("ff02::1", "a multicast", "a multicast"),
        ("4000::1", "a reserved", "a reserved"),
        ("not an address", "no IP address", "no IP address"),
    ],
)
def test_verdicts(address: str, operator: str | None, project: str | None) -> None:
    for chosen, expected in zip(BOTH, (operator, project), strict=True):
        found = fault(address, 443, chosen, NO_RULES)
        assert found is None if expected is None else expected in str(found)


def test_the_operators_lists() -> None:
    own = egress.rules(["127.0.0.0/8", "10.1.0.0/16"], ["10.0.0.0/8", "93.184.216.0/24"])
    for chosen in BOTH:
        assert fault("127.0.0.1", 443, chosen, own) is None
        assert fault("::ffff:127.0.0.1", 443, chosen, own) is None
        assert fault("10.1.2.3", 443, chosen, own) is None
        assert "ruled out" in str(fault("10.2.0.1", 443, chosen, own))
        assert "ruled out" in str(fault("64:ff9b::5db8:d822", 443, chosen, own))
    assert fault("127.0.0.1", 5432, Chosen.BY_PROJECT, own) is None
    with pytest.raises(ValueError):
        egress.rules(["10.0.0.1/8"], [])


def test_ports() -> None:
    for port in (80, 443, 1024, 8443, 65535):
        assert fault("93.184.216.34", port, Chosen.BY_PROJECT, NO_RULES) is None
    for port in (0, 22, 25, 1023):
        assert f"port {port}" in str(fault("93.184.216.34", port, Chosen.BY_PROJECT, NO_RULES))
        assert fault("93.184.216.34", port, Chosen.BY_OPERATOR, NO_RULES) is None


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("ftp://example.org/", "http://"),
        ("file:///etc/passwd", "http://"),
        ("gopher://example.org:70/", "http://"),
        ("http://", "http://"),
        ("http://user@example.org/", "user"),
        ("http://user:word@example.org/", "password"),
        ("http://example.org:0/", "http://"),
        ("http://example.org:25/", "port 25"),
        ("http://example.org:99999/", "no URL"),
        ("http://ex ample.org/", "spaces"),
        ("http://example.org\\@127.0.0.1/", "backslashes"),
        ("http://example.org/\r\nHost: x", "printable"),
        ("http://[::1/", "no URL"),
        ("http://127.1/", "loopback"),
        ("http://0x7f.0.0.1/", "loopback"),
        ("http://192.168.0.1/", "private"),
        ("http://[::ffff:a9fe:a9fe]/latest", "metadata"),
        ("http://example.org/" + "a" * 2048, "2048"),
    ],
)
def test_urls_that_are_refused_say_why(url: str, word: str) -> None:
    assert word in str(url_fault(url, Chosen.BY_PROJECT, NO_RULES))


@pytest.mark.parametrize("url", ["http://example.org", "https://hooks.example.org:8443/a?b=c", "http://93.184.216.34/"])
def test_urls_that_may_be_tried(url: str) -> None:
    assert url_fault(url, Chosen.BY_PROJECT, NO_RULES) is None
