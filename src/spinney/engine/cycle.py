"""One transaction of an engine: claim, load, decide, record. What remains is returned as jobs for hosts.

Guaranteed: when ``take`` returns, every choice that its jobs act on (host, generation, subnet) is stored; an action that only
concerns rows is already final. A successor that claims the same action later finds those choices and makes the same job.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.node import NodeStatus
from spinney.engine.batch import Batch
from spinney.engine.catalog import Catalog
from spinney.engine.intent import clusters, policies
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.jobs import Job
from spinney.engine.moving import draining, rebalancing
from spinney.engine.moving.window import Scene
from spinney.engine.rollout import stepping
from spinney.profiles.allowances import Allowances
from spinney.store import database, duties, windows, work
from spinney.store.placements import PlacementRace
from spinney.store.rows import NODES
from spinney.store.tables import node as table
from spinney.store.work import Outcome

log = logging.getLogger(__name__)

#: Seconds after which a project's further actions on clusters wait for another transaction: each may make a thousand nodes.
_LONG = 0.05
#: Passed on: the whole transaction is to be run again.
_AGAIN = (PlacementRace, sa.exc.OperationalError)


@dataclass(frozen=True, slots=True)
class Rules:
    """What deciding needs beside the rows."""

    catalog: Catalog
    cluster: ClusterRules
    subnet_count: int
    allowed: Allowances = Allowances()


@dataclass(frozen=True, slots=True)
class Taken:
    jobs: tuple[Job, ...]
    #: There may be more to claim at once: the limit was reached, or an action of a cluster has just queued its children.
    more: bool
    #: The project served last: the next claim begins behind it.
    served: str
    freed_networks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """How many actions this engine has of each project, and may have of one at most; the rest is for the others."""

    held: Mapping[str, int] = field(default_factory=dict)
    most: int = 2**31

    def left(self, project: str) -> int:
        return self.most - self.held.get(project, 0)


def take(
    connection: Connection, engine_id: str, limit: int, after: str, rules: Rules, ids: Ids, shares: Shares
) -> Taken:
    """Raises: LeaseLost, PlacementRace (nothing was written: take again)."""
    actions = work.claim(connection, engine_id, limit, after, shares.left)
    now = database.now(connection)
    node_actions, later, advanced = [], [], set()
    for action in actions:
        step = _step(connection, action, rules, ids, now)
        if step is None:
            node_actions.append(action)
        elif action.project in advanced and database.now(connection) > now + _LONG:
            later.append(action)
        else:
            _guarded(connection, action, step, ids, now)
            advanced.add(action.project)
    work.give_back(connection, later)
    node_actions = policies.before_nodes(connection, node_actions, rules.cluster.max_nodes, now)
    allowed, most = rules.allowed, rules.cluster.max_nodes
    new_batch = partial(Batch, connection, engine_id, rules.catalog, rules.subnet_count, ids, now, allowed, most)
    batches = [new_batch()]
    try:
        if node_actions:
            with connection.begin_nested():
                batches[0].prepare(node_actions)
    except _AGAIN:
        raise
    except Exception:
        log.exception("a batch of %d actions could not be prepared; trying them one by one", len(node_actions))
        batches = [new_batch() for _ in node_actions]
        for action, batch in zip(node_actions, batches, strict=True):
            _guarded(connection, action, partial(batch.prepare, [action]), ids, now)
    jobs = tuple(job for batch in batches for job in batch.jobs)
    more = len(actions) == limit or len(node_actions) < len(actions) or any(batch.more for batch in batches)
    # What a full project has left in the queue is not looked at: it may be there.
    full = any(shares.left(project) <= count for project, count in _by_project(actions, shares).items())
    served = actions[-1].project if actions else after
    return Taken(jobs, more or full, served, tuple(pair for batch in batches for pair in batch.freed))


def _by_project(actions: Iterable[Action], shares: Shares) -> Counter[str]:
    found = Counter(dict.fromkeys(shares.held, 0))
    found.update(action.project for action in actions)
    return found


def _step(connection: Connection, action: Action, rules: Rules, ids: Ids, now: float) -> Callable[[], None] | None:
    """What to do about an action that only orders others; None: it is about one node."""
    scene = Scene(connection, rules.catalog, rules.subnet_count, ids, now)
    if action.rolling:
        return partial(stepping.advance, scene, action, rules.cluster)
    if action.action in (ActionKind.HOST_DRAIN, ActionKind.CLUSTER_REBALANCE):
        advance = draining.advance if action.action is ActionKind.HOST_DRAIN else rebalancing.advance
        return partial(advance, scene, action)
    if action.action.on_cluster:
        return partial(clusters.advance, connection, action, rules.cluster, ids, now)
    return None


def _guarded(connection: Connection, action: Action, run: Callable[[], None], ids: Ids, now: float) -> None:
    """An action that makes our own code fail is ended with that; it must not hold up the others for ever."""
    try:
        with connection.begin_nested():
            run()
    except _AGAIN:
        raise
    except Exception as error:
        log.exception("%s %s could not be decided", action.action, action.id)
        reason = f"{action.action.value} failed inside Spinney: {type(error).__name__}: {error}"
        if action.action in (ActionKind.HOST_DRAIN, ActionKind.CLUSTER_REBALANCE):
            windows.end(connection, action, ActionStatus.FAILED, action.outputs, reason, now)
            duties.drain_ended(connection, action.target, "its drain failed inside Spinney", now)
            return
        if action.action.on_cluster:
            clusters.fail(connection, action, reason, ids, now)
            return
        node = NODES.one(connection, table.c.id == action.target)
        changes = {"status": NodeStatus.ERROR, "status_reason": reason}
        assert action.owner is not None
        outcome = Outcome(action=action, status=ActionStatus.FAILED, reason=reason, node=node, changes=changes)
        work.finish(connection, action.owner, [outcome], now)
