"""What an image's tag stands for: found out once for a whole cluster, and kept.

Guaranteed, where image rules say ``pin``, and from its first update on for any cluster: all containers of a cluster and profile
are made of the same digest, on whatever host and day; another profile is resolved anew. The digest is the one of the image that
the first Docker engine asked has, after it pulled as the profile's pull policy says; no registry is asked by us. An image that
was built or loaded on a host has none: where rules say ``pin`` its container is refused, because nothing would make the next
one the same; elsewhere its tag is used.
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
        found = await self.resolved(host, job, image)
        if "@" not in found.reference:
            raise ContainerRefused(
                f"image rules: {image.reference} is to be pinned and has no digest on the host, because it was built or loaded "
                f"there; push it to a registry and have it pulled, or ask an operator"
            )
        return found

    async def resolved(self, host: Connected, job: Job, image: ImageRequest) -> ImageRequest:
        """The same image by its digest, or as it is where it has none. Raises: what pulling raises."""
        if "@" in image.reference:
            return image
        key = (job.node.cluster_id or job.node.id, job.node.profile_id)
        found = self._known.get(key) or await self._store.read(image_rules.digest_of, *key)
        if found is None:
            first = await self._ask(host, job, image)
            if first is None:
                return image
            found = await self._store.transact(image_rules.resolve, *key, first, self._clock.now())
        self._known[key] = found
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return by_digest(image, found)

    async def keep(self, host: Connected, owner_id: str, profile_id: str, image: ImageRequest) -> None:
        """What the tag stands for on that host, where containers were made of it, unless that is known: whoever goes back to
        that profile goes back to that image."""
        if "@" in image.reference or await self._store.read(image_rules.digest_of, owner_id, profile_id) is not None:
            return
        found = digest_in(await host.docker.images(), image.reference)
        if found is not None:
            await self._store.transact(image_rules.resolve, owner_id, profile_id, found, self._clock.now())

    async def _ask(self, host: Connected, job: Job, image: ImageRequest) -> str | None:
        if image.policy is PullPolicy.ALWAYS:
            await host.pull_for(image, job.action.parent_id or job.action.id)
        else:
            await host.fetch(image)
        return digest_in(await host.docker.images(), image.reference)


def by_digest(image: ImageRequest, digest: str) -> ImageRequest:
    """A digest never means another image, so that there is nothing to pull again."""
    if "@" in image.reference:
        return image
    policy = PullPolicy.NEVER if image.policy is PullPolicy.NEVER else PullPolicy.MISSING
    return replace(image, reference=digest, policy=policy)


def digest_in(images: list[HostImage], reference: str) -> str | None:
    """The reference by digest, of the same repository, of the image that bears that reference; None: it has none."""
    wanted = familiar(reference)
    repository = wanted.rpartition(":")[0]
    bearers = [image for image in images if wanted in {familiar(tag) for tag in image.tags}]
    digests = [digest for image in bearers for digest in map(familiar, image.digests)]
    return next((digest for digest in sorted(digests) if digest.partition("@")[0] == repository), None)
