"""Runs of clusters that do a job: the rows of the route table."""

from __future__ import annotations

from spinney.api import runs
from spinney.api.answers.base import Shape
from spinney.api.answers.runs import Run, RunDetails
from spinney.api.wire import Route

ROUTES = (
    Route(
        "GET",
        "clusters/{cluster}/runs",
        runs.index,
        "runs:index",
        "List the runs of a cluster, the latest first",
        ours=True,
        refusals=(404,),
        answer=Shape(Run, "runs", many=True),
    ),
    Route(
        "GET",
        "clusters/{cluster}/runs/{number}",
        runs.get,
        "runs:get",
        "Show a run and its members",
        ours=True,
        refusals=(404,),
        answer=Shape(RunDetails, "run"),
    ),
)
