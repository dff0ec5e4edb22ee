"""What every container host promises, as tests: one suite, run on the real Docker engine and on each simulated one.

A test module binds it to an implementation by deriving from the suite and giving a ``world`` fixture::

    class TestMyHost(ContractSuite):
        @pytest.fixture
        def world(self) -> Iterator[World]: ...
"""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Awaitable, Mapping

import pytest

from drivers.exec_contract import ExecPromises
from drivers.probe_contract import FirstProbePromises, ProbePromises
from drivers.secret_contract import SecretPromises
from drivers.update_contract import UpdatePromises
from drivers.world import FOREVER, World, ended, read_logs, scenario, watch
from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_HELPER,
    LABEL_HELPER_MODE,
    LABEL_NODE,
    ContainerEventKind,
    ContainerState,
    ImageRequest,
    LogQuery,
    PublishedPort,
    PullPolicy,
)
from spinney.domain.host import HelperMode
from spinney.drivers.balancer.image import File, reference_of
from spinney.drivers.balancer.image import archive as balancer_archive
from spinney.drivers.helper.image import container_name
from spinney.errors import (
    AddressPoolOverlap,
    CommandNotFound,
    ContainerGone,
    ContainerRefused,
    HostBroken,
    HostError,
    ImageNotFound,
    ImagePullFailed,
    NameTaken,
    NetworkMissing,
    PortTaken,
)

ABSENT = "f" * 64


class CreationPromises:
    @scenario
    async def test_creates_without_starting(self, world: World) -> None:
        request = world.request()
        made = await world.host.create(request)
        seen = await world.present(made.id)
        assert made.state is seen.state is ContainerState.CREATED
        assert len(made.id) == 64
        assert (made.name, seen.name) == (request.name, request.name)
        assert (seen.started_at, seen.finished_at, seen.exit_code) == (None, None, None)
        assert {**seen.labels, **request.labels} == dict(seen.labels)
        assert seen.image == world.image
        assert (seen.node_id, seen.generation) == (request.labels[LABEL_NODE], 1)

    @scenario
    async def test_is_found_by_name_and_by_id(self, world: World) -> None:
        made = await world.host.create(world.request())
        assert await world.host.inspect(made.name) == await world.host.inspect(made.id)
        assert await world.host.inspect(ABSENT) is None

    @scenario
    async def test_creating_twice_finds_the_first(self, world: World) -> None:
        request = world.request()
        first = await world.host.create(request)
        await world.host.start(first.id)
        again = await world.host.create(request)
        assert again.id == first.id
        assert again.state is ContainerState.RUNNING

    @scenario
    async def test_four_creates_at_once_make_one(self, world: World) -> None:
        request = world.request()
        made = await asyncio.gather(*(world.host.create(request) for _ in range(4)))
        assert len({container.id for container in made}) == 1
        assert len(await world.host.containers({LABEL_DEPLOYMENT: world.deployment})) == 1

    @scenario
    async def test_a_foreign_container_keeps_its_name(self, world: World) -> None:
        request = world.request()
        foreign = await world.make_foreign(request.name)
        try:
            with pytest.raises(NameTaken, match=request.name):
                await world.host.create(request)
            assert (await world.present(request.name)).id == foreign
        finally:
            await world.remove_foreign(foreign)

    @pytest.mark.parametrize("running", [False, True])
    @scenario
    async def test_another_generation_of_ours_is_replaced(self, world: World, running: bool) -> None:
        node = str(uuid.uuid4())
        old = await world.host.create(world.request(name="spinney-g", labels=world.labels(node=node, generation=1)))
        if running:
            await world.host.start(old.id)
        new = await world.host.create(world.request(name="spinney-g", labels=world.labels(node=node, generation=2)))
        assert new.id != old.id
        assert new.generation == 2
        assert await world.host.inspect(old.id) is None

    @scenario
    async def test_a_cancelled_create_is_made_good_by_the_next(self, world: World) -> None:
        request = world.request()
        first = asyncio.create_task(world.host.create(request))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        made = await world.host.create(request)
        found = await world.host.containers({LABEL_DEPLOYMENT: world.deployment})
        assert [container.id for container in found] == [made.id]

    @scenario
    async def test_an_absent_image_is_named(self, world: World) -> None:
        image = ImageRequest(world.absent_image, PullPolicy.NEVER)
        with pytest.raises(ImageNotFound, match=world.absent_image):
            await world.host.create(world.request(image=image))
        with pytest.raises(ImageNotFound, match=world.absent_image):
            await world.host.ensure_image(image)

    @scenario
    async def test_a_present_image_needs_no_registry(self, world: World) -> None:
        for policy in (PullPolicy.NEVER, PullPolicy.MISSING):
            await asyncio.gather(*(world.host.ensure_image(ImageRequest(world.image, policy)) for _ in range(3)))

    @scenario
    async def test_an_image_that_cannot_be_pulled_is_named(self, world: World) -> None:
        with pytest.raises((ImageNotFound, ImagePullFailed), match=world.absent_image):
            await world.host.ensure_image(ImageRequest(world.absent_image, PullPolicy.MISSING))

    @scenario
    async def test_a_present_image_is_told_and_was_not_pulled(self, world: World) -> None:
        assert await world.host.ensure_image(ImageRequest(world.image, PullPolicy.MISSING)) is False
        (image,) = [one for one in await world.host.images() if world.image in one.references]
        assert image.id.startswith("sha256:") and image.size > 0

    @scenario
    async def test_an_image_is_brought_and_brought_again(self, world: World) -> None:
        archive = balancer_archive({"file": File(world.deployment.encode())}, {}, "amd64", "")
        name = reference_of(archive)
        with pytest.raises(ImageNotFound):
            await world.host.ensure_image(ImageRequest(name, PullPolicy.NEVER))
        await asyncio.gather(*(world.host.load_image(name, archive) for _ in range(2)))
        assert await world.host.ensure_image(ImageRequest(name, PullPolicy.NEVER)) is False
        assert await world.host.remove_image(name) is True

    @scenario
    async def test_an_image_in_use_stays_and_an_absent_one_is_as_good_as_removed(self, world: World) -> None:
        await world.host.create(world.request())
        assert await world.host.remove_image(world.image) is False
        assert await world.host.remove_image(world.absent_image) is True
        assert any(world.image in one.references for one in await world.host.images())

    @scenario
    async def test_a_missing_program_is_reported_at_start(self, world: World) -> None:
        made = await world.host.create(world.request(("/no/such/program",), init=False))
        with pytest.raises(CommandNotFound, match="/no/such/program"):
            await world.host.start(made.id)
        assert (await world.present(made.id)).state is not ContainerState.RUNNING


