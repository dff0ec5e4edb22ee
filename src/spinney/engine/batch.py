"""The node actions of one claim: what each comes down to, decided and stored together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.action import Action, ActionKind
from spinney.domain.event import Event, Level
from spinney.domain.host import Host
from spinney.domain.image_rule import ImageRule
from spinney.domain.lifecycle import Launch, Transition, stay_of, waited
from spinney.domain.node import Node, NodeStatus
from spinney.domain.rollout.model import Manner
from spinney.engine import adjusting, endings
from spinney.engine.catalog import Catalog, ContainerProfile, HostProfile
from spinney.engine.intent import lifecycle, quotas
from spinney.engine.jobs import Job, Task, beside, leftover
from spinney.engine.placing.landing import NO_ROOM, SHOWN_WHILE, Lander, Stuck, Work, decided
from spinney.engine.watching import joining
from spinney.profiles.allowances import Allowances, making_fault
from spinney.profiles.in_place import in_place
from spinney.store import adjusting as rooms
from spinney.store import hosts, image_rules, networks, readiness, status, work
from spinney.store.image_rules import ImageRules
from spinney.store.rows import EVENTS, NODES
from spinney.store.tables import cluster as cluster_table
from spinney.store.tables import host as host_table
from spinney.store.tables import node as table
from spinney.store.work import Outcome

_ROWS_ONLY = (ActionKind.NODE_JOIN, ActionKind.NODE_LEAVE)
_TASKS: Mapping[ActionKind, Task] = {
    ActionKind.NODE_CREATE: Task.CREATE,
    ActionKind.NODE_DELETE: Task.DELETE,
    ActionKind.NODE_CHECK: Task.CHECK,
    ActionKind.NODE_OPERATION: Task.OPERATE,
    ActionKind.NODE_UPDATE: Task.RECREATE,
    ActionKind.NODE_MOVE: Task.MOVE,
    ActionKind.NODE_EVICT: Task.EVICT,
    ActionKind.NODE_FETCH: Task.FETCH,
}


_MAKING = (Task.CREATE, Task.RECREATE, Task.MOVE)
_OF_IMAGES = (*_MAKING, Task.FETCH)


class Batch:
    """``prepare`` fills ``jobs``, ``freed`` (networks that lost their last user) and ``more`` (to be claimed at once)."""

    def __init__(
        self,
        connection: Connection,
        engine_id: str,
        catalog: Catalog,
        subnet_count: int,
        ids: Ids,
        now: float,
        allowed: Allowances,
        max_nodes: int,
    ) -> None:
        self.jobs: list[Job] = []
        self.freed: list[tuple[str, str]] = []
        self.more = False
        self._connection = connection
        self._engine_id = engine_id
        self._catalog = catalog
        self._subnet_count = subnet_count
        self._ids = ids
        self._now = now
        self._allowed = allowed
        self._max_nodes = max_nodes
        self._images = ImageRules(connection, allowed.images)
        self._profiles: Mapping[str, ContainerProfile | HostProfile] = {}
        self._ended: list[Outcome] = []
        self._promised: set[str] = set()
        self._launches: Mapping[str, Launch] = {}

    def prepare(self, actions: Sequence[Action]) -> None:
        """Raises: PlacementRace."""
        nodes = {n.id: n for n in NODES.all(self._connection, table.c.id.in_([a.target for a in actions]))}
        profile_ids = {n.profile_id for n in nodes.values()}
        profile_ids |= {str(a.inputs["new_profile_id"]) for a in actions if a.inputs.get("new_profile_id")}
        self._profiles = self._catalog.load(self._connection, profile_ids)
        pending = [(action, nodes[action.target]) for action in actions if action.target in nodes]
        self._ended = [endings.missing(action) for action in actions if action.target not in nodes]
        EVENTS.insert(self._connection, self._announcements(pending))
        pending = self._gate(pending)
        landing: list[Work] = []
        working: list[Work] = []
        staying: list[Work] = []
        for action, node in pending:
            if leftover(action) is not None:  # whatever else may be, that is taken to its end
                working.append((action, node))
                continue
            if self._settle(action, node):
                continue
            stays = self._stays(action, node)
            if stays is not None:
                staying.append(stays)
            elif action.inputs.get("manner") == Manner.IN_PLACE:
                no = "its container cannot be changed where it is: there is no room, or it is not well"
                self._ended.append(endings.not_in_place(action, node, no, self._ids, self._now))
            else:
                (landing if self._wants_place(action, node) else working).append((action, node))
        lander = Lander(self._connection, self._profiles, self._subnet_count, self._ids, self._now)
        landed = lander.land(landing)
        for stuck in landed.stuck:
            self._stuck(stuck)
        working = self._show(working) + list(landed.placed)
        self._make_jobs(working)
        self._make_adjustments(staying)
        status.refresh(self._connection, {node.cluster_id for action, node in working if action.parent_id is None})
        if self._ended:
            finished = work.finish(self._connection, self._engine_id, self._ended, self._now)
            self.freed += finished.freed_networks
            self.more = finished.more

    def _gate(self, pending: Sequence[Work]) -> list[Work]:
        """Those for which nobody has to be waited for first."""
        gated = lifecycle.gate(
            self._connection, pending, self._ids, self._now, careful=self._at_most_one, in_place=self._may_stay
        )
        for action, node, reason in gated.refused:
            if action.action is ActionKind.NODE_CREATE:
                self._fail(action, node, reason)
            else:
                self._ended.append(endings.unmoved(action, node, reason, self._ids, self._now))
        self._launches = gated.launches
        return gated.through

    def _may_stay(self, action: Action, node: Node) -> bool:
        """Whether an update leaves the container where it is, unless the host refuses."""
        before, after = (
            self._profiles.get(node.profile_id),
            self._profiles.get(str(action.inputs.get("new_profile_id"))),
        )
        if before is None or after is None or rooms.REPLACE in action.outputs:
            return False
        return in_place(before.properties, after.properties)

    def _announcements(self, pending: Sequence[Work]) -> list[Event]:
        return [
            endings.announcement(action, node, "start", Level.INFO, "", self._ids, self._now)
            for action, node in pending
            if not action.cause.derived and action.attempt == 1
        ]

    def _settle(self, action: Action, node: Node) -> bool:
        """Deal with what needs no container; True when that was all."""
        assert action.start_time is not None
        profile = self._profiles.get(node.profile_id)
        if action.cancel_requested and not rooms.begun(action, node):
            self._cancel(action, node)
        elif self._now > action.start_time + action.timeout + waited(action):
            if not self._called_off(action, node):
                shows = node.status if rooms.untouched(action, node) else NodeStatus.ERROR
                self._fail(action, node, f"{action.action.value} exceeded its timeout of {action.timeout} s", shows)
        elif profile is None:
            self._fail(action, node, f"profile {node.profile_id} no longer exists")
        elif action.action is ActionKind.NODE_MOVE and node.host_id is None:
            self._fail(action, node, "the node is on no host: there is nothing to move", shows=node.status)
        elif action.action is ActionKind.NODE_FETCH:
            self._fetch(action, node)
        elif action.action is ActionKind.NODE_EVICT and (no := joining.objection(self._connection, action, node)):
            self._ended.append(endings.unmoved(action, node, no, self._ids, self._now))
        elif (
            outside := joining.left_out(self._connection, action, node, self._max_nodes, self._ids, self._now)
        ) is not None:
            self._ended.append(outside)
        elif (over := quotas.update_fault(self._connection, action, self._allowed.limits)) is not None:
            self._ended.append(endings.unmoved(action, node, over, self._ids, self._now))
        elif action.action in _ROWS_ONLY:
            self._ended.append(joining.settle(self._connection, action, node, self._now))
        elif isinstance(profile, HostProfile):
            self._host_action(action, node, profile)
        elif action.action is ActionKind.NODE_UPDATE and not action.inputs.get("new_profile_id"):
            self._ended.append(endings.rows_changed(action, node, self._ids, self._now))
        elif (no := self._may_not_make(action, node)) is not None:
            self._refuse(action, node, no)
        else:
            return False
        return True

    def _may_not_make(self, action: Action, node: Node) -> str | None:
        """Why no container may be made for the action; None: one may, or none is wanted."""
        if _task(action, node) not in _OF_IMAGES:
            return None
        profile = self._profiles.get(str(action.inputs.get("new_profile_id") or node.profile_id))
        if not isinstance(profile, ContainerProfile):
            return None
        return making_fault(profile.properties, node.project, self._rule(node, profile), self._allowed.grants)

    def _rule(self, node: Node, profile: ContainerProfile | HostProfile) -> ImageRule:
        """The one about the node's image; there is none about that which the operator gave for load balancers."""
        ours = isinstance(profile, ContainerProfile) and profile.properties.image == self._allowed.own_image
        return ImageRule() if ours else self._images.of(node.project)

    def _fetch(self, action: Action, node: Node) -> None:
        """The image of a profile on a host that has members, wherever this one is by now."""
        profile = self._profiles.get(str(action.inputs["new_profile_id"]))
        host = self._hosts({str(action.inputs["host"])}).get(str(action.inputs["host"]))
        no = self._may_not_make(action, node)
        if no is not None or host is None or not isinstance(profile, ContainerProfile):
            reason = no or "the host, or the profile, is there no more"
            self._ended.append(endings.unmoved(action, node, reason, self._ids, self._now))
            return
        made, present = replace(node, profile_id=profile.profile.id), self._profiles.get(node.profile_id)
        job = Job(
            task=Task.FETCH,
            action=action,
            node=made,
            profile=profile,
            host=host,
            pin=self._rule(made, profile).pin,
            present=present if isinstance(present, ContainerProfile) else None,
        )
        self.jobs.append(job)

    def _refuse(self, action: Action, node: Node, reason: str) -> None:
        """A node that has a container keeps it; healing wants one in the place of what is broken."""
        if node.physical_id is not None and action.action in (ActionKind.NODE_UPDATE, ActionKind.NODE_MOVE):
            self._ended.append(endings.unmoved(action, node, reason, self._ids, self._now))
        else:
            self._fail(action, node, reason)

    def _stays(self, action: Action, node: Node) -> Work | None:
        """The work, where it is to be done on the container that is there, which goes on serving meanwhile."""
        before, after = (
            self._profiles.get(node.profile_id),
            self._profiles.get(str(action.inputs.get("new_profile_id"))),
        )
        return adjusting.begin(self._connection, action, node, before, after, self._now)

    def _make_adjustments(self, staying: Sequence[Work]) -> None:
        known = self._hosts({node.host_id for _, node in staying if node.host_id is not None})
        for action, node in staying:
            before, after = self._profiles[node.profile_id], self._profiles[str(action.inputs["new_profile_id"])]
            limits = adjusting.change(before, after, self._catalog.defaults)
            host = known.get(node.host_id or "")
            self.jobs.append(Job(task=Task.ADJUST, action=action, node=node, profile=after, host=host, limits=limits))

    def _wants_place(self, action: Action, node: Node) -> bool:
        kind = action.action
        if kind is ActionKind.NODE_CREATE:
            return node.host_id is None
        if beside(action):
            return not decided(action, node)
        recreates = kind is ActionKind.NODE_UPDATE or (kind is ActionKind.NODE_RECOVER and _recreates(action, node))
        return recreates and not decided(action, node)

    def _show(self, working: Sequence[Work]) -> list[Work]:
        """Let the API see what the nodes are going through."""
        shown = [
            (action, replace(node, status=SHOWN_WHILE[action.action]))
            if action.action in SHOWN_WHILE and not beside(action)
            else (action, node)
            for action, node in working
        ]
        changed = [node for (_, node), (_, before) in zip(shown, working, strict=True) if node is not before]
        if changed:
            self._connection.execute(
                table.update().where(table.c.id == sa.bindparam("b_id")).values(status=sa.bindparam("b_status")),
                [{"b_id": node.id, "b_status": node.status} for node in changed],
            )
        return shown

    def _make_jobs(self, working: Sequence[Work]) -> None:
        working = [(action, _as_made(action, node)) for action, node in working]
        needed = {str(action.data["previous_host"]) for action, _ in working if action.data.get("previous_host")}
        homes = {action.id: _home(action, node) for action, node in working}
        known = self._hosts(needed | {home for home in homes.values() if home is not None})
        tasks = [(action, node, _task(action, node)) for action, node in working]
        wanted = {
            (homes[action.id] or "", node.project)
            for action, node, task in tasks
            if task in _MAKING and homes[action.id] is not None and self._networked(node)
        }
        subnets = networks.subnets(self._connection, wanted, self._subnet_count)
        owners = {(node.cluster_id or node.id, node.profile_id) for _, node, task in tasks if task in _MAKING}
        digests = image_rules.digests(self._connection, owners)
        careful = self._at_most_one({node.cluster_id for _, node, task in tasks if task is Task.MOVE})
        for action, node, task in tasks:
            home = homes[action.id] or ""
            subnet_index = subnets.get((home, node.project))
            if subnet_index is None and task in _MAKING and self._networked(node):
                self._ended.append(endings.without_network(action, node, self._subnet_count, self._ids, self._now))
                continue
            job = Job(
                task=task,
                action=action,
                node=node,
                profile=self._profiles[node.profile_id],
                host=known.get(home),
                previous_host=known.get(str(action.data.get("previous_host"))),
                subnet_index=subnet_index,
                at_most_one=node.cluster_id in careful,
                launch=self._launches.get(action.id) if task in _MAKING else None,
                launched=stay_of(action.data, Transition.LAUNCH),
                pin=task in _MAKING and self._rule(node, self._profiles[node.profile_id]).pin,
                digest=digests.get((node.cluster_id or node.id, node.profile_id)),
            )
            self.jobs.append(job)
        # Before anything is stopped, so that nobody gives it work meanwhile.
        out = {job.node.id: job.out_of_service for job in self.jobs if job.out_of_service}
        readiness.withdraw(self._connection, out, self._now)

    def _at_most_one(self, cluster_ids: set[str]) -> set[str]:
        """Those of the clusters two containers of whose members must never run at the same time."""
        if not cluster_ids:
            return set()
        rows = self._connection.execute(
            sa.select(cluster_table.c.id, cluster_table.c.config).where(cluster_table.c.id.in_(cluster_ids))
        )
        return {cluster_id for cluster_id, config in rows if config.get("spinney.overlap") == "at-most-one"}

    def _hosts(self, ids: set[str]) -> dict[str, Host]:
        return {h.node_id: h for h in hosts.find(self._connection, host_table.c.node_id.in_(ids))} if ids else {}

    def _networked(self, node: Node) -> bool:
        profile = self._profiles[node.profile_id]
        return isinstance(profile, ContainerProfile) and profile.properties.network == "bridge"

    def _host_action(self, action: Action, node: Node, profile: HostProfile) -> None:
        new = self._profiles.get(str(action.inputs.get("new_profile_id")))
        new_profile = new if isinstance(new, HostProfile) else None
        trial = joining.to_be_tried(self._connection, action, node, new_profile)
        if trial is not None:
            self.jobs.append(Job(task=Task.HOST_TRY, action=action, node=node, profile=profile, machine=trial))
            return
        outcome = joining.host_outcome(self._connection, action, node, new_profile, self._ids, self._now)
        if outcome is not None:
            self._ended.append(outcome)
            return
        registered = self._hosts({node.id}).get(node.id)
        machine = None
        if registered is None:
            machine = joining.machine_for(self._connection, action, profile, self._promised)
            if machine is None:
                self._fail(action, node, "every endpoint of the profile is registered as a host already; name others")
                return
        ((_, node),) = self._show([(action, node)])
        readiness.follow_hosts(self._connection, [node.id], self._now)
        task = Task.HOST_JOIN if machine is not None else Task.HOST_CHECK
        self.jobs.append(Job(task=task, action=action, node=node, profile=profile, host=registered, machine=machine))

    def _cancel(self, action: Action, node: Node) -> None:
        """A creation that was begun has its container removed first."""
        if self._called_off(action, node):
            return
        profile = self._profiles.get(node.profile_id)
        home = self._hosts({node.host_id}) if node.host_id is not None else {}
        if action.action is ActionKind.NODE_CREATE and home and isinstance(profile, ContainerProfile):
            self.jobs.append(
                Job(task=Task.UNDO, action=action, node=node, profile=profile, host=home[node.host_id or ""])
            )
        else:
            self._ended.append(endings.cancelled(action, node, self._ids, self._now))

    def _called_off(self, action: Action, node: Node) -> bool:
        """Whether the action was to put a further container in the place of the present one and was begun: what it may have
        made is then removed."""
        if not beside(action) or not decided(action, node):
            return False
        node = _as_made(action, node)
        profile = self._profiles.get(node.profile_id)
        if profile is None:
            return False
        known = self._hosts({str(action.data["to"]), node.host_id or ""})
        job = Job(
            task=Task.CALL_OFF,
            action=action,
            node=node,
            profile=profile,
            host=known.get(str(action.data["to"])),
            previous_host=known.get(node.host_id or ""),
        )
        self.jobs.append(job)
        return True

    def _fail(self, action: Action, node: Node, reason: str, shows: NodeStatus = NodeStatus.ERROR) -> None:
        self._ended.append(endings.failed(action, node, reason, self._ids, self._now, shows=shows))

    def _stuck(self, stuck: Stuck) -> None:
        """Without room a new node waits; one that has a container keeps it."""
        action, node = stuck.action, stuck.node
        if node.host_id is None:
            self._ended.append(endings.waiting(action, node, stuck.answer, stuck.decision_id, self._ids, self._now))
            return
        reason = f"there is no room for its new container: {stuck.answer.summary}"
        ended = endings.unmoved(action, node, reason, self._ids, self._now)
        self._ended.append(replace(ended, outputs={NO_ROOM: stuck.answer.summary}))


def _home(action: Action, node: Node) -> str | None:
    """The host on which the action's container is, or is to be."""
    return str(action.data["to"]) if beside(action) and leftover(action) is None else node.host_id


def _as_made(action: Action, node: Node) -> Node:
    """The node as its new container is made, where it has its present one until that has taken over."""
    profile_id = action.inputs.get("new_profile_id")
    return replace(node, profile_id=str(profile_id)) if beside(action) and profile_id is not None else node


def _task(action: Action, node: Node) -> Task:
    if action.action is ActionKind.NODE_RECOVER:
        return Task.RECREATE if _recreates(action, node) else Task.REBOOT
    if beside(action):
        return Task.MOVE if leftover(action) is None else Task.LEAVE
    return _TASKS[action.action]


def _recreates(action: Action, node: Node) -> bool:
    """REBOOT acts on the container that is there; without one, and by default, recovery makes it anew."""
    return node.physical_id is None or str(action.inputs.get("operation") or "RECREATE").upper() != "REBOOT"
