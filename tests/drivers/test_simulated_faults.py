"""Each fault does what it says, and the same seed does it again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from drivers.simulated_clock import JumpingClock
from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_NODE,
    ContainerEvent,
    ContainerEventKind,
    ContainerRequest,
    ContainerState,
    ImageRequest,
    LogQuery,
    PullPolicy,
)
from spinney.drivers.base import HostAddress
from spinney.drivers.simulated import (
    EngineSettings,
    Fault,
    FaultKind,
    FaultPlan,
    Operation,
    Rule,
    SimulatedConnector,
    SimulatedEngine,
    SimulatedHost,
    parse_faults,
)
from spinney.drivers.simulated.faults import BadFaults
from spinney.errors import DiskFull, HostBroken, HostError, HostRefused, HostUnreachable, NameTaken

LABELS = {LABEL_DEPLOYMENT: "d", LABEL_NODE: "n"}
REQUEST = ContainerRequest("web", LABELS, ImageRequest("busybox", PullPolicy.NEVER), command=("sleep", "infinity"))
WEB = ImageRequest("web:1")


class Bench:
    """One simulated host under faults."""

    def __init__(self, faults: str = "", seed: int = 1, time_limit: float = 60.0) -> None:
        self.clock = JumpingClock()
        rules = parse_faults(faults)
        plan = FaultPlan(rules, random.Random(seed)) if rules else None
        self.engine = SimulatedEngine(EngineSettings("bench"), self.clock, plan=plan)
        self.host = SimulatedHost(self.engine, time_limit=time_limit)
        self.began = self.clock.now()

    @property
    def passed(self) -> float:
        return self.clock.now() - self.began

    @property
    def names(self) -> list[str]:
        return [record.name for record in self.engine.core]


def under(faults: str, test: Callable[[Bench], Awaitable[None]]) -> Bench:
    """Runs the test; the bench is left to be looked at."""

    async def run() -> Bench:
        bench = Bench(faults)
        await test(bench)
        return bench

    return asyncio.run(run())


async def fails(call: Awaitable[object], error: type[HostError]) -> None:
    with pytest.raises(error):
        await call


@pytest.mark.parametrize(("fault", "error"), [("before", HostBroken), ("before=connection", HostUnreachable)])
def test_before_nothing_was_done(fault: str, error: type[HostError]) -> None:
    bench = under(f"create:{fault}:1:1", lambda bench: fails(bench.host.create(REQUEST), error))
    assert bench.names == []


@pytest.mark.parametrize(("fault", "error"), [("after", HostBroken), ("after=connection", HostUnreachable)])
def test_after_it_was_done_and_doing_it_again_finds_it(fault: str, error: type[HostError]) -> None:
    async def test(bench: Bench) -> None:
        await fails(bench.host.create(REQUEST), error)
        (record,) = bench.engine.core
        assert (await bench.host.create(REQUEST)).id == record.id

    assert under(f"create:{fault}:1:1", test).names == ["web"]


def test_hang_ends_with_the_time_limit_or_the_caller() -> None:
    async def test(bench: Bench) -> None:
        await fails(bench.host.create(REQUEST), HostUnreachable)
        assert bench.passed == pytest.approx(60.0)
        call = asyncio.ensure_future(bench.host.create(REQUEST))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    assert under("create:hang:1:2", test).names == []


def test_latency_lies_around_the_deed_and_cancelling_finds_both() -> None:
    async def test(bench: Bench) -> None:
        await bench.host.create(REQUEST)
        assert 2.0 <= bench.passed <= 4.0

    under("create:latency=2-4", test)

    async def cancelled_at(turns: int) -> list[str]:
        bench = Bench("create:latency=2")
        call = asyncio.ensure_future(bench.host.create(REQUEST))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return bench.names

    async def both() -> set[str]:
        return {",".join(await cancelled_at(turns)) for turns in range(12)}

    assert asyncio.run(both()) == {"", "web"}


def test_a_conflicting_name_belongs_to_somebody_else() -> None:
    async def test(bench: Bench) -> None:
        await fails(bench.host.create(REQUEST), NameTaken)
        (foreign,) = bench.engine.core
        assert foreign.request.labels == {}

    under("create:conflict:1:1", test)


def test_a_full_disk_and_a_slow_pull() -> None:
    async def test(bench: Bench) -> None:
        await fails(bench.host.ensure_image(WEB), DiskFull)
        assert bench.engine.core.images.find("web:1") is None
        await asyncio.gather(*(bench.host.ensure_image(WEB) for _ in range(3)))
        assert bench.passed == pytest.approx(20.0)
        assert bench.engine.calls[Operation.PULL] == 2  # three waited for one

    under("pull:full:1:1,pull:slow=20", test)


def test_a_pull_goes_on_while_anybody_waits() -> None:
    async def test(bench: Bench) -> None:
        first, second = (asyncio.ensure_future(bench.host.ensure_image(WEB)) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert bench.engine.core.images.find("web:1") is not None
        alone = asyncio.ensure_future(bench.host.ensure_image(ImageRequest("other:1")))
        for _ in range(4):
            await asyncio.sleep(0)
        alone.cancel()
        await asyncio.gather(alone, return_exceptions=True)
        await bench.clock.sleep(100)
        assert bench.engine.core.images.find("other:1") is None

    under("pull:slow=20", test)


class Listener:
    def __init__(self, bench: Bench) -> None:
        self.seen: list[ContainerEvent] = []
        self.task = asyncio.ensure_future(self._listen(bench))

    async def _listen(self, bench: Bench) -> None:
        async for event in bench.host.events({LABEL_DEPLOYMENT: "d"}):
            self.seen.append(event)

    @property
    def kinds(self) -> list[ContainerEventKind]:
        return [event.kind for event in self.seen]


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_gap_breaks_streams_and_nothing_else() -> None:
    async def test(bench: Bench) -> None:
        listener = Listener(bench)
        await turns()
        made = await bench.host.create(REQUEST)
        await bench.host.start(made.id)
        await fails(listener.task, HostUnreachable)
        assert listener.kinds == [ContainerEventKind.GAP]
        assert made.state is ContainerState.CREATED

    under("start:gap:1:1", test)


def test_a_rebooting_engine_breaks_the_call_and_ends_containers() -> None:
    async def test(bench: Bench) -> None:
        made = await bench.host.create(REQUEST)
        await bench.host.start(made.id)
        listener = Listener(bench)
        await turns()
        await fails(bench.host.containers({}), HostUnreachable)
        await fails(listener.task, HostUnreachable)
        seen = await bench.host.inspect(made.id)
        assert seen is not None
        assert (seen.state, seen.exit_code) == (ContainerState.EXITED, 137)

    under("list:reboot:1:1", test)


def test_a_cut_host_is_silent_and_its_containers_live_on() -> None:
    async def test(bench: Bench) -> None:
        made = await bench.host.create(REQUEST)
        await bench.host.start(made.id)
        listener = Listener(bench)
        await turns()
        bench.engine.cut()
        await fails(bench.host.inspect(made.id), HostUnreachable)
        assert bench.passed >= 60.0
        before = bench.passed
        await fails(anext(bench.host.events({})), HostUnreachable)
        assert bench.passed - before < 15.0, "who watches it tries again soon"
        await fails(listener.task, HostUnreachable)  # after the idle limit
        bench.engine.heal()
        seen = await bench.host.inspect(made.id)
        assert seen is not None
        assert seen.state is ContainerState.RUNNING

    under("", test)


def test_a_short_cut_delays_events_and_loses_none() -> None:
    async def test(bench: Bench) -> None:
        made = await bench.host.create(REQUEST)
        listener = Listener(bench)
        await turns()
        bench.engine.cut(5.0)
        bench.engine.core.start(made.id, bench.clock.now())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (bench.passed, listener.kinds) == (0.0, [ContainerEventKind.GAP])
        await bench.clock.sleep(6.0)
        await turns()
        assert listener.kinds == [ContainerEventKind.GAP, ContainerEventKind.STARTED]
        await bench.clock.sleep(60.0)
        assert not listener.task.done()
        listener.task.cancel()

    under("", test)


def test_an_engine_that_is_down_refuses_at_once() -> None:
    async def test(bench: Bench) -> None:
        bench.engine.go_down()
        await fails(bench.host.facts(), HostUnreachable)
        assert bench.passed == 0.0
        bench.engine.heal()
        assert (await bench.host.facts()).hostname == "bench"

    under("", test)


def test_following_logs_ends_when_the_host_falls_silent() -> None:
    async def test(bench: Bench) -> None:
        made = await bench.host.create(REQUEST)
        await bench.host.start(made.id)

        heard: list[bytes] = []

        async def follow() -> None:
            async for chunk in bench.host.logs(made.id, LogQuery(follow=True)):
                heard.append(chunk.data)

        reading = asyncio.ensure_future(follow())
        await turns()
        bench.engine.cut(3.0)
        bench.engine.core.print(made.id, b"late\n", bench.clock.now())
        assert heard == []
        await bench.clock.sleep(10.0)
        await turns()
        assert heard == [b"late\n"]
        bench.engine.cut()
        await fails(reading, HostUnreachable)

    under("", test)


FLAKY = "create:after:0.3,start:before=connection:0.3,*:latency=0.1-0.5"


async def story(seed: int) -> list[str]:
    bench, told = Bench(FLAKY, seed), []
    for index in range(40):
        request = ContainerRequest(f"c{index}", LABELS, ImageRequest("busybox"), command=("sleep", "600"))
        try:
            made = await bench.host.create(request)
            await bench.host.start(made.id)
            told.append(f"{made.id} {bench.passed}")
        except HostError as error:
            told.append(f"{type(error).__name__} {bench.passed}")
    return told


def test_the_same_seed_tells_the_same_story() -> None:
    first, again, other = (asyncio.run(story(seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert any("HostBroken" in line for line in first)
    assert any("HostUnreachable" in line for line in first)


def test_rules_spare_and_are_used_up() -> None:
    fault = Fault(FaultKind.GAP)
    plan = FaultPlan([Rule(Operation.LIST, fault, times=2, spare=1)], random.Random(0))
    calls: Sequence[Operation] = [Operation.LIST, Operation.START, *[Operation.LIST] * 4]
    assert [plan.draw(operation).fault for operation in calls] == [None, None, fault, fault, None, None]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("create", "OPERATION:KIND"),
        ("crate:after", "unknown operation 'crate'"),
        ("create:afterwards", "unknown kind 'afterwards'"),
        ("create:after:2", "between 0 and 1"),
        ("create:after:-1", "at least 0"),
        ("create:after:0.1:x", "TIMES 'x'"),
        ("create:after=404", "'404'"),
        ("*:latency", "needs seconds"),
        ("*:latency=5-1", "smaller number"),
        ("*:slow=quick", "'quick'"),
        ("create:gap=5", "takes no value"),
        ("start:conflict", "only create"),
        ("start:full", "create or pull"),
    ],
)
def test_a_bad_specification_is_told_what_is_wrong(spec: str, says: str) -> None:
    with pytest.raises(BadFaults, match=says.replace("*", r"\*")):
        parse_faults(f"pull:hang:0.5,{spec}")


def test_a_specification_becomes_rules() -> None:
    assert parse_faults(" create:after:0.05, *:cut=30:0.1:2 ,") == (
        Rule(Operation.CREATE, Fault(FaultKind.AFTER), 0.05),
        Rule(None, Fault(FaultKind.CUT, (30.0, 30.0)), 0.1, 2),
    )


def test_hooks_stand_around_every_operation_and_calls_are_counted() -> None:
    async def run() -> None:
        connector = SimulatedConnector(JumpingClock())
        seen: list[str] = []

        async def before(operation: Operation, host: str) -> None:
            seen.append(f"before {operation} {host} {len(connector.engine(host).core)}")

        def after(operation: Operation, host: str) -> None:
            seen.append(f"after {operation} {host} {len(connector.engine(host).core)}")

        host = connector.connect(HostAddress("sim://h1"))
        connector.hooks.before, connector.hooks.after = before, after
        await host.create(REQUEST)
        assert seen == ["before create h1 0", "after create h1 1"]
        await connector.connect(HostAddress("sim://h2")).facts()
        assert connector.calls() == {Operation.CREATE: 1, Operation.FACTS: 1}
        # Engines outlive connections.
        assert await connector.connect(HostAddress("sim://h1")).inspect("web") is not None

    asyncio.run(run())


def test_other_endpoints_are_refused() -> None:
    with pytest.raises(HostRefused, match="sim://NAME"):
        SimulatedConnector(JumpingClock()).connect(HostAddress("unix:///run/docker.sock"))


def test_without_faults_nothing_ever_waits() -> None:
    """The load tests' cost is the caller's: such a call never yields to the event loop."""
    bench = Bench()

    def at_once(call: Coroutine[Any, Any, Any]) -> Any:
        with pytest.raises(StopIteration) as end:
            call.send(None)
        return end.value.value

    request = ContainerRequest("app", LABELS, ImageRequest("busybox"), entrypoint=("sh", "-c", "sleep infinity"))
    made = at_once(bench.host.create(request))
    at_once(bench.host.start(made.id))
    assert at_once(bench.host.inspect("app")).state is ContainerState.RUNNING
