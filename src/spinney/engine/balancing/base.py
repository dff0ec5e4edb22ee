"""What balancing needs of whatever balances: an HAProxy of our own, or a load balancer elsewhere."""

from __future__ import annotations

from typing import Protocol

from spinney.domain.balancing.model import Applied, Wanted


class LoadBalancer(Protocol):
    """One load balancer.

    Guaranteed by every implementation: ``apply`` may be called again and again, after failures too, and leads from whatever is
    there to what is wanted; whoever is not named is given nothing any more; one that drains is given nothing new, what it has
    begun goes on. What is told is what the load balancer says of itself at the end, not what it was asked for.
    """

    async def apply(self, wanted: Wanted) -> Applied:
        """Raises: HostError or OctaviaFailed; ContainerGone and ContainerRefused where there is nothing that balances."""

    async def close(self) -> None: ...