class LifePromises:
    @scenario
    async def test_starting_is_idempotent(self, world: World) -> None:
        made = await world.host.create(world.request())
        await asyncio.gather(*(world.host.start(made.id) for _ in range(3)))
        seen = await world.present(made.id)
        assert seen.state is ContainerState.RUNNING
        assert seen.started_at is not None
        assert seen.exit_code is None

    @scenario
    async def test_stopping_is_idempotent_and_a_stopped_one_starts_again(self, world: World) -> None:
        container = await world.started(world.request())
        await world.host.stop(container, 5)
        await world.host.stop(container, 5)
        stopped = await world.present(container)
        assert stopped.state is ContainerState.EXITED
        assert stopped.started_at and stopped.finished_at and stopped.finished_at >= stopped.started_at
        await world.host.start(container)
        assert (await world.present(container)).state is ContainerState.RUNNING

    @scenario
    async def test_restart_starts_anew_what_runs_and_what_does_not(self, world: World) -> None:
        container = await world.started(world.request())
        before = await world.present(container)
        await world.host.restart(container, 5)
        after = await world.present(container)
        assert after.state is ContainerState.RUNNING
        assert after.started_at and before.started_at and after.started_at > before.started_at
        await world.host.stop(container, 5)
        await world.host.restart(container, 5)
        assert (await world.present(container)).state is ContainerState.RUNNING

    @scenario
    async def test_kill_ends_what_runs_and_refuses_the_rest(self, world: World) -> None:
        container = await world.started(world.request())
        with pytest.raises(ContainerRefused, match="SIGNONSENSE"):
            await world.host.kill(container, "SIGNONSENSE")
        await world.host.kill(container, "SIGKILL")
        assert (await world.until(container, ended)).exit_code == 137
        with pytest.raises(ContainerRefused, match="not running"):
            await world.host.kill(container, "SIGKILL")

    @scenario
    async def test_pausing_is_idempotent(self, world: World) -> None:
        container = await world.started(world.request())
        for _ in range(2):
            await world.host.pause(container)
            assert (await world.present(container)).state is ContainerState.PAUSED
        for _ in range(2):
            await world.host.unpause(container)
            assert (await world.present(container)).state is ContainerState.RUNNING

    @scenario
    async def test_what_does_not_run_cannot_be_paused(self, world: World) -> None:
        made = await world.host.create(world.request())
        with pytest.raises(ContainerRefused, match="not running"):
            await world.host.pause(made.id)
        await world.host.unpause(made.id)

    @pytest.mark.parametrize("state", ["created", "running", "paused"])
    @scenario
    async def test_removing_is_idempotent_and_waits_until_it_is_gone(self, world: World, state: str) -> None:
        made = await world.host.create(world.request())
        if state != "created":
            await world.host.start(made.id)
        if state == "paused":
            await world.host.pause(made.id)
        await asyncio.gather(*(world.host.remove(made.id) for _ in range(4)))
        assert await world.host.inspect(made.id) is None
        await world.host.remove(made.id)

    @scenario
    async def test_what_is_absent_is_gone(self, world: World) -> None:
        calls: list[Awaitable[object]] = [
            world.host.start(ABSENT),
            world.host.stop(ABSENT, 1),
            world.host.restart(ABSENT, 1),
            world.host.kill(ABSENT, "SIGKILL"),
            world.host.pause(ABSENT),
            world.host.unpause(ABSENT),
            world.host.stats(ABSENT),
            world.host.counters(ABSENT),
            read_logs(world, ABSENT),
        ]
        for call in calls:
            with pytest.raises(ContainerGone):
                await call
        await world.host.remove(ABSENT)

    @scenario
    async def test_an_exit_code_is_kept(self, world: World) -> None:
        container = await world.started(world.request(world.exiting(3)))
        seen = await world.until(container, ended)
        assert seen.exit_code == 3
        assert not seen.oom_killed
        listed = await world.host.containers({LABEL_DEPLOYMENT: world.deployment})
        assert [(one.id, one.state) for one in listed] == [(container, ContainerState.EXITED)]

    @pytest.mark.parametrize("healthy", [True, False])
    @scenario
    async def test_health_is_told(self, world: World, healthy: bool) -> None:
        watching = await watch(world)
        container = await world.started(world.request(healthcheck=world.healthcheck(healthy=healthy)))
        seen = await world.until(container, lambda one: one.health not in (None, "starting"))
        assert seen.health == ("healthy" if healthy else "unhealthy")
        await watching.until(ContainerEventKind.HEALTHY if healthy else ContainerEventKind.UNHEALTHY, container)
        await watching.close()

    @scenario
    async def test_without_a_check_health_is_unknown(self, world: World) -> None:
        container = await world.started(world.request())
        assert (await world.present(container)).health is None


