"""Who depends on hosts and host clusters: the caller's own by name, of others the number alone."""

from __future__ import annotations

from spinney.domain.profile import Profile
from spinney.store import dependents, profiles
from spinney.store.dependents import Dependents, Kind
from spinney.store.rows import NODES
from store.made import Clock, in_memory, new_id, node


def test_a_limit_counts_for_each_target_and_kind_and_others_are_only_counted() -> None:
    store = in_memory(Clock())
    mine = sorted((node(name=f"n{i}", host_id="h1") for i in range(4)), key=lambda one: one.id)
    elsewhere = node(name="alone", host_id="h2")
    foreign = [node(name="secret", host_id="h1", project="theirs") for _ in range(3)]
    store.run(NODES.insert, [*mine, elsewhere, *foreign])
    pinning = Profile(
        id=new_id(), name="web", type="t-1.0", spec={}, metadata={}, project="p", user="u", domain=None, created_at=1.0
    )
    store.run(profiles.insert, pinning, {"host_node": "h1"})

    found = store.run(dependents.of, ["h1", "h2", "h3"], "p", 3)
    assert found == {
        "h1": Dependents(Kind({one.id: one.name for one in mine[:3]}, 1), Kind({pinning.id: "web"}), 3),
        "h2": Dependents(Kind({elsewhere.id: "alone"})),
    }
    assert found["h1"].view() == {
        "nodes": [one.id for one in mine[:3]],
        "nodes_total": 4,
        "profiles": [pinning.id],
    }
    whole = store.run(dependents.of, ["h1"], "p")["h1"]
    assert whole.view() == {"nodes": [one.id for one in mine], "profiles": [pinning.id]}


def test_of_what_others_have_nothing_is_shown() -> None:
    store = in_memory(Clock())
    store.run(NODES.insert, [node(host_id="h1", project="theirs")])
    found = store.run(dependents.of, ["h1"], "p")["h1"]
    assert (found.view(), found.others) == ({}, 1)
