"""Receivers: the rows of the route table."""

from __future__ import annotations

from spinney.api import policies
from spinney.api.wire import Route

ROUTES = (
    Route("GET", "receivers", policies.receivers, "receivers:index", "List receivers", list=policies.RECEIVERS),
    Route("GET", "receivers/{receiver}", policies.receiver, "receivers:get", "Show a receiver", refusals=(404,)),
)