class PortPromises:
    @scenario
    async def test_ports_are_published_where_asked_and_where_free(self, world: World) -> None:
        port = world.free_port()
        asked = (PublishedPort(80, port, "tcp", "127.0.0.1"), PublishedPort(53, None, "udp", "127.0.0.1"))
        network = world.network()
        await world.host.ensure_network(network)
        container = await world.started(world.request(network=network, ports=asked))
        bound = {one.container_port: one for one in (await world.present(container)).ports}
        assert bound[80] == asked[0]
        assert bound[53].protocol == "udp"
        assert bound[53].host_port
        await world.host.remove(container)
        await world.host.remove_network(network.name)

    @scenario
    async def test_a_taken_port_is_named(self, world: World) -> None:
        port = world.free_port()
        network = world.network()
        await world.host.ensure_network(network)
        ports = (PublishedPort(80, port, "tcp", "127.0.0.1"),)
        first = await world.started(world.request(network=network, ports=ports))
        second = await world.host.create(world.request(network=network, ports=ports))
        with pytest.raises(PortTaken, match=str(port)):
            await world.host.start(second.id)
        await world.host.remove(first)
        await world.host.start(second.id)
        await world.host.remove(second.id)
        await world.host.remove_network(network.name)


class NetworkPromises:
    @scenario
    async def test_ensuring_a_network_makes_one(self, world: World) -> None:
        network = world.network()
        await asyncio.gather(*(world.host.ensure_network(network) for _ in range(4)))
        container = await world.started(world.request(network=network))
        (address,) = (await world.present(container)).addresses
        assert address.network == network.name
        assert address.version == 4
        assert address.addr.startswith(network.subnet.removesuffix(".0/24") + ".")
        await world.host.remove(container)
        await world.host.remove_network(network.name)
        with pytest.raises(NetworkMissing):
            await world.started(world.request(network=network))

    @scenario
    async def test_a_used_network_stays_until_its_last_user_is_gone(self, world: World) -> None:
        network = world.network()
        await world.host.ensure_network(network)
        container = (await world.host.create(world.request(network=network))).id
        for command in (world.host.start(container), world.host.stop(container, 5), world.host.start(container)):
            await world.host.remove_network(network.name)
            await command
        assert (await world.present(container)).addresses
        await world.host.remove(container)
        for _ in range(2):
            await world.host.remove_network(network.name)

    @scenario
    async def test_a_used_subnet_is_named(self, world: World) -> None:
        first = world.network()
        await world.host.ensure_network(first)
        try:
            with pytest.raises(AddressPoolOverlap, match=first.subnet):
                await world.host.ensure_network(dataclasses.replace(world.network(), subnet=first.subnet))
        finally:
            await world.host.remove_network(first.name)

    @scenario
    async def test_without_a_network_there_is_no_address(self, world: World) -> None:
        container = await world.started(world.request(network=None))
        assert (await world.present(container)).addresses == ()


