"""What one step of a cluster's runs works with, and what it does to members: ordering and recording alone.

Members are made, stopped and removed by ordinary actions, which are work of the system and yield to users'; so hosts are
chosen, rules of images kept and containers reaped as for any other node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import event as events
from spinney.domain.action import Action, ActionKind, Cause, queued
from spinney.domain.cluster import Cluster
from spinney.domain.event import Level
from spinney.domain.identity import Owner
from spinney.domain.node import Node
from spinney.domain.quota import Amounts
from spinney.domain.runs import Place, Run, Try, finished, member_data
from spinney.store import actions, quotas, runs, standing
from spinney.store.quotas import Change
from spinney.store.rows import EVENTS, NODES
from spinney.store.tables import action as action_table
from spinney.store.tables import cluster as cluster_table
from spinney.store.tables import node as table

_LONGEST_NAME = 255


@dataclass(slots=True)
class Scene:
    """One transaction about a cluster that is held. ``ordered``: there is something new to claim; ``room``: a host has room
    that it had not before."""

    connection: Connection
    cluster: Cluster
    max_nodes: int
    #: Quotas of projects for which nothing else is set.
    limits: Amounts
    ids: Ids
    now: float
    ordered: bool = False
    room: bool = False

    @property
    def owner(self) -> Owner:
        return Owner(self.cluster.user, self.cluster.project, self.cluster.domain)

    def tell(self, kind: str, level: Level, reason: str, run: Run | None = None) -> None:
        event = events.of_cluster(
            self.owner,
            cluster_id=self.cluster.id,
            cluster_name=self.cluster.name,
            kind=kind,
            level=level,
            reason=reason,
            event_id=self.ids.new(),
            now=self.now,
            data={} if run is None else {"run": run.number},
        )
        EVENTS.insert(self.connection, [event])

    # -- making ------------------------------------------------------------------------------------------------------

    def make(self, run: Run, tries: Sequence[Try]) -> tuple[dict[int, str], str | None]:
        """Nodes for the attempts, by completion, as far as the limits allow; and what is in the way of the rest."""
        made: dict[int, str] = {}
        for number, one in enumerate(tries):
            fault = self._limit(run)
            if fault is not None:
                self._make_room(len(tries) - number)
                return made, fault
            made[one.index] = self._make(run, one)
        return made, None

    def _limit(self, run: Run) -> str | None:
        there = sa.select(sa.func.count()).select_from(table).where(table.c.cluster_id == self.cluster.id)
        most = self.max_nodes
        if self.connection.execute(there).scalar_one() >= most:
            return f"the cluster has {most} nodes, and no cluster may have more"
        change = Change(member=run.profile_id)
        return quotas.growth_fault(self.connection, self.cluster.project, self.cluster.id, change, self.limits)

    def _make_room(self, wanted: int) -> None:
        """What has ended gives way to what is to begin, the oldest first."""
        kept = [node for node in runs.all_members(self.connection, self.cluster.id) if finished(node)]
        self.remove(kept[:wanted])

    def _make(self, run: Run, one: Try) -> str:
        index = self._next_index()
        name = f"{self.cluster.name}-{run.number}-{one.index}-{one.attempt}"[-_LONGEST_NAME:]
        node = Node(
            id=self.ids.new(),
            name=name,
            profile_id=run.profile_id,
            cluster_id=self.cluster.id,
            index=index,
            user=self.cluster.user,
            project=self.cluster.project,
            domain=self.cluster.domain,
            init_at=self.now,
            data=member_data(Place(run.number, one.index, one.attempt)),
        )
        NODES.insert(self.connection, [node])
        self.order(
            ActionKind.NODE_CREATE, node, f"Attempt {one.attempt} at completion {one.index} of run {run.number}."
        )
        return node.id

    def _next_index(self) -> int:
        mine = cluster_table.c.id == self.cluster.id
        following = cluster_table.c.next_index
        self.connection.execute(cluster_table.update().where(mine).values(next_index=following + 1))
        return int(self.connection.execute(sa.select(following).where(mine)).scalar_one()) - 1

    # -- ending ------------------------------------------------------------------------------------------------------

    def stop(self, nodes: Sequence[Node], reason: str) -> None:
        """Their containers are kept, for their logs; what has none is removed."""
        busy = standing.at_work(self.connection, [node.id for node in nodes])
        for node in nodes:
            if node.id in busy:
                # Once nothing works on it, whoever asks again finds what is left to be done.
                making = action_table.c.target == node.id, action_table.c.action == ActionKind.NODE_CREATE.value
                actions.request_cancel(self.connection, *making)
                self.ordered = True
            elif node.physical_id is None:
                self.order(ActionKind.NODE_DELETE, node, reason)
            else:
                inputs = {"operation": "stop", "params": {}}
                self.order(ActionKind.NODE_OPERATION, node, reason, operation="stop", inputs=inputs)

    def remove(self, nodes: Sequence[Node]) -> None:
        """Those that nothing works on. A host that does not answer holds nobody up: what is left there is reaped."""
        busy = actions.live_targets(self.connection, [node.id for node in nodes])
        for node in nodes:
            if node.id not in busy:
                self.order(ActionKind.NODE_DELETE, node, "Its run is kept no longer.", inputs={"force": True})

    def order(self, kind: ActionKind, node: Node, reason: str, **fields: Any) -> None:
        ordered: Action = queued(
            kind,
            node.id,
            self.owner,
            action_id=self.ids.new(),
            cause=Cause.HEALING,
            now=self.now,
            reason=reason,
            cluster_id=self.cluster.id,
            timeout=self.cluster.timeout,
            **fields,
        )
        actions.insert(self.connection, [ordered])
        self.ordered = True
