"""Clusters that are as large as their load asks for, on simulated hosts. How large, and how fast, is tested without engines."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from engine.policed import a_policy, attach, ended, seen
from engine.scaled import CORE, SCALING, decisions, demanding, orders, scaled_cluster
from engine.world import World
from spinney.config import HostSettings
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.quota import unlimited
from spinney.drivers.simulated.faults import FaultPlan, Operation, parse_faults
from spinney.drivers.simulated.services import Service
from spinney.engine.catalog import Catalog
from spinney.engine.cycle import Rules
from spinney.engine.intent.clusters import ClusterRules
from spinney.profiles.container_request import ContainerDefaults
from spinney.store import autoscaling, balancing
from spinney.store.autoscaling import Stretch
from spinney.store.tables import balancer, binding, usage
from virtual_time import run_virtually

OUT, IN, RESIZE = ActionKind.CLUSTER_SCALE_OUT, ActionKind.CLUSTER_SCALE_IN, ActionKind.CLUSTER_RESIZE
#: Half a core each, and no long waits.
QUICK: dict[str, Any] = {"interval": 5, "warmup": 0, "down": {"window": 15}}


async def until(world: World, condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = world.clock.monotonic() + seconds
    while not condition():
        assert world.clock.monotonic() < deadline, [row.body["sentence"] for row in decisions(world)][-3:]
        await world.clock.sleep(0.5)


def test_a_load_that_comes_and_goes() -> None:
    async def story() -> None:
        world = World(3)
        async with world.engine():
            cluster_id = await scaled_cluster(world, 2, **QUICK)
            async with demanding(world, lambda now: 2.0 if 15 < now < 40 else 1.0):
                await world.clock.sleep(15.0)
                assert orders(world) == [], "what is right stays"
                await until(world, lambda: len(world.running()) == 4, 15.0)
                await world.clock.sleep(20.0)
                assert {action.action for action in orders(world)} == {OUT}, "the window has not passed"
                await until(world, lambda: seen(world, cluster_id).desired_capacity == 2)
                await world.clock.sleep(10.0)
        kinds = [action.action for action in orders(world)]
        assert kinds == sorted(kinds, key=[OUT, IN].index), "it never turns round twice"
        told = [event for event in world.events() if event.action == "CLUSTER_AUTOSCALING"]
        assert [event.meta_data["action_id"] for event in told] == [action.id for action in orders(world)]
        assert told[0].status_reason.startswith("Grows from 2 to ")
        world.check_invariants()

    run_virtually(story())


def test_each_evaluation_is_a_record_also_when_nothing_was_done() -> None:
    async def story() -> None:
        world = World(1)
        async with world.engine():
            cluster_id = await scaled_cluster(world, 2, **QUICK)
            async with demanding(world, lambda now: 1.0):
                await world.clock.sleep(32.0)
        unknown, known = decisions(world)
        assert "cpu is unknown" in unknown.body["sentence"]
        assert (known.size, known.wanted, known.acted, known.body["times"] >= 4) == (2, 2, False, True)
        samples = world.store.run(autoscaling.find_samples, cluster_id, Stretch())
        assert {sample.value for sample in samples[-4:]} == {100.0}
        assert len(samples) == sum(row.body["times"] for row in decisions(world))

    run_virtually(story())


def test_another_engine_goes_on_where_the_first_stopped() -> None:
    async def story() -> None:
        world = World(2)
        async with world.engine():
            cluster_id = await scaled_cluster(world, 4, **QUICK)
            async with demanding(world, lambda now: 2.0 if now < 15 else 0.4):
                await world.clock.sleep(28.0)
        before = decisions(world)[-1]
        assert before.body["proposed"] == 1 and orders(world) == []
        async with world.engine(), demanding(world, lambda now: 0.4):
            await until(world, lambda: seen(world, cluster_id).desired_capacity == 1)
        (shrunk,) = orders(world)
        assert shrunk.created_at - before.body["since"] <= 21.0, "the window is not begun again"
        assert not any(row.body["seeded"] for row in decisions(world)[1:])

    run_virtually(story())


def test_members_that_are_unknown_keep_it_as_it_is() -> None:
    async def story() -> None:
        world = World(1)
        async with world.engine():
            cluster_id = await scaled_cluster(world, 3, **QUICK)
            async with demanding(world, lambda now: 1.5):
                await world.clock.sleep(20.0)
                world.host_engine(0).plan = FaultPlan(parse_faults("stats:before"), random.Random(1))
                await world.clock.sleep(35.0)
        assert orders(world) == [] and seen(world, cluster_id).desired_capacity == 3
        assert "no fresh sample of any of 3 members" in decisions(world)[-1].body["sentence"]

    run_virtually(story())


def test_bounds_and_changed_sizes_are_seen_to_at_once() -> None:
    async def story() -> None:
        world = World(1)
        async with world.engine():
            cluster_id = await scaled_cluster(world, 2, **{**QUICK, "interval": 3600}, min=3)
            await until(world, lambda: len(world.running()) == 3, 10.0)
            await ended(world, RESIZE, cluster_id, min_size=5, strict=False)
            await ended(world, RESIZE, cluster_id, adjustment_type="EXACT_CAPACITY", number=2, min_size=0, max_size=4)
            await until(world, lambda: seen(world, cluster_id).desired_capacity == 3, 10.0)
        assert [(one.action, one.inputs["number"]) for one in orders(world)] == [(RESIZE, 3), (RESIZE, 3)]

    run_virtually(story())


def test_cooldowns_of_scaling_policies_are_kept_and_begun() -> None:
    async def story() -> None:
        world = World(1)
        async with world.engine():
            cluster_id = await scaled_cluster(world, 1, **QUICK, up={"rates": [{"members": 1, "period": 5}]})
            await attach(world, cluster_id, "scaling", event=OUT.value, adjustment={"cooldown": 25})
            async with demanding(world, lambda now: 3.0):
                await until(world, lambda: len(orders(world)) == 3, 120.0)
                await world.settle()
        first, second, third = (action.created_at for action in orders(world))
        assert second - first >= 25 and third - second >= 25
        assert {action.status for action in orders(world)} == {ActionStatus.SUCCEEDED}, "never tried in vain"
        stamps = world.store.run(lambda c: c.execute(sa.select(binding.c.last_op)).scalars().all())
        assert len(set(stamps)) == 1 and stamps[0] >= third, "the policies share one moment"
        assert any("policy 'my scaling' asks for 25 s" in row.body["sentence"] for row in decisions(world))

    run_virtually(story())


def test_what_containers_tell_of_themselves() -> None:
    async def story() -> None:
        world = World(1)
        queue = {"metric": "scrape", "target": 10, "aggregation": "shared", "scrape": {"port": 9102, "name": "waiting"}}
        done = {"metric": "scrape", "target": 1e6, "scrape": {"port": 9102, "name": "done_total", "kind": "counter"}}
        async with world.engine():
            cluster_id = await scaled_cluster(world, 1, **QUICK | {"targets": [queue, done]})
            (only,) = world.running()
            for number in range(8):
                body = f'waiting{{queue="a"}} 30\nwaiting{{queue="b"}} 5\ndone_total {100 * number}\n'.encode()
                world.host_engine(0).core.services.put(only.id, Service(9102, body=body))
                await world.clock.sleep(5.0)
            await until(world, lambda: seen(world, cluster_id).desired_capacity == 4)
            rows = world.store.run(lambda c: c.execute(sa.select(usage)).all())
        told = next(row.scraped for row in rows if row.scraped)
        assert told["scrape:9102/metrics#waiting{}"] == 35.0
        assert world.host_engine(0).calls[Operation.STATS] == 0, "nobody wanted to know of CPU"
        rates = world.store.run(
            autoscaling.find_samples, cluster_id, Stretch(("scrape:9102/metrics#done_total{}:rate",))
        )
        assert any(one.value is not None and 10 < one.value < 30 for one in rates)

    run_virtually(story())


def test_a_scrape_that_never_works_is_told_with_why() -> None:
    async def story() -> None:
        world = World(1)
        load = {"metric": "scrape", "target": 10, "scrape": {"port": 9102, "name": "load"}}
        async with world.engine():
            await scaled_cluster(world, 1, **QUICK | {"targets": [load]})
            (only,) = world.running()
            world.host_engine(0).core.services.put(only.id, Service(9102, status=404))
            await until(
                world, lambda: any("because: it answered 404." in one.body["sentence"] for one in decisions(world))
            )

    run_virtually(story())


def test_to_zero_and_back() -> None:
    def count(world: World, rate: float) -> None:
        stats = {"stats": {"rate": rate, "at": world.clock.now() + 1e6}}
        world.store.run(lambda c: c.execute(balancer.update().values(data=stats)))

    async def story() -> None:
        world = World(1)
        asked = {"metric": "requests", "target": 10}
        async with world.engine():
            cluster_id = await scaled_cluster(world, 2, **QUICK | {"targets": [asked]}, min=0, scale_to_zero=True)
            await world.clock.sleep(25.0)
            assert orders(world) == [], "nobody counts, so nobody knows"
            world.store.run(balancing.begin, "b", cluster_id, "p")
            count(world, 0.0)
            await until(world, lambda: not world.members(cluster_id))
            await world.clock.sleep(10.0)
            assert len(orders(world)) == 1
            count(world, 25.0)
            await until(world, lambda: len(world.running()) == 3, 20.0)

    run_virtually(story())


def test_what_fails_is_not_tried_at_every_evaluation() -> None:
    async def story() -> None:
        world = World(1)
        rules = Rules(Catalog(ContainerDefaults()), ClusterRules(1000, {**unlimited(), "nodes": 1}), 256)
        async with world.engine(rules=rules):
            cluster_id = await scaled_cluster(world, 1, **QUICK)
            async with demanding(world, lambda now: 5.0):
                await world.clock.sleep(60.0)
        failed = [action for action in orders(world) if action.status is ActionStatus.FAILED]
        assert 2 <= len(failed) <= 4, "5, 10, 20, 40 … seconds later"
        assert "what was ordered last failed at" in decisions(world)[-1].body["sentence"]
        assert seen(world, cluster_id).desired_capacity == 1

    run_virtually(story())


def test_a_policy_that_is_disabled_or_gone_does_nothing() -> None:
    async def story() -> None:
        world = World(1)
        async with world.engine():
            cluster_id = await scaled_cluster(world, 1, **QUICK)
            policy_id = world.store.run(lambda c: c.execute(sa.select(binding.c.policy_id)).scalar_one())
            await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, cluster_id, policy_id=policy_id, enabled=False)
            made = len(decisions(world))
            async with demanding(world, lambda now: 5.0):
                await world.clock.sleep(20.0)
                assert (orders(world), len(decisions(world))) == ([], made)
                await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, cluster_id, policy_id=policy_id, enabled=True)
                await until(world, lambda: bool(orders(world)), 30.0)

    run_virtually(story())


def test_sizes_that_do_not_go_together_are_refused() -> None:
    async def story() -> None:
        world = World(1)
        async with world.engine():
            cluster_id = world.create(1, max_size=2)
            await world.settle()
            policy_id = a_policy(world, SCALING, min=3, max=5, targets=[{"metric": "cpu", "target": 50}])
            failed = await ended(world, ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, policy_id=policy_id)
            assert "its min (3) is more than the cluster's max_size (2)" in failed.status_reason

    run_virtually(story())


def test_a_rolling_update_does_not_keep_it_from_growing() -> None:
    async def story() -> None:
        world = World(2)
        async with world.engine():
            cluster_id = await scaled_cluster(world, 2, **QUICK)
            await attach(world, cluster_id, "batch", max_batch_size=1, pause_time=60)
            async with demanding(world, lambda now: 1.0 if now < 12 else 3.0):
                await world.clock.sleep(10.0)
                inputs = {"new_profile_id": world.profile(**CORE, environment={"a": "b"})}
                update = world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, inputs)
                await until(world, lambda: bool(orders(world)), 50.0)
                assert not world.action(update).final
                await until(world, lambda: orders(world)[0].final, 20.0)
                assert orders(world)[0].status is ActionStatus.SUCCEEDED and not world.action(update).final

    run_virtually(story())


def test_what_the_full_helper_reads_is_not_asked_of_the_docker_engine() -> None:
    async def story() -> None:
        world = World(1)
        async with world.engine(hosts=HostSettings(helper="full", sample_interval=2.0)):
            cluster_id = await scaled_cluster(world, 2, **QUICK)
            async with demanding(world, lambda now: 1.0):
                await world.clock.sleep(40.0)
                assert world.host_engine(0).calls[Operation.STATS] <= 2, "before the helper had read anything"
                (one,) = world.store.run(autoscaling.find_samples, cluster_id, Stretch(since=world.clock.now() - 6))
        assert one.value == pytest.approx(100.0, abs=1.0)

    run_virtually(story())
