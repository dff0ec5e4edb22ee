"""Somebody is told before members go, and they wait: until completed, until time is up, or until called off."""

from __future__ import annotations

from typing import Any

import pytest

from engine.policed import attach, cluster_of, seen
from engine.world import World
from spinney.clock import iso
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import ClusterStatus
from spinney.domain.node import NodeStatus
from spinney.store import action_requests, lifecycle, tables
from virtual_time import run_virtually

WEBHOOK: dict[str, Any] = {"type": "webhook", "timeout": 30, "params": {"url": "https://tell.example/me"}}
IN = ActionKind.CLUSTER_SCALE_IN
HELD = ActionStatus.WAITING_LIFECYCLE_COMPLETION


def held(world: World) -> list[Action]:
    return [action for action in world.actions() if action.status is HELD]


def messages(world: World) -> list[Any]:
    return list(world.store.run(lambda c: c.execute(tables.outbox.select()).all()))


async def shrinking(world: World, by: int = 2, **properties: Any) -> tuple[str, str]:
    """A cluster of three in which so many members are held, and the id of the action."""
    cluster_id = await cluster_of(world, 3)
    await attach(world, cluster_id, "deletion", "1.1", **{"hooks": WEBHOOK, "criteria": "OLDEST_FIRST", **properties})
    action_id = world.submit(IN, cluster_id, {"count": by})
    await world.until(lambda: len(held(world)) == by)
    return cluster_id, action_id


def complete(world: World, action_id: str) -> None:
    world.store.run(lifecycle.release, action_id, world.clock.now())
    world.bell.ring()


def test_members_wait_until_completed_one_by_one_and_somebody_is_told_of_each() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, action_id = await shrinking(world)
            first, second = held(world)
            assert {a.cause for a in (first, second)} == {Cause.HOOKED} and len(world.running()) == 3
            assert all("Waits for complete_lifecycle" in a.status_reason for a in (first, second))
            told = {one.action_id: one for one in messages(world)}
            node = world.node(first.target)
            assert node is not None and told.keys() == {first.id, second.id}
            assert told[first.id].body == {
                "lifecycle_action_token": first.id, "node_id": node.id, "node_name": node.name,
                "resource_id": node.physical_id, "lifecycle_transition_type": "termination", "cluster_id": cluster_id,
                "deadline": iso(first.ready_at),
            }  # fmt: skip
            assert (told[first.id].url, told[first.id].secret_id) == ("https://tell.example/me", None)
            assert seen(world, cluster_id).status is ClusterStatus.RESIZING
            complete(world, first.id)
            await world.until(lambda: len(world.running()) == 2)
            assert [a.id for a in held(world)] == [second.id] == [one.action_id for one in messages(world)]
            complete(world, second.id)
            await world.settle()
            assert world.action(action_id).status is ActionStatus.SUCCEEDED and len(world.running()) == 1
            assert seen(world, cluster_id).status is ClusterStatus.ACTIVE

    run_virtually(story())


def test_when_nobody_answers_they_go_when_time_is_up_whichever_engine_is_there_then() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            _, action_id = await shrinking(world)
            begun = world.clock.monotonic()
        await world.clock.sleep(10)
        assert len(held(world)) == 2, "without an engine too"
        async with world.engine():
            await world.settle()
            assert 30 <= world.clock.monotonic() - begun < 36
            assert world.action(action_id).status is ActionStatus.SUCCEEDED and len(world.running()) == 1

    run_virtually(story())


def test_a_cancelled_action_lets_its_members_be() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, action_id = await shrinking(world)
            world.cancel(action_id)
            await world.settle(seconds=5)
            assert world.action(action_id).status is ActionStatus.CANCELLED and messages(world) == []
            members = world.members(cluster_id)
            assert [one.status for one in members] == [NodeStatus.ACTIVE] * 3 and len(world.running()) == 3

    run_virtually(story())


def test_one_that_is_cancelled_stays_and_its_action_is_cancelled() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, action_id = await shrinking(world)
            first, second = held(world)
            world.cancel(first.id)
            complete(world, second.id)
            await world.settle(seconds=15)
            assert world.action(action_id).status is ActionStatus.CANCELLED
            assert first.target in {one.id for one in world.members(cluster_id)} and len(world.running()) == 2

    run_virtually(story())


