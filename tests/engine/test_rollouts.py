"""Clusters taken to another profile: nobody is missed meanwhile, what is broken goes back, and everything else goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from engine.fleet import FleetWorld
from engine.policed import attach, cluster_of, ended, seen
from engine.weather import check_whole
from engine.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.domain.container import ContainerState
from spinney.domain.host import HostState
from spinney.domain.node import Node, NodeStatus
from spinney.drivers.simulated.faults import Operation
from spinney.errors import HostBroken, ResourceIsLocked
from spinney.store import tables, updates
from virtual_time import run_virtually

UPDATE = ActionKind.CLUSTER_UPDATE
JUDGED = "spinney.policy.update"
WEB = {"ready": {"http": {"port": 80}, "interval": 5}}
GOOD = {"image": "sim/web:v1", "command": "httpd", "probes": WEB}


def play(story: Callable[[World], Awaitable[None]], **world: Any) -> None:
    async def run() -> None:
        made = World(**{"host_count": 3, **world})
        async with made.engine():
            await story(made)
        made.check_invariants()

    run_virtually(run())


async def started(world: World, size: int, *policies: tuple[str, dict[str, Any]], **fields: Any) -> str:
    """A cluster of the good image with policies."""
    profile_id = fields.pop("profile_id", None) or world.profile(**GOOD)
    cluster_id = await cluster_of(world, size, profile_id=profile_id, **fields)
    for type_, properties in policies:
        await attach(world, cluster_id, type_, **properties)
    await world.until(lambda: in_service(world, cluster_id) == size)
    return cluster_id


async def end_of(world: World, action_id: str, seconds: float = 600.0) -> Action:
    """Looked for now and then: what happens meanwhile takes minutes."""
    deadline = world.clock.monotonic() + seconds
    while not world.action(action_id).final:
        assert world.clock.monotonic() < deadline, world.describe()
        await world.clock.sleep(0.5)
    return world.action(action_id)


async def update(world: World, cluster_id: str, inputs: Mapping[str, Any]) -> Action:
    return await end_of(world, world.submit(UPDATE, cluster_id, inputs))


def to(world: World, image: str, **properties: Any) -> dict[str, Any]:
    return {"new_profile_id": world.profile(**{**GOOD, "image": image, **properties})}


def children(world: World, action_id: str, kind: ActionKind = ActionKind.NODE_UPDATE) -> list[Action]:
    found = [action for action in world.actions() if action.parent_id == action_id and action.action is kind]
    return sorted(found, key=lambda action: (action.created_at, action.id))


def images(world: World) -> list[str]:
    return sorted(container.image.partition("@")[0] for container in world.running())


def in_service(world: World, cluster_id: str) -> int:
    """Members whose row names a container that runs and is called ready."""
    running = {container.id for container in world.running()}
    return sum(node.ready and node.physical_id in running for node in world.members(cluster_id))


class Least:
    """The fewest that were in service at any moment since the last look."""

    def __init__(self, world: World, cluster_id: str) -> None:
        self.fewest = 10**6
        world.hooks.after = lambda *_: self._look(world, cluster_id)

    def _look(self, world: World, cluster_id: str) -> None:
        self.fewest = min(self.fewest, in_service(world, cluster_id))


# --- nobody is missed -------------------------------------------------------------------------------------------------


def test_with_room_no_member_is_missed_and_the_row_names_the_new_container_before_the_old_one_stops() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 4, ("batch", {"max_batch_size": 2, "pause_time": 0}))
        before = {node.physical_id for node in world.members(cluster_id)}
        least = Least(world, cluster_id)
        stopped: list[bool] = []

        def look(operation: Operation, host: str) -> None:
            if operation is Operation.STOP:
                named = {node.physical_id for node in world.members(cluster_id)}
                stopped.append(len(before - named) > len(stopped))

        world.hooks.before = look
        done = await update(world, cluster_id, to(world, "sim/web:v2"))
        assert done.status is ActionStatus.SUCCEEDED, done.status_reason
        assert least.fewest == 4 and stopped == [True] * 4
        assert {child.inputs["manner"] for child in children(world, done.id)} == {"start-first"}
        check_whole(world, cluster_id, 4)

    play(story)


@pytest.mark.parametrize(
    ("config", "cpu", "fewest"),
    [
        ({}, 1.0, 3),
        ({"spinney.disruption_budget": 2}, 1.0, 2),
        ({"spinney.overlap": "at-most-one"}, 0.5, 3),
        ({"spinney.overlap": "at-most-one", "spinney.disruption_budget": "50%"}, 0.5, 2),
    ],
)
def test_without_room_or_overlap_no_more_stop_at_a_time_than_the_budget_allows(
    config: Mapping[str, Any], cpu: float, fewest: int
) -> None:
    async def story(world: World) -> None:
        wide = {"reservation": cpu, "limit": cpu}
        cluster_id = await started(world, 4, profile_id=world.profile(**GOOD, cpu=wide), config=config)
        least = Least(world, cluster_id)
        done = await update(world, cluster_id, to(world, "sim/web:v2", cpu=wide))
        assert done.status is ActionStatus.SUCCEEDED, done.status_reason
        assert least.fewest == fewest
        assert {child.inputs["manner"] for child in children(world, done.id)} == {"stop-first"}
        check_whole(world, cluster_id, 4)

    play(story, host_count=2, cpu=2.0)


def test_fixed_ports_lead_elsewhere_or_stop_the_old_one_first() -> None:
    async def story(world: World) -> None:
        ports = {"ports": [{"container": 80, "host": 8080}]}
        cluster_id = await started(world, 2, profile_id=world.profile(**GOOD, **ports))
        done = await update(world, cluster_id, to(world, "sim/web:v2", **ports))
        assert [child.inputs["manner"] for child in children(world, done.id)] == ["start-first"] * 2
        await ended(world, ActionKind.CLUSTER_SCALE_OUT, cluster_id, count=1)
        await world.until(lambda: in_service(world, cluster_id) == 3)
        again = await update(world, cluster_id, to(world, "sim/web:v3", **ports))
        assert [child.inputs["manner"] for child in children(world, again.id)] == ["stop-first"] * 3
        check_whole(world, cluster_id, 3)

    play(story)


# --- the image --------------------------------------------------------------------------------------------------------


def test_every_host_has_the_image_before_the_first_container_stops() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 6)
        slow = 2
        world.host_engine(slow).core.images.remote["sim/web:v2"] = 30.0
        for number in (0, 1):
            world.host_engine(number).core.images.remote["sim/web:v2"] = 0.0
        action_id = world.submit(UPDATE, cluster_id, to(world, "sim/web:v2", pull_policy="missing"))
        await world.clock.sleep(25.0)
        assert children(world, action_id) == [] and set(images(world)) == {"sim/web:v1"}
        assert "The image is fetched to 1 host" in world.action(action_id).status_reason
        member = next(node for node in world.members(cluster_id) if node.host_id == world.host_ids[slow])
        restarted = await ended(world, ActionKind.NODE_OPERATION, member.id, operation="restart", params={})
        assert restarted.status is ActionStatus.SUCCEEDED, "fetching an image holds no member"
        await world.settle()
        assert set(images(world)) == {"sim/web"}, "all are made of what the tag stood for"
        assert len(children(world, action_id, ActionKind.NODE_FETCH)) == 3

    play(story)


def test_an_image_that_cannot_be_had_ends_the_update_with_nothing_touched() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 3, (JUDGED, {}))
        before = {node.physical_id for node in world.members(cluster_id)}
        done = await update(world, cluster_id, to(world, "sim/no-such-web:v2"))
        assert done.status is ActionStatus.FAILED
        assert "the image sim/no-such-web:v2 cannot be had on host h" in done.status_reason
        assert {node.physical_id for node in world.members(cluster_id)} == before
        check_whole(world, cluster_id, 3)

    play(story)


def test_each_try_to_fetch_the_image_is_told_with_its_reason() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 3)

        def refuse(operation: Operation, host: str) -> None:
            if operation is Operation.PULL:
                raise HostBroken("the registry is away")

        world.hooks.before = refuse
        action_id = world.submit(UPDATE, cluster_id, to(world, "sim/web:v2", pull_policy="always"))
        told = set()
        while not world.action(action_id).final:
            told.add(str(world.action(action_id).outputs.get("reason", "")))
            await world.clock.sleep(0.5)
        tries = {one for one in told if one.startswith("The image is fetched to 3 hosts: the registry is away (try ")}
        assert len(tries) > 1, told

    play(story)


def test_what_a_tag_stands_for_is_found_out_once_also_of_what_was_there_before() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 3, (JUDGED, {"monitor": 5}))

        def publish(image: str) -> None:
            for number in range(3):
                world.host_engine(number).core.images.publish(image)

        publish("sim/web:v1")
        done = await update(world, cluster_id, to(world, "sim/web_dies-3:v2", pull_policy="always"))
        assert done.status is ActionStatus.FAILED and "rolled back" in done.status_reason
        await ended(world, ActionKind.CLUSTER_SCALE_OUT, cluster_id, count=2)
        made = {container.image for container in world.running()}
        assert len({image for image in made if "@" in image}) == 1, (
            "those that went back, and later ones, are as before"
        )

    play(story)


# --- what is broken ---------------------------------------------------------------------------------------------------

BROKEN = {
    "never starts": {"image": "alpine", "command": "no-such-program"},
    "is never ready": {"image": "sim/web_status-503:v2"},
    "dies later": {"image": "sim/web_dies-5:v2"},
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_what_is_broken_goes_back_and_those_that_serve_go_on_serving(what: str, order: str) -> None:
    async def story(world: World) -> None:
        judged = {"order": order, "monitor": 8, "ready_timeout": 8}
        cluster_id = await started(world, 4, (JUDGED, judged))
        old = {node.physical_id for node in world.members(cluster_id)}
        profile_id = seen(world, cluster_id).profile_id
        least = Least(world, cluster_id)
        inputs = {"new_profile_id": world.profile(**{**GOOD, **BROKEN[what]})}
        done = await update(world, cluster_id, inputs)
        assert done.status is ActionStatus.FAILED and "rolled back because 1 of 4 members failed" in done.status_reason
        assert what != "dies later" or "did not stay well: the container ended with exit code" in done.status_reason
        assert least.fewest >= 3, "one at a time was tried"
        assert seen(world, cluster_id).profile_id == profile_id
        assert {node.profile_id for node in world.members(cluster_id)} == {profile_id}
        kept = old & {node.physical_id for node in world.members(cluster_id)}
        assert len(kept) == (4 if order == "start-first" and what != "dies later" else 3), "the others were not touched"
        await world.until(lambda: len(world.containers()) == 4, 30)
        check_whole(world, cluster_id, 4)

    play(story)


def test_without_a_policy_a_failure_ends_the_update_and_old_containers_serve_on() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 3)
        action_id = world.submit(UPDATE, cluster_id, to(world, "sim/web_status-503:v2"), timeout=20)
        done = await end_of(world, action_id)
        assert done.status is ActionStatus.FAILED and "3 of 3 members failed" in done.status_reason
        assert "Nothing was updated; the cluster keeps its profile." in done.status_reason
        check_whole(world, cluster_id, 3)

    play(story)


def test_an_update_that_pauses_waits_to_be_resumed_or_aborted() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(
            world, 3, (JUDGED, {"on_failure": "pause", "monitor": 0}), config={"spinney.self_healing": False}
        )
        broken = True

        def refuse(operation: Operation, host: str) -> None:
            if operation is Operation.CREATE and broken:
                raise RuntimeError("no")

        world.hooks.before = refuse
        action_id = world.submit(UPDATE, cluster_id, to(world, "sim/web:v2"))
        await world.until(lambda: world.action(action_id).outputs.get("state") == "paused")
        assert world.action(action_id).status is ActionStatus.WAITING
        assert seen(world, cluster_id).status is ClusterStatus.WARNING
        await world.clock.sleep(20.0)
        assert len(children(world, action_id)) == 1
        broken = False
        wish(world, cluster_id, "resume")
        assert (await end_of(world, action_id)).status is ActionStatus.SUCCEEDED, "who failed had another try"
        check_whole(world, cluster_id, 3)

    play(story)


def wish(world: World, cluster_id: str, what: str) -> None:
    def say(connection: Any) -> None:
        updates.say(connection, updates.under_way(connection, cluster_id)[0], what, world.clock.now())

    world.store.run(say)
    world.bell.ring()


def test_one_that_goes_on_after_failures_fails_in_the_end_and_the_others_are_updated() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 3, (JUDGED, {"on_failure": "continue", "monitor": 0, "order": "start-first"}))
        first = world.members(cluster_id)[0]

        def refuse(operation: Operation, host: str) -> None:
            if operation is Operation.CREATE and len(children(world, action_id)) == 1:
                raise RuntimeError("no")

        world.hooks.before = refuse
        action_id = world.submit(UPDATE, cluster_id, to(world, "sim/web:v2"))
        failed = await end_of(world, action_id)
        assert failed.status is ActionStatus.FAILED and "1 of 3 members failed" in failed.status_reason
        after = world.members(cluster_id)
        assert after[0].physical_id == first.physical_id and len({node.profile_id for node in after}) == 2

    play(story)


def test_a_canary_waits_to_be_promoted_and_goes_back_when_it_is_aborted() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 4, (JUDGED, {"canary": {"count": 1}, "monitor": 5}))
        old = seen(world, cluster_id).profile_id
        for word, status in (("abort", ActionStatus.FAILED), ("promote", ActionStatus.SUCCEEDED)):
            inputs = to(world, "sim/web:v2")
            action_id = world.submit(UPDATE, cluster_id, inputs)
            await world.until(lambda action_id=action_id: world.action(action_id).outputs.get("state") == "canary")
            assert [node.profile_id for node in world.members(cluster_id)].count(old) == 3
            wish(world, cluster_id, word)
            done = await end_of(world, action_id)
            assert done.status is status, done.status_reason
            profiles = {node.profile_id for node in world.members(cluster_id)}
            assert profiles == ({inputs["new_profile_id"]} if word == "promote" else {old})
        check_whole(world, cluster_id, 4)

    play(story)


# --- everything else goes on ------------------------------------------------------------------------------------------


async def slowly(world: World, size: int = 4, **properties: Any) -> tuple[str, str]:
    """A cluster in the middle of an update, one member of which is done."""
    cluster_id = await started(world, size, ("batch", {"max_batch_size": 1, "pause_time": 6}), **properties)
    action_id = world.submit(UPDATE, cluster_id, to(world, "sim/web:v2"))
    await world.until(lambda: world.action(action_id).outputs.get("state") == "resting")
    return cluster_id, action_id


def test_a_cluster_is_scaled_renamed_and_given_policies_while_it_is_updated() -> None:
    async def story(world: World) -> None:
        cluster_id, action_id = await slowly(world)
        grown = await ended(world, ActionKind.CLUSTER_SCALE_OUT, cluster_id, count=2)
        shrunk = await ended(
            world, ActionKind.CLUSTER_RESIZE, cluster_id, adjustment_type="CHANGE_IN_CAPACITY", number=-1
        )
        renamed = await ended(world, UPDATE, cluster_id, name="other")
        assert {one.status for one in (grown, shrunk, renamed)} == {ActionStatus.SUCCEEDED}
        assert seen(world, cluster_id).status is ClusterStatus.UPDATING, "and that is shown again"
        await attach(world, cluster_id, "deletion")
        with pytest.raises(ResourceIsLocked, match=action_id[:8]):
            world.submit(UPDATE, cluster_id, to(world, "sim/web:v3"))
        assert not world.action(action_id).final
        assert (await end_of(world, action_id)).status is ActionStatus.SUCCEEDED
        assert seen(world, cluster_id).name == "other" and set(images(world)) == {"sim/web"}
        check_whole(world, cluster_id, 5)

    play(story)


def test_members_are_healed_with_the_profile_they_have_while_others_are_updated() -> None:
    async def story(world: World) -> None:
        cluster_id, action_id = await slowly(world)
        *_, last = world.members(cluster_id)
        victim = next(container for container in world.running() if container.id == last.physical_id)
        engine = next(e for e in world.connector.engines.values() if e.core.inspect(victim.id, world.clock.now()))
        engine.core.kill(victim.id, "SIGKILL", world.clock.now())
        await world.until(lambda: now(world, last).repairs == 1 and now(world, last).status is NodeStatus.ACTIVE, 20)
        assert now(world, last).profile_id == last.profile_id and not world.action(action_id).final
        assert (await end_of(world, action_id)).status is ActionStatus.SUCCEEDED, world.action(action_id).status_reason
        check_whole(world, cluster_id, 4)

    play(story)


def now(world: World, node: Node) -> Node:
    found = world.node(node.id)
    assert found is not None
    return found


def test_a_host_is_drained_while_its_members_are_updated() -> None:
    async def story(world: World) -> None:
        cluster_id, action_id = await slowly(world, 6)
        drained = await ended(world, ActionKind.HOST_DRAIN, world.host_ids[1])
        assert drained.status is ActionStatus.SUCCEEDED and not world.action(action_id).final
        assert (await end_of(world, action_id)).status is ActionStatus.SUCCEEDED
        assert world.hosts()[1].state is HostState.CORDONED and world.hosts()[1].containers == 0
        check_whole(world, cluster_id, 6)

    play(story)


def test_a_host_that_falls_silent_does_not_stop_an_update_where_members_may_overlap() -> None:
    async def story(world: World) -> None:
        cluster_id, action_id = await slowly(world, 6)
        world.host_engine(1).cut()
        done = await end_of(world, action_id)
        assert done.status is ActionStatus.SUCCEEDED, done.status_reason
        assert len({node.profile_id for node in world.members(cluster_id)}) == 1
        world.host_engine(1).heal()
        await world.until(lambda: len(world.containers()) == 6, 60)
        check_whole(world, cluster_id, 6)

    play(story)


def test_a_cluster_that_is_deleted_has_its_update_ended() -> None:
    async def story(world: World) -> None:
        cluster_id, action_id = await slowly(world)
        world.submit(ActionKind.CLUSTER_DELETE, cluster_id, {"force": True})
        await world.settle(seconds=60)
        assert world.action(action_id).status in (ActionStatus.CANCELLED, ActionStatus.FAILED)
        assert world.cluster(cluster_id) is None and world.containers() == []

    play(story)


def test_a_new_container_that_has_not_taken_over_is_called_off_when_the_update_is_cancelled() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 3, (JUDGED, {"ready_timeout": 500}))
        before = {node.physical_id for node in world.members(cluster_id)}
        action_id = world.submit(UPDATE, cluster_id, to(world, "sim/web_after-300:v2"))
        await world.until(lambda: len(world.running()) == 4)
        world.cancel(action_id)
        await world.settle(seconds=20)
        assert world.action(action_id).status is ActionStatus.CANCELLED
        assert {node.physical_id for node in world.members(cluster_id)} == before
        check_whole(world, cluster_id, 3)

    play(story)


def test_members_that_their_user_has_stopped_get_the_profile_and_stay_stopped() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 3)
        quiet = world.members(cluster_id)[1]
        await ended(world, ActionKind.NODE_OPERATION, quiet.id, operation="stop", params={})
        done = await update(world, cluster_id, to(world, "sim/web:v2"))
        assert done.status is ActionStatus.SUCCEEDED, done.status_reason
        assert len({node.profile_id for node in world.members(cluster_id)}) == 1
        states = {c.id: c.state for c in world.containers()}
        assert states[now(world, quiet).physical_id or ""] is ContainerState.CREATED and len(world.running()) == 2

    play(story)


def test_an_update_that_nothing_is_left_of_is_shown_by_its_events() -> None:
    async def story(world: World) -> None:
        cluster_id = await started(world, 2, ("batch", {"max_batch_size": 1, "pause_time": 0}))
        done = await update(world, cluster_id, to(world, "sim/web:v2"))
        told = [e for e in world.events() if e.oid == cluster_id and e.meta_data["action_id"] == done.id]
        assert [event.status for event in sorted(told, key=lambda e: e.timestamp)] == ["start", "batch", "batch", "end"]
        assert done.outputs == {
            "total": 2, "done": 2, "failed": 0, "under_way": 0, "batch": 2, "of": 2, "state": "done",
            "rolling_back": False, "reason": "done: 2 nodes.",
        }  # fmt: skip

    play(story)


def test_hosts_are_described_anew_in_batches_and_nothing_on_them_is_touched() -> None:
    async def story() -> None:
        world = FleetWorld()
        async with world.engine(connector=world.unix):
            cluster_id = world.create(2, profile_id=world.fleet_profile(2))
            await world.settle()
            await attach(world, cluster_id, "batch", max_batch_size=1, pause_time=5)
            new = world.fleet_profile(2, labels={"disk": "ssd"})
            done = await ended(world, UPDATE, cluster_id, new_profile_id=new)
            assert done.status is ActionStatus.SUCCEEDED, done.status_reason
            assert {child.inputs["batch"] for child in children(world, done.id)} == {1, 2}
            assert {node.profile_id for node in world.members(cluster_id)} == {new}
            assert world.store.run(lambda c: list(c.execute(tables.host.select()).all()))

    run_virtually(story())
