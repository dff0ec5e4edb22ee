"""Looking at what containers do, where they are, and what would happen: the rows of the route table."""

from __future__ import annotations

from spinney.api import execs, insight, logs, placement, planning
from spinney.api.answers.base import Shape
from spinney.api.answers.insight import Exec, Placement, Plan, Stats
from spinney.api.wire import Body, Route

ROUTES = (
    Route(
        "POST",
        "clusters/{cluster}/plan",
        planning.plan,
        "clusters:plan",
        "What an action would do, without doing it",
        body=Body(choices=planning.MODELS, example={"scale_out": {"count": 1}}),
        ours=True,
        refusals=(404,),
        answer=Shape(Plan, "plan"),
    ),
    Route(
        "GET",
        "nodes/{node}/logs",
        logs.of_node,
        "nodes:logs",
        "What a container wrote",
        parameters=logs.PARAMETERS,
        ours=True,
        media_type="text/plain",
        refusals=(404, 409, 503),
    ),
    Route(
        "POST",
        "nodes/{node}/exec",
        execs.create,
        "nodes:exec",
        "Leave to run a command in a container",
        201,
        Body(execs.ExecCreate, "exec", example={"exec": {"command": ["ls", "-l"], "tty": False}}),
        ours=True,
        refusals=(404, 409),
        answer=Shape(Exec, "exec"),
    ),
    Route(
        "GET",
        "clusters/{cluster}/logs",
        logs.of_cluster,
        "clusters:logs",
        "What the containers of a cluster wrote",
        parameters=logs.OF_CLUSTERS,
        ours=True,
        media_type="application/x-ndjson",
        refusals=(404,),
    ),
    Route(
        "GET",
        "nodes/{node}/stats",
        insight.node_stats,
        "nodes:stats",
        "What a container uses",
        ours=True,
        refusals=(404, 409, 503),
        answer=Shape(Stats, "stats"),
    ),
    Route(
        "GET",
        "clusters/{cluster}/stats",
        insight.cluster_stats,
        "clusters:stats",
        "What the containers of a cluster use",
        ours=True,
        refusals=(404,),
        answer=Shape(Stats, "stats", many=True),
    ),
    Route(
        "GET",
        "nodes/{node}/placement",
        placement.get,
        "nodes:placement",
        "Where a container is, and why",
        ours=True,
        refusals=(404,),
        answer=Shape(Placement, "placement"),
    ),
)
