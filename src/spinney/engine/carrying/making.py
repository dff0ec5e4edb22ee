"""Making one container on one host, and finding out whether it lives.

Safe to repeat after having been stopped anywhere: everything is found or created, by names that hold the node and its
generation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from spinney.clock import Clock
from spinney.domain.action import ActionKind, Cause
from spinney.domain.container import (
    Container,
    ContainerRequest,
    ContainerState,
    ImageRequest,
    LogQuery,
    PullPolicy,
)
from spinney.domain.node import PowerState
from spinney.drivers.base import ContainerHost
from spinney.engine.cancelling import whole
from spinney.engine.carrying.hosts import Connected
from spinney.engine.carrying.readying import fit, until_ready
from spinney.engine.carrying.resolving import Resolver, by_digest
from spinney.engine.carrying.secrets import Known, Secrets
from spinney.engine.carrying.templates import Templates
from spinney.engine.jobs import Job, Task
from spinney.engine.results import Made
from spinney.errors import AddressPoolOverlap, ContainerRefused, HostError, ImageNotFound, NetworkMissing
from spinney.profiles.container_request import image_of

_TRIES = 4
#: Seconds.
_MOMENT = 0.2
#: Seconds that a call which makes something gets to end when its job is cancelled: what it makes must be there to be removed.
_GRACE = 3.0
_LOG_LINES = 3

#: Stores another subnet for a job's project on its host and returns its index.
MoveSubnet = Callable[[Job, int], Awaitable[int]]


class Maker:
    def __init__(
        self,
        clock: Clock,
        templates: Templates,
        resolver: Resolver,
        secrets: Secrets,
        move_subnet: MoveSubnet,
        ready_within: float,
    ) -> None:
        self._clock = clock
        self._templates = templates
        self._resolver = resolver
        self._secrets = secrets
        self._move_subnet = move_subnet
        self._ready_within = ready_within

    async def make(self, host: Connected, job: Job) -> Made:
        known = await self._secrets.of(job)
        with known.discreet():
            return await self._make(host, job, known)

    async def _make(self, host: Connected, job: Job, known: Known) -> Made:
        index = job.subnet_index
        pulled = False
        wanted = wanted_power(job)
        request = await self._request(host, job, index, known)
        if request.image.policy is PullPolicy.ALWAYS:
            await host.pull_for(request.image, job.action.parent_id or job.action.id)
            pulled = True
        for _ in range(_TRIES):
            try:
                async with host.slot() as docker:
                    if request.network is not None and not host.has_network(request.network):
                        await whole(host.have_network(request.network), _GRACE)
                    made = await whole(docker.create(request), _GRACE)
                    if wanted is not PowerState.STOPPED and made.state is not ContainerState.PAUSED:
                        await docker.start(made.id, known.files)
                    if wanted is PowerState.PAUSED:
                        await docker.pause(made.id)
                    container = await docker.inspect(made.id)
                if wanted is PowerState.RUNNING and not host.has_proven(job.node.profile_id):
                    container = await self._second_look(host, job, made.id)
                return Made(container, await self.last_words(docker, container, known))
            except ImageNotFound:
                if pulled:
                    raise
                pulled = True
                if await host.bring(request.image.reference):
                    continue
                if request.image.policy is PullPolicy.NEVER:
                    raise
                await host.fetch(request.image)
            except NetworkMissing:
                assert request.network is not None
                host.forget_network(request.network.name)
            except AddressPoolOverlap:
                if index is None:
                    raise
                index = await self._move_subnet(job, index)
                request = await self._request(host, job, index, known)
        raise NetworkMissing(f"the project's network on the host vanished {_TRIES} times while its container was made")

    async def _request(self, host: Connected, job: Job, index: int | None, known: Known) -> ContainerRequest:
        request = replace(self._templates.request(job, index), secret_environment=known.environment)
        return replace(request, image=await self._image(host, job, request.image))

    async def _image(self, host: Connected, job: Job, image: ImageRequest) -> ImageRequest:
        if job.pin:
            return await self._resolver.pinned(host, job, image)
        if job.task is Task.FETCH:
            return await self._resolver.resolved(host, job, image)
        return image if job.digest is None else by_digest(image, job.digest)

    async def have_image(self, host: Connected, job: Job) -> None:
        """Have on the host what the container is to be made of. Where it is fetched for a whole cluster, what tags stand for is
        found out first: the new one, and the one that the members' present containers were made of."""
        if job.present is not None:
            before = image_of(job.present.properties, job.node.project)
            await self._resolver.keep(host, job.node.cluster_id or job.node.id, job.present.profile.id, before)
        wanted = image_of(job.container_profile.properties, job.node.project)
        if await host.bring(wanted.reference):
            return
        image = await self._image(host, job, wanted)
        if image.policy is PullPolicy.ALWAYS:
            await host.pull_for(image, job.action.parent_id or job.action.id)
        else:
            await host.fetch(image)

    async def _second_look(self, host: Connected, job: Job, container_id: str) -> Container | None:
        """A wrong command ends a moment after its start, behind the init process. Until one container of the profile has
        been seen to live on this host, each is looked at again before it is called made."""
        await self._clock.sleep(_MOMENT)
        container = await host.docker.inspect(container_id)
        if container is not None and container.state is ContainerState.RUNNING:
            host.prove(job.node.profile_id)
        return container

    async def last_words(self, docker: ContainerHost, container: Container | None, known: Known) -> str:
        if container is None or container.state is not ContainerState.EXITED:
            return ""
        said = b""
        with suppress(HostError):
            async for chunk in docker.logs(container.id, LogQuery(tail=_LOG_LINES)):
                said += chunk.data
        # PostgreSQL stores no NUL, and what a container says must not keep its outcome from being recorded.
        return known.conceal(said.decode(errors="replace").replace("\0", "")).strip()[-500:]

    async def ready(self, host: Connected, job: Job, made: Made, within: float | None = None) -> Container:
        """Wait until it may be given work, for ``within`` seconds (default: the setting's); one that need not be ready has
        but to run. Raises: ContainerRefused, HostError."""
        if made.container is None:
            raise ContainerRefused("the new container is not fit to take over: it vanished")
        patience = self._ready_within if within is None else within
        try:
            if job.may_be_unready:
                return fit(job.node, made.container)
            return await until_ready(
                self._clock, host.docker, job.node, job.container_profile, made.container, patience
            )
        except ContainerRefused as refused:
            said = made.last_words or await self._last_words_of(host, job, made.container.id)
            if not said:
                raise
            raise ContainerRefused(f"{refused.message}; it said: {said}") from None

    async def _last_words_of(self, host: Connected, job: Job, container_id: str) -> str:
        with suppress(HostError):
            container = await host.docker.inspect(container_id)
            return await self.last_words(host.docker, container, await self._secrets.of(job))
        return ""


def wanted_power(job: Job) -> PowerState:
    """Healing, moving and updates of whole clusters keep a member as its user wants it; whoever asks for a container asks for
    one that runs."""
    updated = job.action.action is ActionKind.NODE_UPDATE and job.action.cause.derived
    kept = job.task is Task.MOVE or job.action.cause is Cause.HEALING or updated
    return job.node.power if kept else PowerState.RUNNING
