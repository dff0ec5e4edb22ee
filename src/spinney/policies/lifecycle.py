"""Policy type ``spinney.policy.lifecycle-1.0``: somebody is asked before members stop and after they have started.

Members are asked about one by one, when the work on them comes to that point, whoever ordered it. Only the deletion of the
whole cluster keeps in its action what was to be asked, because the policy goes with the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from spinney.domain.action import ActionKind
from spinney.domain.lifecycle import BEFORE_STOP, Hook, OnTimeout
from spinney.domain.schema import Contradiction, Integer, SpecModel, Text, between, matching, one_of
from spinney.domain.support import Support
from spinney.policies.base import Members, PolicyType
from spinney.policies.checking import Look

_URL = Annotated[Text, matching(r"https?://\S+", "an http or https URL", longest=2048)]
_Secret = Annotated[Text, matching(r"[^\n\r\t]*", "at most 255 characters on one line")]


class Params(SpecModel):
    """Where the message goes."""

    url: _URL = Field(description="Where the message is posted.")
    secret: _Secret = Field(
        "",
        description="The secret of the project whose value signs the message, as NAME or NAME/KEY; without: it is not signed.",
    )


class LifecycleHook(SpecModel):
    """Whom to ask, and how long to wait for complete_lifecycle."""

    type: Annotated[Text, one_of("webhook")] = Field("webhook", description="How the message is sent.")
    params: Params = Field(description="Where the message goes.")
    timeout: Annotated[Integer, between(1, 7 * 86400, "a number of seconds")] = Field(
        300, description="Seconds to wait for complete_lifecycle."
    )
    on_timeout: Annotated[Text, one_of(*(one.value for one in OnTimeout))] = Field(
        OnTimeout.CONTINUE.value,
        description="What follows when nobody answers: continue as if somebody had, or abandon what was to be done.",
    )

    def hook(self) -> Hook:
        return Hook(self.params.url, self.params.secret, self.timeout, OnTimeout(self.on_timeout))


class LifecycleProperties(SpecModel):
    before_stop: LifecycleHook | None = Field(
        None,
        description="Asked before a container that serves is stopped: deleted, replaced by an update, moved or stopped. "
        "Abandoned, it serves on, and the action fails.",
    )
    after_start: LifecycleHook | None = Field(
        None,
        description="Asked when a member's new container runs, before the member is in service. Abandoned, the container is "
        "removed, and its creation has failed.",
    )

    @model_validator(mode="after")
    def _some(self) -> LifecycleProperties:
        if self.before_stop is None and self.after_start is None:
            raise Contradiction("before_stop and after_start are both missing: give at least one of them")
        return self

    @property
    def secrets(self) -> dict[str, str]:
        """Those that its messages are signed with, by the hook."""
        hooks = {"before_stop": self.before_stop, "after_start": self.after_start}
        return {name: hook.params.secret for name, hook in hooks.items() if hook is not None}


def before(properties: LifecycleProperties, look: Look) -> Mapping[str, Any]:
    hook = properties.before_stop
    return {} if hook is None else {BEFORE_STOP: hook.hook().stored()}


LIFECYCLE = PolicyType(
    name="spinney.policy.lifecycle",
    version="1.0",
    summary="Somebody is asked before members stop and after they have started, and they wait for the answer.",
    properties=LifecycleProperties,
    support_status=(Support("EXPERIMENTAL", "2026.11"),),
    priority=410,
    members=Members.CONTAINERS,
    ours=True,
    before=before,
    before_kinds=frozenset({ActionKind.CLUSTER_DELETE}),
)
