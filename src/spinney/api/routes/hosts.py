"""Hosts: the rows of the route table."""

from __future__ import annotations

from spinney.api import host_actions, hosts
from spinney.api.wire import Body, Route

ROUTES = (
    Route("GET", "hosts", hosts.index, "hosts:index", "List hosts", list=hosts.LIST, ours=True),
    Route("GET", "hosts/{host}", hosts.get, "hosts:get", "Show a host", ours=True, refusals=(404,)),
    Route(
        "POST",
        "hosts/{host}/actions",
        host_actions.act,
        "hosts:action",
        "Cordon, open, drain or remove a host",
        202,
        Body(),
        ours=True,
        refusals=(404, 409),
    ),
)
