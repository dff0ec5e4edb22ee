"""Kill an engine at its k-th step, for every k; let another take over; demand the same final world.

The tests kill at some of the steps, ``./run campaign kills`` at each. The steps are counted on a run without a kill. Fewer
than expected means that steps have escaped the counting, and is a failure of this test.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from engine.killing import MortalEngine
from engine.policed import attach
from engine.world import World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.domain.container import LABEL_NODE
from spinney.domain.host import Duty, HostState
from spinney.domain.node import NodeStatus
from spinney.store import duties
from virtual_time import run_virtually

#: Long enough for the dead engine's lease, for retries, and for the reaper's two sightings.
_AFTERWARDS = 25.0


@dataclass(frozen=True)
class Story:
    prepare: Callable[[World], Awaitable[str]]
    act: Callable[[World, str], object]
    members: int
    fewest_steps: int
    #: What must hold beside the rest.
    also: Callable[[World], None] = lambda world: None


async def _with_engine(world: World, size: int, config: Mapping[str, Any] | None = None) -> str:
    engine = MortalEngine(world, seed=3)
    cluster_id = world.create(size, config={"spinney.self_healing": False, **(config or {})})
    await world.settle()
    await engine.stop()
    return cluster_id


async def _nothing(world: World) -> str:
    return ""


async def _three(world: World) -> str:
    return await _with_engine(world, 3)


async def _three_apart(world: World) -> str:
    return await _with_engine(world, 3, {"spinney.overlap": "at-most-one"})


async def _three_with_one_dead(world: World) -> str:
    cluster_id = await _with_engine(world, 3)
    victim = world.running()[0]
    engine = next(
        e for e in world.connector.engines.values() if e.core.inspect(victim.id, world.clock.now()) is not None
    )
    engine.core.kill(victim.id, "SIGKILL", world.clock.now())
    return cluster_id


def _create(world: World, _: str) -> str:
    return world.create(3, config={"spinney.self_healing": False})


def _move_one(world: World, cluster_id: str) -> str:
    return world.submit(ActionKind.NODE_MOVE, world.members(cluster_id)[0].id, {"reason": "to see whether it can"})


def _drain(world: World, _: str) -> str:
    return world.submit(ActionKind.HOST_DRAIN, world.host_ids[0], {"max_in_flight": 1})


def _emptied(world: World) -> None:
    drained = next(host for host in world.hosts() if host.node_id == world.host_ids[0])
    assert (drained.state, drained.duty_reason, drained.containers) == (HostState.CORDONED, "drained", 0)
    ended = [a.status for a in world.actions() if a.action is ActionKind.HOST_DRAIN]
    assert ended == [ActionStatus.SUCCEEDED]


async def _four_on_one_of_two(world: World) -> str:
    """One host has just been opened; until then the other had everything."""
    world.store.run(duties.set_duty, world.host_ids[1], Duty.CORDONED, "", 0.0)
    engine = MortalEngine(world, seed=3)
    quiet = {"spinney.self_healing": False}
    cluster_id = world.create(4, profile_id=world.profile(cpu=1.0), config=quiet)
    await world.settle()
    await engine.stop()
    world.store.run(duties.set_duty, world.host_ids[1], Duty.OPEN, "", world.clock.now())
    return cluster_id


def _evened_out(world: World) -> None:
    assert [host.containers for host in world.hosts()] == [2, 2]
    ended = [a.status for a in world.actions() if a.action is ActionKind.CLUSTER_REBALANCE]
    assert ended == [ActionStatus.SUCCEEDED]


async def _three_in_batches(world: World) -> str:
    return await _with_policy(world, "batch", max_batch_size=2, pause_time=3)


async def _three_stopped_for_updates(world: World) -> str:
    return await _with_policy(world, "spinney.policy.update", order="stop-first", monitor=0)


async def _three_that_go_back(world: World) -> str:
    return await _with_policy(world, "spinney.policy.update", monitor=3)


async def _three_with_a_hook(world: World) -> str:
    hook = {"type": "webhook", "timeout": 4, "params": {"url": "https://tell.example"}}
    return await _with_policy(world, "deletion", hooks=hook)


async def _three_asked_about(world: World) -> str:
    hook = {"type": "webhook", "timeout": 3, "params": {"url": "https://ask.example"}}
    return await _with_policy(world, "spinney.policy.lifecycle", before_stop=hook, after_start=hook)


async def _three_stopped_first(world: World) -> str:
    return await _with_engine(world, 3, {"cluster.stop_node_before_delete": True})


async def _with_policy(world: World, type_: str, **properties: Any) -> str:
    cluster_id = await _with_engine(world, 3)
    engine = MortalEngine(world, seed=5)
    await attach(world, cluster_id, type_, **properties)
    await engine.stop()
    return cluster_id


def _update(world: World, cluster_id: str) -> str:
    return world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": world.profile(image="alpine")})


def _update_to_what_dies(world: World, cluster_id: str) -> str:
    short = world.profile(image="alpine", command="sleep 2")
    return world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": short})


def _images(world: World) -> set[str]:
    return {container.image.partition("@")[0].partition(":")[0] for container in world.containers()}


def _updated(world: World) -> None:
    (updated,) = (a for a in world.actions() if a.action is ActionKind.CLUSTER_UPDATE)
    assert updated.status is ActionStatus.SUCCEEDED and _images(world) == {"alpine"}
    assert {m.profile_id for m in world.members(updated.target)} == {updated.inputs["new_profile_id"]}


def _rolled_back(world: World) -> None:
    (updated,) = (a for a in world.actions() if a.action is ActionKind.CLUSTER_UPDATE)
    assert updated.status is ActionStatus.FAILED and "rolled back because" in updated.status_reason
    assert _images(world) == {"busybox"}
    assert updated.inputs["new_profile_id"] not in {m.profile_id for m in world.members(updated.target)}


def _scaled_in(world: World) -> None:
    (shrunk,) = (a for a in world.actions() if a.action is ActionKind.CLUSTER_SCALE_IN)
    assert shrunk.status is ActionStatus.SUCCEEDED and len(shrunk.outputs["nodes_removed"]) == 2


def _shrink(world: World, cluster_id: str) -> str:
    return world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id, {"count": 2})


def _grow(world: World, cluster_id: str) -> str:
    return world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 2})


STORIES = {
    "create": Story(_nothing, _create, 3, 40),
    "scale-out": Story(_three, _grow, 5, 30),
    "scale-in": Story(_three, lambda w, c: w.submit(ActionKind.CLUSTER_SCALE_IN, c, {"count": 2}), 1, 30),
    "scale-in, told before": Story(_three_with_a_hook, _shrink, 1, 30, _scaled_in),
    "scale-in, stopped first": Story(_three_stopped_first, _shrink, 1, 30, _scaled_in),
    "scale-in, asked before": Story(_three_asked_about, _shrink, 1, 30, _scaled_in),
    "scale-out, asked after": Story(_three_asked_about, _grow, 5, 30),
    "update, asked before and after": Story(_three_asked_about, _update, 3, 30, _updated),
    "update in batches": Story(_three_in_batches, _update, 3, 30, _updated),
    "update, old first": Story(_three_stopped_for_updates, _update, 3, 30, _updated),
    "update that goes back": Story(_three_that_go_back, _update_to_what_dies, 3, 30, _rolled_back),
    "delete": Story(_three, lambda w, c: w.submit(ActionKind.CLUSTER_DELETE, c), 0, 30),
    "recover": Story(
        _three_with_one_dead, lambda w, c: w.submit(ActionKind.CLUSTER_RECOVER, c, {"check": True}), 3, 30
    ),
    "move": Story(_three, _move_one, 3, 15),
    "move, old first": Story(_three_apart, _move_one, 3, 15),
    "drain": Story(_three, _drain, 3, 20, _emptied),
    "drain, old first": Story(_three_apart, _drain, 3, 20, _emptied),
    "rebalance": Story(_four_on_one_of_two, lambda w, c: w.submit(ActionKind.CLUSTER_REBALANCE, c), 4, 20, _evened_out),
}


async def _play(story: Story, kill_at: int) -> tuple[World, str, int]:
    world = World(host_count=2)
    cluster_id = await story.prepare(world)
    first = MortalEngine(world, kill_at)
    made = story.act(world, cluster_id)
    cluster_id = cluster_id or str(made)
    if kill_at:
        await world.until(lambda: first.reaper.dead or world.idle())
        second = MortalEngine(world, seed=11)
        await world.settle()
        await world.clock.sleep(_AFTERWARDS)
        await second.stop()
    else:
        await world.settle()
    await first.stop()
    return world, cluster_id, first.reaper.steps


def _judge(world: World, cluster_id: str, story: Story) -> None:
    members = world.members(cluster_id)
    running = world.running()
    assert len(members) == story.members, "right number of nodes"
    assert len(running) == len(world.containers()) == story.members, "right number of containers, none leaked"
    assert len({c.labels[LABEL_NODE] for c in running}) == story.members, "none doubled"
    assert {m.physical_id for m in members} == {c.id for c in running}, "every row names its container"
    assert all(m.status is NodeStatus.ACTIVE for m in members)
    cluster = world.cluster(cluster_id)
    if story.members:
        assert cluster is not None and cluster.status is ClusterStatus.ACTIVE
    else:
        assert cluster is None
    world.check_invariants()
    story.also(world)


#: The first tier of tests plays some of the deaths, fewer of the long stories; the second tier more. ``./run campaign kills``
#: plays all.
_LONG = (
    "scale-in, told before",
    "scale-in, stopped first",
    "move",
    "move, old first",
    "drain",
    "drain, old first",
    "rebalance",
)


_LONGEST = (
    "scale-in, asked before",
    "scale-out, asked after",
    "update, asked before and after",
    "update in batches",
    "update, old first",
    "update that goes back",
)


def _stride(name: str) -> int:
    return 25 if name in _LONGEST else 12 if name in _LONG else 5


def _finer(name: str) -> int:
    """The stride of the second tier."""
    return 8 if name in _LONGEST else 2 if name in _LONG else 1


@pytest.mark.parametrize(
    ("name", "stride"),
    [(name, _stride(name)) for name in STORIES]
    + [pytest.param(name, _finer(name), marks=pytest.mark.integration) for name in STORIES],
)
def test_the_world_ends_the_same_wherever_the_engine_dies(name: str, stride: int) -> None:
    logging.disable(logging.CRITICAL)  # hundreds of deaths, each told at length
    try:
        story = STORIES[name]
        world, cluster_id, steps = run_virtually(_play(story, 0))
        _judge(world, cluster_id, story)
        assert steps >= story.fewest_steps, "steps have escaped the counting"
        for kill_at in range(1, steps + 1, stride):
            world, cluster_id, _ = run_virtually(_play(story, kill_at))
            try:
                _judge(world, cluster_id, story)
            except AssertionError as error:
                raise AssertionError(
                    f"{name} killed at step {kill_at} of {steps}: {error}\n{world.describe()}"
                ) from error
            world.store.close()
    finally:
        logging.disable(logging.NOTSET)
