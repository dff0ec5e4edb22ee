"""Plan, then do it: what was told is what has come of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from engine.policed import attach, cluster_of
from engine.test_draining import plan
from engine.world import World
from spinney.domain.action import ActionKind
from spinney.domain.plan import Plan, QuestionKind, StepKind
from spinney.errors import BadRequest
from virtual_time import run_virtually

_KINDS = {
    QuestionKind.SCALE_OUT: ActionKind.CLUSTER_SCALE_OUT,
    QuestionKind.SCALE_IN: ActionKind.CLUSTER_SCALE_IN,
    QuestionKind.RESIZE: ActionKind.CLUSTER_RESIZE,
    QuestionKind.UPDATE: ActionKind.CLUSTER_UPDATE,
}


def homes(world: World, cluster_id: str) -> dict[str, str | None]:
    names: dict[str | None, str] = {h.node_id: h.name for h in world.hosts()}
    return {member.name: names.get(member.host_id) for member in world.members(cluster_id)}


def check(expected: Plan, before: dict[str, str | None], after: dict[str, str | None]) -> None:
    told = {kind: [step for step in expected.steps if step.step is kind] for kind in StepKind}
    new = {name: home for name, home in after.items() if name not in before}
    assert {step.node for step in told[StepKind.DELETE]} == before.keys() - after.keys()
    assert {step.node: step.source for step in told[StepKind.DELETE]}.items() <= before.items()
    assert Counter(s.target for s in told[StepKind.CREATE]) == Counter(home for home in new.values() if home)
    assert len(expected.unplaceable) == sum(home is None for home in after.values())
    for step in told[StepKind.REPLACE]:
        assert (before[step.node], after[step.node]) == (step.source, step.target)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (QuestionKind.SCALE_OUT, {"count": 3}),
        (QuestionKind.SCALE_OUT, {"count": 9}),
        (QuestionKind.SCALE_IN, {"count": 2}),
        (QuestionKind.RESIZE, {"adjustment_type": "EXACT_CAPACITY", "number": 7}),
        (QuestionKind.RESIZE, {"adjustment_type": "CHANGE_IN_PERCENTAGE", "number": -50}),
    ],
)
def test_sizes(kind: QuestionKind, inputs: dict[str, Any]) -> None:
    async def story() -> None:
        world = World(host_count=3, cpu=2.0)
        async with world.engine():
            profile = world.profile(cpu=0.5)
            cluster_id = world.create(5, profile_id=profile)
            await world.settle()
            before, expected = homes(world, cluster_id), plan(world, kind, cluster_id, **inputs)
            assert world.idle() and homes(world, cluster_id) == before, "a plan changes nothing"
            world.submit(_KINDS[kind], cluster_id, inputs)
            await world.settle()
            check(expected, before, homes(world, cluster_id))

    run_virtually(story())


@pytest.mark.parametrize(
    ("criteria", "reason"),
    [("OLDEST_FIRST", "the oldest"), ("RANDOM", "drawn by lot, which is drawn anew when it is done")],
)
def test_who_goes_by_a_deletion_policy_is_told_by_its_criteria(criteria: str, reason: str) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 2)
            await attach(world, cluster_id, "deletion", criteria=criteria)
            (step,) = plan(world, QuestionKind.SCALE_IN, cluster_id, count=1).steps
            assert step.reason == reason

    run_virtually(story())


def test_an_update_to_what_needs_more_room() -> None:
    async def story() -> None:
        world = World(host_count=3, cpu=2.0)
        async with world.engine():
            cluster_id = world.create(4, profile_id=world.profile(cpu=0.5))
            world.create(3, profile_id=world.profile(cpu=0.4))
            await world.settle()
            wider = {"new_profile_id": world.profile(cpu=0.9)}
            before, expected = homes(world, cluster_id), plan(world, QuestionKind.UPDATE, cluster_id, **wider)
            assert len(expected.steps) + len(expected.unplaceable) == 4
            world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, wider)
            await world.settle()
            after = homes(world, cluster_id)
            # The engine updates members in whatever order it claims them; where they all are in the end is what counts.
            assert Counter(after.values()) == Counter(
                [step.target for step in expected.steps] + [before[one.node] for one in expected.unplaceable]
            )

    run_virtually(story())


def test_what_would_be_refused_is_refused() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1, max_size=2)
            await world.settle()
            with pytest.raises(BadRequest, match="max_size"):
                plan(world, QuestionKind.SCALE_OUT, cluster_id, count=5)

    run_virtually(story())


def test_the_loss_of_a_host_tells_who_would_find_no_room() -> None:
    async def story() -> None:
        world = World(host_count=2, cpu=2.0)
        async with world.engine():
            world.create(6, profile_id=world.profile(cpu=0.5))
            await world.settle()
            told = plan(world, QuestionKind.LOSE, world.host_ids[0])
            assert [(s.step, s.source, s.target) for s in told.steps] == [(StepKind.REPLACE, "h0", "h1")]
            assert len(told.unplaceable) == 2 and told.summary == "1 replaced, 2 without room."

    run_virtually(story())


def test_a_drain_tells_what_could_never_leave() -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            never = {"spinney.overlap": "at-most-one", "spinney.disruption_budget": 0}
            fixed = world.create(2, config=never)
            await world.settle()
            free = world.create(2)
            await world.settle()
            told = plan(world, QuestionKind.DRAIN, world.host_ids[0])
            steps = {step.node: step for step in told.steps}
            stays = [steps[m.name] for m in world.members(fixed) if m.host_id == world.host_ids[0]]
            moves = [steps[m.name] for m in world.members(free) if m.host_id == world.host_ids[0]]
            assert stays and moves
            assert all(s.step is StepKind.STAY and "disruption budget" in s.reason for s in stays)
            assert all((s.step, s.target) == (StepKind.MOVE, "h1") for s in moves)

    run_virtually(story())
