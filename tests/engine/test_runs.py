"""Runs on simulated hosts: members made, ended, tried again, counted once, and what is left of them."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from engine.job_world import (
    all_over,
    all_runs,
    attach,
    bare_cluster,
    ended,
    exit_codes,
    job_cluster,
    job_policy,
    latest,
    places,
    told,
)
from engine.test_draining import plan
from engine.world import QUICK, World
from spinney.clock import Ids
from spinney.config import SchedulerSettings
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import Cluster, ClusterStatus
from spinney.domain.container import ContainerState
from spinney.domain.host import Duty, HostState
from spinney.domain.node import NodeStatus, PowerState
from spinney.domain.plan import QuestionKind, StepKind
from spinney.domain.quota import unlimited
from spinney.domain.runs import Ending, RunStatus
from spinney.store import bindings, duties, runs
from virtual_time import run_virtually


def seen(world: World, cluster_id: str) -> Cluster:
    found = world.cluster(cluster_id)
    assert found is not None
    return found


def test_a_run_makes_its_members_counts_them_and_leaves_the_cluster_as_it_was() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 2", parallelism=2, completions=3)
            await world.until(lambda: len(world.running()) == 2)
            cluster = seen(world, cluster_id)
            assert (cluster.status, cluster.desired_capacity) == (ClusterStatus.ACTIVE, 0)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 3, 0)
            assert places(world, cluster_id) == [(1, 0, 1), (1, 1, 1), (1, 2, 1)]
            members = world.members(cluster_id)
            assert all(member.status is NodeStatus.ACTIVE for member in members)
            assert [member.name for member in members] == ["web-1-0-1", "web-1-1-1", "web-1-2-1"]
            assert exit_codes(members) == [0, 0, 0]
            await world.clock.sleep(12.0)
            assert world.running() == [] and world.idle()
            assert [member.id for member in world.members(cluster_id)] == [member.id for member in members]
            cluster = seen(world, cluster_id)
            assert (cluster.status, cluster.desired_capacity) == (ClusterStatus.ACTIVE, 0)
            assert told(world) == ["RUN_STARTED", "RUN_SUCCEEDED"]
            world.check_invariants()
            assert all(host.reserved_cpu == 0 and host.reserved_memory == 0 for host in world.hosts())

    run_virtually(story())


def test_members_are_told_what_they_are() -> None:
    async def story() -> None:
        world = World(host_count=1)
        environment = {"SPINNEY_RUN": "mine", "OWN": "yes"}
        async with world.engine():
            await job_cluster(world, "sleep 5", profile={"environment": environment}, completions=2, parallelism=2)
            await world.until(lambda: len(world.running()) == 2)
            found = [dict(record.request.environment) for record in world.host_engine(0).core]
            assert sorted(found, key=lambda one: one["SPINNEY_COMPLETION_INDEX"]) == [
                {"OWN": "yes", "SPINNEY_RUN": "1", "SPINNEY_COMPLETION_INDEX": index, "SPINNEY_ATTEMPT": "1"}
                for index in ("0", "1")
            ]

    run_virtually(story())


def test_members_that_end_at_once_are_counted_like_others() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "exit 0", parallelism=3, completions=7)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 7, 0)
            assert len(places(world, cluster_id)) == 7
            # An eighth of a second or so for each round of three.
            assert run.ended_at is not None and run.started_at is not None and run.ended_at - run.started_at < 4

    run_virtually(story())


def test_one_that_fails_is_tried_again_and_too_many_failures_end_the_run() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 1; exit 3", retries=2)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.FAILED, 0, 3)
            assert run.status_reason == "Completion 0 failed 3 times, at last: exit code 3."
            assert places(world, cluster_id) == [(1, 0, 1), (1, 0, 2), (1, 0, 3)]
            first = world.members(cluster_id)[0]
            assert (first.status, first.power) == (NodeStatus.ERROR, PowerState.STOPPED)
            assert first.status_reason == "Completion 0 of run 1, attempt 1: exit code 3."
            assert seen(world, cluster_id).status is ClusterStatus.ACTIVE
            assert told(world) == ["RUN_STARTED", "RUN_FAILED"]
            await world.clock.sleep(8.0)
            assert world.running() == [] and world.idle()

    run_virtually(story())


def test_an_image_that_is_not_there_fails_the_run() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "exit 0", profile={"image": "team/no-such"}, retries=1)
            (run,) = await all_over(world, cluster_id, seconds=400.0)
            assert (run.status, run.failed) == (RunStatus.FAILED, 2)
            assert "team/no-such" in run.status_reason
            assert [member.physical_id for member in world.members(cluster_id)] == [None, None]
            world.check_invariants()

    run_virtually(story())


def test_a_run_that_takes_too_long_fails_and_its_members_are_stopped_but_their_logs_stay() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(
                world, "sleep 1000", parallelism=2, completions=2, timeout=4, profile={"stop_timeout": 1}
            )
            (run,) = await all_over(world, cluster_id)
            assert run.status is RunStatus.FAILED and "timeout of 4 s" in run.status_reason
            assert [container.state for container in world.containers()] == [ContainerState.EXITED] * 2
            for member in world.members(cluster_id):
                assert (member.status, member.power) == (NodeStatus.ACTIVE, PowerState.STOPPED)
                assert member.data["completion"]["reason"].startswith("stopped because its run was over")
            world.check_invariants()
            assert all(host.reserved_memory == 0 for host in world.hosts())

    run_virtually(story())


def test_a_run_is_cancelled_wherever_its_members_are() -> None:
    """One runs, one waits for its image, one rests after a failure."""

    async def story() -> None:
        world = World(host_count=1)
        world.host_engine(0).core.images.remote["slow/image:latest"] = 500.0
        async with world.engine():
            running = await job_cluster(world, "sleep 1000", profile={"stop_timeout": 1})
            coming = await job_cluster(world, "exit 0", profile={"image": "slow/image"})
            resting = await job_cluster(world, "exit 1", backoff={"initial": 500, "ceiling": 500})
            await world.until(lambda: latest(world, resting).failed == 1 and len(world.running()) == 1)
            for cluster_id in (running, coming, resting):
                done = await ended(world, ActionKind.CLUSTER_CANCEL_RUN, cluster_id, number=1)
                assert (done.status, done.outputs) == (ActionStatus.SUCCEEDED, {"run": 1})
                (run,) = await all_over(world, cluster_id)
                assert run.status is RunStatus.CANCELLED
            assert world.running() == []
            again = await ended(world, ActionKind.CLUSTER_CANCEL_RUN, running, number=1)
            assert again.status is ActionStatus.FAILED and "run 1 is CANCELLED already" in again.status_reason
            unknown = await ended(world, ActionKind.CLUSTER_CANCEL_RUN, running, number=7)
            assert unknown.status is ActionStatus.FAILED and "no run 7" in unknown.status_reason
            world.check_invariants()

    run_virtually(story())


def test_a_run_that_is_asked_for_may_not_overlap_unless_the_policy_says_so() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 3", start=False)
            assert all_runs(world, cluster_id) == []
            first = await ended(world, ActionKind.CLUSTER_RUN, cluster_id)
            assert (first.status, first.outputs) == (ActionStatus.SUCCEEDED, {"run": 1})
            second = await ended(world, ActionKind.CLUSTER_RUN, cluster_id)
            assert second.status is ActionStatus.FAILED and "run 1 is at work" in second.status_reason
            await all_over(world, cluster_id)
            assert (await ended(world, ActionKind.CLUSTER_RUN, cluster_id)).outputs == {"run": 2}
            bare = await bare_cluster(world, "exit 0")
            none = await ended(world, ActionKind.CLUSTER_RUN, bare)
            assert none.status is ActionStatus.FAILED and "no enabled job policy" in none.status_reason

    run_virtually(story())


@pytest.mark.parametrize("overlap", ["allow", "replace"])
def test_runs_beside_each_other_and_runs_that_take_each_others_place(overlap: str) -> None:
    async def story() -> None:
        world = World()
        never = {"cron": "0 0 29 2 *", "overlap": overlap}
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 8", schedule=never, profile={"stop_timeout": 1})
            for _ in range(2):
                assert (await ended(world, ActionKind.CLUSTER_RUN, cluster_id)).status is ActionStatus.SUCCEEDED
            both = overlap == "allow"
            await world.until(lambda: len(world.running()) == 1 + both and latest(world, cluster_id).begun == 1)
            found = await all_over(world, cluster_id, count=2)
            first = RunStatus.SUCCEEDED if both else RunStatus.CANCELLED
            assert [run.status for run in found] == [first, RunStatus.SUCCEEDED]
            began, over = found[1].started_at, found[0].ended_at
            assert began is not None and over is not None and (began < over) is both

    run_virtually(story())


def test_what_ended_while_nobody_watched_is_found_and_counted_once() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 4", parallelism=2, completions=4)
            await world.until(lambda: len(world.running()) == 2)
        await world.clock.sleep(10.0)
        assert world.running() == [] and all_runs(world, cluster_id)[0].succeeded == 0
        async with world.engine(ids=Ids(9)):
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 4, 0)
            assert len(places(world, cluster_id)) == 4

    run_virtually(story())


def test_an_end_is_seen_within_a_second() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 4", completions=2)
            (run,) = await all_over(world, cluster_id)
            assert run.ended_at is not None and run.started_at is not None
            assert run.ended_at - run.started_at - 2 * 4 < 2

    run_virtually(story())


def test_a_container_that_others_remove_was_a_failure() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 4")
            await world.until(lambda: len(world.running()) == 1 and world.idle())
            engine = world.host_engine(0)
            engine.do(engine.core.remove, world.running()[0].id)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 1, 1)
            assert exit_codes(world.members(cluster_id)) == [None, 0]

    run_virtually(story())


def test_a_member_that_its_user_deletes_is_begun_anew_and_was_no_failure() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 4", retries=0)
            await world.until(lambda: len(world.running()) == 1)
            await ended(world, ActionKind.NODE_DELETE, world.members(cluster_id)[0].id)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.failed) == (RunStatus.SUCCEEDED, 0)
            assert places(world, cluster_id) == [(1, 0, 2)]
            # Neither a member at work nor one that has ended is one that the cluster wants.
            await ended(world, ActionKind.NODE_DELETE, world.members(cluster_id)[0].id)
            assert seen(world, cluster_id).desired_capacity == 0
            assert seen(world, cluster_id).status is ClusterStatus.ACTIVE

    run_virtually(story())


def test_a_host_that_falls_silent_loses_its_members_and_stops_them_when_it_is_back() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 95", lost_after=10, retries=0, profile={"stop_timeout": 1})
            await world.until(lambda: len(world.running()) == 1 and world.idle())
            lost = world.members(cluster_id)[0]
            number = world.host_ids.index(str(lost.host_id))
            world.host_engine(number).cut()
            await world.clock.sleep(15.0)
            await world.until(lambda: len(world.members(cluster_id)) == 2)
            assert places(world, cluster_id) == [(1, 0, 1), (1, 0, 2)]
            await world.until(lambda: len(world.running()) == 2)
            world.host_engine(number).heal()
            await world.clock.sleep(50.0)  # until a call that went unanswered is given up
            await world.until(lambda: len(world.running()) == 1)
            await world.clock.sleep(30.0)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 1, 0)
            assert world.members(cluster_id)[0].status_reason.endswith("its host has not answered for 10 s.")
            assert all(host.state is HostState.READY for host in world.hosts())
            world.check_invariants()

    run_virtually(story())


def test_a_host_that_is_drained_gives_its_members_up() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 6", parallelism=2, completions=3, profile={"cpu": 4.0})
            await world.until(lambda: latest(world, cluster_id).succeeded == 2)
            there = [member.name for member in world.members(cluster_id) if member.host_id == world.host_ids[0]]
            steps = plan(world, QuestionKind.DRAIN, world.host_ids[0]).steps
            assert sorted((step.step, step.node) for step in steps) == sorted((StepKind.DELETE, name) for name in there)
            done = await ended(world, ActionKind.HOST_DRAIN, world.host_ids[0])
            assert done.status is ActionStatus.SUCCEEDED, done.status_reason
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 3, 0)
            assert {member.host_id for member in world.members(cluster_id)} == {world.host_ids[1]}
            assert next(h for h in world.hosts() if h.node_id == world.host_ids[0]).containers == 0

    run_virtually(story())


def test_one_that_is_not_well_is_left_to_its_run() -> None:
    async def story() -> None:
        world = World(host_count=1)
        sick = {
            "image": "sim/unhealthy",
            "healthcheck": {"test": "true", "interval": 1, "retries": 1},
            "stop_timeout": 1,
        }
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 1000", timeout=6, profile=sick)
            await world.until(lambda: any(member.status is NodeStatus.ERROR for member in world.members(cluster_id)))
            (run,) = await all_over(world, cluster_id)
            assert run.status is RunStatus.FAILED and "timeout of 6 s" in run.status_reason
            assert len(world.containers()) == 1
            assert not [action for action in world.actions() if action.action is ActionKind.NODE_RECOVER]

    run_virtually(story())


def test_the_docker_engine_may_start_one_again_before_its_attempt_has_failed() -> None:
    async def story() -> None:
        world = World(host_count=1)
        again = {"restart_policy": {"condition": "on-failure", "max_retries": 2}}
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 1; exit 3", retries=0, profile=again)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.failed) == (RunStatus.FAILED, 1)
            engine, (container,) = world.host_engine(0), world.containers()
            seen = engine.core.inspect(container.id, world.clock.now())
            assert seen is not None and seen.restart_count == 2

    run_virtually(story())


def test_what_was_pushed_out_waits_and_begins_anew() -> None:
    async def story() -> None:
        world = World(host_count=1, cpu=1.0)
        async with world.engine(scheduler=SchedulerSettings(preemption=True)):
            cluster_id = await job_cluster(world, "sleep 8", profile={"cpu": {"reservation": 1.0}, "stop_timeout": 1})
            await world.until(lambda: len(world.running()) == 1 and world.idle())
            urgent = world.create(1, profile_id=world.profile(cpu={"reservation": 1.0}), config={"spinney.priority": 5})
            await world.until(lambda: bool(world.members(urgent)) and world.members(urgent)[0].host_id is not None)
            assert world.members(cluster_id)[0].waiting_since is not None
            assert latest(world, cluster_id).failed == 0
            await world.until(world.idle)
            await ended(world, ActionKind.CLUSTER_DELETE, urgent)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 1, 0)

    run_virtually(story())


def test_members_wait_for_room_and_what_has_ended_takes_none() -> None:
    async def story() -> None:
        world = World(host_count=1, cpu=2.0)
        async with world.engine():
            cluster_id = await job_cluster(
                world, "sleep 4", parallelism=3, completions=4, profile={"cpu": {"reservation": 1.0}}
            )
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 4, 0)
            assert run.ended_at is not None and run.started_at is not None and run.ended_at - run.started_at < 12

    run_virtually(story())


def test_what_has_ended_gives_way_where_the_project_may_have_no_more() -> None:
    async def story() -> None:
        world = World()
        rules = world.context().rules
        tight = replace(rules, cluster=replace(rules.cluster, limits={**unlimited(), "nodes": 2}))
        async with world.engine(rules=tight):
            cluster_id = await job_cluster(world, "sleep 2", parallelism=2, completions=6)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 6, 0)
            assert len(world.members(cluster_id)) == 2

    run_virtually(story())


def test_only_the_latest_runs_are_kept() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "exit 0", keep={"runs": 2})
            for count in range(1, 5):
                await world.until(lambda: latest(world, cluster_id).ended_at is not None)
                assert latest(world, cluster_id).number == count
                if count < 4:
                    await ended(world, ActionKind.CLUSTER_RUN, cluster_id)
            await world.until(lambda: len(world.members(cluster_id)) == 2, 30.0)
            assert [run.number for run in all_runs(world, cluster_id)] == [3, 4]
            assert places(world, cluster_id) == [(3, 0, 1), (4, 0, 1)]
            assert len(world.containers()) == 2

    run_virtually(story())


def test_a_cluster_that_is_deleted_takes_its_runs_along() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(
                world, "sleep 1000", parallelism=2, completions=9, profile={"stop_timeout": 1}
            )
            await world.until(lambda: len(world.running()) == 2)
            done = await ended(world, ActionKind.CLUSTER_DELETE, cluster_id)
            assert done.status is ActionStatus.SUCCEEDED
            await world.clock.sleep(5.0)
            assert all_runs(world, cluster_id) == [] and world.containers() == []
            assert told(world) == ["RUN_STARTED", "RUN_CANCELLED"]
            world.check_invariants()

    run_virtually(story())


def test_one_run_begins_by_itself_when_the_policy_counts_unless_somebody_was_faster() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "exit 0")
            assert (await ended(world, ActionKind.CLUSTER_RUN, cluster_id)).outputs == {"run": 1}
            later = await bare_cluster(world, "exit 0")
            policy = {"policy_id": job_policy(world)}
            await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, later, **policy, enabled=False)
            await world.clock.sleep(3.0)
            assert len(all_runs(world, cluster_id)) == 1 and all_runs(world, later) == []
            refused = await ended(world, ActionKind.CLUSTER_RUN, later)
            assert refused.status is ActionStatus.FAILED and "attach one, or enable it" in refused.status_reason
            await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, later, **policy, enabled=True)
            await world.until(lambda: latest(world, later).status is RunStatus.SUCCEEDED)

    run_virtually(story())


def test_a_look_at_what_has_ended_changes_nothing_about_it() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "exit 3", retries=0)
            await all_over(world, cluster_id)
            (before,) = world.members(cluster_id)
            assert (await ended(world, ActionKind.CLUSTER_CHECK, cluster_id)).status is ActionStatus.SUCCEEDED
            (after,) = world.members(cluster_id)
            assert (after.status, after.status_reason) == (before.status, before.status_reason)
            assert before.status is NodeStatus.ERROR

    run_virtually(story())


def test_a_run_goes_on_when_its_policy_is_detached() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 5", completions=3)
            await world.until(lambda: len(world.running()) == 1)
            policy_id = all_runs(world, cluster_id)[0].policy_id
            await ended(world, ActionKind.CLUSTER_DETACH_POLICY, cluster_id, policy_id=policy_id)
            (run,) = await all_over(world, cluster_id)
            assert (run.status, run.succeeded) == (RunStatus.SUCCEEDED, 3)

    run_virtually(story())


@pytest.mark.parametrize(
    ("fields", "size", "says"),
    [
        ({}, 1, "resize it to 0 first"),
        ({"min_size": 1}, 1, "min_size 1, desired_capacity 1"),
        ({"max_size": 5}, 0, "set it to -1"),
        ({"restart_policy": "always"}, 0, "restart_policy none or on-failure"),
    ],
)
def test_the_policy_is_for_clusters_that_want_no_members_of_their_own(
    fields: dict[str, Any], size: int, says: str
) -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await bare_cluster(world, "sleep 1000", size, **fields)
            done = await attach(world, cluster_id)
            assert done.status is ActionStatus.FAILED and says in done.status_reason

    run_virtually(story())


def test_enabling_it_checks_the_cluster_again() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 1000", start=False)
            (policy,) = world.store.run(bindings.attached, cluster_id)

            async def switch(enabled: bool) -> Action:
                inputs = {"policy_id": policy.policy_id, "enabled": enabled}
                return await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, cluster_id, **inputs)

            def resize(number: int) -> Awaitable[Action]:
                inputs = {"adjustment_type": "EXACT_CAPACITY", "number": number}
                return ended(world, ActionKind.CLUSTER_RESIZE, cluster_id, **inputs)

            await switch(False)
            assert (await resize(1)).status is ActionStatus.SUCCEEDED
            refused = await switch(True)
            assert refused.status is ActionStatus.FAILED and "cannot be enabled" in refused.status_reason
            assert "resize it to 0 first" in refused.status_reason
            assert (await resize(0)).status is ActionStatus.SUCCEEDED
            assert (await switch(True)).status is ActionStatus.SUCCEEDED

    run_virtually(story())


def test_such_a_cluster_is_not_scaled_mended_or_updated_under_its_run() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 6; exit 1", retries=0)
            await world.until(lambda: len(world.running()) == 1)
            other = world.profile(command=["sh", "-c", "exit 0"], restart_policy="none")
            for kind, inputs in (
                (ActionKind.CLUSTER_SCALE_OUT, {"count": 1}),
                (ActionKind.CLUSTER_RESIZE, {"max_size": 4}),
                (ActionKind.CLUSTER_RECOVER, {}),
                (ActionKind.CLUSTER_UPDATE, {"new_profile_id": other}),
            ):
                done = await ended(world, kind, cluster_id, **inputs)
                assert done.status is ActionStatus.FAILED and "my job" in done.status_reason, done.status_reason
            change = {"new_profile_id": other, "profile_only": True}
            assert (
                await ended(world, ActionKind.CLUSTER_UPDATE, cluster_id, **change)
            ).status is ActionStatus.SUCCEEDED
            (run,) = await all_over(world, cluster_id)
            assert run.status is RunStatus.FAILED  # with what it began with
            await ended(world, ActionKind.CLUSTER_RUN, cluster_id)
            assert (await all_over(world, cluster_id, count=2))[1].status is RunStatus.SUCCEEDED

    run_virtually(story())


def test_two_engines_count_nothing_twice() -> None:
    async def story() -> None:
        world = World(host_count=3, settings=replace(QUICK, concurrency=6))
        async with world.engine(ids=Ids(2)), world.engine(ids=Ids(3)):
            cluster_id = await job_cluster(world, "sleep 1", parallelism=5, completions=25)
            (run,) = await all_over(world, cluster_id)
            assert (run.succeeded, run.failed) == (25, 0)
            assert sorted(places(world, cluster_id)) == [(1, index, 1) for index in range(25)]

    run_virtually(story())


def test_what_is_known_of_a_member_is_not_overwritten_by_who_saw_it_earlier() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 5")
            await world.until(lambda: len(world.running()) == 1)
            before = world.members(cluster_id)[0]
            (run,) = await all_over(world, cluster_id)
            after = world.members(cluster_id)[0]
        ending = Ending(1, "late news", 0.0)
        event = world.events()[0]
        assert not world.store.run(runs.note_end, before, ending, event, world.clock.now())
        assert world.members(cluster_id)[0] == after
        assert run.succeeded == 1

    run_virtually(story())


def test_hosts_that_were_cordoned_are_left_out() -> None:
    """Members are placed like any other nodes."""

    async def story() -> None:
        world = World()
        world.store.run(duties.set_duty, world.host_ids[0], Duty.CORDONED, "", 0.0)
        async with world.engine():
            cluster_id = await job_cluster(world, "sleep 5", parallelism=3, completions=3)
            await all_over(world, cluster_id)
            assert {member.host_id for member in world.members(cluster_id)} == {world.host_ids[1]}

    run_virtually(story())
