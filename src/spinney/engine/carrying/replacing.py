"""Putting a new container in the place of the one that a node has.

Guaranteed: the new image is on the host before anything is stopped. Where the new container comes first, the old one is
stopped only by an action whose row says that the node's row names the new one, so that whoever dies in between leaves a node
that serves, and whoever resumes knows which of the two is to go. Before the old one stops it is out of every pool, or has had
its time to leave.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from spinney.domain.action import ActionKind
from spinney.domain.container import LABEL_DEPLOYMENT
from spinney.domain.health import diagnose
from spinney.domain.host import HostState
from spinney.domain.node import PowerState
from spinney.engine.carrying.hosts import Connected, HostPool
from spinney.engine.carrying.leaving import Leaving
from spinney.engine.carrying.making import Maker, wanted_power
from spinney.engine.carrying.secrets import Secrets
from spinney.engine.carrying.templates import Templates
from spinney.engine.jobs import Job
from spinney.engine.results import CalledOff, Fetched, Left, Made, Ready
from spinney.errors import ContainerGone, ContainerRefused, HostError, HostUnreachable

_SILENT = (HostState.SUSPECT, HostState.LOST)


class Replacer:
    def __init__(
        self,
        pool: HostPool,
        maker: Maker,
        templates: Templates,
        secrets: Secrets,
        leaving: Leaving,
        deployment: str,
    ) -> None:
        self._pool = pool
        self._maker = maker
        self._templates = templates
        self._secrets = secrets
        self._leaving = leaving
        self._deployment = deployment

    async def fetch(self, job: Job) -> Fetched:
        await self._maker.have_image(self._host(job), job)
        return Fetched()

    # -- the old one first -------------------------------------------------------------------------------------------

    async def anew(self, job: Job) -> Made:
        host = self._host(job)
        container_id = job.node.physical_id
        updating = job.action.action is ActionKind.NODE_UPDATE
        if job.launched is not None and container_id is not None:
            made = Made(await host.docker.inspect(container_id))
            if job.launched.abandoned:
                return replace(made, unfit=job.launched.unanswered("the container"))
            return await self._proven(host, job, made) if updating else made
        if container_id is not None:
            before = self._pool.get(job.previous_host) if job.previous_host is not None else host
            if job.action.inputs.get("check") and before is host:
                seen = await host.docker.inspect(container_id)
                if diagnose(job.node, seen) is None:
                    return Made(seen)
            if updating:
                await self._maker.have_image(host, job)
            try:
                await self.stop_and_remove(job, before, container_id, job.stop_timeout)
            except HostError as error:
                lost = isinstance(error, HostUnreachable) and before is not host
                if not lost and not job.action.inputs.get("force_recreate"):
                    raise
                # What is left of it is removed by the reaper, when its host returns or lets that happen.
        made = await self._maker.make(host, job)
        return await self._proven(host, job, made) if updating else made

    async def _proven(self, host: Connected, job: Job, made: Made) -> Made:
        """The same with whether it has become ready, in the time that it has for that."""
        node = replace(job.node, power=wanted_power(job))
        if made.container is None or diagnose(node, made.container) is not None:
            return made
        try:
            container = await self._maker.ready(host, replace(job, node=node), made, within=job.ready_within)
        except ContainerRefused as refused:
            return replace(made, container=await host.docker.inspect(made.container.id), unfit=refused.message)
        return replace(made, container=container, ready=node.power is PowerState.RUNNING)

    # -- the new one first -------------------------------------------------------------------------------------------

    async def beside(self, job: Job) -> Ready:
        """The new container, ready to take over. Where two must never run at the same time the old one has been stopped."""
        host = self._host(job)
        if job.launched is not None and job.launched.abandoned:
            raise ContainerRefused(job.launched.unanswered("the container"))
        if job.at_most_one:
            await self._maker.have_image(host, job)
            await self._stop_old(job)
        made = await self._maker.make(host, job)
        return Ready(await self._maker.ready(host, job, made, within=job.ready_within))

    async def _stop_old(self, job: Job) -> None:
        container_id = job.node.physical_id
        if container_id is None or job.previous_host is None:
            return
        if job.previous_host.state in _SILENT:
            raise HostUnreachable("its host does not answer, so its container cannot be stopped before another starts")
        await self._leaving(job, container_id)
        with suppress(ContainerGone):
            await self._pool.get(job.previous_host).stop(container_id, job.stop_timeout)

    async def leave(self, job: Job) -> Left:
        """The old container goes, now that the node's row names the new one."""
        left = job.left
        assert left is not None
        if job.previous_host is None or job.previous_host.state in _SILENT:
            # Nobody answers there; what is left of it is removed by the reaper when that host returns.
            return Left()
        with suppress(HostUnreachable):
            await self.stop_and_remove(job, self._pool.get(job.previous_host), left.container_id, left.stop_timeout)
        return Left()

    async def call_off(self, job: Job) -> CalledOff:
        if job.host is not None:
            await self.remove_generation(self._host(job), job)
        await self.serve_again(job)
        return CalledOff()

    async def serve_again(self, job: Job) -> None:
        """The container that was to be left, in the state its user wants."""
        if job.previous_host is None or job.node.physical_id is None or job.node.power is not PowerState.RUNNING:
            return
        known = await self._secrets.of(job)
        with suppress(ContainerGone), known.discreet():
            async with self._pool.get(job.previous_host).slot() as docker:
                await docker.start(job.node.physical_id, known.files)

    # -- parts -------------------------------------------------------------------------------------------------------

    async def stop_and_remove(self, job: Job, host: Connected, container_id: str, timeout: int) -> None:
        await self._leaving(job, container_id)
        with suppress(ContainerGone):
            await host.stop(container_id, timeout)
        async with host.slot() as docker:
            await docker.remove(container_id)

    async def remove_generation(self, host: Connected, job: Job) -> None:
        found = await host.docker.inspect(self._templates.name(job))
        if (
            found is not None
            and found.node_id == job.node.id
            and found.labels.get(LABEL_DEPLOYMENT) == self._deployment
        ):
            async with host.slot() as docker:
                await docker.remove(found.id)

    def _host(self, job: Job) -> Connected:
        if job.host is None:
            raise HostUnreachable(f"host {job.node.host_id} is no longer registered; recover the node to place it anew")
        return self._pool.get(job.host)
