"""What can be set about the load balancers that the service runs itself."""

from __future__ import annotations

from dataclasses import dataclass

from spinney.config.option import option


@dataclass(frozen=True, slots=True)
class BalancerSettings:
    """Load balancers that are containers of the service's own, for senlin.policy.loadbalance."""

    image_archive: str = option(
        "",
        "File that `spinney balancer build-image` wrote: the image of load balancers, which hosts that lack it are given; "
        "without it and image none is made.",
    )
    image: str = option(
        "",
        "Name of the image of load balancers, for hosts that have it or can pull it; without one, that of image_archive.",
    )
    cpu_reservation: float = option(0.05, "Cores set aside on the host for each load balancer.")
    cpu_limit: float = option(1.0, "Cores a load balancer may use.")
    memory: int = option(
        128 * 2**20, "Bytes of memory a load balancer may use: 1 MiB is room for about 16 connections at a time."
    )
    slots: int = option(
        32,
        "Least number of members that a load balancer has places for; it has twice as many as its cluster may have members "
        "where that is more, and is loaded anew when these run out.",
    )
    drain_time: float = option(
        30.0, "Seconds for which a member that is about to stop may finish what it has begun; then it stops all the same."
    )
    stats_interval: float = option(5.0, "Seconds between two readings of what a load balancer has served.")
