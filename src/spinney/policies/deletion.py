"""Policy types ``senlin.policy.deletion-1.0`` and ``-1.1``: who goes when a cluster shrinks, and how.

The choice is stored with the action. Chance comes from the action's own id, which was drawn and stored when it was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from spinney.domain.action import ActionKind
from spinney.domain.schema import Boolean, Contradiction, Integer, SpecModel, Text, between, matching, one_of
from spinney.domain.support import Support
from spinney.domain.victims import Criteria, shares_of, victims
from spinney.policies.base import PolicyType
from spinney.policies.checking import Failed, Look, change

_Seconds = Annotated[Integer, between(0, 86400, "a number of seconds")]
_Printable = Annotated[Text, matching(r"[^\n\r\t]*", "at most 255 characters on one line")]
_URL = Annotated[Text, matching(r"(https?://\S+)?", "an http or https URL", longest=2048)]


class HookParams(SpecModel):
    """Where the message goes."""

    queue: _Printable = Field("", description="For zaqar: the name of the queue. No queue backend is configured here.")
    url: _URL = Field("", description="For webhook: where the message is posted.")
    secret: _Printable = Field(
        "",
        description="Spinney's own, for webhook: the secret of the project whose value signs the message, as NAME or NAME/KEY.",
    )


class Hooks(SpecModel):
    """Whom to tell before a member goes, and how long to wait."""

    type: Annotated[Text, one_of("zaqar", "webhook")] = Field("zaqar", description="How the message is sent.")
    timeout: _Seconds = Field(
        0, description="Seconds that a member stays for complete_lifecycle before it goes anyway."
    )
    params: HookParams = Field(default_factory=HookParams, description="Where the message goes.")

    @model_validator(mode="after")
    def _addressed(self) -> Hooks:
        if self.type == "webhook" and not self.params.url:
            raise Contradiction("a webhook needs one: give the URL to post to", at=".params.url")
        if self.type != "webhook" and self.params.secret:
            raise Contradiction("only a webhook is signed: leave it out, or set type to webhook", at=".params.secret")
        return self


class DeletionProperties(SpecModel):
    criteria: Annotated[Text, one_of(*(one.value for one in Criteria))] = Field(
        Criteria.RANDOM.value,
        description="Which members go first, after those that are broken, tainted or were never made.",
    )
    destroy_after_deletion: Boolean = Field(
        True, description="Delete the nodes that go; false: they leave the cluster and live on."
    )
    grace_period: _Seconds = Field(
        0, description="Seconds each container gets to stop; 0: what its profile's stop_timeout says."
    )
    reduce_desired_capacity: Boolean = Field(
        True,
        description="Lower the cluster's desired capacity when nodes are deleted by name; scaling and resizing always do.",
    )
    hooks: Hooks | None = Field(
        None, description="Tell somebody before each member goes, and wait; without: members go at once."
    )

    @property
    def hook(self) -> Hooks | None:
        """None: nobody is told."""
        return self.hooks if self.hooks is not None and self.hooks.given() else None


def before(properties: DeletionProperties, look: Look) -> Mapping[str, Any] | Failed:
    named = look.action.inputs.get("candidates")
    if named:
        return _answer(properties, look, [str(node) for node in named])
    if look.action.action is ActionKind.NODE_DELETE:
        return _answer(properties, look, [look.action.target])
    found = change(look)
    if isinstance(found, Failed):
        return found
    if look.action.action is ActionKind.CLUSTER_RESIZE and not found.fewer:
        return {}
    going = victims(
        look.members,
        min(found.fewer, len(look.members)),
        criteria=Criteria(properties.criteria),
        seed=look.action.id,
        shares=shares_of(look.deletion),
    )
    answer = _answer(properties, look, [member.id for member in going])
    if properties.hook is not None:
        answer["hooks"] = properties.hook.model_dump(mode="json")
    return answer


def _answer(properties: DeletionProperties, look: Look, candidates: list[str]) -> dict[str, Any]:
    flags = ("destroy_after_deletion", "grace_period", "reduce_desired_capacity")
    chosen = {"count": len(candidates), "candidates": candidates}
    return {"deletion": {**look.deletion, **chosen, **{flag: getattr(properties, flag) for flag in flags}}}


def remark(properties: DeletionProperties) -> str:
    hook = properties.hook
    if hook is None or hook.type != "zaqar":
        return ""
    return (
        "No queue backend is configured, so no message is sent to a zaqar queue; members still wait for complete_lifecycle, at "
        f"most {hook.timeout} s. Use hooks of type webhook to be told."
    )


def _version(version: str, since: str) -> PolicyType:
    return PolicyType(
        name="senlin.policy.deletion",
        version=version,
        summary="Which members go when a cluster shrinks, and how.",
        properties=DeletionProperties,
        support_status=(Support("SUPPORTED", since),),
        priority=400,
        before=before,
        before_kinds=frozenset(
            {
                ActionKind.CLUSTER_SCALE_IN,
                ActionKind.CLUSTER_DEL_NODES,
                ActionKind.CLUSTER_RESIZE,
                ActionKind.NODE_DELETE,
            }
        ),
        remark=remark,
    )


DELETION_1_0 = _version("1.0", "2016.04")
DELETION_1_1 = _version("1.1", "2018.01")
