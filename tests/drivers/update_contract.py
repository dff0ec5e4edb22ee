"""What every container host promises about changing what a living container may use."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from drivers.world import FOREVER, World, ended, scenario
from spinney.domain.container import ContainerLimits, ContainerState
from spinney.errors import ContainerGone, ContainerRefused

MIB = 1 << 20
ABSENT = "f" * 64
SMALL = ContainerLimits(
    cpu_limit=0.5, cpu_reservation=0.25, memory_limit=64 * MIB, memory_reservation=16 * MIB, pids_limit=50
)
WIDE = ContainerLimits(
    cpu_limit=1.0, cpu_reservation=0.5, memory_limit=128 * MIB, memory_reservation=32 * MIB, pids_limit=100
)


class UpdatePromises:
    @scenario
    async def test_a_running_container_is_changed_and_goes_on(self, world: World) -> None:
        container = await world.started(world.request(memory_limit=64 * MIB))
        before = await world.present(container)
        for limits in (SMALL, WIDE, WIDE):
            await world.host.update(container, limits)
        after = await world.present(container)
        assert (after.state, after.started_at) == (ContainerState.RUNNING, before.started_at)

    @pytest.mark.parametrize("state", ["created", "paused", "stopped"])
    @scenario
    async def test_one_that_does_not_run_is_changed_too(self, world: World, state: str) -> None:
        made = await world.host.create(world.request(memory_limit=64 * MIB))
        if state != "created":
            await world.host.start(made.id)
            await (world.host.pause(made.id) if state == "paused" else world.host.stop(made.id, 5))
        before = await world.present(made.id)
        await world.host.update(made.id, WIDE)
        assert (await world.present(made.id)).state is before.state

    @scenario
    async def test_less_memory_than_it_uses_is_refused_and_it_goes_on(self, world: World) -> None:
        container = await world.using_memory(24 * MIB, memory_limit=64 * MIB)
        with pytest.raises(ContainerRefused, match="memory"):
            await world.host.update(container, replace(SMALL, memory_limit=12 * MIB, memory_reservation=None))
        assert (await world.present(container)).state is ContainerState.RUNNING
        await world.host.update(container, replace(SMALL, memory_limit=48 * MIB))

    @scenario
    async def test_what_no_host_can_give_is_refused(self, world: World) -> None:
        container = await world.started(world.request())
        for limits in (replace(SMALL, cpu_limit=9000.0), replace(SMALL, memory_limit=MIB, memory_reservation=None)):
            with pytest.raises(ContainerRefused):
                await world.host.update(container, limits)

    @pytest.mark.parametrize("retries", [None, 1])
    @scenario
    async def test_restarts_are_as_last_said(self, world: World, retries: int | None) -> None:
        made = await world.host.create(world.request(world.exiting(3), restart_on_failure=None if retries else 100))
        await world.host.update(made.id, replace(SMALL, restart_on_failure=retries))
        await world.host.start(made.id)
        seen = await world.until(made.id, lambda one: ended(one) and one.restart_count == (retries or 0))
        assert seen.exit_code == 3

    @scenario
    async def test_changes_at_once_leave_one_of_them(self, world: World) -> None:
        container = await world.started(world.request())
        async with asyncio.timeout(FOREVER):
            await asyncio.gather(*(world.host.update(container, limits) for limits in (SMALL, WIDE) * 3))
        assert (await world.present(container)).state is ContainerState.RUNNING

    @scenario
    async def test_what_is_absent_cannot_be_changed(self, world: World) -> None:
        with pytest.raises(ContainerGone):
            await world.host.update(ABSENT, SMALL)
