"""What is told of a machine that changed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.container import HostFacts
from spinney.domain.host import Host
from spinney.domain.host_facts import changes, overfull, replaced
from spinney.profiles.docker_host import Capacity, Machine, described, measured

FACTS = HostFacts(
    engine_id="one", version="27.5.1", api_version="1.47", os="linux", arch="x86_64", kernel="6.1", cpu=4.0,
    memory=8 << 30, hostname="m1", labels={"rack": "r1"},
)  # fmt: skip
HOST = Host(node_id="h", endpoint="unix:///h", name="h1", cluster_id="c", project="p", facts=FACTS.as_dict(), cpu=4.0)


def _told(after: HostFacts) -> list[str]:
    return [str(change) for change in changes(FACTS.as_dict(), after.as_dict())]


def test_each_fact_that_differs_is_told_in_words() -> None:
    after = replace(FACTS, version="28.0.1", cpu=2.0, live_restore=True, volume_plugins=("local", "nfs"))
    assert _told(after) == [
        "Docker engine 27.5.1 → 28.0.1", "cores 4 → 2", "live restore no → yes", "volume plug-ins none → local, nfs",
    ]  # fmt: skip


def test_labels_are_told_one_by_one() -> None:
    assert _told(replace(FACTS, labels={"disk": "ssd"})) == ["label disk none → ssd", "label rack r1 → none"]


def test_another_docker_engine_is_no_mere_change() -> None:
    after = replace(FACTS, engine_id="two")
    assert _told(after) == [] and replaced(FACTS.as_dict(), after.as_dict())
    assert not replaced({}, FACTS.as_dict()), "the first look at a host replaces nothing"


def test_a_fact_that_was_never_asked_about_is_no_change() -> None:
    stored = {name: value for name, value in FACTS.as_dict().items() if name != "cgroup_driver"}
    assert changes(stored, replace(FACTS, cgroup_driver="systemd").as_dict()) == []
    assert HostFacts.from_dict(stored | {"of_another_version": 1}) == FACTS


@given(st.floats(0.1, 64), st.integers(1 << 20, 1 << 40), st.floats(0.1, 64) | st.none(), st.none() | st.just("1g"))
def test_what_the_profile_gives_outlives_what_the_machine_has(
    cpu: float, memory: int, cores: float | None, size: str | None
) -> None:
    machine = Machine(endpoint="unix:///h", capacity=Capacity(cpu=cores, memory=size), labels={"rack": "mine"})
    first = described(HOST, machine, FACTS)
    later = measured(first, replace(FACTS, cpu=cpu, memory=memory))
    assert later.cpu == (cpu if cores is None else cores)
    assert later.memory == (memory if size is None else 1 << 30)
    assert later.labels == {"rack": "mine"}, "the profile's word counts where both say something"


def test_a_host_with_less_than_is_reserved_says_so() -> None:
    full = replace(HOST, cpu=2.0, memory=1 << 30, reserved_cpu=3.5, reserved_memory=1 << 29)
    assert overfull(full).startswith("3.5 of 2 cores are reserved: nothing new is placed there")
    assert overfull(replace(full, cpu=3.5)) == ""
