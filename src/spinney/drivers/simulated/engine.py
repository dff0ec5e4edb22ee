"""One simulated Docker engine in time: the core, a clock, the faults that befall it, and who listens to it.

Both fronts (in process and over HTTP) send every call through ``perform``, which ends in one of four ways: a value; a
``Refusal``, the engine's own answer; ``Cutoff``, the connection broke; ``Silence``, there will never be an answer.

Guaranteed: a call that is cancelled has been carried out or not, never half; latency lies half before and half after the
deed, so that cancelling finds both. With no faults, hooks or latency a call costs a few microseconds and never yields to
the event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from spinney.clock import Clock
from spinney.domain.container import ContainerRequest, ImageRequest
from spinney.drivers.simulated.core import EngineCore
from spinney.drivers.simulated.faults import Drawn, Failure, FaultKind, FaultPlan, Operation
from spinney.drivers.simulated.images import Catalogue, disk_full
from spinney.drivers.simulated.metering import Meter
from spinney.drivers.simulated.values import EngineEvent, EngineSettings, Refusal
from spinney.errors import HostBroken

T = TypeVar("T")

Hook = Callable[[Operation, str], Awaitable[None] | None]

#: Seconds between two looks whether a silent host has come back.
_LOOK = 1.0
_LASTING = frozenset({Operation.STOP, Operation.RESTART, Operation.PULL})


class Cutoff(Exception):
    """The connection was refused or broke. What was done, stays done."""


class Silence(Exception):
    """No answer will ever come."""


@dataclass(slots=True)
class Hooks:
    """Called (and awaited, if there is something to await) around every operation with the operation and the host's name.

    ``after`` is called once the deed is done or refused, before its answer is out. What a hook raises, the caller gets.
    """

    before: Hook | None = None
    after: Hook | None = None


class Subscription(Generic[T]):
    """One listener's queue. While the host is cut off events are held back, as in the buffers of a dead connection."""

    __slots__ = ("_held", "_items", "_select", "starves")

    def __init__(self, select: Callable[[EngineEvent], T | None], starves: bool, cut: bool) -> None:
        self._select = select
        self._items: asyncio.Queue[T | Exception] = asyncio.Queue()
        self._held: list[T] | None = [] if cut else None
        self.starves = starves

    def __call__(self, event: EngineEvent) -> None:
        item = self._select(event)
        if item is None:
            return
        if self._held is None:
            self._items.put_nowait(item)
        else:
            self._held.append(item)

    async def next(self) -> T:
        """The next event. Raises Cutoff when the stream has broken."""
        item = await self._items.get()
        if isinstance(item, Exception):
            raise item
        return item

    def hold(self) -> None:
        self._held = []

    def release(self) -> None:
        for item in self._held or ():
            self._items.put_nowait(item)
        self._held = None

    def break_off(self, why: str) -> None:
        self._items.put_nowait(Cutoff(why))


