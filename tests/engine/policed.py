"""Clusters with policies, as users make them."""

from __future__ import annotations

from typing import Any

from engine.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import Cluster
from spinney.domain.policy import Policy
from spinney.store import policies


def a_policy(world: World, type_: str, version: str = "1.0", **properties: Any) -> str:
    name = type_ if "." in type_ else f"senlin.policy.{type_}"
    made = Policy(
        id=world.ids.new(),
        name=f"my {type_}",
        type=f"{name}-{version}",
        spec={"type": name, "version": version, "properties": properties},
        user="u",
        project="p",
        domain=None,
        created_at=0.0,
    )
    world.store.run(policies.insert, made)
    return made.id


async def ended(world: World, kind: ActionKind, target: str, **inputs: Any) -> Action:
    action_id = world.submit(kind, target, inputs)
    await world.until(lambda: world.action(action_id).final)
    return world.action(action_id)


async def attach(world: World, cluster_id: str, type_: str, version: str = "1.0", **properties: Any) -> str:
    policy_id = a_policy(world, type_, version, **properties)
    done = await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy_id=policy_id, enabled=True)
    assert done.status is ActionStatus.SUCCEEDED, done.status_reason
    return policy_id


async def cluster_of(world: World, size: int, **fields: Any) -> str:
    cluster_id = world.create(size, **fields)
    await world.settle()
    return cluster_id


def seen(world: World, cluster_id: str) -> Cluster:
    found = world.cluster(cluster_id)
    assert found is not None
    return found
