"""Which image load balancers are made of in this deployment, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spinney.config import BalancerSettings
from spinney.drivers.balancer.image import reference_in

MISSING = (
    "no load balancer can be made: the operator has given no image for it; one is made with spinney balancer build-image and "
    "named as [balancer] image_archive in the configuration"
)


@dataclass(frozen=True, slots=True)
class Provided:
    """``archive``: what hosts are brought that lack the image; ``missing``: why there is none; empty: there is one."""

    reference: str = ""
    archive: Path | None = None
    missing: str = ""


@lru_cache(maxsize=8)
def provided(settings: BalancerSettings) -> Provided:
    """Read once in the life of a process: another archive takes effect when it is started again."""
    if settings.image:
        return Provided(settings.image)
    if not settings.image_archive:
        return Provided(missing=MISSING)
    archive = Path(settings.image_archive)
    try:
        return Provided(reference_in(archive), archive)
    except ValueError as error:
        return Provided(missing=f"no load balancer can be made: [balancer] image_archive {error}")
