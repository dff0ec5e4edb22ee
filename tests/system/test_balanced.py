"""A web service that is updated, scaled, drained and rolled back under load: nobody is refused.

The short forms of ``./run campaign updates`` and ``./run campaign autoscaling``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from system.balanced import BROKEN, VIP, Shop, balanced_fleet
from system.fleet import Fleet
from testbed.bed import Bed

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("docker")]

RATE = 100.0


@pytest.fixture(scope="module")
def fleet(standing_bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    standing_bed.mend()
    with balanced_fleet(standing_bed, tmp_path_factory.mktemp("balanced")) as running:
        yield running
        running.clear()
    standing_bed.mend()


@pytest.fixture(scope="module")
def shop(fleet: Fleet) -> Shop:
    return Shop(fleet, 4)


def test_updates_scaling_and_draining_refuse_nobody(shop: Shop) -> None:
    with shop.load(RATE) as load:
        updated = shop.update()
        scaled_out = shop.act(scale_out={"count": 2})
        shop.until_ready(6)
        shop.drain(shop.fleet.members(shop.cluster)[0]["data"]["placement"]["host_name"])
        scaled_in = shop.act(scale_in={"count": 2})
    assert [one["status"] for one in (updated, scaled_out, scaled_in)] == ["SUCCEEDED"] * 3, updated["status_reason"]
    assert load.result["failed"] == 0, str(load.result)
    assert load.result["sent"] > 500 and load.result["answers"] >= 8  # members of both versions have answered
    assert len(shop.profiles()) == 1


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_version_is_rolled_back_and_nobody_notices(shop: Shop, fault: str) -> None:
    before = shop.profiles()
    with shop.load(RATE) as load:
        updated = shop.update(**BROKEN[fault])
        shop.until_ready(4)
    assert updated["status"] == "FAILED" and "rolled back" in updated["status_reason"], updated["status_reason"]
    assert shop.profiles() == before
    assert load.result["failed"] == 0, str(load.result)
    assert load.result["sent"] > 50


def test_a_cluster_follows_the_requests_it_gets(fleet: Fleet) -> None:
    shop = Shop(fleet, 2, vip=VIP + 1)
    target = {"metric": "requests", "target": 50}
    shop.attach("spinney.policy.autoscaling", min=2, max=6, interval=5, targets=[target], down={"window": 5})
    with shop.load([(0, 60), (5, 60), (5, 260)]) as load:
        shop.until_ready(6)
    assert load.result["failed"] == 0, str(load.result)
    shop.until_ready(2)
    acted = fleet.api.get(f"/clusters/{shop.cluster}/scaling-decisions?acted=true&sort=at")
    ways = [one["wanted"] > one["size"] for one in acted]
    assert ways == sorted(ways, reverse=True), "it grows, and then it shrinks"
