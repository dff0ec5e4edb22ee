"""Policy types ``senlin.policy.health-1.0`` to ``-1.2``: how members are watched, and what is done for those that fail.

Stored, attached and shown; it does nothing yet. Members are healed by Spinney's own healing meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from spinney.domain.matching import PATTERN
from spinney.domain.schema import (
    Boolean,
    Contradiction,
    Integer,
    Kind,
    SpecModel,
    Text,
    at_most,
    between,
    matching,
    one_of,
    to_map,
)
from spinney.domain.support import Support
from spinney.policies.base import PolicyType

_Seconds = Annotated[Integer, between(0, 86400, "a number of seconds")]
_Line = Annotated[Text, matching(r"[^\n\r\t]*", "at most 2048 characters on one line", longest=2048)]
_POLLING = ("NODE_STATUS_POLLING", "NODE_STATUS_POLL_URL", "HYPERVISOR_STATUS_POLLING")
_LONGEST_INTERVAL = 3600


class ModeOptions(SpecModel):
    """For NODE_STATUS_POLL_URL."""

    poll_url: _Line = Field("", description="What is asked; {nodename} stands for the node's name.")
    poll_url_ssl_verify: Boolean = Field(True, description="Whether the certificate must be good.")
    poll_url_conn_error_as_unhealthy: Boolean = Field(True, description="Whether no answer means unhealthy.")
    poll_url_healthy_response: Annotated[_Line, PATTERN] = Field(
        "", description="A regular expression to be found in the answer's body; empty: any body will do."
    )
    poll_url_retry_limit: Annotated[Integer, between(0, 1000, "a whole number")] = Field(3, description="Attempts.")
    poll_url_retry_interval: _Seconds = Field(3, description="Seconds between them.")


class Mode(SpecModel):
    """One way of finding out."""

    type: Annotated[Text, one_of("LIFECYCLE_EVENTS", *_POLLING)] = Field(description="How members are watched.")
    options: ModeOptions = Field(default_factory=ModeOptions, description="For NODE_STATUS_POLL_URL.")


class Detection(SpecModel):
    """How members are watched."""

    interval: Annotated[Integer, between(1, 31 * 86400, "a number of seconds")] = Field(
        60,
        description=f"Seconds between looks; not below [api] health_check_interval_min, and at most {_LONGEST_INTERVAL} count.",
    )
    node_update_timeout: _Seconds = Field(
        300, description="Seconds after a change of a node in which it is not called unhealthy."
    )
    recovery_conditional: Annotated[Text, one_of("ANY_FAILED", "ALL_FAILED")] = Field(
        "ANY_FAILED", description="Whether one mode that finds a node unhealthy is enough, or all have to."
    )
    detection_modes: Annotated[tuple[Mode, ...], at_most(10, "modes")] = Field(
        (), description="Any number of polling modes, or LIFECYCLE_EVENTS alone."
    )

    @model_validator(mode="after")
    def _fit(self) -> Detection:
        types = [mode.type for mode in self.detection_modes]
        if "LIFECYCLE_EVENTS" in types and len(types) > 1:
            raise Contradiction("LIFECYCLE_EVENTS stands alone: remove it, or the other modes", at=".detection_modes")
        for index, mode in enumerate(self.detection_modes):
            if mode in self.detection_modes[:index]:
                first = self.detection_modes.index(mode)
                raise Contradiction(f"it is the same as [{first}]: remove one", at=f".detection_modes[{index}]")
        return self


class Action(SpecModel):
    """What is done."""

    name: Annotated[Text, one_of("REBOOT", "REBUILD", "RECREATE")] = Field(
        description="Restart the container, or make it anew: on its host (REBUILD) or wherever there is room (RECREATE)."
    )
    params: Annotated[Mapping[str, Any], Kind("Map", to_map)] = Field(
        default_factory=dict, description="Not looked at."
    )


class Recovery(SpecModel):
    """What is done for a member that is unhealthy."""

    actions: Annotated[tuple[Action, ...], at_most(1, "action")] = Field((), description="What is done.")
    fencing: Annotated[tuple[Annotated[Text, one_of("COMPUTE")], ...], at_most(10, "entries")] = Field(
        (), description="What is made sure of not to come back."
    )
    node_delete_timeout: _Seconds = Field(20, description="Seconds that the old container gets to go.")
    node_force_recreate: Boolean = Field(False, description="Make it anew even when the old one could not be removed.")


class HealthProperties(SpecModel):
    detection: Detection = Field(description="How members are watched.")
    recovery: Recovery = Field(description="What is done for those that are unhealthy.")


def registered(properties: HealthProperties) -> Mapping[str, Any]:
    """What a binding shows of it."""
    return {
        "interval": min(properties.detection.interval, _LONGEST_INTERVAL),
        "node_update_timeout": properties.detection.node_update_timeout,
        "recovery_conditional": properties.detection.recovery_conditional,
        "detection_modes": [mode.type for mode in properties.detection.detection_modes],
        "recovery_actions": [action.name for action in properties.recovery.actions],
    }


def remark(properties: HealthProperties) -> str:
    return (
        "Health policies are stored and shown, and have no effect yet: members are healed as the cluster's config key "
        "spinney.self_healing says."
    )


def _version(version: str, *support: Support) -> PolicyType:
    return PolicyType(
        name="senlin.policy.health",
        version=version,
        summary="How members are watched, and what is done for those that fail. It has no effect yet.",
        properties=HealthProperties,
        support_status=support,
        priority=600,
        remark=remark,
        binding_data=("HealthPolicy", registered),
    )


HEALTH_1_0 = _version("1.0", Support("EXPERIMENTAL", "2017.02"), Support("SUPPORTED", "2018.06"))
HEALTH_1_1 = _version("1.1", Support("SUPPORTED", "2018.09"))
HEALTH_1_2 = _version("1.2", Support("SUPPORTED", "2020.09"))
