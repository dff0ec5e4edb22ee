"""Policy lifecycle: somebody is asked before serving containers stop and after new ones have started, whoever ordered it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from engine.policed import a_policy, attach, cluster_of, ended, seen
from engine.test_hooks import a_secret, complete, held, messages
from engine.world import World
from spinney.clock import iso
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.container import LABEL_NODE
from spinney.domain.node import NodeStatus
from spinney.store import tables
from virtual_time import run_virtually

URL = "https://tell.example/me"
Order = Callable[[World, str], str]


def hook(timeout: int = 30, on_timeout: str = "continue", **params: Any) -> dict[str, Any]:
    return {"type": "webhook", "timeout": timeout, "on_timeout": on_timeout, "params": {"url": URL, **params}}


async def governed(world: World, size: int = 2, config: Any = None, **hooks: Any) -> str:
    """A cluster with the policy."""
    cluster_id = await cluster_of(world, size, config=config or {})
    await attach(world, cluster_id, "spinney.policy.lifecycle", **hooks)
    return cluster_id


def first(world: World, cluster_id: str) -> str:
    return world.members(cluster_id)[0].id


def on_first(kind: ActionKind, **inputs: Any) -> Order:
    return lambda world, cluster_id: world.submit(kind, first(world, cluster_id), inputs)


def on_cluster(kind: ActionKind, **inputs: Any) -> Order:
    return lambda world, cluster_id: world.submit(kind, cluster_id, inputs)


def update(world: World, cluster_id: str) -> str:
    return world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": world.profile(image="alpine")})


def update_one(world: World, cluster_id: str) -> str:
    new = {"new_profile_id": world.profile(image="alpine")}
    return world.submit(ActionKind.NODE_UPDATE, first(world, cluster_id), new)


def drain(world: World, cluster_id: str) -> str:
    host_id = world.members(cluster_id)[0].host_id
    assert host_id is not None
    return world.submit(ActionKind.HOST_DRAIN, host_id, {})


def kinds(world: World) -> set[str]:
    return {action.action.value for action in held(world)}


STOPPING: list[tuple[str, Order, str]] = [
    ("scale-in", on_cluster(ActionKind.CLUSTER_SCALE_IN), "NODE_DELETE"),
    ("resize", on_cluster(ActionKind.CLUSTER_RESIZE, adjustment_type="EXACT_CAPACITY", number=1), "NODE_DELETE"),
    ("cluster delete", on_cluster(ActionKind.CLUSTER_DELETE), "NODE_DELETE"),
    ("node delete", on_first(ActionKind.NODE_DELETE), "NODE_DELETE"),
    ("node stop", on_first(ActionKind.NODE_OPERATION, operation="stop"), "NODE_OPERATION"),
    ("node restart", on_first(ActionKind.NODE_OPERATION, operation="restart"), "NODE_OPERATION"),
    ("recover what is well", on_first(ActionKind.NODE_RECOVER), "NODE_RECOVER"),
    ("update of one node", update_one, "NODE_UPDATE"),
    ("update", update, "NODE_UPDATE"),
    ("drain", drain, "NODE_MOVE"),
]


#: The others are in the second tier.
_FIRST = ("scale-in", "node delete", "cluster delete", "drain", "forced delete", "in place")


def tiers(cases: Sequence[tuple[Any, ...]]) -> list[Any]:
    marks = {True: (), False: (pytest.mark.integration,)}
    return [pytest.param(*rest, id=name, marks=marks[name in _FIRST]) for name, *rest in cases]


@pytest.mark.parametrize(("order", "kind"), tiers(STOPPING))
def test_a_serving_container_is_asked_about_before_it_stops(order: Order, kind: str) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await governed(world, before_stop=hook(300))
            before = {one.id for one in world.running()}
            action_id = order(world, cluster_id)
            await world.until(lambda: bool(held(world)))
            await world.clock.sleep(1)
            assert before <= {one.id for one in world.running()}, "they serve on"
            assert kinds(world) == {kind} and len(messages(world)) == len(held(world))
            while not world.idle():
                for one in held(world):
                    complete(world, one.id)
                await world.clock.sleep(1)
            assert world.action(action_id).status is ActionStatus.SUCCEEDED, world.action(action_id).status_reason
            assert messages(world) == []

    run_virtually(story())


NOT_STOPPING: list[tuple[str, Order]] = [
    ("forced delete", on_first(ActionKind.NODE_DELETE, force=True)),
    ("forced cluster delete", on_cluster(ActionKind.CLUSTER_DELETE, force=True)),
    ("scale-out", on_cluster(ActionKind.CLUSTER_SCALE_OUT)),
    ("check", on_cluster(ActionKind.CLUSTER_CHECK)),
    ("pause", on_first(ActionKind.NODE_OPERATION, operation="pause")),
    ("leave", lambda w, c: w.submit(ActionKind.CLUSTER_DEL_NODES, c, {"candidates": [first(w, c)], "count": 1})),
    ("look first", on_first(ActionKind.NODE_RECOVER, check=True)),
    (
        "in place",
        lambda w, c: w.submit(ActionKind.CLUSTER_UPDATE, c, {"new_profile_id": w.profile(cpu=0.2)}),
    ),
]


@pytest.mark.parametrize("order", tiers(NOT_STOPPING))
def test_nobody_is_asked_where_nothing_that_serves_stops(order: Order) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await governed(world, before_stop=hook(300))
            action_id = order(world, cluster_id)
            await world.settle(seconds=30)
            assert world.action(action_id).status is ActionStatus.SUCCEEDED, world.action(action_id).status_reason
            assert not any(action.cause is Cause.HOOKED for action in world.actions())

    run_virtually(story())


@pytest.mark.integration
def test_what_is_dead_is_healed_and_removed_without_asking() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await governed(world, before_stop=hook(300))
            victim = world.running()[0]
            for number in range(2):
                core = world.host_engine(number).core
                if core.inspect(victim.id, world.clock.now()) is not None:
                    core.kill(victim.id, "SIGKILL", world.clock.now())
            await world.until(lambda: any(a.cause is Cause.HEALING for a in world.actions()))
            await world.settle(seconds=30)
            assert len(world.running()) == 2
            world.store.run(lambda c: c.execute(tables.node.update().values(status="ERROR", ready=False)))
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle(seconds=30)
            assert world.containers() == []

    run_virtually(story())


def test_the_message_is_that_of_a_deletion_policy_and_the_token_completes_it() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            secret_id = a_secret(world, "sign", "key")
            cluster_id = await governed(world, before_stop=hook(30, secret="sign/key"))
            node = world.members(cluster_id)[0]
            action_id = world.submit(ActionKind.NODE_DELETE, node.id)
            await world.until(lambda: bool(held(world)))
            (asked,), (told,) = held(world), messages(world)
            assert asked.id == action_id and asked.cause is Cause.REQUEST and asked.start_time is None
            assert asked.status_reason == f"Waits for complete_lifecycle until {iso(asked.ready_at)}."
            assert told.body == {
                "lifecycle_action_token": action_id, "node_id": node.id, "node_name": node.name,
                "resource_id": node.physical_id, "lifecycle_transition_type": "termination", "cluster_id": cluster_id,
                "deadline": iso(asked.ready_at),
            }  # fmt: skip
            assert (told.url, told.secret_id, told.secret_key) == (URL, secret_id, "key")
            complete(world, action_id)
            await world.settle(seconds=10)
            assert world.node(node.id) is None

    run_virtually(story())


@pytest.mark.parametrize(("on_timeout", "running"), [("continue", 1), ("abandon", 2)])
def test_when_nobody_answers_it_goes_on_or_is_abandoned(on_timeout: str, running: int) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await governed(world, before_stop=hook(20, on_timeout))
            # Longer than the action itself may take: waiting is not its time.
            action_id = world.submit(ActionKind.NODE_DELETE, first(world, cluster_id), timeout=10)
            begun = world.clock.monotonic()
            await world.settle(seconds=60)
            assert world.clock.monotonic() - begun >= 20
            assert len(world.running()) == running == seen(world, cluster_id).desired_capacity
            assert all(one.status is NodeStatus.ACTIVE for one in world.members(cluster_id))
            done = world.action(action_id)
            if on_timeout == "abandon":
                assert (
                    done.status is ActionStatus.FAILED
                    and "within 20 s, and the hook says to abandon" in done.status_reason
                )
            else:
                assert done.status is ActionStatus.SUCCEEDED

    run_virtually(story())


def test_it_is_asked_about_once_where_a_deletion_policy_asks_too() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await governed(world, 3, before_stop=hook(300))
            other = {"type": "webhook", "timeout": 300, "params": {"url": "https://deletion.example"}}
            await attach(world, cluster_id, "deletion", "1.1", hooks=other)
            action_id = world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id)
            await world.until(lambda: bool(held(world)))
            assert [one.url for one in messages(world)] == ["https://deletion.example"]
            complete(world, held(world)[0].id)
            await world.settle(seconds=10)
            assert world.action(action_id).status is ActionStatus.SUCCEEDED and len(world.running()) == 2

    run_virtually(story())


def test_a_cancelled_stop_leaves_the_container_as_it_is() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await governed(world, before_stop=hook(300))
            action_id = world.submit(ActionKind.NODE_DELETE, first(world, cluster_id))
            await world.until(lambda: bool(held(world)))
            world.cancel(action_id)
            await world.settle(seconds=5)
            assert world.action(action_id).status is ActionStatus.CANCELLED and messages(world) == []
            assert [one.status for one in world.members(cluster_id)] == [NodeStatus.ACTIVE] * 2

    run_virtually(story())


# --- after the start --------------------------------------------------------------------------------------------------


async def growing(world: World, **after_start: Any) -> tuple[str, str, Action]:
    """A cluster of two whose third member waits to be in service: cluster, scale-out, and the action that waits."""
    cluster_id = await governed(world, after_start=hook(**after_start))
    action_id = world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id)
    await world.until(lambda: bool(held(world)))
    (asked,) = held(world)
    return cluster_id, action_id, asked


def test_a_new_member_is_in_service_once_it_is_completed() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, action_id, asked = await growing(world, timeout=300)
            await world.clock.sleep(2)
            node = world.node(asked.target)
            assert node is not None and (node.status, node.ready) == (NodeStatus.CREATING, False)
            assert node.ready_reason == node.status_reason
            assert (
                node.status_reason == f"Its container runs. Waits for complete_lifecycle until {iso(asked.ready_at)}."
            )
            assert len(world.running()) == 3 and asked.cause is Cause.HOOKED
            (told,) = messages(world)
            assert told.body["lifecycle_transition_type"] == "launch"
            assert (
                told.body["resource_id"]
                == node.physical_id
                == next(one.id for one in world.running() if one.labels[LABEL_NODE] == node.id)
            )
            complete(world, asked.id)
            await world.settle(seconds=10)
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert [(one.status, one.ready) for one in world.members(cluster_id)] == [(NodeStatus.ACTIVE, True)] * 3
            assert len(world.containers()) == 3 and messages(world) == []

    run_virtually(story())


@pytest.mark.parametrize("on_timeout", ["continue", "abandon"])
def test_a_new_member_that_nobody_completes(on_timeout: str) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, action_id, asked = await growing(world, timeout=20, on_timeout=on_timeout)
            await world.settle(seconds=60)
            node, done = world.node(asked.target), world.action(action_id)
            assert node is not None
            if on_timeout == "continue":
                assert (done.status, node.status, len(world.running())) == (
                    ActionStatus.SUCCEEDED,
                    NodeStatus.ACTIVE,
                    3,
                )
                return
            assert (done.status, node.status, node.physical_id) == (ActionStatus.FAILED, NodeStatus.ERROR, None)
            assert "nobody completed its lifecycle action within 20 s" in done.status_reason
            await world.until(lambda: len(world.containers()) == 2, seconds=10)
            assert node.host_id is None and len(world.members(cluster_id)) == 3
            world.check_invariants()

    run_virtually(story())


def test_whoever_is_there_when_it_is_completed_goes_on_with_it() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, action_id, asked = await growing(world, timeout=300)
        await world.clock.sleep(3)
        complete(world, asked.id)
        async with world.engine():
            await world.settle(seconds=30)
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert len(world.containers()) == 3 and all(one.ready for one in world.members(cluster_id))

    run_virtually(story())


def test_a_creation_that_is_cancelled_while_it_waits_leaves_nothing() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            _, action_id, asked = await growing(world, timeout=300)
            world.cancel(action_id)
            await world.settle(seconds=10)
            node = world.node(asked.target)
            assert world.action(action_id).status is ActionStatus.CANCELLED and messages(world) == []
            assert node is not None and (node.status, node.physical_id) == (NodeStatus.ERROR, None)
            assert len(world.containers()) == 2

    run_virtually(story())


def test_a_container_that_ends_while_it_waits_has_failed() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            _, action_id, asked = await growing(world, timeout=300)
            node = world.node(asked.target)
            assert node is not None and node.physical_id is not None
            for number in range(2):
                core = world.host_engine(number).core
                if core.inspect(node.physical_id, world.clock.now()) is not None:
                    core.kill(node.physical_id, "SIGKILL", world.clock.now())
            complete(world, asked.id)
            await world.until(lambda: world.action(action_id).final, seconds=10)
            assert world.action(action_id).status is ActionStatus.FAILED

    run_virtually(story())


def serving(world: World) -> set[str]:
    return {one.labels[LABEL_NODE] for one in world.running()}


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_an_update_asks_about_each_new_container_and_about_each_old_one(order: str) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await governed(world, before_stop=hook(300), after_start=hook(300))
            await attach(world, cluster_id, "spinney.policy.update", order=order, monitor=0)
            old = {one.id for one in world.running()}
            action_id = update(world, cluster_id)
            asked: list[tuple[str, bool]] = []
            while not world.action(action_id).final:
                for told in messages(world):
                    body = told.body
                    asked.append((body["lifecycle_transition_type"], body["resource_id"] in old))
                    if order == "start-first":
                        assert len(serving(world)) == 2
                    complete(world, told.action_id)
                await world.clock.sleep(0.5)
            assert world.action(action_id).status is ActionStatus.SUCCEEDED, world.action(action_id).status_reason
            each = [("launch", False), ("termination", True)]
            assert asked == (each if order == "start-first" else each[::-1]) * 2
            assert not old & {one.id for one in world.containers()}
            assert all(one.ready for one in world.members(cluster_id))

    run_virtually(story())


def test_a_replacement_that_is_abandoned_leaves_the_old_container() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await governed(world, 2, after_start=hook(5, "abandon"))
            await attach(world, cluster_id, "spinney.policy.update", order="start-first", monitor=0)
            old = {one.id for one in world.running()}
            action_id = update(world, cluster_id)
            await world.settle(seconds=120)
            assert world.action(action_id).status is ActionStatus.FAILED
            await world.until(lambda: {one.id for one in world.containers()} == old, seconds=20)
            assert all(one.status is NodeStatus.ACTIVE for one in world.members(cluster_id))
            world.check_invariants()

    run_virtually(story())


def test_a_policy_whose_secret_is_not_there_cannot_be_attached() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 1)
            policy_id = a_policy(world, "spinney.policy.lifecycle", after_start=hook(secret="gone/key"))
            done = await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy_id=policy_id, enabled=True)
            assert done.status is ActionStatus.FAILED
            assert "after_start.params.secret: the project has no secret 'gone/key'" in done.status_reason

    run_virtually(story())


def test_what_cannot_be_signed_as_asked_does_not_begin() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            a_secret(world, "sign", "key")
            cluster_id = await governed(
                world, 2, before_stop=hook(30, secret="sign"), after_start=hook(30, secret="sign")
            )
            world.store.run(lambda c: c.execute(tables.secret.delete()))
            shrink = world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id)
            await world.settle(seconds=30)
            assert world.action(shrink).status is ActionStatus.FAILED and len(world.running()) == 2
            assert "before_stop.params.secret: the project has no secret 'sign'" in world.action(shrink).status_reason
            grow = world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id)
            await world.settle(seconds=30)
            assert world.action(grow).status is ActionStatus.FAILED and len(world.containers()) == 2
            assert "after_start.params.secret" in world.action(grow).status_reason

    run_virtually(story())
