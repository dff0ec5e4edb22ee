"""Places a small cluster on five hosts and prints why each node went where it went: the example of docs/design/placement.md.

Nothing is started; this is the scheduler alone. Run it with the Python that Spinney is installed in.
"""

from __future__ import annotations

from collections.abc import Iterator

from spinney.domain.host import Host, HostState
from spinney.domain.placement.decision import Explanation, explain
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.rules import Affinity, LabelTerm, Operator, PlacementRules, Preference
from spinney.domain.placement.scheduler import Fleet

GIB = 2**30


def host(
    name: str, zone: str, cpu: float, reserved: float, state: HostState = HostState.READY, disk: str = "hdd"
) -> Host:
    return Host(
        node_id=f"id-of-{name}",
        endpoint=f"tcp://{name}:2376",
        name=name,
        cluster_id="id-of-machines",
        project="operators",
        state=state,
        zone=zone,
        labels={"disk": disk},
        cpu=cpu,
        memory=int(cpu) * 2 * GIB,
        reserved_cpu=reserved,
        reserved_memory=int(reserved * GIB),
        containers=int(reserved),
    )


HOSTS = [
    host("ash", "north", cpu=8, reserved=2, disk="ssd"),
    host("birch", "north", cpu=8, reserved=5),
    host("elm", "south", cpu=4, reserved=1),
    host("oak", "south", cpu=16, reserved=15, disk="ssd"),
    host("yew", "south", cpu=8, reserved=0, state=HostState.CORDONED),
]

#: Evenly over zones, never two on one host, better on a fast disk.
RULES = PlacementRules(
    spread_over="zone",
    affinities=(Affinity("id-of-web", "host", apart=True),),
    prefer=(Preference(LabelTerm("disk", Operator.IN, ("ssd",)), 10),),
)


def lines() -> Iterator[str]:
    fleet = Fleet(HOSTS, Surroundings())
    answers = fleet.place(
        [
            PlacementRequest(
                f"web-{number}",
                2.0,
                GIB,
                host_cluster="id-of-machines",
                workload="id-of-web",
                rules=RULES,
            )
            for number in range(4)
        ]
    )
    for answer in answers:
        yield f"{answer.node_id}: {answer.summary}"
        yield from _hosts(explain(answer.decision.body(), answer.step))
        yield ""


def _hosts(explanation: Explanation) -> Iterator[str]:
    for one in explanation.hosts:
        if one.fits:
            scores = "  ".join(f"{name} {value:g}" for name, value in one.scores.items())
            chosen = "* " if one.host_id == explanation.host_id else "  "
            yield f"  {chosen}{one.host_name:6} fits   {scores}"
        else:
            reasons = "; ".join(f"{reason.rule}: {reason.text}" for reason in one.reasons)
            yield f"    {one.host_name:6} no     {reasons}"
    if explanation.nearest_miss is not None:
        yield f"    nearest: {explanation.nearest_miss.text}"


if __name__ == "__main__":
    print("\n".join(lines()))
