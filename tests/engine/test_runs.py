"""Runs on simulated hosts: members made, ended, tried again, counted once, and what is left of them."""

from __future__ import annotations

from typing import Any

from engine.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.domain.node import NodeStatus
from spinney.domain.policy import Policy
from spinney.domain.runs import Run, RunStatus, place_of
from spinney.store import policies, runs
from virtual_time import run_virtually

QUICK_BACKOFF = {"initial": 1, "ceiling": 4}


def job_policy(world: World, **properties: Any) -> str:
    name = "spinney.policy.job"
    made = Policy(
        id=world.ids.new(),
        name="my job",
        type=f"{name}-1.0",
        spec={"type": name, "version": "1.0", "properties": {"backoff": QUICK_BACKOFF, **properties}},
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


async def job_cluster(world: World, command: str, *, profile: dict[str, Any] | None = None, **properties: Any) -> str:
    """With its policy attached. ``command`` is what each member does."""
    what = {"command": ["sh", "-c", command], "restart_policy": "none", **(profile or {})}
    cluster_id = world.create(0, profile_id=world.profile(**what))
    await world.settle()
    policy_id = job_policy(world, **properties)
    done = await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy_id=policy_id, enabled=True)
    assert done.status is ActionStatus.SUCCEEDED, done.status_reason
    return cluster_id


def all_runs(world: World, cluster_id: str) -> list[Run]:
    """The oldest first."""
    return world.store.run(runs.of_cluster, cluster_id)[::-1]


async def all_over(world: World, cluster_id: str, count: int = 1, seconds: float = 120.0) -> list[Run]:
    def over() -> bool:
        found = all_runs(world, cluster_id)
        return len(found) >= count and all(run.ended_at is not None for run in found)

    await world.until(over, seconds)
    return all_runs(world, cluster_id)


def told(world: World, prefix: str = "RUN_") -> list[str]:
    return [event.action for event in world.events() if event.action.startswith(prefix)]


def test_a_run_makes_its_members_counts_them_and_leaves_the_cluster_as_it_was() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 5; echo $SPINNEY_COMPLETION_INDEX", parallelism=2, completions=3)
            await world.until(lambda: len(world.running()) == 2)
            cluster = world.cluster(cluster_id)
            assert cluster is not None and (cluster.status, cluster.desired_capacity) == (ClusterStatus.ACTIVE, 0)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 3, 0)
            members = world.members(cluster_id)
            places = [place_of(member.data) for member in members]
            assert [(p.number, p.completion, p.attempt) for p in places if p] == [(1, 0, 1), (1, 1, 1), (1, 2, 1)]
            assert all(member.status is NodeStatus.ACTIVE for member in members)
            assert [member.name for member in members] == ["web-1-0-1", "web-1-1-1", "web-1-2-1"]
            assert members[0].data["completion"]["exit_code"] == 0
            await world.clock.sleep(60.0)
            assert world.running() == [] and world.idle()
            assert [member.id for member in world.members(cluster_id)] == [member.id for member in members]
            cluster = world.cluster(cluster_id)
            assert cluster is not None and (cluster.status, cluster.desired_capacity) == (ClusterStatus.ACTIVE, 0)
            assert told(world) == ["RUN_STARTED", "RUN_SUCCEEDED"]
            world.check_invariants()
            assert all(host.reserved_cpu == 0 and host.reserved_memory == 0 for host in world.hosts())

    run_virtually(story())
