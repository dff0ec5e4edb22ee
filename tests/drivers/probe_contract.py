"""What every container host promises of probes, and what the real driver does beside, which has two ways to carry them out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from drivers.world import FOREVER, World, scenario
from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_HELPER_MODE, LABEL_NODE, LABEL_PROBER, ContainerRequest
from spinney.domain.host import HelperMode
from spinney.domain.probe import ProbeAnswer, ProbeKind, ProbeRequest
from spinney.drivers.helper.image import container_name
from spinney.errors import ContainerGone, ContainerRefused

PORT = 8080
WEB = ProbeRequest(ProbeKind.HTTP, PORT, timeout=10.0)  # an answer comes sooner, but on a busy machine
MODES = pytest.mark.parametrize("mode", [HelperMode.NONE, HelperMode.FULL])


async def help_out(world: World, mode: HelperMode) -> None:
    if mode is not HelperMode.NONE:
        await world.host.ensure_helper(world.deployment, mode)


async def serving(world: World, *, port: int = PORT, hangs: bool = False) -> str:
    """A container that listens."""
    container = await world.started(await world.server(port, hangs=hangs))
    await until_answered(world, container, ProbeRequest(ProbeKind.TCP, port))
    return container


async def until_answered(world: World, container: str, request: ProbeRequest) -> ProbeAnswer:
    """As soon as it is connected: a program takes its time to begin to listen."""
    async with asyncio.timeout(FOREVER):
        while True:
            answer = await world.host.probe(container, request)
            if answer.connected:
                return answer
            await asyncio.sleep(0.02)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(FOREVER):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


async def probers(world: World) -> list[str]:
    found = await world.host.containers({LABEL_DEPLOYMENT: world.deployment})
    return [one.id for one in found if LABEL_PROBER in one.labels]


class FirstProbePromises:
    @MODES
    @scenario
    async def test_what_listens_inside_answers(self, world: World, mode: HelperMode) -> None:
        await help_out(world, mode)
        container = await serving(world)
        assert await world.host.probe(container, WEB) == ProbeAnswer(True, 200)
        page = ProbeRequest(ProbeKind.HTTP, PORT, body=1 << 20)
        found = await world.host.probe(container, page)
        assert (found.connected, found.status, found.text) == (True, 200, "") and world.greeting(PORT) in found.body
        short = await world.host.probe(container, ProbeRequest(ProbeKind.HTTP, PORT, body=3))
        assert short.body == found.body[:3]
        assert await world.host.probe(container, ProbeRequest(ProbeKind.TCP, PORT)) == ProbeAnswer(True)


class ProbePromises(FirstProbePromises):
    @MODES
    @scenario
    async def test_that_nothing_answers_is_an_answer(self, world: World, mode: HelperMode) -> None:
        await help_out(world, mode)
        container = await serving(world, hangs=True)
        for kind in ProbeKind:
            closed = await world.host.probe(container, ProbeRequest(kind, PORT + 1))
            assert closed == ProbeAnswer(False, text=f"nothing listens on port {PORT + 1} (connection refused)")
        silent = await world.host.probe(container, ProbeRequest(ProbeKind.HTTP, PORT, timeout=0.3))
        assert (silent.connected, silent.status) == (True, None) and silent.text.startswith("timeout")
        assert "no IP address" in (await world.host.probe(container, ProbeRequest(ProbeKind.TCP, 1, "web"))).text

    @MODES
    @scenario
    async def test_a_restarted_container_is_probed_where_it_is_now(self, world: World, mode: HelperMode) -> None:
        await help_out(world, mode)
        container = await serving(world)
        await world.host.kill(container, "SIGKILL")
        await world.until(container, lambda one: one.exit_code is not None)
        with pytest.raises(ContainerRefused, match="not run"):
            await world.host.probe(container, WEB)
        for again in (world.host.start(container), world.host.restart(container, 5)):
            await again
            assert (await until_answered(world, container, WEB)).status == 200

    @MODES
    @scenario
    async def test_what_is_absent_or_never_ran_is_named(self, world: World, mode: HelperMode) -> None:
        await help_out(world, mode)
        with pytest.raises(ContainerGone):
            await world.host.probe("f" * 64, WEB)
        made = await world.host.create(world.request())
        with pytest.raises(ContainerRefused):
            await world.host.probe(made.id, WEB)

    @MODES
    @scenario
    async def test_a_slow_one_does_not_hold_up_others(self, world: World, mode: HelperMode) -> None:
        await help_out(world, mode)
        slow, quick = await serving(world, hangs=True), await serving(world)
        waiting = asyncio.create_task(world.host.probe(slow, ProbeRequest(ProbeKind.HTTP, PORT, timeout=20.0)))
        found = await asyncio.gather(*(world.host.probe(quick, WEB) for _ in range(40)))
        assert set(found) == {ProbeAnswer(True, 200)}
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await world.host.probe(quick, WEB) == ProbeAnswer(True, 200)

    @MODES
    @scenario
    async def test_probing_leaves_nothing_behind(self, world: World, mode: HelperMode) -> None:
        await help_out(world, mode)
        container = await serving(world)
        await world.host.remove(container)
        with pytest.raises(ContainerGone):
            await world.host.probe(container, WEB)
        await world.host.remove_helper(world.deployment)

        async def nothing() -> bool:
            return await world.host.containers({LABEL_DEPLOYMENT: world.deployment}) == []

        await until(nothing)


class ProberPromises:
    """Of the real driver."""

    @scenario
    async def test_each_probed_container_has_one_prober_and_keeps_it(self, world: World) -> None:
        request: ContainerRequest = await world.server(PORT)
        container = await world.started(request)
        assert await probers(world) == []
        await asyncio.gather(*(world.host.probe(container, WEB) for _ in range(5)))
        (prober,) = await probers(world)
        seen = await world.present(prober)
        assert (seen.labels[LABEL_PROBER], seen.node_id) == (container, request.labels[LABEL_NODE])
        await until_answered(world, container, WEB)
        assert await probers(world) == [prober]
        await world.host.kill(container, "SIGKILL")
        await world.until(container, lambda one: one.exit_code is not None)
        await world.host.start(container)
        await until_answered(world, container, WEB)
        (other,) = await probers(world)
        assert other != prober

    @pytest.mark.parametrize("how", ["killed", "removed"])
    @scenario
    async def test_a_prober_that_ended_is_made_again(self, world: World, how: str) -> None:
        container = await serving(world)
        (prober,) = await probers(world)
        if how == "killed":
            await world.host.kill(prober, "SIGKILL")
        else:
            await world.host.remove(prober)
        await self._until_gone(world)
        assert await world.host.probe(container, WEB) == ProbeAnswer(True, 200)

    @scenario
    async def test_a_prober_goes_with_its_container(self, world: World) -> None:
        stopped, removed = await serving(world), await serving(world)
        assert len(await probers(world)) == 2
        await world.host.stop(stopped, 5)
        await world.host.remove(removed)
        await self._until_gone(world)

    @scenario
    async def test_a_prober_ends_when_we_do(self, world: World) -> None:
        await serving(world)
        await world.host.close()
        world.host = world.another()
        await self._until_gone(world)

    async def _until_gone(self, world: World) -> None:
        async def gone() -> bool:
            return await probers(world) == []

        await until(gone)

    @scenario
    async def test_a_full_helper_needs_no_probers(self, world: World) -> None:
        await world.host.ensure_helper(world.deployment, HelperMode.FULL)
        await serving(world)
        assert await probers(world) == []

    @scenario
    async def test_a_full_helper_that_may_not_enter_is_asked_no_more(self, world: World) -> None:
        await world.host.ensure_helper(world.deployment, HelperMode.PLAIN)
        plain = await world.present(container_name(world.deployment))
        labels = {**plain.labels, LABEL_HELPER_MODE: HelperMode.FULL.value}
        await world.host.remove(plain.id)
        # As another engine may have left it, whose Docker engine refused the rights.
        await world.make_helper_without_rights(plain.name, labels)
        await world.host.ensure_helper(world.deployment, HelperMode.FULL)
        container = await serving(world)
        assert await world.host.probe(container, WEB) == ProbeAnswer(True, 200)
        assert len(await probers(world)) == 1
        await world.host.measure()
