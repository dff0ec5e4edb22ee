"""A new container runs, and somebody outside is asked before its node is in service: pure.

The action waits instead of ending. Until then the node shows what is being done to it, and is not ready; where the container is
to take the place of another one, that one serves on.
"""

from __future__ import annotations

from dataclasses import replace

from spinney.clock import Ids
from spinney.domain.action import ActionStatus
from spinney.domain.container import Container, ContainerState
from spinney.domain.lifecycle import Transition, begin, message, waiting_reason, with_stay
from spinney.domain.readiness import as_columns
from spinney.engine.jobs import Job, Task
from spinney.engine.results import Made, Ready, Result
from spinney.store.telling import Message
from spinney.store.work import Outcome


def held(job: Job, result: Result, outcome: Outcome, ids: Ids, now: float) -> Outcome:
    """``outcome``, or that its action waits."""
    container = _new_container(job, result, outcome)
    if job.launch is None or container is None:
        return outcome
    launch, action = job.launch, job.action
    stay = begin(launch.hook, now)
    reason = waiting_reason(stay)
    body = message(action, job.node.name, container.id, Transition.LAUNCH, stay.deadline)
    told = Message(ids.new(), action.id, launch.hook.url, body, stay.deadline, launch.secret_id, launch.secret_key)
    waits = f"Its container runs. {reason}"
    shown = {} if isinstance(result, Ready) else {"status_reason": waits, **as_columns(False, waits, now)}
    kept = {} if isinstance(result, Ready) else {key: outcome.changes[key] for key in ("physical_id", "data")}
    return replace(
        outcome,
        status=ActionStatus.WAITING_LIFECYCLE_COMPLETION,
        reason=reason,
        ready_at=stay.deadline,
        changes={**kept, **shown},
        arrived=False,
        give_up_hold=False,
        progress=with_stay(action.data, Transition.LAUNCH, stay),
        events=(),
        message=told,
    )


def _new_container(job: Job, result: Result, outcome: Outcome) -> Container | None:
    """The one that is to serve from now on; None: there is none, or it has failed or ended already."""
    if isinstance(result, Ready):
        container: Container | None = result.container
    elif isinstance(result, Made) and job.task in (Task.CREATE, Task.RECREATE):
        good = outcome.status is ActionStatus.SUCCEEDED
        container = result.container if good else None
    else:
        return None
    if container is None or container.state is not ContainerState.RUNNING:
        return None
    return None if container.id == job.node.physical_id else container
