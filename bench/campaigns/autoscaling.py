"""A web service behind its load balancer that grows and shrinks with the requests it gets: how well does it follow?

Four real Docker engines behind mutual TLS, members of busybox httpd, clients who keep their connections and never ask twice
(``tests/system/load.py``), and a ``spinney.policy.autoscaling`` that tracks requests per second as the load balancer counts
them. The load is first a step up and down again, then a day, 120 times as fast as a real one. The policy's interval and window
are those that somebody would choose for days of twelve minutes; all else is as it is unless set.

Told and drawn are the members over time beside the ideal, which is the load divided by the target, rounded up, at every second:
time to react, overshoot, what was short and what was to spare, flaps, and failed requests; beside it what the back-test says of
the same load and policy. Needs root, and about 20 minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from spinney.cli import curves
from spinney.cli.curves import Curve, Panel
from system.balanced import Shop, balanced_fleet
from system.following import Aim, Followed, Moment, Seen, followed, reaction, regular
from system.load import Course, rate_at
from testbed.bed import Bed
from testbed.host import HostSpec

_IMAGES = Path(__file__).parents[2] / "docs" / "images"
_TARGET, _LEAST, _MOST = 50.0, 2, 14
_INTERVAL, _WINDOW = 5, 30
#: Seconds that a figure takes to be seen: the load balancer is read and the policy evaluated every five.
_LATE = 15.0
POLICY: dict[str, Any] = {
    "min": _LEAST,
    "max": _MOST,
    "interval": _INTERVAL,
    "targets": [{"metric": "requests", "target": _TARGET}],
    "down": {"window": _WINDOW},
}
AIM = Aim(_TARGET, _LEAST, _MOST, memory=_WINDOW + _LATE)
#: Seconds from an order until a new member serves, for the back-test.
_STARTUP = 4.0

_LOW, _HIGH, _UP, _DOWN, _STEP_ENDS = 90.0, 430.0, 60.0, 210.0, 360.0
_NIGHT, _NOON, _DAY = 60.0, 600.0, 720.0


def step() -> Course:
    return [(0.0, _LOW), (_UP, _LOW), (_UP, _HIGH), (_DOWN, _HIGH), (_DOWN, _LOW), (_STEP_ENDS, _LOW)]


def day() -> Course:
    hours = [_DAY * part / 72 for part in range(73)]
    return [(at, _NIGHT + (_NOON - _NIGHT) * (1 - math.cos(2 * math.pi * at / _DAY)) / 2) for at in hours]


class Watch:
    """Looks at the cluster every second, in a thread of its own."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.looks: list[Seen] = []

    def __enter__(self) -> Self:
        self.looks.append(self._look())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(1 - time.time() % 1):
            self.looks.append(self._look())

    def _look(self) -> Seen:
        api, cluster = self._shop.fleet.api, self._shop.cluster
        at = time.time()
        size = int(api.get(f"/clusters/{cluster}")["desired_capacity"])
        (balancer,) = api.get(f"/clusters/{cluster}/balancers")
        serving = sum(member["state"] == "in" for member in balancer["members"])
        return Seen(at, size, serving, balancer["request_rate"])


@dataclass(frozen=True)
class Ran:
    """``marks``: when the size was changed; ``load``: what the clients told."""

    moments: Sequence[Moment]
    marks: Sequence[int]
    load: dict[str, Any]


def run(shop: Shop, course: Course) -> Ran:
    end = course[-1][0]
    with Watch(shop) as watch, shop.load(course, seconds=end, connections=64) as load:
        deadline = time.monotonic() + end
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 30))
            seen = watch.looks[-1]
            passed = end - deadline + time.monotonic()
            print(f"  {passed:4.0f} s: {seen.counted} requests/s, {seen.serving} of {seen.size} serve", flush=True)
    began = float(load.result["began"])
    looks = [Seen(one.at - began, one.size, one.serving, one.counted) for one in watch.looks]
    moments = list(regular(looks, lambda at: rate_at(course, at), end))
    marks = [index for index in range(1, len(moments)) if moments[index].size != moments[index - 1].size]
    return Ran(moments, marks, load.result)


def imagined(shop: Shop, course: Course, folder: Path) -> Followed:
    """What the back-test says of that load and policy."""
    spec, load = folder / "policy.json", folder / "load.csv"
    spec.write_text(json.dumps({"type": "spinney.policy.autoscaling", "version": "1.0", "properties": POLICY}))
    rows = [f"{at},{rate_at(course, at):.1f}" for at in range(int(course[-1][0]) + 1)]
    load.write_text("\n".join(["time,requests", *rows, ""]))
    files = ("--spec-file", str(spec), "--metrics", str(load), "--startup", str(_STARTUP), "--size", str(_LEAST))
    points = json.loads(shop.fleet.tell("autoscale", "backtest", *files, "-o", "json"))["points"]
    looks = [
        Seen(float(number * _INTERVAL), point["wanted"], point["ready"], None) for number, point in enumerate(points)
    ]
    return followed(list(regular(looks, lambda at: rate_at(course, at), course[-1][0])), AIM)


