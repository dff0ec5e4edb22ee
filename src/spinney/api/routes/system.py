"""The service itself: the rows of the route table."""

from __future__ import annotations

from spinney.api import system
from spinney.api.wire import Route

ROUTES = (
    Route("GET", "build-info", system.build_info, "build_info:build_info", "Revisions of the service"),
    Route("GET", "services", system.services, "services:index", "The engine processes"),
)
