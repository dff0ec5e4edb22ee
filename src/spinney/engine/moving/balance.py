"""Which moves would even out the hosts of a cluster: reading what the decision needs."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.alias import called
from spinney.domain.cluster import Cluster
from spinney.domain.cluster_config import Rebalancing
from spinney.domain.host import Host
from spinney.domain.node import Node
from spinney.domain.placement.model import Occupant, PlacementRequest
from spinney.domain.rebalance import Advice, Movable, choose, sources
from spinney.domain.runs import place_of
from spinney.engine.moving.window import Scene
from spinney.engine.placing.asking import load_fleet
from spinney.store import fleets, hosts, standing
from spinney.store.rows import NODES
from spinney.store.tables import host as host_table
from spinney.store.tables import node as table


def advise(scene: Scene, cluster: Cluster, wanted: Rebalancing, max_moves: int) -> Advice:
    """For a host cluster: containers of anybody on its hosts; for a container cluster: its members, wherever they may be."""
    nodes = _movable(scene, cluster, wanted.settling, max_moves)
    requests = scene.requests(nodes)
    movables = [
        Movable(node.name, requests[node.id].leaving(node.host_id or ""), occupant_of(node, requests[node.id]))
        for node in nodes
        if node.id in requests and requests[node.id].host_node is None
    ]
    asked = [movable.request for movable in movables]
    if not asked:
        return Advice(0.0, 0.0, ())
    fleet = load_fleet(scene.connection, asked, scene.network_limit, scene.now)
    found: list[Host] = fleets.candidates(scene.connection, asked)
    return choose(fleet, found, movables, threshold=wanted.threshold, max_moves=max_moves)


def _movable(scene: Scene, cluster: Cluster, settling: float, max_moves: int) -> list[Node]:
    """On the fullest hosts what is in service, with nothing at work on it, and was not moved within the settling time; members
    of runs would have to begin anew."""
    members = hosts.find(scene.connection, table.c.cluster_id == cluster.id)
    own = [] if members else [table.c.cluster_id == cluster.id]
    if own:
        carrying = sa.select(table.c.host_id).where(*own, table.c.host_id.is_not(None)).distinct()
        members = hosts.find(scene.connection, host_table.c.node_id.in_(carrying))
    wanted = table.c.host_id.in_(sources(members, max_moves))
    query = NODES.select().where(wanted, *own).order_by(table.c.cluster_id, table.c.index, table.c.id)
    nodes = [NODES.value(row) for row in scene.connection.execute(query)]
    ids = [node.id for node in nodes]
    busy = standing.at_work(scene.connection, ids)
    moved = standing.recently_moved(scene.connection, ids, scene.now - settling)
    still = [node for node in nodes if standing.serves(node) and node.id not in busy and node.id not in moved]
    return [node for node in still if place_of(node.data) is None]


def occupant_of(node: Node, request: PlacementRequest) -> Occupant:
    """What the node holds where it is."""
    assert node.host_id is not None
    return Occupant(
        node.host_id, node.reserved_cpu, node.reserved_memory, request.workload, request.ports, request.project
    )


def names_of(connection: Connection, advice: Advice, viewer: str) -> dict[str, str]:
    """What the hosts are called before a project, by id."""
    found = hosts.identities(connection, {host_id for move in advice.moves for host_id in (move.source, move.target)})
    return {host_id: called(host, viewer).name for host_id, host in found.items()}