def test_deleting_a_held_node_or_its_cluster_does_not_wait() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, _ = await shrinking(world)
            world.submit(ActionKind.NODE_DELETE, held(world)[0].target)
            await world.until(lambda: len(world.running()) == 2, seconds=15)
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle(seconds=25)
            assert world.cluster(cluster_id) is None and world.containers() == [] and messages(world) == []

    run_virtually(story())


def test_only_members_that_serve_are_held() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 2, config={"spinney.self_healing": False})
            bad = world.members(cluster_id)[1]
            world.store.run(
                lambda c: c.execute(
                    tables.node.update().where(tables.node.c.id == bad.id).values(status="ERROR", ready=False)
                )
            )
            await attach(world, cluster_id, "deletion", hooks=WEBHOOK)
            world.submit(IN, cluster_id)
            await world.settle(seconds=15)
            assert bad.id not in {one.id for one in world.members(cluster_id)} and messages(world) == []

    run_virtually(story())


def test_who_leaves_to_live_on_is_held_too() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, action_id = await shrinking(world, by=1, destroy_after_deletion=False)
            (leaving,) = held(world)
            assert leaving.action is ActionKind.NODE_LEAVE and len(world.members(cluster_id)) == 3
            complete(world, leaving.id)
            await world.settle(seconds=5)
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert len(world.members(cluster_id)) == 2 and len(world.running()) == 3

    run_virtually(story())


def test_a_queue_that_is_not_there_gets_no_message_but_members_wait() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            await shrinking(world, by=1, hooks={"timeout": 5, "params": {"queue": "q"}})
            assert messages(world) == []
            await world.settle(seconds=15)
            assert len(world.running()) == 2

    run_virtually(story())


@pytest.mark.parametrize("hooks", [None, WEBHOOK])
def test_where_the_cluster_says_so_containers_are_stopped_before_any_is_deleted(hooks: Any) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            config = {"cluster.stop_node_before_delete": True}
            cluster_id = await cluster_of(world, 3, config=config)
            if hooks:
                await attach(world, cluster_id, "deletion", hooks=hooks)
            action_id = world.submit(IN, cluster_id, {"count": 2})
            if hooks:
                await world.until(lambda: len(held(world)) == 2)
                assert {a.action for a in held(world)} == {ActionKind.NODE_OPERATION}
                for one in held(world):
                    complete(world, one.id)
            await world.settle()
            done = world.action(action_id)
            assert done.status is ActionStatus.SUCCEEDED and done.status_reason.endswith("is done: 2 nodes.")
            stops = [a for a in world.actions() if a.action is ActionKind.NODE_OPERATION]
            deletions = [a for a in world.actions() if a.action is ActionKind.NODE_DELETE]
            assert len(stops) == len(deletions) == 2 == len({a.target for a in [*stops, *deletions]})
            assert max(a.end_time or 0 for a in stops) <= min(a.start_time or 0 for a in deletions)
            assert len(world.containers()) == 1 and "later" not in done.data

    run_virtually(story())


def a_secret(world: World, name: str, *keys: str) -> str:
    row = {
        "id": world.ids.new(), "name": name, "type": "opaque", "sealed": b"", "reference": None,
        "facts": {"keys": list(keys)}, "version": 1, "user": "u", "project": "p", "domain": None, "created_at": 0.0,
    }  # fmt: skip
    world.store.run(lambda c: c.execute(tables.secret.insert(), row))
    return str(row["id"])


def test_a_message_names_what_signs_it_and_nothing_goes_without_that() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            secret_id = a_secret(world, "sign", "key", "other")
            params = {**WEBHOOK["params"], "secret": "sign/key"}
            cluster_id, action_id = await shrinking(world, by=1, hooks={**WEBHOOK, "params": params})
            assert [(one.secret_id, one.secret_key) for one in messages(world)] == [(secret_id, "key")]
            complete(world, held(world)[0].id)
            await world.settle()
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            world.store.run(lambda c: c.execute(tables.secret.update().values(facts={"keys": ["other"]})))
            again = world.submit(IN, cluster_id)
            await world.settle()
            refused = world.action(again)
            assert refused.status is ActionStatus.FAILED and "no secret 'sign/key'" in refused.status_reason
            assert len(world.running()) == 2 == seen(world, cluster_id).desired_capacity

    run_virtually(story())


def test_cancelling_by_force_ends_the_waiting_too() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, action_id = await shrinking(world)
            world.store.run(action_requests.cancel_by_force, action_id, world.clock.now())
            assert world.idle() and messages(world) == []
            assert [one.status for one in world.members(cluster_id)] == [NodeStatus.ACTIVE] * 3

    run_virtually(story())
