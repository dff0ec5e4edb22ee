"""What was measured on hosts, and what is to be measured there. Many hosts at a time, in few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.host import HelperMode
from spinney.domain.utilization import HostUse
from spinney.store.tables import cluster, node
from spinney.store.tables import host as table


@dataclass(frozen=True, slots=True)
class Wish:
    """How a host is to be measured. ``mode`` None: its host cluster does not say."""

    mode: HelperMode | None = None
    metrics_url: str | None = None


def wishes(connection: Connection) -> dict[str, Wish]:
    """Of every host, by its id."""
    hosts = sa.select(table.c.node_id, table.c.metrics_url, node.c.cluster_id)
    found = connection.execute(hosts.join_from(table, node, table.c.node_id == node.c.id)).all()
    configs = sa.select(cluster.c.id, cluster.c.config).where(cluster.c.id.in_({row.cluster_id for row in found}))
    modes = {row.id: _mode(row.config) for row in connection.execute(configs)}
    return {row.node_id: Wish(modes.get(row.cluster_id), row.metrics_url) for row in found}


def _mode(config: Mapping[str, Any]) -> HelperMode | None:
    told = config.get("spinney.helper")
    return None if told is None else HelperMode(told)


def write_uses(connection: Connection, uses: Mapping[str, HostUse]) -> None:
    """By host id; hosts that are gone are passed over."""
    _update(
        connection,
        [
            {
                "id": host_id,
                "used_cpu": use.cpu,
                "used_memory": use.memory,
                "used_disk": use.disk,
                "disk": use.disk_total,
                "sampled_at": use.sampled_at,
            }
            for host_id, use in uses.items()
        ],
    )


def write_helpers(connection: Connection, helpers: Mapping[str, HelperMode]) -> None:
    _update(connection, [{"id": host_id, "helper": mode.value} for host_id, mode in helpers.items()])


def _update(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        columns: dict[str, Any] = {name: sa.bindparam(name) for name in rows[0] if name != "id"}
        connection.execute(table.update().where(table.c.node_id == sa.bindparam("id")).values(columns), rows)
