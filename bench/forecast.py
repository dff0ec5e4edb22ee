"""Whether autoscaling that looks ahead beats autoscaling that does not: both in the back-test, over several loads.

Looking ahead means here: a seasonal forecast (Holt-Winters of statsmodels, a season a day, fitted anew every hour to the days
before) of the load at the moment when a member ordered now would be ready; the evaluation then sees the greater of that and
the real load, but at most half as much again as the real one. So the reactive policy bounds it from below, and a wrong forecast
from above. It beats the reactive one on a load if it leaves less than half of what that leaves too few, for no more than a
tenth of the needed members to spare; what is lacking and what is spare are shares of what is needed.

Prints one line per load and start-up time. Pure CPU, about three minutes; nothing is started.
"""

from __future__ import annotations

import math
import random
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from spinney.domain.autoscale.backtest import Score, World, backtest, score
from spinney.domain.autoscale.rules import Behaviour, Metric, Rules, Signal, Target
from spinney.domain.autoscale.values import Sample

_DAY, _STEP = 86400, 60
_STEPS = _DAY // _STEP
_DAYS, _LEARNED = 8, 7
_SEASON = 288  # five minutes each
_BOUND = 1.5
CPU = Signal(Metric.CPU)
RULES = Rules(minimum=1, maximum=60, targets=(Target(CPU, 60.0),), interval=30.0, down=Behaviour(window=300.0))

Load = Callable[[int, random.Random], float]


def _humps(step: int, chance: random.Random) -> float:
    """Two humps a day."""
    hour = step % _STEPS / 60
    base = 60 + 520 * math.exp(-(((hour - 11) / 2.2) ** 2)) + 680 * math.exp(-(((hour - 19) / 1.8) ** 2))
    return base * chance.uniform(0.94, 1.06)


def _opening(step: int, chance: random.Random) -> float:
    """Six times as much within five minutes, each day at nine, give or take two minutes."""
    minute = step % _STEPS - 540
    share = min(max((minute + 2) / 5, 0.0), 1.0) if minute < 480 else max(1 - (minute - 480) / 60, 0.0)
    return (150 + 750 * share) * chance.uniform(0.94, 1.06)


def _weekend(step: int, chance: random.Random) -> float:
    """Two humps a day, and hardly any on the last of the days."""
    return _humps(step, chance) * (0.2 if step // _STEPS == _DAYS - 1 else 1.0)


_BURSTS = sorted(random.Random(5).sample(range(_STEPS * _DAYS), 40))


def _bursts(step: int, chance: random.Random) -> float:
    """Bursts at moments that nobody could know."""
    burning = any(0 <= step - begun < 20 for begun in _BURSTS)
    return (600 if burning else 150) * chance.uniform(0.94, 1.06)


LOADS: dict[str, Load] = {
    "two humps": _humps,
    "opening at nine": _opening,
    "no work today": _weekend,
    "bursts": _bursts,
}


def forecast(history: list[float], lead: float) -> list[float]:
    """The load of the last day as it was to be expected ``lead`` seconds before, in steps; fitted anew every hour."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    per = _STEPS // _SEASON
    means = [sum(history[i : i + per]) / per for i in range(0, len(history), per)]
    begin = _LEARNED * _SEASON
    ahead = math.ceil(lead / _STEP / per)
    told: list[float] = []
    for start in range(begin, len(means), 12):
        known = means[: start - ahead]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = ExponentialSmoothing(
                known, seasonal="add", seasonal_periods=_SEASON, initialization_method="heuristic"
            )
            model = fitted.fit(smoothing_level=0.3, smoothing_seasonal=0.3, optimized=False)
            told += list(model.forecast(ahead + 12)[ahead:])
    return [max(told[step // per], 0.0) for step in range(_STEPS)]


@dataclass(frozen=True, slots=True)
class Result:
    reactive: Score
    ahead: Score

    @property
    def better(self) -> bool:
        spare = (self.ahead.spare - self.reactive.spare) / self.ahead.ideal
        return self.ahead.short < self.reactive.short / 2 and spare <= 0.1


def compare(load: Load, startup: float) -> Result:
    chance = random.Random(1)
    history = [load(step, chance) for step in range(_DAYS * _STEPS)]
    today = history[_LEARNED * _STEPS :]
    lead = startup + RULES.interval
    shift = math.ceil(lead / _STEP)
    expected = forecast(history, lead)
    later = [expected[min(step + shift, _STEPS - 1)] for step in range(_STEPS)]
    seen = [max(real, min(told, _BOUND * real)) for real, told in zip(today, later, strict=True)]
    return Result(_played(today, today, startup), _played(seen, today, startup))


def _played(seen: list[float], real: list[float], startup: float) -> Score:
    def samples(loads: list[float]) -> list[Sample]:
        return [Sample(CPU.name, float(step * _STEP), load, 1, 1) for step, load in enumerate(loads)]

    size = math.ceil(real[0] / 60)
    points = list(backtest(RULES, {CPU.name: samples(seen)}, World(size, startup), 0.0, float(_DAY - _STEP)))
    # What was needed is told by the real load, whatever the evaluations saw.
    truth = backtest(RULES, {CPU.name: samples(real)}, World(size, startup), 0.0, float(_DAY - _STEP))
    return score(
        [replace(point, ideal=known.ideal) for point, known in zip(points, truth, strict=True)], RULES.interval
    )


def _told(result: Score) -> str:
    return f"{100 * result.short / result.ideal:6.2f} % {100 * result.spare / result.ideal:6.1f} % {result.flaps:4d}"


def main() -> None:
    print(f"{'':32}  reactive                    looking ahead")
    print(f"{'load':22} start-up   lacking   spare flaps     lacking   spare flaps   better")
    for name, load in LOADS.items():
        for startup in (10.0, 120.0):
            result = compare(load, startup)
            print(
                f"{name:22} {startup:6.0f} s  {_told(result.reactive)}    {_told(result.ahead)}   "
                f"{'yes' if result.better else 'no'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
