"""Members joining and leaving clusters, machines taken as hosts, the removal of hosts, evictions: what rows alone decide."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import sizing
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.container import HostFacts
from spinney.domain.host_facts import overfull
from spinney.domain.node import Node, NodeStatus
from spinney.engine import endings
from spinney.engine.catalog import HostProfile
from spinney.profiles.docker_host import Machine, described
from spinney.store import duties, hosts, shares, work
from spinney.store.rows import CLUSTERS, NODES
from spinney.store.tables import action as action_table
from spinney.store.tables import cluster as cluster_table
from spinney.store.tables import hold
from spinney.store.tables import host as host_table
from spinney.store.tables import node as table
from spinney.store.tables import profile as profile_table
from spinney.store.work import Outcome


def settle(connection: Connection, action: Action, node: Node, now: float) -> Outcome:
    """NODE_JOIN and NODE_LEAVE."""
    if action.action is ActionKind.NODE_LEAVE:
        return _moved(action, node, "", -1, now)
    cluster_id = str(action.inputs["cluster_id"])
    index = connection.execute(
        sa.select(cluster_table.c.next_index).where(cluster_table.c.id == cluster_id).with_for_update()
    ).scalar()
    if index is None or node.cluster_id not in ("", cluster_id):
        reason = "the cluster no longer exists" if index is None else "the node belongs to another cluster"
        return Outcome(action=action, status=ActionStatus.FAILED, reason=f"Joining failed: {reason}.")
    if node.cluster_id == cluster_id:
        return Outcome(action=action, status=ActionStatus.SUCCEEDED, reason="The node is a member already.")
    connection.execute(cluster_table.update().where(cluster_table.c.id == cluster_id).values(next_index=index + 1))
    duties.room_appeared(connection, node.id, "joined", now, into=cluster_id)
    return _moved(action, node, cluster_id, index, now)


def left_out(
    connection: Connection, action: Action, node: Node, max_nodes: int, ids: Ids, now: float
) -> Outcome | None:
    """The end of a node that its user makes in a cluster which has no room for it: it is a member of none. None: there is
    room. Members that are there, or that were asked for earlier, come first."""
    begun = action.action is not ActionKind.NODE_CREATE or node.host_id is not None
    if begun or action.cause is not Cause.REQUEST or not node.cluster_id:
        return None
    home = CLUSTERS.one(connection, cluster_table.c.id == node.cluster_id)
    if home is None:
        return None
    first = sa.or_(table.c.index <= node.index, table.c.host_id.is_not(None), table.c.physical_id.is_not(None))
    counted = sa.select(sa.func.count()).select_from(table).where(table.c.cluster_id == home.id, first)
    size = connection.execute(counted).scalar_one()
    fault = sizing.check(replace(home, min_size=0), size, max_nodes=max_nodes, strict=True)
    if fault is None:
        return None
    changes = {"cluster_id": "", "index": -1, "status": NodeStatus.ERROR, "status_reason": f"{fault}."}
    return endings.ended(action, node, ActionStatus.FAILED, f"{fault}.", changes, ids, now)


def _moved(action: Action, node: Node, cluster_id: str, index: int, now: float) -> Outcome:
    changes = {"cluster_id": cluster_id, "index": index, "updated_at": now}
    return Outcome(
        action=action,
        status=ActionStatus.SUCCEEDED,
        reason=f"{action.action.value} is done.",
        node=node,
        changes=changes,
    )


def host_outcome(
    connection: Connection, action: Action, node: Node, new: HostProfile | None, ids: Ids, now: float
) -> Outcome | None:
    """The outcome of a host node's action that needs no look at the host; None when it does.

    ``new``: the profile that an update gives it.
    """
    kind = action.action
    if kind is ActionKind.NODE_DELETE:
        return _leave(connection, action, node, ids, now)
    if kind is ActionKind.NODE_UPDATE:
        if not action.inputs.get("new_profile_id"):
            return endings.rows_changed(action, node, ids, now)
        return _described_anew(connection, action, node, new, ids, now)
    if kind is ActionKind.NODE_OPERATION:
        reason = f"{kind.value} is not something a host of type host.docker can do."
        return endings.failed(action, node, reason, ids, now, shows=node.status)
    return None


def to_be_tried(connection: Connection, action: Action, node: Node, new: HostProfile | None) -> Machine | None:
    """What an update must find to answer before the host's row is changed: its machine with another credential."""
    if action.action is not ActionKind.NODE_UPDATE or new is None or action.data.get("tried"):
        return None
    found = hosts.find(connection, host_table.c.node_id == node.id)
    machine = new.properties.machine(found[0].endpoint) if found else None
    return machine if machine is not None and machine.credential != found[0].credential else None


