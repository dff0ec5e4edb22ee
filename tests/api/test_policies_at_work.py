"""Several policies on one cluster, asked for over the API and carried out on simulated hosts: what each decides, in which
order, and what becomes of work when they are attached, changed and detached meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from api.living import Living, living
from engine.scaled import CORE, demanding, orders
from engine.test_balancing import POOL, PUBLISHED, Scene, found_at, image, settings
from engine.test_batch_updates import images
from engine.test_hooks import complete, held, messages
from engine.test_scaling_policies import in_zones, spread
from spinney.domain.action import ActionKind, ActionStatus
from virtual_time import run_virtually

__all__ = ["image"]

SUCCEEDED, FAILED = ActionStatus.SUCCEEDED, ActionStatus.FAILED
IN, OUT = "CLUSTER_SCALE_IN", "CLUSTER_SCALE_OUT"


def hook(timeout: int = 300, **more: Any) -> dict[str, Any]:
    return {"type": "webhook", "timeout": timeout, "params": {"url": "https://tell.example/me"}, **more}


def play(story: Callable[[Living], Awaitable[None]], hosts: int = 2, **changes: Any) -> None:
    async def main() -> None:
        async with living(hosts, **changes) as here:
            await story(here)

    run_virtually(main())


# --- who decides what -------------------------------------------------------------------------------------------------


def test_how_many_then_from_which_zone_then_who() -> None:
    async def story(here: Living) -> None:
        in_zones(here.world, "a", "a", "b")
        half = {"type": "CHANGE_IN_PERCENTAGE", "number": 50, "cooldown": 60}
        await here.policy("deletion", criteria="OLDEST_FIRST")
        await here.policy("zone_placement", zones=[{"name": "a", "weight": 200}, {"name": "b"}])
        await here.policy("scaling", event=IN, adjustment=half)
        web = await here.cluster(6, "deletion", "zone_placement", "scaling")
        assert list(await here.bound(web)) == ["scaling", "zone_placement", "deletion"]
        assert spread(here.world, web) == {"a": 4, "b": 2}
        oldest = {zone: [one.id for one in here.of_zone(web, zone)] for zone in "ab"}
        shrunk = await here.do(web, "scale_in")
        assert shrunk.data["deletion"]["count"] == 3 and shrunk.data["deletion"]["zones"] == {"a": 2, "b": 1}
        assert shrunk.data["deletion"]["candidates"] == [*oldest["a"][:2], oldest["b"][0]]
        assert spread(here.world, web) == {"a": 2, "b": 1} and (await here.shown(web))["desired_capacity"] == 3
        refused = await here.ask(web, "scale_in", count=1)
        assert refused.error[:2] == (409, "ActionCooldown") and "'scaling'" in refused.error[2]
        resized = await here.do(web, "resize", adjustment_type="CHANGE_IN_CAPACITY", number=-1)
        assert resized.status is SUCCEEDED and resized.data["deletion"]["zones"] == {"a": 0, "b": 1}, "no cooldown"
        assert (await here.do(web, "scale_out")).status is SUCCEEDED, "another event"

    play(story, 3)


def test_of_two_for_one_event_the_later_name_has_the_say_and_either_may_cool_down() -> None:
    async def story(here: Living) -> None:
        await here.policy("scaling", name="b", event=OUT, adjustment={"number": 2})
        await here.policy("scaling", name="a", event=OUT, adjustment={"number": 3, "cooldown": 60})
        await here.policy("scaling", name="c", event=IN, adjustment={"number": 3})
        web = await here.cluster(1, "b", "a", "c")
        grown = await here.do(web, "scale_out")
        assert grown.data["creation"] == {"count": 2} and here.indexes(web) == [1, 2, 3]
        refused = await here.ask(web, "scale_out")
        assert refused.error[:2] == (409, "ActionCooldown") and "policy 'a' asks for 60 s" in refused.error[2]
        assert (await here.do(web, "scale_in")).status is SUCCEEDED and here.indexes(web) == []

    play(story, 1)


def test_members_named_go_whatever_the_criteria_and_hooks_say() -> None:
    async def story(here: Living) -> None:
        flags = {"reduce_desired_capacity": False, "destroy_after_deletion": False}
        await here.policy("deletion", criteria="OLDEST_FIRST", hooks=hook(), **flags)
        web = await here.cluster(3, "deletion")
        third = here.member(web, 3).id
        gone = await here.do(web, "del_nodes", nodes=[third], destroy_after_deletion=True)
        assert gone.status is SUCCEEDED and here.indexes(web) == [1, 2] and messages(here.world) == []
        assert here.world.node(third) is not None, "the policy says that who goes lives on"
        assert (await here.shown(web))["desired_capacity"] == 3
        first = here.member(web, 1).id
        assert (await here.end(await here.client.delete(f"/v1/nodes/{first}"))).status is SUCCEEDED
        assert here.world.node(first) is None, "who deletes a node does not ask it to leave"
        assert here.indexes(web) == [2] and (await here.shown(web))["desired_capacity"] == 3

    play(story, 1)


def test_a_scaling_that_is_cancelled_leaves_who_has_not_gone_and_begins_the_cooldown() -> None:
    async def story(here: Living) -> None:
        await here.policy("scaling", event=IN, adjustment={"number": 2, "cooldown": 60})
        await here.policy("deletion", hooks=hook(), criteria="OLDEST_FIRST")
        web = await here.cluster(4, "deletion", "scaling")
        asked = await here.ask(web, "scale_in")
        await here.until(lambda: len(held(here.world)) == 2)
        complete(here.world, next(one.id for one in held(here.world) if one.target == here.member(web, 1).id))
        await here.until(lambda: len(here.world.running()) == 3)
        await here.client.patch(f"/v1/actions/{asked.action}", {"action": {"status": "CANCELLED"}})
        assert (await here.end(asked)).status is ActionStatus.CANCELLED
        assert here.indexes(web) == [2, 3, 4] and (await here.shown(web))["desired_capacity"] == 2
        assert (await here.ask(web, "scale_in")).error[:2] == (409, "ActionCooldown")

    play(story, 1)


def test_a_cooldown_is_shared_by_people_and_autoscaling() -> None:
    async def story(here: Living) -> None:
        world = here.world
        await here.policy("scaling", event=OUT, adjustment={"number": 1, "cooldown": 15})
        quick = {"interval": 5, "warmup": 0, "targets": [{"metric": "cpu", "target": 50}]}
        await here.policy("autoscaling", min=1, max=9, **quick)
        web = await here.cluster(2, "scaling", "autoscaling", profile_id=world.profile(**CORE))
        began = (await here.do(web, "scale_out")).end_time or 0.0
        async with demanding(world, lambda now: 3.0):
            await here.until(lambda: bool(orders(world)))
            (order,) = orders(world)
            assert order.created_at - began >= 15, "it waits for what a person began"
            await here.until(lambda: world.action(order.id).final)
            refused = await here.ask(web, "scale_out", count=1)
        assert refused.error[:2] == (409, "ActionCooldown"), "and a person for what it began"

    play(story, 1)


def test_what_is_disabled_has_no_effect() -> None:
    async def story(here: Living) -> None:
        in_zones(here.world, "a", "b", "b")
        specs: dict[str, dict[str, Any]] = {
            "scaling": {"event": OUT, "adjustment": {"number": 5, "cooldown": 600}},
            "deletion": {"criteria": "OLDEST_FIRST", "hooks": hook(), "destroy_after_deletion": False},
            "batch": {"max_batch_size": 1, "pause_time": 500},
            "update": {"order": "stop-first", "monitor": 500},
            "lifecycle": {"before_stop": hook(), "after_start": hook()},
            "zone_placement": {"zones": [{"name": "a"}], "hard": True},
            "affinity": {},
            "placement": {"hosts": ["h0"]},
            "autoscaling": {"min": 9, "max": 10, "interval": 5, "targets": [{"metric": "cpu", "target": 50}]},
        }
        for type_, properties in specs.items():
            await here.policy(type_, **properties)
        web = await here.cluster(4, policies=[{"policy_id": type_, "enabled": False} for type_ in specs])
        assert spread(here.world, web) == {"a": 2, "b": 2}
        for verb in ("scale_out", "scale_out", "scale_in"):
            done = await here.do(web, verb)
            assert (done.status, done.data) == (SUCCEEDED, {"begun": True})
        assert here.indexes(web) == [1, 2, 3, 4, 5], "the youngest has gone"
        done = await here.end(await here.update(web))
        assert done.status is SUCCEEDED and "update" not in done.data
        assert here.world.clock.monotonic() < 5.0 and messages(here.world) == []

    play(story, 3)


# --- attached, changed and detached -----------------------------------------------------------------------------------


def test_a_second_of_a_type_is_refused_and_what_is_attached_is_not_deleted() -> None:
    async def story(here: Living) -> None:
        for name in ("one", "two"):
            await here.policy("batch", name=name, pause_time=1)
        web = await here.cluster(0, "one")
        second = await here.do(web, "policy_attach", policy_id="two")
        assert second.status is FAILED and "at most one policy of type senlin.policy.batch-1.0" in second.status_reason
        assert "'one'" in second.status_reason and await here.bound(web) == {"one": True}
        both = {"name": "b", "profile_id": here.world.profile(), "policies": [{"policy_id": p} for p in ("one", "two")]}
        assert (await here.client.post("/v1/clusters", {"cluster": both})).error[:2] == (400, "BadRequest")
        kept = await here.client.delete("/v1/policies/one")
        assert kept.error[:2] == (409, "ResourceInUse")
        assert (await here.client.patch("/v1/policies/one", {"policy": {"name": "first"}})).status == 200
        assert await here.bound(web) == {"first": True}
        assert (await here.do(web, "policy_detach", policy_id="first")).status is SUCCEEDED
        assert (await here.client.delete("/v1/policies/first")).status == 204

    play(story, 1)


def test_while_a_person_changes_the_size_policies_stay_as_they_are() -> None:
    async def story(here: Living) -> None:
        await here.policy("deletion", hooks=hook(), criteria="OLDEST_FIRST")
        await here.policy("batch")
        web = await here.cluster(3, "deletion")
        asked = await here.ask(web, "scale_in")
        await here.until(lambda: bool(held(here.world)))
        for verb, given in (
            ("policy_attach", {"policy_id": "batch"}),
            ("policy_update", {"policy_id": "deletion", "enabled": False}),
            ("policy_detach", {"policy_id": "deletion"}),
        ):
            refused = await here.ask(web, verb, **given)
            assert refused.error[:2] == (409, "ResourceIsLocked") and asked.action[:8] in refused.error[2]
        assert (await here.client.patch("/v1/policies/deletion", {"policy": {"name": "other"}})).status == 200
        complete(here.world, held(here.world)[0].id)
        assert (await here.end(asked)).status is SUCCEEDED
        assert await here.bound(web) == {"other": True} and here.indexes(web) == [2, 3]

    play(story, 1)


def test_while_autoscaling_changes_the_size_policies_change_and_it_goes_on_as_it_began() -> None:
    async def story(here: Living) -> None:
        world = here.world
        await here.policy("deletion", hooks=hook(), criteria="OLDEST_FIRST")
        quick = {"interval": 5, "warmup": 0, "down": {"window": 5}, "targets": [{"metric": "cpu", "target": 50}]}
        await here.policy("autoscaling", min=1, max=9, **quick)
        web = await here.cluster(4, "deletion", "autoscaling", profile_id=world.profile(**CORE))
        async with demanding(world, lambda now: 1.0):
            await here.until(lambda: len(held(world)) == 2)
            for policy_id in ("autoscaling", "deletion"):
                asked = await here.ask(web, "policy_detach", policy_id=policy_id)
                assert (await here.end(asked, 1.0)).status is SUCCEEDED and len(held(world)) == 2
            for one in held(world):
                complete(world, one.id)
            await here.until(lambda: len(here.indexes(web)) == 2)
        (order,) = orders(world)
        assert (order.action, order.status) == (ActionKind.CLUSTER_SCALE_IN, SUCCEEDED)
        assert here.indexes(web) == [3, 4] and (await here.shown(web))["desired_capacity"] == 2
        async with demanding(world, lambda now: 5.0):
            await world.clock.sleep(20.0)
        assert len(orders(world)) == 1 and await here.bound(web) == {}

    play(story, 1)


@pytest.mark.parametrize("asking", ["deletion", "lifecycle"])
def test_a_person_does_not_wait_for_the_answers_that_autoscaling_waits_for(asking: str) -> None:
    async def story(here: Living) -> None:
        world = here.world
        await here.policy("deletion", hooks=hook())
        await here.policy("lifecycle", before_stop=hook())
        quick = {"interval": 5, "warmup": 0, "down": {"window": 5}, "targets": [{"metric": "cpu", "target": 50}]}
        await here.policy("autoscaling", min=1, max=9, **quick)
        web = await here.cluster(4, asking, "autoscaling", profile_id=world.profile(**CORE))
        async with demanding(world, lambda now: 1.0):
            await here.until(lambda: len(held(world)) == 2)
            grown = await here.end(await here.ask(web, "scale_out"), 5.0)
        assert grown.status is SUCCEEDED and here.indexes(web) == [1, 2, 3, 4, 5]
        assert orders(world)[0].status is ActionStatus.CANCELLED and messages(world) == []
        assert (await here.shown(web))["desired_capacity"] == 5

    play(story, 1)


async def resting(here: Living, action_id: str) -> None:
    await here.until(lambda: here.world.action(action_id).outputs.get("state") == "resting")


def test_an_update_keeps_the_rules_it_began_with_and_what_begins_meanwhile_has_the_new_ones() -> None:
    async def story(here: Living) -> None:
        world = here.world
        await here.policy("batch", max_batch_size=1, pause_time=5)
        await here.policy("update", order="stop-first", monitor=1)
        await here.policy("deletion", criteria="OLDEST_FIRST")
        await here.policy("lifecycle", before_stop=hook())
        web = await here.cluster(3, "batch", "update")
        asked = await here.update(web)
        await resting(here, asked.action)
        began_with = world.action(asked.action).data["update"]
        for verb, policy_id, given in (
            ("policy_update", "batch", {"enabled": False}),
            ("policy_detach", "update", {}),
            ("policy_attach", "deletion", {}),
        ):
            assert (await here.do(web, verb, policy_id=policy_id, **given)).status is SUCCEEDED
        shrunk = await here.do(web, "scale_in")
        assert shrunk.data["deletion"]["count"] == 1 and here.indexes(web) == [2, 3]
        await here.do(web, "policy_attach", policy_id="lifecycle")
        await here.until(lambda: bool(held(world)), 10.0)
        assert {one.action for one in held(world)} == {ActionKind.NODE_UPDATE}, "each stop asks who is there then"
        while not world.action(asked.action).final:
            for one in held(world):
                complete(world, one.id)
            await world.clock.sleep(1.0)
        done = world.action(asked.action)
        assert done.status is SUCCEEDED and done.data["update"] == began_with
        assert done.outputs["of"] == 3 and images(world) == {"alpine"}
        assert await here.bound(web) == {"batch": False, "deletion": True, "lifecycle": True}

    play(story, 1)


def test_who_waits_for_an_answer_goes_on_as_it_began_when_its_policy_goes() -> None:
    async def story(here: Living) -> None:
        world = here.world
        await here.policy("lifecycle", before_stop=hook(20, on_timeout="abandon"))
        web = await here.cluster(2, "lifecycle")
        asked = await here.client.delete(f"/v1/nodes/{here.member(web, 1).id}")
        await here.until(lambda: bool(held(world)))
        assert (await here.do(web, "policy_detach", policy_id="lifecycle")).status is SUCCEEDED
        assert len(held(world)) == 1 == len(messages(world))
        first = await here.end(asked)
        assert first.status is FAILED and "abandon the stop" in first.status_reason and here.indexes(web) == [1, 2]
        second = await here.end(await here.client.delete(f"/v1/nodes/{here.member(web, 2).id}"), 5.0)
        assert second.status is SUCCEEDED and here.indexes(web) == [1], "nobody is asked any more"

    play(story, 1)


# --- a container is about to stop -------------------------------------------------------------------------------------


def test_first_the_hook_then_out_of_the_pool_then_the_stop_and_a_pool_that_goes_lets_go(image: Path) -> None:
    async def story(here: Living) -> None:
        world, pool = here.world, Scene(here.world)
        await here.policy("loadbalance", **POOL)
        await here.policy("lifecycle", before_stop=hook())
        await here.policy("deletion", hooks=hook())
        profile_id = world.profile(ports=PUBLISHED)
        web = await here.cluster(2, "loadbalance", "lifecycle", "deletion", profile_id=profile_id)
        await pool.all_in(web)
        pool.program().sessions = dict.fromkeys(pool.serving(), 1)
        asked = await here.client.delete(f"/v1/nodes/{here.member(web, 1).id}")
        await here.until(lambda: bool(held(world)))
        await world.clock.sleep(1.0)
        assert len(pool.serving()) == 2, "it serves on until somebody has answered"
        complete(world, held(world)[0].id)
        await here.until(lambda: len(pool.serving()) == 1, 2.0)
        await world.clock.sleep(2.0)
        assert len(world.running()) == 3 and not world.action(asked.action).final, "it finishes what it has begun"
        assert (await here.do(web, "policy_detach", policy_id="loadbalance")).status is SUCCEEDED
        assert (await here.end(asked, 2.0)).status is SUCCEEDED, "nothing is left to wait for"

    play(story, 1, balancer=settings(image, drain_time=60.0), resolve=found_at)
