"""What can be set about the load balancers of clusters."""

from __future__ import annotations

from dataclasses import dataclass

from spinney.config.option import option


@dataclass(frozen=True, slots=True)
class BalancerSettings:
    """Load balancers for senlin.policy.loadbalance: containers of the service's own, or Octavia's."""

    kind: str = option(
        "auto",
        "haproxy: containers of the service's own; octavia: the cloud's; auto: the cloud's where octavia_url or the catalogue "
        "that [service_user] sees says where it is. A load balancer stays what it was made as.",
    )
    octavia_url: str = option(
        "",
        "Root of Octavia's API, as in https://cloud.example:9876; empty: where the catalogue says. Without [service_user] "
        "it is asked without signing in, which only an Octavia that trusts everybody answers.",
    )
    image_archive: str = option(
        "",
        "File that `spinney balancer build-image` wrote: the image of load balancers, which hosts that lack it are given; "
        "without it and image none is made.",
    )
    image: str = option(
        "",
        "Name of the image of load balancers, for hosts that have it or can pull it; without one, that of image_archive.",
    )
    cpu_reservation: float = option(0.05, "Cores set aside on the host for each load balancer.", least=0)
    cpu_limit: float = option(1.0, "Cores a load balancer may use.", least=0.05)
    memory: int = option(
        128 * 2**20,
        "Bytes of memory a load balancer may use: 1 MiB is room for about 16 connections at a time.",
        least=16 * 2**20,
    )
    slots: int = option(
        32,
        "Least number of members that a load balancer has places for; it has twice as many as its cluster may have members "
        "where that is more, and is loaded anew when these run out.",
        least=1,
    )
    drain_time: float = option(
        30.0,
        "Seconds for which a member that is about to stop may finish what it has begun; then it stops all the same.",
    )
    stats_interval: float = option(5.0, "Seconds between two readings of what a load balancer has served.", least=1)
