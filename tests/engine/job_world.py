"""Clusters that do a job on simulated hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.node import Node
from spinney.domain.policy import Policy
from spinney.domain.runs import Run, place_of
from spinney.store import policies, runs

_BACKOFF = {"initial": 1, "ceiling": 4}


def job_policy(world: World, **properties: Any) -> str:
    name = "spinney.policy.job"
    made = Policy(
        id=world.ids.new(),
        name="my job",
        type=f"{name}-1.0",
        spec={"type": name, "version": "1.0", "properties": {"backoff": _BACKOFF, **properties}},
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


async def bare_cluster(world: World, command: str, size: int = 0, **fields: Any) -> str:
    """Without the policy. ``command`` is what each member does; ``restart_policy`` and the like are of the profile."""
    of_cluster = {key: fields.pop(key) for key in ("config", "min_size", "max_size") if key in fields}
    what = {"command": ["sh", "-c", command], "restart_policy": "none", **fields}
    cluster_id = world.create(size, profile_id=world.profile(**what), **of_cluster)
    await world.settle()
    return cluster_id


async def attach(world: World, cluster_id: str, **properties: Any) -> Action:
    policy_id = job_policy(world, **properties)
    return await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy_id=policy_id, enabled=True)


async def job_cluster(world: World, command: str, *, profile: dict[str, Any] | None = None, **properties: Any) -> str:
    cluster_id = await bare_cluster(world, command, **(profile or {}))
    done = await attach(world, cluster_id, **properties)
    assert done.status is ActionStatus.SUCCEEDED, done.status_reason
    return cluster_id


def all_runs(world: World, cluster_id: str) -> list[Run]:
    """The oldest first."""
    return world.store.run(runs.of_cluster, cluster_id)[::-1]


def latest(world: World, cluster_id: str) -> Run:
    """One that has done nothing, before there is any."""
    nothing = Run(id="", cluster_id="", policy_id="", number=0)
    return next(iter(world.store.run(runs.of_cluster, cluster_id)), nothing)


async def all_over(world: World, cluster_id: str, count: int = 1, seconds: float = 120.0) -> list[Run]:
    def over() -> bool:
        found = all_runs(world, cluster_id)
        return len(found) >= count and all(run.ended_at is not None for run in found)

    await world.until(over, seconds)
    return all_runs(world, cluster_id)


def places(world: World, cluster_id: str) -> list[tuple[int, int, int]]:
    """Run, completion and attempt of each member there is, in the order in which they were made."""
    found = [place_of(member.data) for member in world.members(cluster_id)]
    return [(one.number, one.completion, one.attempt) for one in found if one is not None]


def exit_codes(members: Sequence[Node]) -> list[int | None]:
    return [member.data["completion"]["exit_code"] for member in members]


def told(world: World, prefix: str = "RUN_") -> list[str]:
    return [event.action for event in world.events() if event.action.startswith(prefix)]