class ObservationPromises:
    @scenario
    async def test_facts_describe_the_host(self, world: World) -> None:
        facts = await world.host.facts()
        assert facts.engine_id and facts.version and facts.arch and facts.hostname
        assert facts.os == "linux"
        assert facts.cpu > 0
        assert facts.memory > 0
        assert "json-file" in facts.log_drivers
        assert "bridge" in facts.network_plugins and "local" in facts.volume_plugins
        assert facts.kernel and facts.storage_driver and facts.runtimes
        assert facts.cgroup in ("1", "2") and facts.cgroup_driver
        assert await world.host.facts() == facts, "told in the same order each time"

    @scenario
    async def test_listing_is_by_all_labels(self, world: World) -> None:
        foreign = await world.make_foreign(f"foreign-{uuid.uuid4().hex}")
        ours = [await world.host.create(world.request()) for _ in range(3)]
        listed = await world.host.containers({LABEL_DEPLOYMENT: world.deployment})
        assert {one.id for one in listed} == {one.id for one in ours}
        assert {one.name for one in listed} == {one.name for one in ours}
        node: Mapping[str, str] = {LABEL_DEPLOYMENT: world.deployment, LABEL_NODE: ours[1].labels[LABEL_NODE]}
        (only,) = await world.host.containers(node)
        assert (only.id, only.state, only.labels) == (ours[1].id, ContainerState.CREATED, ours[1].labels)
        await world.remove_foreign(foreign)

    @scenario
    async def test_events_tell_what_happens_to_ours(self, world: World) -> None:
        watching = await watch(world)
        foreign = await world.make_foreign(f"foreign-{uuid.uuid4().hex}")
        request = world.request(world.exiting(4))
        container = await world.started(request)
        died = await watching.until(ContainerEventKind.DIED, container)
        await world.host.remove(container)
        await world.remove_foreign(foreign)
        await watching.until(ContainerEventKind.DESTROYED, container)
        assert watching.seen[0].kind is ContainerEventKind.GAP
        assert (died.exit_code, died.labels[LABEL_NODE]) == (4, request.labels[LABEL_NODE])
        assert died.at > 0
        kinds = [event.kind for event in watching.seen[1:]]
        assert kinds == [ContainerEventKind.STARTED, ContainerEventKind.DIED, ContainerEventKind.DESTROYED]
        await watching.close()

    @scenario
    async def test_two_watchers_see_the_same(self, world: World) -> None:
        first, second = await watch(world), await watch(world)
        container = await world.started(world.request())
        for watching in (first, second):
            await watching.until(ContainerEventKind.STARTED, container)
        await first.close()
        await world.host.remove(container)
        await second.until(ContainerEventKind.DESTROYED, container)
        await second.close()