def tried(connection: Connection, action: Action) -> None:
    """Remember that it answered, for whoever claims the update next. Raises: LeaseLost."""
    work.require_claim(connection, action)
    data = {**action.data, "tried": True}
    connection.execute(action_table.update().where(action_table.c.id == action.id).values(data=data))


def _described_anew(
    connection: Connection, action: Action, node: Node, new: HostProfile | None, ids: Ids, now: float
) -> Outcome:
    """Everything of a host but its endpoint changes in place; what runs there runs on."""
    found = hosts.find(connection, host_table.c.node_id == node.id)
    if new is None:
        reason = "the new profile no longer exists, or is not of hosts; give another"
        return endings.failed(action, node, reason, ids, now, shows=node.status)
    told = "Update succeeded."
    if found:
        machine = new.properties.machine(found[0].endpoint)
        if machine is None:
            reason = (
                "the new profile has no machine with this host's endpoint, and a host keeps its endpoint: list that machine "
                "in the profile, or register the other machine as a host of its own"
            )
            return endings.failed(action, node, reason, ids, now, shows=node.status)
        after = described(found[0], machine, HostFacts.from_dict(found[0].facts))
        hosts.describe(connection, after)
        over = overfull(after)
        told = f"Update succeeded; {over}." if over else told
    ended = endings.rows_changed(action, node, ids, now)
    changes = {**ended.changes, "profile_id": new.profile.id, "status": node.status, "status_reason": told}
    return endings.ended(action, node, ActionStatus.SUCCEEDED, told, changes, ids, now)


def _leave(connection: Connection, action: Action, node: Node, ids: Ids, now: float) -> Outcome:
    """A host goes only when nothing of ours is placed on it; removing its row keeps new placements away."""
    users = sa.select(sa.func.count()).select_from(table).where(table.c.host_id == node.id)
    coming = sa.select(sa.func.count()).select_from(hold).where(hold.c.host_id == node.id)
    placed = connection.execute(users).scalar_one() + connection.execute(coming).scalar_one()
    if placed:
        reason = f"{placed} container nodes are placed on this host: delete or move them first."
        return endings.failed(action, node, reason, ids, now, shows=NodeStatus.ACTIVE)
    hosts.remove(connection, node.id)
    _forget_profile(connection, node)
    reason = "The host was removed."
    return endings.ended(action, node, ActionStatus.SUCCEEDED, reason, {}, ids, now, remove_node=True)


def _forget_profile(connection: Connection, node: Node) -> None:
    """The profile that adopting a machine made goes with its host, unless it has found another use."""
    others = sa.exists().where(table.c.profile_id == node.profile_id, table.c.id != node.id)
    clusters = sa.exists().where(cluster_table.c.profile_id == node.profile_id)
    made_for_it = (profile_table.c.id == node.profile_id) & (profile_table.c.name == f"prof-{node.name}"[:255])
    connection.execute(profile_table.delete().where(made_for_it, ~others, ~clusters))


def objection(connection: Connection, action: Action, node: Node) -> str | None:
    """Why an eviction is not to be carried out any more; None: it is."""
    if node.host_id is None or node.host_id != action.inputs.get("host"):
        return "the node is no longer on the host that it was to leave"
    if "for" not in action.inputs:
        revoked = {one.node_id for one in shares.revoked_residents(connection)}
        return None if node.id in revoked else "the host is shared with this project again"
    beneficiary = NODES.one(connection, table.c.id == str(action.inputs.get("for")))
    if beneficiary is None or beneficiary.waiting_since is None:
        return "nobody waits for its room any more"
    return None


def machine_for(connection: Connection, action: Action, profile: HostProfile, promised: set[str]) -> Machine | None:
    """The machine of the profile that a new host node takes: the first that nobody has. None: there is none left.

    The choice is stored with the action, so that whoever resumes it takes the same. ``promised``: endpoints chosen by other
    nodes of the same claim; the one chosen is added.
    """
    machines = {machine.endpoint: machine for machine in profile.properties.machines()}
    remembered = machines.get(str(action.data.get("endpoint")))
    if remembered is not None:
        return remembered
    registered = set(connection.execute(sa.select(host_table.c.endpoint)).scalars())
    chosen = next((m for endpoint, m in machines.items() if endpoint not in registered | promised), None)
    if chosen is not None:
        promised.add(chosen.endpoint)
        data = {**action.data, "endpoint": chosen.endpoint}
        connection.execute(action_table.update().where(action_table.c.id == action.id).values(data=data))
    return chosen
