"""Which addresses the service may speak with, where somebody outside chose the address.

What operators choose (the endpoints of hosts, where hosts tell their load) may be in private ranges, because that is where
machines are. What projects choose (hooks, addresses to poll) may not, because from here such ranges can hold what projects must
not reach. Refused for both, whatever the spelling: loopback, link-local (with the metadata services of clouds), multicast,
unspecified and reserved addresses, and IPv6 addresses that stand for such IPv4 ones.

The operator's own lists come before that: what is in ``allow`` is permitted, else what is in ``deny`` refused. Guaranteed:
every address has one verdict, which depends on the address and the lists alone. Not judged here: names. Whoever connects asks
about the very address connected to; ``url_fault`` sees only what can be seen without resolving a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Chosen(Enum):
    """By whom an address was chosen."""

    BY_OPERATOR = "operator"
    BY_PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's own lists."""

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()


NO_RULES = Rules()


def rules(allow: Iterable[str], deny: Iterable[str]) -> Rules:
    """Raises ValueError for what is no range of addresses."""
    return Rules(tuple(ip_network(one) for one in allow), tuple(ip_network(one) for one in deny))


def _table(*rows: tuple[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(written), kind) for kind, many in rows for written in many.split())


_NEVER = _table(
    (
        "an address of a cloud's metadata service",
        "169.254.169.254/32 100.100.100.200/32 168.63.129.16/32 192.0.0.192/32",
    ),
    ("an address of a cloud's metadata service", "fd00:ec2::254/128 fd20:ce::254/128 fd00:42::42/128"),
    ("a loopback address", "127.0.0.0/8 ::1/128"),
    ("an unspecified address", "0.0.0.0/8 ::/128"),
    ("a link-local address", "169.254.0.0/16 fe80::/10 fec0::/10"),
    ("a multicast address", "224.0.0.0/4 ff00::/8"),
    ("a reserved address", "240.0.0.0/4"),
)
_NOT_FOR_PROJECTS = _table(
    ("a private address", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7"),
    ("a reserved address", "192.0.0.0/24 192.0.2.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24"),
    ("a reserved address", "2001::/23 2001:db8::/32 2002::/16 3fff::/20"),
)
#: Outside of these two there are no IPv6 addresses of single machines.
_UNICAST = (IPv6Network("2000::/3"), IPv6Network("fc00::/7"))
#: IPv6 ranges that stand for IPv4 addresses, and how many bits follow the address.
_EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)
_UNSAFE_PORTS = range(1024)
_WEB_PORTS = (80, 443)


def fault(address: str, port: int, chosen: Chosen, own: Rules) -> str | None:
    """Why the service may not connect there, or None. ``address`` as a socket spells it."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "no IP address"
    forms = _forms(found)
    if any(form in network for form in forms for network in own.allow):
        return None
    if any(form in network for form in forms for network in own.deny):
        return "an address that the operator has ruled out"
    kind = next((kind for form in reversed(forms) if (kind := _kind(form, chosen)) is not None), None)
    if kind is None and chosen is Chosen.BY_PROJECT and port in _UNSAFE_PORTS and port not in _WEB_PORTS:
        return f"port {port}, which is neither 80, 443 nor 1024 or above"
    return kind


def _forms(address: Address) -> tuple[Address, ...]:
    """The address, and the IPv4 address that it stands for."""
    if isinstance(address, IPv6Address) and int(address) > 1:
        for network, bits in _EMBEDDING:
            if address in network:
                return (address, IPv4Address((int(address) >> bits) & 0xFFFFFFFF))
    return (address,)


def _kind(address: Address, chosen: Chosen) -> str | None:
    listed = _NEVER if chosen is Chosen.BY_OPERATOR else _NEVER + _NOT_FOR_PROJECTS
    for network, kind in listed:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and not any(address in network for network in _UNICAST):
        return None if len(_forms(address)) > 1 else "a reserved address"
    return None


def remedy(chosen: Chosen) -> str:
    if chosen is Chosen.BY_OPERATOR:
        return "the operator permits it with allow in section [egress] of the configuration"
    return "give an address that can be reached from everywhere, or ask the operator to permit this one"


_NUMBER = r"(?:0[xX][0-9A-Fa-f]{1,40}|[0-9]{1,40})"
_OLD_SPELLING = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{0,3}}")


def literal(host: str) -> str | None:
    """The address that a host name is, also in the spellings of old (``127.1``, ``0x7f000001``); None for real names."""
    bare = host.strip("[]").partition("%")[0].rstrip(".")
    try:
        return str(ip_address(bare))
    except ValueError:
        pass
    if bare.lower() == "localhost" or bare.lower().endswith(".localhost"):
        return "127.0.0.1"
    if not _OLD_SPELLING.fullmatch(bare):
        return None
    try:
        parts = [
            int(one, 16) if one[:2].lower() == "0x" else int(one, 8 if one[0] == "0" else 10) for one in bare.split(".")
        ]
    except ValueError:
        return None
    *front, last = parts
    if any(one > 255 for one in front) or last >= 256 ** (4 - len(front)):
        return None
    return str(IPv4Address(sum(one << (24 - 8 * index) for index, one in enumerate(front)) + last))


def url_fault(url: str, chosen: Chosen, own: Rules) -> str | None:
    """What is wrong with a URL, as far as it can be told without resolving its name; a whole sentence with a remedy."""
    if len(url) > 2048 or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "at most 2048 printable ASCII characters without spaces and backslashes are allowed"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"it is no URL ({error}); give http:// or https:// with a host"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "give http:// or https:// with a host"
    if parts.username is not None or parts.password is not None:
        return "a user and a password cannot be given in it; sign the requests with a secret instead"
    address = literal(parts.hostname)
    named = address if address is not None else "2000::"  # any permitted one: the port can be judged already
    found = fault(named, port or (443 if parts.scheme == "https" else 80), chosen, own)
    return None if found is None else f"it leads to {found}; {remedy(chosen)}"
