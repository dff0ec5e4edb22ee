"""What the API shows of measured hosts, and who may have containers measured."""

from __future__ import annotations

from typing import Any

import pytest

from api.world import OURS, START, World, run
from spinney.domain.host import HelperMode

GIB = 2**30


def show(world: World) -> Any:
    return run(lambda: world.client.at(OURS).get("/v1/hosts/metal")).json["host"]


def test_what_was_never_measured_is_unknown(world: World) -> None:
    world.host()
    shown = show(world)
    assert shown["used"] == {"cpu": None, "memory": None, "disk": None, "sampled_at": None}
    assert (shown["helper"], shown["capacity"]["disk"]) == ("none", None)


def test_what_is_measured_is_shown_with_its_age_and_what_is_old_is_unknown(world: World) -> None:
    world.host(helper=HelperMode.FULL, disk=9 * GIB, used_cpu=0.0, used_memory=GIB, used_disk=2 * GIB, sampled_at=START)
    world.clock.moment = START + 59
    shown = show(world)
    assert shown["used"].pop("sampled_at").endswith("Z")
    assert shown["used"] == {"cpu": 0.0, "memory": GIB, "disk": 2 * GIB}
    assert (shown["helper"], shown["capacity"]["disk"]) == ("full", 9 * GIB)
    world.clock.moment = START + 61
    (listed,) = run(lambda: world.client.at(OURS).get("/v1/hosts")).json["hosts"]
    assert listed["used"] == {
        "cpu": None,
        "memory": None,
        "disk": None,
        "sampled_at": show(world)["used"]["sampled_at"],
    }
    assert listed["used"]["sampled_at"] is not None


@pytest.mark.parametrize(
    ("who", "mode", "status"),
    [
        ("admin", "full", 202),
        ("member", "full", 403),
        ("member", "plain", 202),
        ("member", "none", 202),
        ("admin", "x", 400),
    ],
)
def test_the_full_helper_is_an_operators_to_allow(world: World, who: str, mode: str, status: int) -> None:
    profile = world.profile()
    config = {"spinney.helper": mode}
    made = run(
        lambda: world.client.as_user(who).post(
            "/v1/clusters", {"cluster": {"name": "c", "profile_id": profile.id, "config": config}}
        )
    )
    assert made.status == status
    cluster = world.cluster(profile, "old")
    changed = run(
        lambda: world.client.as_user(who).patch(f"/v1/clusters/{cluster.id}", {"cluster": {"config": config}})
    )
    assert changed.status == status
    if status >= 400:
        assert "spinney.helper" in changed.error[2]
