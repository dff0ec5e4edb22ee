"""Plan an update, then do it: each member's turn comes in the batch and the manner that was told."""

from __future__ import annotations

from typing import Any

import pytest

from engine.policed import attach
from engine.test_draining import plan
from engine.test_planning import homes
from engine.world import World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.plan import Plan, QuestionKind, Step, StepKind
from virtual_time import run_virtually

BATCHES = {"type_": "batch", "max_batch_size": 2, "pause_time": 1}
UPDATES = {"type_": "spinney.policy.update", "monitor": 1}
STRICT = {"spinney.overlap": "at-most-one", "spinney.disruption_budget": 1}


def turns(steps: tuple[Step, ...]) -> dict[str, tuple[int | None, str | None]]:
    return {step.node: (step.batch, step.manner) for step in steps if step.batch is not None}


def done(world: World, action_id: str) -> dict[str, tuple[int, str]]:
    """The latest update of each member, whose profile is another one from then on."""
    names = {member.id: member.name for member in world.members(world.action(action_id).target)}
    children = [a for a in world.actions() if a.parent_id == action_id and a.action is ActionKind.NODE_UPDATE]
    return {
        names[child.target]: (child.inputs["batch"], child.inputs["manner"])
        for child in sorted(children, key=lambda one: one.created_at)
        if child.status is ActionStatus.SUCCEEDED
    }


async def foretold(world: World, cluster_id: str, new: str, **inputs: Any) -> tuple[Plan, str]:
    """The plan, and the action that then did it."""
    asked = {"new_profile_id": new, **inputs}
    before = homes(world, cluster_id)
    expected = plan(world, QuestionKind.UPDATE, cluster_id, **asked)
    assert world.idle() and homes(world, cluster_id) == before, "a plan changes nothing"
    action_id = world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, asked)
    await world.settle(600)
    assert turns(expected.steps) == done(world, action_id)
    after = homes(world, cluster_id)
    for step in expected.steps:
        assert (before[step.node], after[step.node]) == (step.source, step.target or step.source)
    return expected, action_id


@pytest.mark.parametrize(
    ("config", "policies", "changed", "expected"),
    [
        ({}, (), {"image": "alpine"}, [(1, "start-first")] * 5),
        ({}, (), {"cpu": 0.25, "memory": "64m"}, [(1, "in-place")] * 5),
        ({}, (BATCHES,), {"image": "alpine"}, [(n, "start-first") for n in (1, 1, 2, 2, 3)]),
        (STRICT, (), {"image": "alpine"}, [(1, "stop-first")] * 5),
        (STRICT, (BATCHES,), {"image": "alpine"}, None),
        ({}, ({**UPDATES, "order": "stop-first"}, BATCHES), {"image": "alpine"}, None),
        (
            {},
            ({**UPDATES, "canary": {"count": 1, "promote_after": 1}}, BATCHES),
            {"image": "alpine"},
            [(n, "start-first") for n in (1, 2, 2, 3, 3)],
        ),
    ],
)
def test_each_members_turn(
    config: dict[str, Any], policies: tuple[Any, ...], changed: dict[str, Any], expected: Any
) -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            quiet = {"spinney.self_healing": False, **config}
            cluster_id = world.create(5, profile_id=world.profile(cpu=0.5), config=quiet)
            await world.settle()
            for policy in policies:
                await attach(world, cluster_id, **policy)
            told, action_id = await foretold(world, cluster_id, world.profile(**{"cpu": 0.5, **changed}))
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert len(turns(told.steps)) == 5
            if expected is not None:
                assert sorted(turns(told.steps).values()) == expected

    run_virtually(story())


def test_what_is_changed_in_place_says_what_of_it() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(2, profile_id=world.profile(cpu=0.5))
            await world.settle()
            told, _ = await foretold(world, cluster_id, world.profile(cpu=1.0, pids_limit=99))
            assert told.summary == "2 changed in place."
            assert {step.reason for step in told.steps} == {"cpu, pids_limit can be changed while it runs"}
            assert all((step.step, step.source, step.target) == (StepKind.CHANGE, "h0", "h0") for step in told.steps)

    run_virtually(story())


def test_where_there_is_room_for_some_in_place_the_others_move() -> None:
    async def story() -> None:
        world = World(host_count=2, cpu=2.0)
        async with world.engine():
            cluster_id = world.create(4, profile_id=world.profile(cpu=0.5))
            await world.settle()
            wide = world.profile(cpu=1.2)
            told = plan(world, QuestionKind.UPDATE, cluster_id, new_profile_id=wide)
            assert {step.manner for step in told.steps} == {"in-place"} and len(told.steps) == 2
            assert len(told.unplaceable) == 2 or any(step.step is StepKind.STAY for step in told.steps)

    run_virtually(story())


def test_members_that_have_the_profile_are_not_touched() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(3)
            await world.settle()
            new = world.profile(image="alpine")
            first, *others = world.members(cluster_id)
            world.submit(ActionKind.NODE_UPDATE, first.id, {"new_profile_id": new})
            await world.settle()
            told, _ = await foretold(world, cluster_id, new)
            (kept,) = (step for step in told.steps if step.step is StepKind.STAY)
            assert (kept.node, kept.reason, kept.batch) == (first.name, "it has that profile", None)
            assert set(turns(told.steps)) == {other.name for other in others}
            assert told.summary == "2 replaced, 1 left where it is."

    run_virtually(story())
