"""What an image's tag stands for: found out once for a whole cluster, and kept.

Guaranteed, where image rules say ``pin``: all containers of a cluster and profile are made of the same digest, on whatever
host and day; another profile is resolved anew. The digest is the one of the image that the first Docker engine asked has, after
it pulled as the profile's pull policy says; no registry is asked by us. An image that was built or loaded on a host has none:
its container is refused, because nothing would make the next one the same.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from spinney.clock import Clock
from spinney.domain.container import ImageRequest, PullPolicy
from spinney.domain.images import HostImage, familiar
from spinney.engine.carrying.hosts import Connected
from spinney.engine.jobs import Job
from spinney.errors import ContainerRefused
from spinney.store import image_rules
from spinney.store.database import Store

_KEPT = 4096


class Resolver:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def pinned(self, host: Connected, job: Job, image: ImageRequest) -> ImageRequest:
        """The same image by its digest. Raises: ContainerRefused, and what pulling raises."""
        if "@" in image.reference:
            return image
        key = (job.node.cluster_id or job.node.id, job.node.profile_id)
        found = self._known.get(key) or await self._store.read(image_rules.digest_of, *key)
        if found is None:
            first = await self._ask(host, job, image)
            found = await self._store.transact(image_rules.resolve, *key, first, self._clock.now())
        self._known[key] = found
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        # A digest never means another image, so that there is nothing to pull again.
        policy = PullPolicy.NEVER if image.policy is PullPolicy.NEVER else PullPolicy.MISSING
        return replace(image, reference=found, policy=policy)

    async def _ask(self, host: Connected, job: Job, image: ImageRequest) -> str:
        if image.policy is PullPolicy.ALWAYS:
            await host.pull_for(image, job.action.parent_id or job.action.id)
        else:
            await host.fetch(image)
        found = digest_in(await host.docker.images(), image.reference)
        if found is None:
            raise ContainerRefused(
                f"image rules: {image.reference} is to be pinned and has no digest on the host, because it was built or loaded "
                f"there; push it to a registry and have it pulled, or ask an operator"
            )
        return found


def digest_in(images: list[HostImage], reference: str) -> str | None:
    """The reference by digest, of the same repository, of the image that bears that reference; None: it has none."""
    wanted = familiar(reference)
    repository = wanted.rpartition(":")[0]
    bearers = [image for image in images if wanted in {familiar(tag) for tag in image.tags}]
    digests = [digest for image in bearers for digest in map(familiar, image.digests)]
    return next((digest for digest in sorted(digests) if digest.partition("@")[0] == repository), None)
