"""Hosts that have joined or returned get their share: on command, as advice, or by themselves."""

from __future__ import annotations

from typing import Any

from engine.world import HOSTS, World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.cluster import Cluster
from spinney.domain.container import LABEL_NODE
from spinney.domain.host import Duty
from spinney.domain.plan import Plan, Question, QuestionKind
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.intent.planning import Planner
from spinney.profiles.container_request import ContainerDefaults
from spinney.store import actions, duties, tables
from spinney.store.rows import CLUSTERS
from virtual_time import run_virtually


def uneven(**config: Any) -> World:
    """Three hosts of which the third has been cordoned until now."""
    world = World(host_count=3, cpu=2.0)
    keys = {f"spinney.{key}": value for key, value in config.items()}
    hosts = Cluster(id=HOSTS, name="hosts", profile_id="-", config=keys, user="u", project="p")
    world.store.run(CLUSTERS.insert, [hosts])
    world.store.run(duties.set_duty, world.host_ids[2], Duty.CORDONED, "", 0.0)
    return world


def open_third(world: World) -> None:
    world.store.run(duties.set_duty, world.host_ids[2], Duty.OPEN, "", world.clock.now())


def counts(world: World) -> list[int]:
    return [host.containers for host in world.hosts()]


def rebalances(world: World) -> list[Any]:
    return [a for a in world.actions() if a.action is ActionKind.CLUSTER_REBALANCE]


def moves(world: World) -> list[Any]:
    return [a for a in world.actions() if a.action is ActionKind.NODE_MOVE]


def advice(world: World) -> Any:
    cluster = world.store.run(CLUSTERS.one, tables.cluster.c.id == HOSTS)
    assert cluster is not None
    return cluster.data["rebalance"]


def plan(world: World, target: str, **inputs: Any) -> Plan:
    planner = Planner(ContainerDefaults(), ClusterRules(1000), 256, world.ids)
    return world.store.run(planner, Question(QuestionKind.REBALANCE, target, inputs=inputs), world.clock.now())


def test_on_command_the_plan_is_what_is_done() -> None:
    async def story() -> None:
        world = uneven()
        async with world.engine():
            cluster_id = world.create(12, profile_id=world.profile(cpu=0.2))
            await world.settle()
            assert counts(world) == [6, 6, 0]
            open_third(world)
            expected = plan(world, HOSTS)
            assert expected.steps and not moves(world), "a plan changes nothing"
            action_id = world.submit(ActionKind.CLUSTER_REBALANCE, HOSTS)

            def served() -> bool:
                assert len({c.labels[LABEL_NODE] for c in world.running()}) == 12
                return world.idle()

            await world.until(served)
            done = world.action(action_id)
            assert done.status is ActionStatus.SUCCEEDED, done.status_reason
            names = {h.node_id: h.name for h in world.hosts()}
            homes = {m.name: names[m.host_id or ""] for m in world.members(cluster_id)}
            assert all(homes[step.node] == step.target for step in expected.steps)
            assert counts(world) == [4, 4, 4] and len(moves(world)) == len(expected.steps) == 4
            assert done.outputs["before"] > done.outputs["after"]
            world.check_invariants()

    run_virtually(story())


def test_the_members_of_one_cluster_alone() -> None:
    async def story() -> None:
        world = uneven()
        async with world.engine():
            profile = world.profile(cpu=0.2)
            first, second = world.create(6, profile_id=profile), world.create(6, profile_id=profile)
            await world.settle()
            before = {m.id: m.host_id for m in world.members(second)}
            open_third(world)
            world.submit(ActionKind.CLUSTER_REBALANCE, first, {"max_moves": 2})
            await world.settle()
            assert {m.id: m.host_id for m in world.members(second)} == before
            assert [a.target in {m.id for m in world.members(first)} for a in moves(world)] == [True, True]

    run_virtually(story())


def test_advice_is_stored_and_told_and_nothing_moves() -> None:
    async def story() -> None:
        world = uneven(rebalance="advise", rebalance_settling=10)
        async with world.engine():
            world.create(12, profile_id=world.profile(cpu=0.2))
            await world.settle()
            open_third(world)
            await world.clock.sleep(8.0)
            assert not rebalances(world), "not before things have settled"
            await world.until(lambda: bool(rebalances(world)) and world.idle())
            (action,) = rebalances(world)
            assert action.status is ActionStatus.SUCCEEDED and "4 moves would bring" in action.status_reason
            assert len(advice(world)["moves"]) == 4 and "due_at" not in advice(world)
            assert not moves(world) and counts(world) == [6, 6, 0]
            assert any(e.oid == HOSTS and "4 moves would" in e.status_reason for e in world.events())

    run_virtually(story())


def test_by_itself_at_the_pace_allowed() -> None:
    async def story() -> None:
        world = uneven(rebalance="auto", rebalance_settling=5, rebalance_moves_per_minute=2)
        async with world.engine():
            world.create(12, profile_id=world.profile(cpu=0.2))
            await world.settle()
            open_third(world)
            await world.until(lambda: len(moves(world)) == 2)
            await world.clock.sleep(50.0)
            assert len(moves(world)) == 2, "two moves a minute"
            await world.until(lambda: world.idle() and counts(world) == [4, 4, 4])
            assert len(rebalances(world)) == 1 and len(moves(world)) == 4

    run_virtually(story())


def test_off_is_off_and_evenly_filled_hosts_are_left_alone() -> None:
    async def story() -> None:
        world = uneven()
        async with world.engine():
            world.create(12, profile_id=world.profile(cpu=0.2))
            await world.settle()
            open_third(world)
            await world.clock.sleep(200.0)
            assert not rebalances(world)
            world.submit(ActionKind.CLUSTER_REBALANCE, HOSTS)
            await world.settle()
            before = len(moves(world))
            await world.clock.sleep(400.0)
            again = world.submit(ActionKind.CLUSTER_REBALANCE, HOSTS)
            await world.settle()
            assert len(moves(world)) == before and "No move would gain" in world.action(again).status_reason

    run_virtually(story())


def test_it_can_be_stopped() -> None:
    async def story() -> None:
        world = uneven()
        async with world.engine():
            world.create(16, profile_id=world.profile(cpu=0.1))
            await world.settle()
            open_third(world)
            action_id = world.submit(ActionKind.CLUSTER_REBALANCE, HOSTS)
            await world.until(lambda: bool(moves(world)))
            world.store.run(actions.cancel, action_id)
            await world.settle()
            assert world.action(action_id).status is ActionStatus.CANCELLED
            assert 0 < len(moves(world)) <= 4 and all(a.status is ActionStatus.SUCCEEDED for a in moves(world))

    run_virtually(story())


def test_what_a_budget_holds_up_for_too_long_is_given_up() -> None:
    async def story() -> None:
        world = uneven()
        async with world.engine():
            fixed = {"spinney.overlap": "at-most-one", "spinney.disruption_budget": 0}
            world.create(12, profile_id=world.profile(cpu=0.2), config=fixed)
            await world.settle()
            open_third(world)
            action_id = world.submit(ActionKind.CLUSTER_REBALANCE, HOSTS, timeout=20)
            await world.settle()
            ended = world.action(action_id)
            assert ended.status is ActionStatus.FAILED and not moves(world)
            assert "Not done within 20 s" in ended.status_reason and "disruption budget" in ended.status_reason
            assert sum(e.status == "blocked" for e in world.events()) == 1

    run_virtually(story())
