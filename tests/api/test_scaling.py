"""Scaling requests beside scaling policies, and what waits for complete_lifecycle: the answers."""

from __future__ import annotations

from typing import Any

import pytest

from api.world import World, run
from spinney.domain.action import ActionKind, ActionStatus, Cause, queued
from spinney.domain.cluster import Cluster
from spinney.domain.identity import Owner
from spinney.store import bindings, tables, telling
from spinney.store.rows import ACTIONS
from spinney.store.telling import Message

SCALING = "senlin.policy.scaling-1.0"
OUT, IN = "CLUSTER_SCALE_OUT", "CLUSTER_SCALE_IN"


def act(world: World, verb: str, **given: Any) -> Any:
    return run(lambda: world.client.post("/v1/clusters/c1/actions", {verb: given}))


def cooling(world: World, event: str, cooldown: int, *, ago: float | None, enabled: bool = True) -> Cluster:
    cluster = world.cluster(world.profile(), members=2)
    rule = world.policy("slowly", cluster, SCALING, event=event, adjustment={"cooldown": cooldown})
    if ago is not None:
        world.store.run(bindings.stamp, cluster.id, [rule.id], world.clock.now() - ago)
    world.store.run(bindings.enable, cluster.id, rule.id, enabled)
    return cluster


def test_a_scaling_within_the_cooldown_is_refused_and_says_for_how_long(world: World) -> None:
    cluster = cooling(world, OUT, 60, ago=20)
    status, kind, said = act(world, "scale_out").error
    assert (status, kind) == (409, "ActionCooldown")
    assert "'slowly'" in said and "try again in 40 s" in said
    assert world.store.run(ACTIONS.all) == [] and world.rung == 0
    assert act(world, "resize", adjustment_type="EXACT_CAPACITY", number=3).status == 202, "a resize is no scaling"
    shown = run(lambda: world.client.get("/v1/clusters/c1/policies/slowly")).json["cluster_policy"]
    assert shown["cluster_id"] == cluster.id and shown["last_op"].endswith("Z")


@pytest.mark.parametrize(
    ("event", "cooldown", "ago", "enabled"),
    [(OUT, 60, 61, True), (OUT, 60, None, True), (OUT, 0, 0, True), (IN, 60, 1, True), (OUT, 60, 1, False)],
)
def test_otherwise_it_is_taken(world: World, event: str, cooldown: int, ago: float | None, enabled: bool) -> None:
    cooling(world, event, cooldown, ago=ago, enabled=enabled)
    assert act(world, "scale_out").status == 202


def test_what_is_at_work_or_queued_is_told_before_the_cooldown(world: World) -> None:
    cooling(world, IN, 60, ago=None)
    first = act(world, "scale_out")
    world.store.run(lambda c: c.execute(tables.binding.update().values(last_op=world.clock.now())))
    assert act(world, "scale_in").error[:2] == (409, "ActionConflict")
    world.change(tables.action, first.action, status="RUNNING", running_target=world.action(first.action).target)
    assert act(world, "scale_in").error[:2] == (409, "ResourceIsLocked")
    world.end(first.action)
    assert act(world, "scale_in").error[:2] == (409, "ActionCooldown")


class TestCompletingALifecycle:
    def held(self, world: World) -> str:
        cluster = world.cluster(world.profile(), members=1)
        action = queued(
            ActionKind.NODE_DELETE, world.ids.new(), Owner("admin", "ours"), action_id=world.ids.new(),
            cause=Cause.HOOKED, now=world.clock.now(), cluster_id=cluster.id,
        )  # fmt: skip
        world.insert(ACTIONS, action)
        waiting = ActionStatus.WAITING_LIFECYCLE_COMPLETION
        world.change(tables.action, action.id, status=waiting, ready_at=world.clock.now() + 99)
        message = Message(world.ids.new(), action.id, "https://a", {}, world.clock.now() + 99)
        world.store.run(telling.tell, "ours", [message], world.clock.now())
        return action.id

    def complete(self, world: World, token: str) -> Any:
        return act(world, "complete_lifecycle", lifecycle_action_token=token)

    def test_it_goes_on_at_once_and_nobody_is_told_any_more(self, world: World) -> None:
        token = self.held(world)
        answer = self.complete(world, token)
        assert (answer.status, answer.json) == (202, {"action": token}) and world.rung == 1
        released = world.action(token)
        assert released.status is ActionStatus.READY and released.ready_at <= world.clock.now()
        assert world.store.run(lambda c: c.execute(tables.outbox.select()).all()) == []
        assert self.complete(world, token).json == {"action": token}, "again: nothing to do, and nothing wrong"

    def test_a_stranger_does_not_complete_it_and_learns_nothing(self, world: World) -> None:
        token, other = self.held(world), world.ids.new()
        stranger = world.client.as_user("stranger")
        for word in (token, other):
            body = {"complete_lifecycle": {"lifecycle_action_token": word}}
            answer = run(lambda: stranger.post("/v1/clusters/c1/actions", body))  # noqa: B023  # run at once
            assert answer.error == (404, "ResourceNotFound", f"The action '{word}' could not be found.")
        assert world.action(token).status is ActionStatus.WAITING_LIFECYCLE_COMPLETION

    def test_cancelling_it_ends_it_at_once(self, world: World) -> None:
        token = self.held(world)
        answer = run(lambda: world.client.patch(f"/v1/actions/{token}", {"action": {"status": "CANCELLED"}}))
        assert answer.status == 202
        assert world.action(token).status is ActionStatus.CANCELLED
        assert world.store.run(lambda c: c.execute(tables.outbox.select()).all()) == []
