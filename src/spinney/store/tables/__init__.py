"""The tables.

Invariants the database itself keeps:

* ``action.running_target`` is unique: at most one action works on an object at a time, whoever claims it;
* ``port`` is keyed by host, protocol and port: two nodes never hold the same published port;
* ``host.endpoint`` is unique: a machine is registered once;
* ``network`` is unique per host and subnet index: two projects never share a subnet on one host.
"""

from __future__ import annotations

from spinney.store.tables.access import (
    credential,
    exec_session,
    idempotency,
    image_rule,
    quota,
    resolved_image,
    secret,
    secret_use,
    tenant,
    trust,
)
from spinney.store.tables.balancing import balancer, pool_member
from spinney.store.tables.base import metadata
from spinney.store.tables.clusters import cluster, node, pin, profile, revision
from spinney.store.tables.hosts import decision, hold, host, image, network, port, setback, share
from spinney.store.tables.policies import binding, policy, receiver, webhook_use
from spinney.store.tables.runs import run
from spinney.store.tables.scaling import metric, scaling_decision, usage
from spinney.store.tables.work import action, engine, event, meta, outbox

__all__ = [
    "action",
    "balancer",
    "binding",
    "cluster",
    "credential",
    "decision",
    "engine",
    "event",
    "exec_session",
    "hold",
    "host",
    "idempotency",
    "image",
    "image_rule",
    "meta",
    "metadata",
    "metric",
    "network",
    "node",
    "outbox",
    "pin",
    "policy",
    "pool_member",
    "port",
    "profile",
    "quota",
    "receiver",
    "resolved_image",
    "revision",
    "run",
    "scaling_decision",
    "secret",
    "secret_use",
    "setback",
    "share",
    "tenant",
    "trust",
    "usage",
    "webhook_use",
]