class ReadingPromises:
    @scenario
    async def test_logs_keep_the_streams_apart(self, world: World) -> None:
        container = await world.started(world.request(world.printing("fine", "alas")))
        await world.until(container, ended)
        assert await read_logs(world, container) == {"stdout": "fine\n", "stderr": "alas\n"}
        assert await read_logs(world, container, stderr=False) == {"stdout": "fine\n", "stderr": ""}
        assert await read_logs(world, container, stdout=False) == {"stdout": "", "stderr": "alas\n"}

    @scenario
    async def test_tail_and_times_choose_a_part(self, world: World) -> None:
        container = await world.started(world.request(world.printing("first", then_sleep=False)))
        seen = await world.until(container, ended)
        assert seen.started_at and seen.finished_at
        await world.host.start(container)
        await world.until(container, lambda one: ended(one) and one.finished_at != seen.finished_at)
        assert (await read_logs(world, container))["stdout"] == "first\nfirst\n"
        assert (await read_logs(world, container, tail=1))["stdout"] == "first\n"
        assert (await read_logs(world, container, since=seen.finished_at + 3600))["stdout"] == ""
        assert (await read_logs(world, container, until=seen.started_at - 3600))["stdout"] == ""
        stamped = (await read_logs(world, container, tail=1, timestamps=True))["stdout"]
        assert stamped.startswith("20")
        assert stamped.endswith("Z first\n")

    @scenario
    async def test_following_ends_with_the_container(self, world: World) -> None:
        container = await world.started(world.request(world.printing("hello", then_sleep=True)))
        text = b""
        async with asyncio.timeout(FOREVER):
            async for chunk in world.host.logs(container, LogQuery(follow=True)):
                text += chunk.data
                if text.endswith(b"hello\n"):
                    await world.host.kill(container, "SIGKILL")
        assert text == b"hello\n"

    @scenario
    async def test_stats_are_numbers_or_unknown(self, world: World) -> None:
        container = await world.started(world.request(memory_limit=64 * 2**20))
        stats = await world.host.stats(container)
        assert stats.memory is not None and 0 < stats.memory < 64 * 2**20
        assert stats.memory_limit == 64 * 2**20
        assert stats.cpu is None or 0 <= stats.cpu < 64
        assert stats.pids is not None and stats.pids >= 1
        assert stats.sampled_at is not None
        await world.host.stop(container, 5)
        assert (await world.host.stats(container)).memory is None

    @scenario
    async def test_counters_only_grow_while_a_container_runs(self, world: World) -> None:
        container = await world.started(world.request(memory_limit=64 * 2**20))
        first, second = await world.host.counters(container), await world.host.counters(container)
        assert first.at is not None and second.at is not None and first.at <= second.at
        assert first.counters.cpu is not None and second.counters.cpu is not None
        assert 0 <= first.counters.cpu <= second.counters.cpu
        assert second.counters.memory is not None and 0 < second.counters.memory < 64 * 2**20
        await world.host.stop(container, 5)
        stopped = await world.host.counters(container)
        assert (stopped.at, stopped.counters.cpu, stopped.counters.memory) == (None, None, None)


