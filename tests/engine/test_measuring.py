"""Hosts and containers measured while they are watched: what is known, how old it may get, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from engine.world import DEPLOYMENT, HOSTS, OWNER, World
from spinney.config import HostSettings
from spinney.domain.cluster import Cluster
from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_HELPER,
    LABEL_HELPER_MODE,
    ContainerRequest,
    ContainerState,
    ImageRequest,
)
from spinney.domain.host import HelperMode, Host, HostState
from spinney.domain.utilization import HostCounters, known_use
from spinney.drivers.helper.image import container_name
from spinney.drivers.simulated.faults import Operation
from spinney.engine.context import EngineContext
from spinney.engine.looking.access import LocalAccess
from spinney.engine.watching.measuring import known_stats
from spinney.errors import HostUnreachable
from spinney.store import hosts, measuring, tables
from spinney.store.database import Store
from spinney.store.rows import CLUSTERS
from virtual_time import run_virtually

GIB = 2**30
PLAIN = HostSettings(helper="plain")
NONE = HostSettings(helper="none")


def host(world: World, number: int = 0) -> Host:
    return next(one for one in world.hosts() if one.name == f"h{number}")


def helpers(world: World, number: int = 0) -> list[str]:
    """The modes of our helpers on a host."""
    found = world.host_engine(number).core.containers({LABEL_DEPLOYMENT: DEPLOYMENT}, world.clock.now())
    return [one.labels[LABEL_HELPER_MODE] for one in found if LABEL_HELPER in one.labels]


def configure(world: World, **config: Any) -> None:
    """The host cluster, as far as it matters here."""

    def write(connection: sa.Connection) -> None:
        connection.execute(tables.cluster.delete().where(tables.cluster.c.id == HOSTS))
        made = Cluster(
            id=HOSTS, name="hosts", profile_id="-", desired_capacity=1, init_at=0.0, config=dict(config), **OWNER
        )
        CLUSTERS.insert(connection, [made])

    world.store.run(write)


def foreign_load(world: World, cpu: float, memory: int = 0, number: int = 0) -> None:
    meter = world.host_engine(number).meter
    meter.other_cpu, meter.other_memory = cpu, memory


def _has_helper(world: World, wanted: list[str], mode: str) -> bool:
    return helpers(world) == wanted and host(world).helper == mode


class TestHosts:
    def test_use_is_an_average_of_what_was_measured(self) -> None:
        async def story() -> None:
            world = World(host_count=1)
            foreign_load(world, 2.0, 4 * GIB)
            async with world.engine(hosts=PLAIN):
                await world.until(lambda: host(world).used_cpu is not None)
                await world.clock.sleep(30)
                seen = host(world)
                assert seen.used_cpu == pytest.approx(2.0, abs=0.1)
                assert seen.used_memory == pytest.approx(4 * GIB, rel=0.01)
                assert seen.disk is not None and seen.used_disk == seen.disk // 10
                assert (seen.helper, helpers(world)) == (HelperMode.PLAIN, ["plain"])
                assert seen.sampled_at is not None and world.clock.now() - seen.sampled_at < 30
                foreign_load(world, 8.0)
                await world.clock.sleep(60)
                later = host(world)
                assert later.used_cpu is not None and 2 + 6 * 0.5 < later.used_cpu < 2 + 6 * 0.75

        run_virtually(story())

    def test_a_host_that_falls_silent_becomes_unknown_and_not_idle(self) -> None:
        async def story() -> None:
            world = World(host_count=1)
            foreign_load(world, 2.0)
            async with world.engine(hosts=PLAIN):
                await world.until(lambda: host(world).used_cpu is not None)
                world.host_engine(0).cut()
                await world.clock.sleep(90)
                assert host(world).used_cpu is not None
                assert known_use(host(world), world.clock.now()) is None
                world.host_engine(0).heal()
                await world.until(lambda: known_use(host(world), world.clock.now()) is not None)

        run_virtually(story())

    def test_a_host_is_not_suspect_because_it_cannot_be_measured(self) -> None:
        async def story() -> None:
            world = World(host_count=1)

            def fail(operation: Operation, _: str) -> None:
                if operation in (Operation.LOAD, Operation.MEASURE):
                    raise HostUnreachable("no helper today")

            world.hooks.before = fail
            async with world.engine(hosts=PLAIN):
                await world.clock.sleep(60)
                assert (host(world).state, host(world).sampled_at) == (HostState.READY, None)
                assert host(world).helper is HelperMode.NONE
                # It is tried again, ever more rarely.
                assert 3 <= world.host_engine(0).calls[Operation.LOAD] <= 8
                world.hooks.before = None
                await world.until(lambda: host(world).used_cpu is not None)
                assert host(world).helper is HelperMode.PLAIN

        run_virtually(story())

    @pytest.mark.parametrize("how", ["killed", "removed", "paused"])
    def test_a_helper_that_ended_is_there_again_soon(self, how: str) -> None:
        async def story() -> None:
            world = World(host_count=1)
            async with world.engine(hosts=PLAIN):
                await world.until(lambda: host(world).used_cpu is not None)
                engine = world.host_engine(0)
                core, name = engine.core, container_name(DEPLOYMENT)
                match how:
                    case "killed":
                        engine.do(core.kill, name, "SIGKILL")
                    case "removed":
                        engine.do(core.remove, name)
                    case "paused":
                        engine.do(core.pause, name)
                before = world.clock.now()
                await world.until(lambda: (host(world).sampled_at or 0) > before + 1, 60)
                assert core.require(name).state is ContainerState.RUNNING

        run_virtually(story())

    def test_many_hosts_cost_few_statements(self) -> None:
        async def story() -> None:
            counts = {"updates": 0}

            class Counting(Store):
                async def transact(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
                    counts["updates"] += fn.__module__ == "spinney.engine.watching.measuring"
                    return await super().transact(fn, *args, **kwargs)

            world = World(host_count=50, store=Counting)
            async with world.engine(hosts=PLAIN):
                await world.clock.sleep(30)
                counts["updates"] = 0
                samples = sum(world.host_engine(n).calls[Operation.MEASURE] for n in range(50))
                await world.clock.sleep(60)
                samples = sum(world.host_engine(n).calls[Operation.MEASURE] for n in range(50)) - samples
                assert samples >= 500
                assert counts["updates"] <= 61
                assert all(known_use(one, world.clock.now()) is not None for one in world.hosts())

        run_virtually(story())


class TestModes:
    def test_without_a_helper_nothing_is_on_the_host(self) -> None:
        async def story() -> None:
            world = World(host_count=1)
            async with world.engine(hosts=NONE):
                await world.clock.sleep(20)
                assert world.containers() == []
                assert (host(world).sampled_at, host(world).helper) == (None, HelperMode.NONE)

        run_virtually(story())

    def test_the_host_cluster_decides_and_may_change_its_mind(self) -> None:
        async def story() -> None:
            world = World(host_count=1)
            configure(world, **{"spinney.helper": "full"})
            async with world.engine(hosts=NONE):
                for mode in ("full", "plain", "none", "full"):
                    configure(world, **{"spinney.helper": mode})
                    wanted = [] if mode == "none" else [mode]
                    await world.until(partial(_has_helper, world, wanted, mode), 30)
                await world.clock.sleep(10)
                assert helpers(world) == ["full"]

        run_virtually(story())

    def test_the_reaper_leaves_a_wanted_helper_and_removes_another(self) -> None:
        async def story() -> None:
            world = World(host_count=1)
            async with world.engine(hosts=PLAIN):
                await world.until(lambda: helpers(world) == ["plain"])
                first = world.host_engine(0).core.require(container_name(DEPLOYMENT)).id
                await world.clock.sleep(60)
                assert world.host_engine(0).core.require(container_name(DEPLOYMENT)).id == first
            # As if it had been made, and its maker died before that was written.
            world.store.run(measuring.write_helpers, {host(world).node_id: HelperMode.NONE})
            async with world.engine(hosts=NONE):
                await world.until(lambda: helpers(world) == [])

        run_virtually(story())

    def test_a_host_that_is_removed_is_left_without_a_trace(self) -> None:
        async def story() -> None:
            world = World(host_count=2)
            async with world.engine(hosts=PLAIN):
                await world.until(lambda: helpers(world, 0) == helpers(world, 1) == ["plain"])
                images = dict(world.host_engine(0).core.images.local)
                world.store.run(hosts.remove, host(world, 0).node_id)
                await world.until(lambda: helpers(world, 0) == [])
                assert set(images) - set(world.host_engine(0).core.images.local)
                assert helpers(world, 1) == ["plain"]

        run_virtually(story())

    def test_two_deployments_share_a_host(self) -> None:
        async def story() -> None:
            world = World(host_count=1)
            other = "e0000000-0000-4000-8000-000000000000"
            docker = world.connector.connect(world_address(world))
            async with world.engine(hosts=PLAIN):
                await world.until(lambda: helpers(world) == ["plain"])
                await docker.ensure_helper(other, HelperMode.FULL)
                await world.clock.sleep(30)
                assert (await docker.measure()).cores == 8 and helpers(world) == ["plain"]
                await docker.remove_helper(other)
                assert helpers(world) == ["plain"]

        run_virtually(story())


def world_address(world: World) -> Any:
    from spinney.drivers.base import HostAddress

    return HostAddress(host(world).endpoint, None)


class TestMetricsUrl:
    def test_what_tells_its_own_load_is_read_there_and_gets_no_plain_helper(self) -> None:
        class Exporter:
            """What the machine tells: three of four cores busy."""

            def __init__(self, world: World) -> None:
                self._world = world
                self.asked: set[str] = set()
                self.fails = False

            async def read(self, url: str) -> HostCounters:
                self.asked.add(url)
                if self.fails:
                    raise HostUnreachable("metrics_url: nothing answers")
                now = self._world.clock.monotonic()
                return HostCounters(
                    at=now, boot="x", busy=3.0 * now, cores=4, memory_total=8 * GIB, memory_available=GIB
                )

            async def close(self) -> None:
                pass

        async def story() -> None:
            world = World(host_count=1)
            url = "http://10.0.0.1:9100/metrics"
            world.store.run(
                lambda c: c.execute(tables.host.update().values(metrics_url=url))  # the only one there is
            )
            exporter = Exporter(world)
            async with world.engine(hosts=PLAIN, exporter=exporter):
                await world.until(lambda: host(world).used_cpu is not None)
                seen = host(world)
                assert (seen.used_cpu, seen.used_memory, seen.used_disk) == (pytest.approx(3.0), 7 * GIB, None)
                assert (exporter.asked, helpers(world), seen.helper) == ({url}, [], HelperMode.NONE)
                configure(world, **{"spinney.helper": "full"})
                await world.until(lambda: helpers(world) == ["full"])
                exporter.fails = True
                await world.clock.sleep(90)
                assert known_use(host(world), world.clock.now()) is None
                assert host(world).state is HostState.READY

        run_virtually(story())


class TestContainers:
    def access(self, context: EngineContext) -> LocalAccess:
        def known(host_id: str, container_id: str) -> Any:
            return known_stats(context, host_id, container_id)

        return LocalAccess(context.store, context.connector, known)

    def container(self, world: World) -> str:
        request = ContainerRequest("app", {}, ImageRequest("busybox"), command=("sleep", "100000"))
        engine = world.host_engine(0)
        made = engine.do(engine.core.create, request)
        engine.do(engine.core.start, made.id)
        engine.core.set_load(made.id, 1.5, 3 * GIB)
        return str(made.id)

    def test_fresh_figures_are_given_without_asking_the_docker_engine(self) -> None:
        async def story() -> None:
            world = World(host_count=1)
            configure(world, **{"spinney.helper": "full"})
            container = self.container(world)
            async with world.engine(hosts=NONE) as engine:
                access = self.access(engine.context)
                host_id = host(world).node_id
                asked = world.host_engine(0).calls
                first = await access.stats(host_id, container)
                assert (first.cpu, asked[Operation.STATS]) == (1.5, 1)
                await world.until(lambda: known_stats(engine.context, host_id, container) is not None)
                measured = await access.stats(host_id, container)
                assert asked[Operation.STATS] == 1
                assert measured.cpu == pytest.approx(1.5) and measured.memory == 3 * GIB
                assert measured.rx_bytes is None and measured.sampled_at is not None
                # What is no longer fresh is asked of the Docker engine again.
                configure(world, **{"spinney.helper": "plain"})
                await world.clock.sleep(30)
                await access.stats(host_id, container)
                assert asked[Operation.STATS] == 2
                await access.close()

        run_virtually(story())

    def test_a_container_that_was_just_started_is_asked_of_its_docker_engine(self) -> None:
        async def story() -> None:
            world = World(host_count=1)
            configure(world, **{"spinney.helper": "full"})
            container = self.container(world)
            async with world.engine(hosts=NONE) as engine:
                host_id = host(world).node_id
                await world.until(lambda: known_stats(engine.context, host_id, container) is not None)
                docker = world.host_engine(0)
                docker.do(docker.core.restart, container, 1)
                await world.until(lambda: known_stats(engine.context, host_id, container) is None)
                await world.until(lambda: known_stats(engine.context, host_id, container) is not None)

        run_virtually(story())


def test_use_survives_a_change_of_the_watching_engine() -> None:
    async def story() -> None:
        world = World(host_count=1)
        foreign_load(world, 2.0)
        for _ in range(2):
            async with world.engine(hosts=PLAIN):
                before = world.clock.now()
                await world.until(lambda: (host(world).sampled_at or 0) > before and host(world).used_cpu is not None)  # noqa: B023  # awaited within the loop
                assert host(world).used_cpu == pytest.approx(2.0, abs=0.1)
        assert helpers(world) == ["plain"]

    run_virtually(story())


def test_rows_of_hosts_that_are_gone_hurt_nothing() -> None:
    world = World(host_count=1)
    one = host(world)
    world.store.run(measuring.write_helpers, {"gone": HelperMode.FULL, one.node_id: HelperMode.FULL})
    assert replace(one, helper=HelperMode.FULL) == host(world)
    world.store.close()
