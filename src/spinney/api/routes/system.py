"""The service itself: the rows of the route table."""

from __future__ import annotations

from spinney.api import system
from spinney.api.answers.base import Shape
from spinney.api.answers.hosts import BuildInfo, Service
from spinney.api.wire import Route

ROUTES = (
    Route(
        "GET",
        "build-info",
        system.build_info,
        "build_info:build_info",
        "Revisions of the service",
        answer=Shape(BuildInfo, "build_info"),
    ),
    Route(
        "GET",
        "services",
        system.services,
        "services:index",
        "The engine processes",
        answer=Shape(Service, "services", many=True),
    ),
)
