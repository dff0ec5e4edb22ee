"""Nodes: the rows of the route table."""

from __future__ import annotations

from spinney.api import adopting, node_actions, nodes
from spinney.api.wire import Body, Route

ROUTES = (
    Route("GET", "nodes", nodes.index, "nodes:index", "List nodes", list=nodes.LIST),
    Route("POST", "nodes", nodes.create, "nodes:create", "Create a node", 202, Body(nodes.NodeCreate, "node")),
    Route(
        "POST",
        "nodes/adopt",
        adopting.adopt,
        "nodes:adopt",
        "Make a node of something that exists",
        body=Body(adopting.NodeAdopt),
        since=7,
        refusals=(409,),
    ),
    Route(
        "POST",
        "nodes/adopt-preview",
        adopting.preview,
        "nodes:adopt_preview",
        "Show what adopting would make",
        body=Body(adopting.NodePreview),
        since=7,
    ),
    Route("GET", "nodes/{node}", nodes.get, "nodes:get", "Show a node", parameters=("show_details",), refusals=(404,)),
    Route(
        "PATCH",
        "nodes/{node}",
        nodes.update,
        "nodes:update",
        "Change a node",
        202,
        Body(nodes.NodeUpdate, "node"),
        refusals=(404, 409),
    ),
    Route(
        "DELETE",
        "nodes/{node}",
        nodes.delete,
        "nodes:delete",
        "Delete a node",
        202,
        Body(required=False),
        parameters=("force",),
        refusals=(404, 409),
    ),
    Route(
        "POST",
        "nodes/{node}/actions",
        node_actions.act,
        "nodes:action",
        "Check or recover a node",
        202,
        Body(),
        refusals=(404, 409),
    ),
    Route(
        "POST",
        "nodes/{node}/ops",
        node_actions.operate,
        "nodes:operation",
        "Do an operation of the profile type",
        202,
        Body(),
        since=4,
        refusals=(404, 409),
    ),
)
