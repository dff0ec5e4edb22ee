"""The route table: everything the API answers to, a module of rows for each noun.

Dispatch, access rules, the OpenAPI document, the tests' access matrix and the reference pages are all made from it. Paths are
below ``/v1``. Version discovery is not in it: it is answered before authentication.
"""

from __future__ import annotations

from functools import lru_cache

from spinney.api import openapi
from spinney.api.routes import (
    autoscaling,
    balancers,
    clusters,
    credentials,
    history,
    hosts,
    insight,
    limits,
    nodes,
    policies,
    profiles,
    receivers,
    runs,
    secrets,
    shares,
    system,
)
from spinney.api.wire import Reply, Route, json_reply


@lru_cache(maxsize=1)
def _description() -> Reply:
    return json_reply(openapi.document(ROUTES))


async def _openapi(call: object) -> Reply:
    return _description()


_SENLINS = (
    *system.ROUTES,
    *profiles.ROUTES,
    *policies.ROUTES,
    *receivers.ROUTES,
    *clusters.ROUTES,
    *nodes.ROUTES,
    *history.ROUTES,
)
_OURS = (
    *hosts.ROUTES,
    *insight.ROUTES,
    *runs.ROUTES,
    *autoscaling.ROUTES,
    *balancers.ROUTES,
    *shares.ROUTES,
    *limits.ROUTES,
    *credentials.ROUTES,
    *secrets.ROUTES,
    Route("GET", "openapi.json", _openapi, "api:openapi", "This description", ours=True),
)
ROUTES: tuple[Route, ...] = _SENLINS + _OURS
