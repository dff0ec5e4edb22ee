"""The projects' own bridges on hosts: which subnet of the pool each has. A host never gives one subnet to two projects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from spinney.store.placements import PlacementRace
from spinney.store.tables import hold, network, node


def subnets(connection: Connection, wanted: Collection[tuple[str, str]], pool_size: int) -> dict[tuple[str, str], int]:
    """The subnet index of each (host id, project), allotting the lowest free one where there is none yet.

    Left out are projects for which a host has none left. Raises: PlacementRace when another engine allots at the same time.
    """
    if not wanted:
        return {}
    host_ids = {host_id for host_id, _ in wanted}
    used: dict[str, dict[str, int]] = defaultdict(dict)
    for host_id, project, index in connection.execute(sa.select(network).where(network.c.host_id.in_(host_ids))):
        used[host_id][project] = index
    missing = []
    for host_id, project in sorted(set(wanted)):
        if project not in used[host_id]:
            taken = set(used[host_id].values())
            index = next((i for i in range(pool_size) if i not in taken), None)
            if index is None:
                continue
            used[host_id][project] = index
            missing.append({"host_id": host_id, "project": project, "subnet_index": index})
    if missing:
        try:
            connection.execute(network.insert(), missing)
        except IntegrityError as error:
            raise PlacementRace("a project network was allotted by another engine") from error
    return {(host_id, project): used[host_id][project] for host_id, project in wanted if project in used[host_id]}


def move_subnet(connection: Connection, host_id: str, project: str, refused: int, pool_size: int) -> int:
    """Another subnet for a project's bridge, because the host uses that one for something of its own.

    Only indexes above the refused one are tried, so that repeated refusals come to an end. Raises: PlacementRace.
    """
    rows = connection.execute(sa.select(network.c.project, network.c.subnet_index).where(network.c.host_id == host_id))
    used: Mapping[str, int] = {row.project: row.subnet_index for row in rows}
    if used.get(project, refused) != refused:
        return used[project]
    taken = set(used.values())
    index = next((i for i in range(refused + 1, pool_size) if i not in taken), None)
    if index is None:
        raise PlacementRace(f"no subnet of the pool is free on host {host_id}")
    connection.execute(
        network.update().where(network.c.host_id == host_id, network.c.project == project).values(subnet_index=index)
    )
    return index


def drop_unused(connection: Connection, pairs: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Forget the networks of (host id, project) pairs that no node needs any more; returns those forgotten."""
    if not pairs:
        return []
    used = sa.exists().where(node.c.host_id == network.c.host_id, node.c.project == network.c.project)
    coming = sa.exists().where(
        hold.c.host_id == network.c.host_id, hold.c.node_id == node.c.id, node.c.project == network.c.project
    )
    left = sa.select(network.c.host_id, network.c.project).where(
        network.c.host_id.in_({host for host, _ in pairs}), ~used, ~coming
    )
    unused = sorted({(host_id, project) for host_id, project in connection.execute(left)} & set(pairs))
    for host_id, project in unused:
        connection.execute(network.delete().where(network.c.host_id == host_id, network.c.project == project))
    return unused
