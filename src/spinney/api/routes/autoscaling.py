"""Autoscaling: the rows of the route table."""

from __future__ import annotations

from spinney.api import autoscaling
from spinney.api.answers.autoscaling import Metric, ScalingDecision
from spinney.api.answers.base import Shape
from spinney.api.wire import Route

ROUTES = (
    Route(
        "GET",
        "clusters/{cluster}/scaling-decisions",
        autoscaling.decisions,
        "clusters:scaling_decisions",
        "What autoscaling has decided, and why",
        list=autoscaling.DECISIONS,
        ours=True,
        refusals=(404,),
        answer=Shape(ScalingDecision, "scaling_decisions", many=True),
    ),
    Route(
        "GET",
        "clusters/{cluster}/metrics",
        autoscaling.metrics,
        "clusters:metrics",
        "What autoscaling has seen of a cluster",
        parameters=autoscaling.METRICS,
        ours=True,
        refusals=(404,),
        answer=Shape(Metric, "metrics", many=True),
    ),
)
