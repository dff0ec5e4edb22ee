"""An engine that dies while a load balancer is made, follows its members or goes: another one finishes the same world.

The first tier kills at a few of the steps, the second at every fourth.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.killing import MortalEngine
from engine.policed import a_policy, attach
from engine.test_balancing import POOL, PUBLISHED, Scene, found_at, image, settings
from engine.world import World
from spinney.domain.action import ActionKind
from spinney.store import tables
from virtual_time import run_virtually

__all__ = ["image"]

_AFTERWARDS = 25.0


@dataclass(frozen=True)
class Story:
    act: Callable[[World, str], object]
    members: int
    balanced: bool = True
    attached_before: bool = True


def _attach(world: World, cluster_id: str) -> object:
    policy = {"policy_id": a_policy(world, "loadbalance", **POOL), "enabled": True}
    return world.submit(ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy)


def _scale(count: int) -> Callable[[World, str], object]:
    kind = ActionKind.CLUSTER_SCALE_OUT if count > 0 else ActionKind.CLUSTER_SCALE_IN
    return lambda world, cluster_id: world.submit(kind, cluster_id, {"count": abs(count)})


STORIES = {
    "attach": Story(_attach, 2, attached_before=False),
    "scale-out": Story(_scale(1), 3),
    "scale-in": Story(_scale(-1), 1),
    "delete": Story(lambda world, cluster_id: world.submit(ActionKind.CLUSTER_DELETE, cluster_id), 0, balanced=False),
}


async def _play(story: Story, image: Path, kill_at: int) -> int:
    world = World(1)
    here = Scene(world)
    given: dict[str, Any] = {"balancer": settings(image), "resolve": found_at}
    first = MortalEngine(world, seed=3, **given)
    cluster_id = world.create(2, profile_id=world.profile(ports=PUBLISHED), max_size=8)
    await world.settle()
    if story.attached_before:
        await attach(world, cluster_id, "loadbalance", **POOL)
        await here.all_in(cluster_id)
    await first.stop()
    mortal = MortalEngine(world, kill_at, seed=5, **given)
    story.act(world, cluster_id)
    await world.clock.sleep(6.0)
    steps = mortal.reaper.steps
    await mortal.stop()
    successor = MortalEngine(world, seed=7, **given)
    await world.clock.sleep(_AFTERWARDS)
    try:
        await _judge(here, cluster_id, story)
    finally:
        await successor.stop()
        world.store.close()
    return steps


async def _judge(here: Scene, cluster_id: str, story: Story) -> None:
    world = here.world
    assert world.idle() and len(world.members(cluster_id)) == story.members
    assert len(world.containers()) == len(world.running()) == story.members + story.balanced, (
        "none leaked, none doubled"
    )
    profiles = [row.name for row in world.store.run(lambda c: c.execute(tables.profile.select()).all())]
    assert profiles.count("web.balancer") == story.balanced
    if story.balanced:
        await here.all_in(cluster_id, seconds=1.0)
    else:
        assert not here.balancers
    world.check_invariants()


@pytest.mark.parametrize(
    ("name", "stride"),
    [(name, 150) for name in STORIES] + [pytest.param(name, 4, marks=pytest.mark.integration) for name in STORIES],
)
def test_the_world_ends_the_same_wherever_the_engine_dies(name: str, stride: int, image: Path) -> None:
    logging.disable(logging.CRITICAL)
    try:
        steps = run_virtually(_play(STORIES[name], image, 0))
        assert steps > 30, "steps have escaped the counting"
        for kill_at in range(7, steps + 1, stride):
            try:
                run_virtually(_play(STORIES[name], image, kill_at))
            except AssertionError as error:
                raise AssertionError(f"{name} killed at step {kill_at} of {steps}: {error}") from error
    finally:
        logging.disable(logging.NOTSET)
