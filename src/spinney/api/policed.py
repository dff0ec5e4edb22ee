"""What the policy of a cluster whose members runs make refuses before anything is queued.

Of updates the engine asks all policies again when they begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row

from spinney.api.wire import Call
from spinney.domain.action import ActionKind, Cause, queued
from spinney.errors import FeatureNotSupported
from spinney.policies import pipeline
from spinney.policies.checking import Look
from spinney.store import bindings, clusters, profiles
from spinney.store.members import members


def check_joining(connection: Connection, row: Row[Any]) -> None:
    """A node that is to be made in the cluster of the row. Raises: FeatureNotSupported."""
    refused = pipeline.refusal(bindings.attached(connection, row.id), ActionKind.CLUSTER_ADD_NODES)
    if refused is not None:
        raise FeatureNotSupported(f"cluster_id: the cluster '{row.name}' takes no such node: {refused}.")


def check_update(connection: Connection, call: Call, row: Row[Any], action_id: str, inputs: Mapping[str, Any]) -> None:
    """To the profile that the inputs name, of the cluster of the row. Raises: FeatureNotSupported."""
    asked = [one for one in bindings.attached(connection, row.id) if one.policy.kind.runs]
    if not asked:
        return
    action = queued(
        ActionKind.CLUSTER_UPDATE,
        row.id,
        call.owner,
        action_id=action_id,
        cause=Cause.REQUEST,
        now=call.now,
        inputs=inputs,
    )
    look = Look(
        clusters.value(row),
        action,
        members(connection, row.id),
        call.deps.settings.max_nodes_per_cluster,
        call.now,
        restarts=partial(profiles.restarts, connection, str(inputs["new_profile_id"])),
    )
    fault = pipeline.before(asked, look).fault
    if fault is not None:
        raise FeatureNotSupported(f"{action.action.value} on the cluster '{row.name}' is refused: {fault}.")
