"""Actions and events: the rows of the route table."""

from __future__ import annotations

from spinney.api import actions, events
from spinney.api.answers.base import Shape
from spinney.api.answers.history import Action, Event
from spinney.api.wire import Body, Route

ROUTES = (
    Route(
        "GET",
        "actions",
        actions.index,
        "actions:index",
        "List actions",
        list=actions.LIST,
        answer=Shape(Action, "actions", many=True),
    ),
    Route("POST", "actions", actions.create, "actions:create", "Refused: actions are made by what they are about", 202),
    Route(
        "GET",
        "actions/{action}",
        actions.get,
        "actions:get",
        "Show an action",
        refusals=(404,),
        answer=Shape(Action, "action"),
    ),
    Route(
        "PATCH",
        "actions/{action}",
        actions.update,
        "actions:update",
        "Cancel an action",
        202,
        Body(actions.ActionUpdate, "action", example={"action": {"status": "CANCELLED"}}),
        parameters=("force",),
        since=12,
        refusals=(404, 409),
    ),
    Route(
        "GET",
        "events",
        events.index,
        "events:index",
        "List events",
        list=events.LIST,
        answer=Shape(Event, "events", many=True),
    ),
    Route(
        "GET",
        "events/{event}",
        events.get,
        "events:get",
        "Show an event",
        refusals=(404,),
        answer=Shape(Event, "event"),
    ),
)
