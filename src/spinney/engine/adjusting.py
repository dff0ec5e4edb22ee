"""Changing containers where they are instead of making them anew: which updates do, and what is left of them to be done."""

from __future__ import annotations

from sqlalchemy import Connection

from spinney.domain.action import Action, ActionKind
from spinney.domain.container import ContainerLimits
from spinney.domain.node import Node, NodeStatus
from spinney.engine.catalog import ContainerProfile, HostProfile
from spinney.profiles.container_request import ContainerDefaults, limits
from spinney.profiles.in_place import in_place
from spinney.store import adjusting, image_rules


def begin(
    connection: Connection,
    action: Action,
    node: Node,
    before: ContainerProfile | HostProfile | None,
    after: ContainerProfile | HostProfile | None,
    now: float,
) -> tuple[Action, Node] | None:
    """The update of a container that stays, with its room set aside; None: it takes a new container."""
    if action.action is not ActionKind.NODE_UPDATE or not _alike(before, after):
        return None
    if adjusting.begun(action, node):
        return action, node
    if node.physical_id is None or node.host_id is None or node.status is not NodeStatus.ACTIVE:
        return None
    if adjusting.REPLACE in action.outputs:
        return None
    assert isinstance(before, ContainerProfile) and isinstance(after, ContainerProfile)
    work = adjusting.begin(connection, action, node, after.cpu, after.memory)
    if work is not None:
        _keep_digest(connection, node, before.profile.id, after.profile.id, now)
    return work


def _alike(before: ContainerProfile | HostProfile | None, after: ContainerProfile | HostProfile | None) -> bool:
    return before is not None and after is not None and in_place(before.properties, after.properties)


def _keep_digest(connection: Connection, node: Node, before: str, after: str, now: float) -> None:
    """The image stays the same one, also where its tag was resolved and has come to mean another."""
    owner = node.cluster_id or node.id
    digest = image_rules.digest_of(connection, owner, before)
    if digest is not None:
        image_rules.resolve(connection, owner, after, digest, now)


def change(
    before: ContainerProfile | HostProfile, after: ContainerProfile | HostProfile, defaults: ContainerDefaults
) -> ContainerLimits | None:
    """What its Docker engine has to be told; None: nothing that differs concerns it."""
    assert isinstance(before, ContainerProfile) and isinstance(after, ContainerProfile)
    wanted = limits(after.properties, defaults)
    return None if wanted == limits(before.properties, defaults) else wanted
