"""Carrying out jobs on hosts.

Every function here is safe to repeat after having been stopped anywhere: it finds or creates, or ensures absence, by names
and labels that hold the node and its generation. Each asks the lease before it sends anything that changes a host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from spinney.clock import Clock
from spinney.config import NetworkSettings
from spinney.domain.action import Cause
from spinney.domain.container import Container, SecretFile
from spinney.domain.health import Ailment, diagnose
from spinney.domain.node import PowerState
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.engine.carrying.hosts import Connected, HostPool
from spinney.engine.carrying.leaving import Leaving
from spinney.engine.carrying.making import Maker, MoveSubnet, wanted_power
from spinney.engine.carrying.replacing import Replacer
from spinney.engine.carrying.resolving import Resolver
from spinney.engine.carrying.secrets import Known, Secrets
from spinney.engine.carrying.templates import Templates
from spinney.engine.jobs import Job, Task
from spinney.engine.results import (
    Adjusted,
    Joined,
    Made,
    Operated,
    Removed,
    Result,
    Seen,
    StillGood,
    Tried,
)
from spinney.engine.watching import learning
from spinney.errors import ContainerGone, ContainerRefused, HostError, HostUnreachable, LeaseLost
from spinney.profiles.allowances import Allowances
from spinney.profiles.docker_host import host_of

_POWER = {
    "start": PowerState.RUNNING,
    "stop": PowerState.STOPPED,
    "restart": PowerState.RUNNING,
    "pause": PowerState.PAUSED,
    "unpause": PowerState.RUNNING,
}


class Performer:
    def __init__(
        self,
        pool: HostPool,
        *,
        clock: Clock,
        deployment: str,
        allowed: Allowances,
        resolver: Resolver,
        secrets: Secrets,
        leaving: Leaving,
        network: NetworkSettings,
        move_subnet: MoveSubnet,
        ready_within: float,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._templates = Templates(deployment, allowed.containers, network, allowed.grants)
        self._secrets = secrets
        self._leaving = leaving
        self._maker = Maker(clock, self._templates, resolver, secrets, move_subnet, ready_within)
        self._replacer = Replacer(pool, self._maker, self._templates, secrets, leaving, deployment)
        self._tasks: Mapping[Task, Callable[[Job], Awaitable[Result]]] = {
            Task.CREATE: self._create,
            Task.RECREATE: self._replacer.anew,
            Task.ADJUST: self._adjust,
            Task.REBOOT: self._reboot,
            Task.DELETE: self._delete,
            Task.CHECK: self._check,
            Task.OPERATE: self._operate,
            Task.MOVE: self._replacer.beside,
            Task.LEAVE: self._replacer.leave,
            Task.FETCH: self._replacer.fetch,
            Task.EVICT: self._delete,
            Task.UNDO: self._delete,
            Task.CALL_OFF: self._replacer.call_off,
            Task.HOST_JOIN: self._host_join,
            Task.HOST_CHECK: self._host_check,
            Task.HOST_TRY: self._host_try,
        }

    async def perform(self, job: Job) -> Result:
        """Raises: HostError, LeaseLost."""
        return await self._tasks[job.task](job)

    async def discard(self, job: Job) -> None:
        """Remove what a failed creation or move left behind, as far as the host lets us; the reaper does the rest."""
        with suppress(HostError, LeaseLost):
            await self._replacer.remove_generation(self._host(job), job)
        if job.task is Task.MOVE and job.at_most_one:
            with suppress(HostError, LeaseLost):
                await self._replacer.serve_again(job)

    def _host(self, job: Job) -> Connected:
        if job.host is None:
            raise HostUnreachable(f"host {job.node.host_id} is no longer registered; recover the node to place it anew")
        return self._pool.get(job.host)

    # -- making ------------------------------------------------------------------------------------------------------

    async def _create(self, job: Job) -> Made:
        host = self._host(job)
        if job.launched is None or job.node.physical_id is None:
            return await self._maker.make(host, job)
        if job.launched.abandoned:
            raise ContainerRefused(job.launched.unanswered("the container"))
        return Made(await host.docker.inspect(job.node.physical_id))

    async def _adjust(self, job: Job) -> Adjusted:
        if job.limits is not None:
            assert job.node.physical_id is not None
            async with self._host(job).slot() as docker:
                await docker.update(job.node.physical_id, job.limits)
        return Adjusted()

    async def _reboot(self, job: Job) -> Made:
        """Start what has ended, restart what runs, and let go on or freeze again what others paused or let go on; what is
        gone or too far gone is made anew by a RECREATE."""
        host = self._host(job)
        container_id = job.node.physical_id
        assert container_id is not None
        if job.action.cause is not Cause.HEALING:
            await self._leaving(job, container_id)
        known = await self._secrets.of(job)
        with known.discreet():
            container = await self._rebooted(host, job, container_id, known)
        return Made(container, await self._maker.last_words(host.docker, container, known))

    async def _rebooted(self, host: Connected, job: Job, container_id: str, known: Known) -> Container | None:
        async with host.slot() as docker:
            container = await docker.inspect(container_id)
            sick = diagnose(job.node, container)
            if sick is not None and sick.ailment is Ailment.GONE:
                raise ContainerGone("the container is gone, so it cannot be restarted; recover with operation RECREATE")
            wanted = wanted_power(job)
            paused = wanted is PowerState.PAUSED
            if sick is not None and sick.ailment is Ailment.ENDED:
                await docker.start(container_id, known.files)
                if paused:
                    await docker.pause(container_id)
            elif sick is not None and sick.ailment is Ailment.WRONG_POWER and job.action.cause is Cause.HEALING:
                if wanted is PowerState.STOPPED:
                    await docker.stop(container_id, job.container_profile.stop_timeout)
                else:
                    await (docker.pause if paused else docker.unpause)(container_id)
            elif sick is not None or not job.action.inputs.get("check"):
                await docker.restart(container_id, job.container_profile.stop_timeout, known.files)
            return await docker.inspect(container_id)

    # -- ending ------------------------------------------------------------------------------------------------------

    async def _delete(self, job: Job) -> Removed:
        if job.node.host_id is None or job.host is None:
            return Removed()
        node = job.node
        try:
            host = self._host(job)
            if node.physical_id is not None:
                await self._replacer.stop_and_remove(job, host, node.physical_id, job.stop_timeout)
            if node.physical_id is None or node.generation > 1:
                # An interrupted creation or recreation may have left a container that no row names yet.
                await self._replacer.remove_generation(host, job)
        except HostError:
            if not job.action.inputs.get("force"):
                raise
            return Removed(forgotten=True)
        return Removed()

    # -- looking and operating ---------------------------------------------------------------------------------------

    async def _check(self, job: Job) -> Seen:
        if job.node.physical_id is None:
            raise ContainerGone("the node has no container; recover it")
        return Seen(await self._host(job).docker.inspect(job.node.physical_id))

    async def _operate(self, job: Job) -> Operated:
        operation = str(job.action.inputs["operation"])
        params: Mapping[str, Any] = job.action.inputs.get("params") or {}
        container_id = job.node.physical_id
        if container_id is None:
            raise ContainerGone(f"{operation} needs a container and the node has none; recover it")
        timeout = int(params.get("timeout", params.get("wait_time", job.container_profile.stop_timeout)))
        host = self._host(job)
        if operation in _INTERRUPTING:
            await self._leaving(job, container_id)
        if operation == "stop":
            await host.stop(container_id, timeout)
        elif operation in _STARTING:
            known = await self._secrets.of(job)
            with known.discreet():
                async with host.slot() as docker:
                    await _STARTING[operation](docker, container_id, timeout, known.files)
        else:
            async with host.slot() as docker:
                await _OPERATIONS[operation](docker, container_id, timeout, params)
        return Operated(await host.docker.inspect(container_id), _POWER.get(operation))

    # -- hosts -------------------------------------------------------------------------------------------------------

    async def _host_join(self, job: Job) -> Joined:
        assert job.machine is not None
        docker = self._pool.connect(HostAddress(job.machine.endpoint, job.machine.credential))
        try:
            facts = await docker.facts()
        finally:
            await docker.close()
        return Joined(host_of(job.node, job.machine, facts, self._clock.now()), facts)

    async def _host_try(self, job: Job) -> Tried:
        assert job.machine is not None
        docker = self._pool.connect(HostAddress(job.machine.endpoint, job.machine.credential))
        try:
            await docker.facts()
        finally:
            await docker.close()
        return Tried()

    async def _host_check(self, job: Job) -> StillGood:
        connected = self._host(job)
        assert job.host is not None
        return StillGood(await learning.ask(connected.docker, job.host))


async def _kill(docker: ContainerHost, container_id: str, timeout: int, params: Mapping[str, Any]) -> None:
    await docker.kill(container_id, str(params.get("signal", "SIGKILL")))


#: They are carried out on a container that may be serving.
_INTERRUPTING = ("stop", "restart", "pause")
_OPERATIONS: Mapping[str, Callable[[ContainerHost, str, int, Mapping[str, Any]], Awaitable[None]]] = {
    "pause": lambda docker, container_id, timeout, params: docker.pause(container_id),
    "unpause": lambda docker, container_id, timeout, params: docker.unpause(container_id),
    "kill": _kill,
}
_STARTING: Mapping[str, Callable[[ContainerHost, str, int, Sequence[SecretFile]], Awaitable[None]]] = {
    "start": lambda docker, container_id, timeout, files: docker.start(container_id, files),
    "restart": lambda docker, container_id, timeout, files: docker.restart(container_id, timeout, files),
}
