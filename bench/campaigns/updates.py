"""A web service behind its load balancer, updated, drained, scaled and broken under load: does anybody notice?

Four real Docker engines behind mutual TLS, eight members of busybox httpd, clients who ask 500 times a second on connections
that they keep and never ask twice (``tests/system/load.py``). As often as asked for, in a random order that the seed decides: a
rolling update to a good version; a drain of a random host but the load balancer's; a scaling out and one in; and an update to
a version that never starts or fails its probe. In the end, on a cluster that watches each batch for longer, versions that die
after 20 s. Counted are failed requests, by what was being done, and broken versions that were not rolled back.

Needs root. With the usual counts about 40 minutes.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from system.balanced import BROKEN, VIP, Shop, balanced_fleet, dying
from testbed.bed import Bed
from testbed.host import HostSpec

_SIZE, _SMALL = 8, 4
_LIFE = 20


class Campaign:
    def __init__(self, shop: Shop, chance: random.Random, rate: float) -> None:
        self.shop, self._chance, self._rate = shop, chance, rate
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.why: Counter[str] = Counter()
        self.seconds: dict[str, list[float]] = {}

    def under_load(self, what: str, deed: Callable[[], str]) -> None:
        """``deed`` answers what went wrong with itself; empty: nothing."""
        began = time.monotonic()
        with self.shop.load(self._rate) as load:
            fault = deed()
        told = load.result
        self.done[what] += 1
        self.sent[what] += told["sent"]
        self.failed[what] += told["failed"]
        self.why.update(told["why"])
        self.seconds.setdefault(what, []).append(time.monotonic() - began)
        if fault:
            self.wrong.append(f"{what}: {fault}")
        print(
            f"{sum(self.done.values()):4d} {what:24} {time.monotonic() - began:6.1f} s  {told['sent']:7d} sent "
            f"{told['failed']:4d} failed  {told['late']:5d} late  {told['milliseconds']}  {fault}",
            flush=True,
        )

    def update(self) -> str:
        return _unless(self.shop.update(), "SUCCEEDED")

    def broken(self, version: dict[str, Any]) -> str:
        before = self.shop.profiles()
        ended = self.shop.update(**version)
        self.shop.until_ready(self.shop.size)
        after = self.shop.profiles()
        if after != before:
            return f"not rolled back: {len(after)} profiles, {ended['status_reason']}"
        return _unless(ended, "FAILED")

    def drain(self) -> str:
        """Not the host of the load balancer, whose address would change."""
        hosts = [host.name for host in self.shop.fleet.bed.hosts if host.address not in self.shop.url]
        self.shop.drain(self._chance.choice(hosts))
        return ""

    def scale(self) -> str:
        out = self.shop.act(scale_out={"count": 4})
        self.shop.until_ready(_SIZE + 4)
        back = self.shop.act(scale_in={"count": 4})
        self.shop.until_ready(_SIZE)
        return _unless(out, "SUCCEEDED") or _unless(back, "SUCCEEDED")


def _unless(action: dict[str, Any], status: str) -> str:
    return "" if action["status"] == status else f"{action['status']}: {action['status_reason']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    for name, usual in (("updates", 50), ("drains", 20), ("scalings", 10), ("broken", 8), ("dying", 4), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--rate", type=float, default=500.0, help="requests per second")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that nothing is left running
    chance = random.Random(given.seed)
    began = time.monotonic()
    with (
        Bed.up("updates", [HostSpec()] * 4) as bed,
        tempfile.TemporaryDirectory() as folder,
        balanced_fleet(bed, Path(folder)) as fleet,
    ):
        campaign = Campaign(Shop(fleet, _SIZE, monitor=2), chance, given.rate)
        versions = [(fault, BROKEN[fault]) for fault in ("never starts", "fails its probe")]
        faults = [versions[number % 2] for number in range(given.broken)]
        deeds: list[tuple[str, Callable[[], str]]] = [
            *([("update", campaign.update)] * given.updates),
            *([("drain", campaign.drain)] * given.drains),
            *([("scale out and in", campaign.scale)] * given.scalings),
            *((f"broken: {fault}", partial(campaign.broken, version)) for fault, version in faults),
        ]
        chance.shuffle(deeds)
        for what, deed in deeds:
            campaign.under_load(what, deed)
        campaign.shop = Shop(fleet, _SMALL, monitor=_LIFE + 5, vip=VIP + 1)
        for _ in range(given.dying):
            campaign.under_load(f"broken: dies after {_LIFE} s", partial(campaign.broken, dying(_LIFE)))
        fleet.clear()
    print("\n| under load | times | median seconds | requests | failed |\n|---|---:|---:|---:|---:|")
    for what, times in sorted(campaign.done.items()):
        middle = sorted(campaign.seconds[what])[times // 2]
        print(f"| {what} | {times} | {middle:.1f} | {campaign.sent[what]:,} | {campaign.failed[what]} |")
    print(f"\nfailed requests by reason: {dict(campaign.why)}; {time.monotonic() - began:.0f} s, seed {given.seed}")
    for one in campaign.wrong:
        print(f"went wrong: {one}")
    sys.exit(bool(campaign.wrong) or sum(campaign.failed.values()) > 0)


if __name__ == "__main__":
    main()
