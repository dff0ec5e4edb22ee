"""Hosts: the rows of the route table."""

from __future__ import annotations

from spinney.api import host_actions, hosts
from spinney.api.answers.base import Shape
from spinney.api.answers.clusters import Queued
from spinney.api.answers.hosts import Host
from spinney.api.answers.insight import Plan
from spinney.api.wire import Body, Route

ROUTES = (
    Route(
        "GET",
        "hosts",
        hosts.index,
        "hosts:index",
        "List hosts",
        list=hosts.LIST,
        ours=True,
        answer=Shape(Host, "hosts", many=True),
    ),
    Route(
        "GET",
        "hosts/{host}",
        hosts.get,
        "hosts:get",
        "Show a host",
        ours=True,
        refusals=(404,),
        answer=Shape(Host, "host"),
    ),
    Route(
        "POST",
        "hosts/{host}/actions",
        host_actions.act,
        "hosts:action",
        "Cordon, open, drain or remove a host",
        202,
        Body(choices={name: verb.model for name, verb in host_actions.VERBS.items()}, example={"cordon": {}}),
        ours=True,
        refusals=(404, 409),
        answer=Shape(Queued),
        also={200: Shape(Plan, "plan")},
    ),
)
