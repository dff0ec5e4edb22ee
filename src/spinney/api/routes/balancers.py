"""Load balancers: the rows of the route table."""

from __future__ import annotations

from spinney.api import balancers
from spinney.api.answers.balancers import Balancer
from spinney.api.answers.base import Shape
from spinney.api.wire import Route

ROUTES = (
    Route(
        "GET",
        "clusters/{cluster}/balancers",
        balancers.index,
        "clusters:balancers",
        "The load balancers of a cluster, and who is in their pools",
        ours=True,
        refusals=(404,),
        answer=Shape(Balancer, "balancers", many=True),
    ),
)