# --- telling ----------------------------------------------------------------------------------------------------------


def told(what: str, one: Followed) -> str:
    return (
        f"| {what} | {one.changes} | {one.flaps} | {one.overshoot} | {one.to_spare} | {one.worst} | "
        f"{100 * one.short:.1f} % | {100 * one.lacking:.1f} % | {100 * one.spare:.1f} % |"
    )


def reactions(moments: Sequence[Moment]) -> str:
    parts = []
    for what, at, end in (("up", _UP, _DOWN), ("down", _DOWN, _STEP_ENDS)):
        took = reaction([one for one in moments if one.at < end], AIM, at)
        seconds = [curves.span(one) if one is not None else "never" for one in (took.ordered, took.first, took.settled)]
        more = "more" if what == "up" else "fewer"
        parts.append(f"{what}: ordered after {seconds[0]}, the first {more} after {seconds[1]}, all after {seconds[2]}")
    return "; ".join(parts)


def picture(title: str, ran: Ran, lines: Sequence[str]) -> str:
    moments = ran.moments
    load = Panel(
        "requests per second",
        [
            Curve("offered", [one.offered for one in moments], filled=True, tone=1),
            Curve("counted by the load balancer", [one.counted for one in moments]),
        ],
    )
    members = Panel(
        "members",
        [
            Curve("in the pool", [float(one.serving) for one in moments], filled=True),
            Curve("wanted", [float(one.size) for one in moments]),
            Curve("ideal", [float(AIM.ideal(one.offered)) for one in moments], tone=1),
        ],
        ran.marks,
    )
    return curves.svg(title, lines, [load, members], float(len(moments)))


def summary(one: Followed, load: dict[str, Any]) -> list[str]:
    return [
        f"{load['sent']:,} requests, {load['failed']} failed; {one.changes} changes of the size, {one.flaps} flaps, "
        f"overshoot {one.overshoot}",
        f"member-seconds short of the ideal: {100 * one.short:.1f} %, at worst {one.worst} members; "
        f"to spare: {100 * one.spare:.1f} %",
    ]


def story(shop: Shop, seconds: float) -> None:
    """What an operator is told of it."""
    for words in (("explain", shop.cluster), ("history", shop.cluster, "--limit", str(int(seconds / _INTERVAL)))):
        print(f"\n$ spinney autoscale {' '.join(words)}\n{shop.fleet.tell('autoscale', *words)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--only", choices=("step", "day"), help="one of the two loads")
    parser.add_argument("--images", type=Path, default=_IMAGES, help="where to draw")
    given = parser.parse_args()
    rows, failed, wrong = [], 0, 0
    with (
        Bed.up("scaling", [HostSpec()] * 4) as bed,
        tempfile.TemporaryDirectory() as folder,
        balanced_fleet(bed, Path(folder)) as fleet,
    ):
        for name, title, course in (
            ("step", "A step of the load, and a cluster that follows it", step()),
            ("day", "A day in twelve minutes, and a cluster that follows it", day()),
        ):
            if given.only not in (None, name):
                continue
            shop = Shop(fleet, _LEAST, monitor=2)
            shop.attach("spinney.policy.autoscaling", **POLICY)
            print(f"{name}: {curves.span(course[-1][0])}", flush=True)
            ran = run(shop, course)
            found = followed(ran.moments, AIM)
            lines = summary(found, ran.load) + ([reactions(ran.moments)] if name == "step" else [])
            (given.images / f"autoscaling-{name}.svg").write_text(picture(title, ran, lines), encoding="utf-8")
            print(
                "\n".join([*lines, f"{ran.load['late']} late, {ran.load['milliseconds']} {ran.load['why']}"]),
                flush=True,
            )
            story(shop, course[-1][0])
            rows += [told(name, found), told(f"{name}, back-test", imagined(shop, course, Path(folder)))]
            failed, wrong = failed + ran.load["failed"], wrong + found.flaps
            fleet.clear()
    print("\n| load | changes | flaps | overshoot | most to spare | worst | short | lacking | to spare |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    print("\n".join(rows))
    sys.exit(bool(failed or wrong))


if __name__ == "__main__":
    main()