class HelperPromises:
    @scenario
    async def test_ensuring_a_helper_has_one_that_measures(self, world: World) -> None:
        for _ in range(2):
            await world.host.ensure_helper(world.deployment, HelperMode.PLAIN)
        (helper,) = await world.host.containers({LABEL_DEPLOYMENT: world.deployment})
        assert helper.state is ContainerState.RUNNING
        assert helper.node_id is None
        assert (helper.labels[LABEL_HELPER_MODE], LABEL_HELPER in helper.labels) == ("plain", True)
        first, second = await world.host.measure(), await world.host.measure()
        assert second.at > first.at and second.boot == first.boot
        assert second.busy >= first.busy >= 0
        assert second.cores >= 1
        assert 0 < second.memory_available <= second.memory_total
        assert second.disk_total is not None and second.disk_free is not None
        assert 0 < second.disk_free <= second.disk_total
        assert (await world.host.measure_containers()).containers == {}
        await world.host.remove_helper(world.deployment)

    @scenario
    async def test_a_full_helper_measures_containers(self, world: World) -> None:
        container = await world.started(world.request(memory_limit=64 * 2**20))
        await world.host.ensure_helper(world.deployment, HelperMode.FULL)
        reading = await world.host.measure_containers()
        found = reading.containers[container]
        assert reading.at > 0
        assert found.cpu is not None and found.cpu >= 0
        assert found.memory is not None and 0 < found.memory < 64 * 2**20
        assert found.memory_limit == 64 * 2**20
        assert found.pids is not None and found.pids >= 1
        assert found.oom_kills == 0
        await world.host.remove(container)
        await world.host.remove_helper(world.deployment)

    @scenario
    async def test_another_mode_is_another_helper(self, world: World) -> None:
        for mode in (HelperMode.FULL, HelperMode.PLAIN, HelperMode.FULL):
            await world.host.ensure_helper(world.deployment, mode)
            (helper,) = await world.host.containers({LABEL_DEPLOYMENT: world.deployment})
            assert helper.labels[LABEL_HELPER_MODE] == mode
            assert bool((await world.host.measure_containers()).containers) == (mode is HelperMode.FULL)
        await world.host.remove_helper(world.deployment)

    @pytest.mark.parametrize("how", ["killed", "removed", "paused"])
    @scenario
    async def test_a_helper_that_ended_is_found_out_and_started_again(self, world: World, how: str) -> None:
        await world.host.ensure_helper(world.deployment, HelperMode.PLAIN)
        await world.host.measure()
        (helper,) = await world.host.containers({LABEL_DEPLOYMENT: world.deployment})
        match how:
            case "killed":
                await world.host.kill(helper.id, "SIGKILL")
            case "removed":
                await world.host.remove(helper.id)
            case "paused":
                await world.host.pause(helper.id)
        with pytest.raises(HostError):
            await world.host.measure()
        await world.host.ensure_helper(world.deployment, HelperMode.PLAIN)
        assert (await world.host.measure()).cores >= 1
        await world.host.remove_helper(world.deployment)

    @scenario
    async def test_a_removed_helper_leaves_nothing(self, world: World) -> None:
        with pytest.raises(HostBroken, match="helper"):
            await world.host.measure()
        await world.host.ensure_helper(world.deployment, HelperMode.PLAIN)
        for _ in range(2):
            await world.host.remove_helper(world.deployment)
        assert await world.host.containers({LABEL_DEPLOYMENT: world.deployment}) == []
        with pytest.raises(HostBroken, match="helper"):
            await world.host.measure()

    @scenario
    async def test_a_foreign_container_is_not_taken_for_a_helper(self, world: World) -> None:
        foreign = await world.make_foreign(container_name(world.deployment))
        with pytest.raises(NameTaken, match="helper"):
            await world.host.ensure_helper(world.deployment, HelperMode.PLAIN)
        assert (await world.present(foreign)).id == foreign
        await world.remove_foreign(foreign)


class Essentials(
    CreationPromises,
    LifePromises,
    PortPromises,
    NetworkPromises,
    ObservationPromises,
    ReadingPromises,
    ExecPromises,
    HelperPromises,
    FirstProbePromises,
    SecretPromises,
    UpdatePromises,
):
    """All promises but those that take long on a real Docker engine."""


class ContractSuite(Essentials, ProbePromises):
    """All promises. Derive a ``Test…`` class from it and give it a ``world`` fixture."""
