"""Which images may leave a host whose disk fills up: pure.

Guaranteed: nothing is chosen below the high watermark; nothing that Spinney did not pull there itself, that any container of
the host uses, or that any profile needs which may be placed there; the least recently used go first, and no more than are
estimated to bring the disk below the low watermark. Not guaranteed: that their going frees what they are told to take,
because images share layers; the next look at the disk tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostImage:
    """An image as a Docker engine lists it. ``size`` in bytes, layers that others share included."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int

    @property
    def references(self) -> frozenset[str]:
        return frozenset(familiar(reference) for reference in (*self.tags, *self.digests))

    @property
    def removable_by(self) -> tuple[str, ...]:
        """The references that hold it: its tags, or its digests where it has none."""
        return tuple(familiar(reference) for reference in self.tags or self.digests)


@dataclass(frozen=True, slots=True)
class Disk:
    """In bytes; watermarks as shares of ``size``."""

    used: int
    size: int
    high: float
    low: float

    @property
    def full(self) -> bool:
        return 0 < self.high <= self.used / self.size

    @property
    def surplus(self) -> float:
        """Bytes that must go for it to be below the low watermark."""
        return self.used - self.low * self.size


def familiar(reference: str) -> str:
    """As Docker engines list it: without the default registry, with a tag, or a digest alone."""
    short = reference.removeprefix("index.").removeprefix("docker.io/").removeprefix("library/")
    name, at, digest = short.partition("@")
    last = name.rpartition("/")[2]
    if at:
        return f"{name[: len(name) - len(last)]}{last.partition(':')[0]}@{digest}"
    return name if ":" in last else f"{name}:latest"


def choose(
    disk: Disk, ours: Mapping[str, float], present: Iterable[HostImage], used: Collection[str], needed: Iterable[str]
) -> list[HostImage]:
    """What to remove now, in this order.

    ``ours``: what Spinney pulled to the host, with the moment of its last use; ``used``: what any container there is made
    of, as references or ids; ``needed``: references that profiles name which may be placed there.
    """
    if not disk.full:
        return []
    kept = {familiar(reference) for reference in needed} | {familiar(reference) for reference in used}
    free = [
        image
        for image in present
        if image.removable_by
        and all(reference in ours for reference in image.removable_by)
        and image.references.isdisjoint(kept)
        and image.id not in used
    ]
    return _enough(sorted(free, key=lambda image: (_last_use(image, ours), image.id)), disk.surplus)


def _last_use(image: HostImage, ours: Mapping[str, float]) -> float:
    return max(ours[reference] for reference in image.removable_by)


def _enough(free: Sequence[HostImage], surplus: float) -> list[HostImage]:
    chosen: list[HostImage] = []
    for image in free:
        if surplus <= 0:
            break
        chosen.append(image)
        surplus -= image.size
    return chosen
