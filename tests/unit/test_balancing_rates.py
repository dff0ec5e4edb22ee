"""What a load balancer has served, from what it says."""

from __future__ import annotations

from spinney.config import BalancerSettings
from spinney.domain.balancing.model import Applied, Totals
from spinney.engine.balancing.rates import Rates


def test_what_was_served_while_nobody_looked_is_counted() -> None:
    settings, stored = BalancerSettings(), None
    seen = []
    for moment, counts in ((0.0, (40, 40, 90)), (60.0, (100, 7))):  # another engine takes over; it begins anew
        rates = Rates()
        for step, count in enumerate(counts):
            said = Applied(totals=Totals(count, 1))
            stored = rates.counted(moment + 10.0 * step, said, (), stored, settings)
            assert stored is not None
            seen.append((stored["requests"], stored["rate"]))
    assert seen == [(40, None), (40, 0.0), (90, 5.0), (100, None), (107, 0.7)]