class SimulatedEngine:
    """A Docker engine that both fronts share, and what tests do to it."""

    def __init__(
        self,
        settings: EngineSettings,
        clock: Clock,
        *,
        images: Catalogue | None = None,
        plan: FaultPlan | None = None,
        hooks: Hooks | None = None,
        idle_limit: float = 15.0,
    ) -> None:
        self.name = settings.name
        self.core = EngineCore(settings, images)
        self.meter = Meter(self.core)
        self.clock = clock
        self.plan = plan
        self.hooks = hooks or Hooks()
        self.calls: Counter[Operation] = Counter()
        self._idle_limit = idle_limit
        self._is_cut = False
        self._is_down = False
        self._cuts = 0
        self._subscriptions: list[Subscription[Any]] = []
        self._waking: asyncio.Task[None] | None = None
        self._waking_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    # Calls.

    async def perform(
        self, operation: Operation, act: Callable[..., T], *args: Any, then: Callable[..., Any] | None = None
    ) -> T:
        """Carry ``act(*args, now)`` out, with all that may befall it.

        Where the deed takes time, ``act`` answers the seconds it takes, and ``then(*args, now)`` ends it.
        """
        self.calls[operation] += 1
        hooks = self.hooks
        if hooks.before is not None:
            await _settle(hooks.before(operation, self.name))
        if self.plan is None and not (self._is_cut or self._is_down):
            drawn = None
        else:
            drawn = self.plan.draw(operation) if self.plan is not None else Drawn()
            await self._suffer_before(operation, drawn, args)
        try:
            result = self.do(act, *args)
            if result and operation in _LASTING:
                await self._wait_out(result)
            if then is not None:
                self.do(then, *args)
        except Refusal:
            if hooks.after is not None:
                await _settle(hooks.after(operation, self.name))
            raise
        if hooks.after is not None:
            await _settle(hooks.after(operation, self.name))
        if drawn is not None:
            await self._suffer_after(drawn)
        return result

    def do(self, act: Callable[..., T], *args: Any) -> T:
        """``act(*args, now)`` on the core, behind everybody's back: no fault, hook or count; what follows from it follows.

        So tests stir a world: ``engine.do(engine.core.set_health, container_id, "unhealthy")``.
        """
        core, now = self.core, self.clock.now()
        if core.dues:
            core.advance(now)
        try:
            return act(*args, now)
        finally:
            if core.dues:
                self._mind_the_time()

    async def _wait_out(self, seconds: Any) -> None:
        if seconds == float("inf"):
            raise Silence
        await self.clock.sleep(seconds)
        self.advance()

    async def _suffer_before(self, operation: Operation, drawn: Drawn, args: tuple[Any, ...]) -> None:
        if drawn.latency:
            await self.clock.sleep(drawn.latency / 2)
        fault = drawn.fault
        kind = fault.kind if fault is not None else None
        if kind is FaultKind.CUT:
            self.cut(drawn.seconds)
        if self._is_down:
            raise Cutoff("connection refused")
        if self._is_cut or kind is FaultKind.HANG:
            raise Silence
        if kind is FaultKind.BEFORE and fault is not None:
            _fail(fault.failure)
        elif kind is FaultKind.SLOW:
            await self.clock.sleep(drawn.seconds or 0.0)
        elif kind is FaultKind.FULL:
            raise disk_full()
        elif kind is FaultKind.GAP:
            self.break_streams()
        elif kind is FaultKind.REBOOT:
            self.reboot()
            raise Cutoff("connection reset by peer")
        elif kind is FaultKind.CONFLICT and operation is Operation.CREATE:
            self.occupy(args[0].name)

    async def _suffer_after(self, drawn: Drawn) -> None:
        if drawn.latency:
            await self.clock.sleep(drawn.latency / 2)
        if drawn.fault is not None and drawn.fault.kind is FaultKind.AFTER:
            _fail(drawn.fault.failure)
        if self._is_down:
            raise Cutoff("connection reset by peer")
        if self._is_cut:
            raise Silence

    async def outlast_silence(self) -> None:
        """Returns once the host is not cut off. Raises Silence when that takes longer than the idle limit."""
        waited = 0.0
        while self._is_cut:
            if waited >= self._idle_limit:
                raise Silence
            await self.clock.sleep(_LOOK)
            waited += _LOOK

    # Listening.

    def subscribe(self, select: Callable[[EngineEvent], T | None], *, starves: bool) -> Subscription[T]:
        """Each event for which ``select`` gives a value. ``starves``: a host cut off for the idle limit breaks it."""
        subscription = Subscription(select, starves, self._is_cut)
        self._subscriptions.append(subscription)
        self.core.listeners.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription[Any]) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self.core.listeners.remove(subscription)

    # What befalls it, for tests and faults. All of it may be called at any time inside the event loop.

    def advance(self) -> None:
        """Let happen what is due."""
        self.core.advance(self.clock.now())

    def break_streams(self, why: str = "connection reset by peer", *, starving_only: bool = False) -> None:
        """An event gap: streams end, and what happens until they are opened again is not told."""
        for subscription in [one for one in self._subscriptions if one.starves or not starving_only]:
            self.unsubscribe(subscription)
            subscription.break_off(why)

    def reboot(self) -> None:
        """The Docker engine restarts."""
        self.break_streams()
        self.core.reboot(self.clock.now())
        self._mind_the_time()

    def cut(self, seconds: float | None = None) -> None:
        """The host falls silent: calls get no answer, streams no events. ``heal`` ends it, or the time given."""
        self._cuts += 1
        self._is_cut = True
        for subscription in self._subscriptions:
            subscription.hold()
        self.core.wake_all_watchers()
        self._spawn(self._starve(self._cuts))
        if seconds is not None:
            self._spawn(self._heal_later(self._cuts, seconds))

    def heal(self) -> None:
        """The host can be reached again; containers lived on meanwhile."""
        self._is_cut = self._is_down = False
        for subscription in self._subscriptions:
            subscription.release()

    def go_down(self) -> None:
        """The Docker engine is not running: calls are refused at once, streams break; containers live on."""
        self._is_down = True
        self.break_streams()

    def occupy(self, name: str) -> None:
        """Somebody else makes a container of that name, unless one exists."""
        if self.core.find(name) is None:
            image = next(iter(self.core.images.local), None) or "busybox:latest"
            self.core.images.add(image)
            self.core.create(ContainerRequest(name, {}, ImageRequest(image)), self.clock.now())

    # Inside.

    def _mind_the_time(self) -> None:
        due, loop = self.core.next_due, asyncio.get_running_loop()
        waking = self._waking
        # An engine may outlive the event loop that it was used in.
        if waking is not None and (waking.done() or waking.get_loop() is not loop):
            waking = None
        if due is None or (waking is not None and self._waking_at <= due):
            return
        if waking is not None:
            waking.cancel()
        self._waking_at = due
        self._waking = loop.create_task(self._wake(due))

    async def _wake(self, due: float | None) -> None:
        while due is not None:
            self._waking_at = due
            await self.clock.sleep(max(0.0, due - self.clock.now()))
            self.advance()
            due = self.core.next_due

    async def _starve(self, cut: int) -> None:
        await self.clock.sleep(self._idle_limit)
        if self._is_cut and self._cuts == cut:
            self.break_streams(f"nothing was heard for {self._idle_limit:g} s", starving_only=True)

    async def _heal_later(self, cut: int, seconds: float) -> None:
        await self.clock.sleep(seconds)
        if self._cuts == cut:
            self.heal()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _settle(result: Awaitable[None] | None) -> None:
    if result is not None:
        await result


def _fail(failure: Failure) -> None:
    if failure is Failure.CONNECTION:
        raise Cutoff("connection reset by peer")
    raise Refusal(500, "simulated fault: internal server error", HostBroken)
