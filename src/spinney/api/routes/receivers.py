"""Receivers: the rows of the route table."""

from __future__ import annotations

from spinney.api import receivers, webhooks
from spinney.api.answers.base import Shape
from spinney.api.answers.clusters import Queued
from spinney.api.answers.receivers import Receiver
from spinney.api.wire import Body, Route

ROUTES = (
    Route(
        "GET",
        "receivers",
        receivers.index,
        "receivers:index",
        "List receivers",
        list=receivers.LIST,
        answer=Shape(Receiver, "receivers", many=True),
    ),
    Route(
        "POST",
        "receivers",
        receivers.create,
        "receivers:create",
        "Let something outside start an action on a cluster",
        201,
        Body(
            receivers.ReceiverCreate,
            "receiver",
            example={
                "receiver": {
                    "name": "grow",
                    "type": "webhook",
                    "cluster_id": "site",
                    "action": "CLUSTER_SCALE_OUT",
                    "params": {"count": 1},
                }
            },
        ),
        answer=Shape(Receiver, "receiver"),
    ),
    Route(
        "GET",
        "receivers/{receiver}",
        receivers.get,
        "receivers:get",
        "Show a receiver, without its secret",
        refusals=(404,),
        answer=Shape(Receiver, "receiver"),
    ),
    Route(
        "PATCH",
        "receivers/{receiver}",
        receivers.update,
        "receivers:update",
        "Change a receiver",
        body=Body(receivers.ReceiverUpdate, "receiver", example={"receiver": {"params": {"count": 2}}}),
        refusals=(404,),
        answer=Shape(Receiver, "receiver"),
    ),
    Route(
        "DELETE",
        "receivers/{receiver}",
        receivers.delete,
        "receivers:delete",
        "Delete a receiver",
        204,
        refusals=(404,),
    ),
    Route(
        "POST",
        "receivers/{receiver}/notify",
        receivers.notify,
        "receivers:notify",
        "Refused: there are no receivers that are fed from a queue",
        204,
        refusals=(404,),
    ),
    Route(
        "POST",
        "receivers/{receiver}/rotate",
        receivers.rotate,
        "receivers:rotate",
        "Give a receiver another secret",
        ours=True,
        refusals=(404,),
        answer=Shape(Receiver, "receiver"),
    ),
    Route(
        "POST",
        "webhooks/{receiver}/trigger",
        webhooks.trigger,
        "webhooks:trigger",
        "Start what a receiver is for; its secret or a signature is all that is needed",
        202,
        Body(required=False, example={"count": 1}),
        parameters=("V", "secret"),
        public=True,
        refusals=(404, 409, 429),
        answer=Shape(Queued),
    ),
)
