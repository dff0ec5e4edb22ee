"""Events as the API shows them."""

from __future__ import annotations

from spinney.store.identity import Finder
from spinney.store.rows import EVENTS
from spinney.store.tables import event as table

FINDER = Finder("event", table, EVENTS.select(), named=False)
