"""What a HAProxy that runs says of itself, and the commands that lead from there to what is wanted: pure.

Guaranteed: commands carried out lead to what is wanted from whatever was seen, also from something that nobody wanted; a place
gets another address only while nothing is given to it. What is said is taken for text from a stranger: what cannot be read is
``Unreadable``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from spinney.domain.balancing.haproxy import BACKEND, FRONTEND
from spinney.domain.balancing.model import Applied, Mode, Seen, Stands, Totals, Wanted

#: Bits of ``srv_admin_state`` that mean maintenance, and draining.
_MAINTENANCE, _DRAINING = 0x23, 0x18
_STATE_VERSION = "1"
_LARGEST_LINE = 8000
_WORDS: Mapping[Stands, str] = {Stands.IN: "ready", Stands.DRAINING: "drain", Stands.OUT: "maint"}


class Unreadable(ValueError):
    """What was said is not what a HAProxy says."""


@dataclass(frozen=True, slots=True)
class Place:
    """One slot as it is."""

    address: str
    port: int
    stands: Stands
    sessions: int = 0
    total: int = 0
    well: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """``file``: the digest of the configuration file; ``backend``: the members' section that runs, none at first; ``former``:
    whether processes from before a reload are still serving what was open then."""

    file: str
    backend: str = ""
    places: Mapping[int, Place] = field(default_factory=dict)
    former: bool = False
    requests: int = 0
    connections: int = 0
    sessions: int = 0


def read(text: str) -> Look:
    """Of the answer to ``look``. Raises: Unreadable."""
    try:
        lines = text.splitlines()
        rows = list(_states(lines))
        names = {row["be_name"] for row in rows if row["be_name"].startswith(BACKEND)}
        counted = list(_counted(lines))
        totals = {row["svname"]: row for row in counted if row["# pxname"] in names}
        clients = next((row for row in counted if row["# pxname"] == FRONTEND), {})
        return Look(
            file=lines[0].split()[0],
            backend=names.pop() if len(names) == 1 else "",
            places={_number(row["srv_name"]): _place(row, totals.get(row["srv_name"], {})) for row in rows},
            former=_has_former(lines),
            requests=_count(clients, "req_tot"),
            connections=_count(clients, "stot"),
            sessions=_count(clients, "scur"),
        )
    except (KeyError, IndexError, ValueError, csv.Error) as error:
        raise Unreadable(f"the load balancer's answer cannot be read: {error!r}") from error


def _states(lines: Sequence[str]) -> Iterator[dict[str, str]]:
    """The table of ``show servers state``: its version, its names behind a #, its rows."""
    names = next((number for number, line in enumerate(lines) if line.startswith("# be_id ")), None)
    if names is None:
        return
    if lines[names - 1] != _STATE_VERSION:
        raise Unreadable(f"the state of servers is told in version {lines[names - 1]!r}, which is not known")
    titles = lines[names].removeprefix("# ").split()
    for line in lines[names + 1 :]:
        words = line.split()
        if len(words) != len(titles):
            return
        yield dict(zip(titles, words, strict=True))


def _counted(lines: Sequence[str]) -> Iterator[dict[str, str]]:
    """The table of ``show stat``."""
    begin = next((number for number, line in enumerate(lines) if line.startswith("# pxname,")), None)
    if begin is None:
        return
    end = next((number for number in range(begin, len(lines)) if not lines[number].strip()), len(lines))
    yield from csv.DictReader(lines[begin:end])


def _has_former(lines: Sequence[str]) -> bool:
    """Of ``show proc``: below that title are those that were told to end."""
    if "# old workers" not in lines:
        return False
    return any(line.split()[1:2] == ["worker"] for line in lines[lines.index("# old workers") + 1 :])


def _place(row: Mapping[str, str], counted: Mapping[str, str]) -> Place:
    admin = int(row["srv_admin_state"])
    stands = Stands.OUT if admin & _MAINTENANCE else Stands.DRAINING if admin & _DRAINING else Stands.IN
    return Place(
        row["srv_addr"],
        int(row["srv_port"]),
        stands,
        _count(counted, "scur") + _count(counted, "qcur"),
        _count(counted, "stot"),
        stands is not Stands.IN or int(row["srv_op_state"]) != 0,
    )


def _number(name: str) -> int:
    return int(name.removeprefix("s"))


def _count(row: Mapping[str, str], name: str) -> int:
    return int(row.get(name) or 0)


def commands(look: Look, wanted: Wanted) -> list[str]:
    """What leads from one to the other; none where another section has to be loaded first."""
    by_slot = {wish.slot: wish for wish in wanted.members}
    found: list[str] = []
    # Whoever comes is in before anybody goes.
    for slot, place in sorted(look.places.items(), key=lambda one: (_leaves(one[0], wanted), one[0])):
        server = f"set server {look.backend}/s{slot}"
        wish = by_slot.get(slot)
        stands, is_now = Stands.OUT if wish is None else wish.stands, place.stands
        if wish is not None and (place.address, place.port) != (wish.address, wish.port):
            if is_now is not Stands.OUT:
                found.append(f"{server} state {_WORDS[Stands.OUT]}")
                is_now = Stands.OUT
            found.append(f"{server} addr {wish.address} port {wish.port}")
        if is_now is not stands:
            found.append(f"{server} state {_WORDS[stands]}")
    return found


def _leaves(slot: int, wanted: Wanted) -> bool:
    return not any(wish.slot == slot and wish.stands is Stands.IN for wish in wanted.members)


def in_lines(found: Sequence[str]) -> Iterator[str]:
    """Commands together, as many as one line takes."""
    line = ""
    for command in found:
        if line and len(line) + len(command) >= _LARGEST_LINE:
            yield line
            line = ""
        line = f"{line};{command}" if line else command
    if line:
        yield line


def applied(look: Look, wanted: Wanted) -> Applied:
    """What the load balancer does for those that are named."""
    members: dict[str, Seen] = {}
    totals: dict[str, int] = {}
    for wish in wanted.members:
        place = look.places.get(wish.slot)
        if place is None or (place.address, place.port) != (wish.address, wish.port):
            continue
        members[wish.physical_id] = Seen(place.stands, None if look.former else place.sessions, place.well)
        totals[wish.physical_id] = place.total
    requests = look.requests if wanted.service.mode is Mode.HTTP else look.connections
    return Applied(members, Totals(requests, look.sessions, totals))
