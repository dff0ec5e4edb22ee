"""Policy types ``senlin.policy.health-1.0`` to ``-1.2`` and ``spinney.policy.health-1.0``: how members are watched, and what is
done for those that fail.

Ours takes what Senlin's take, and further ways of finding out and of acting. While one is attached and enabled, it says what is
recovered and how; members of runs are their run's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from spinney.domain.health_rules import BreakerRules, Detect, HealthRules, Operation, UrlCheck
from spinney.domain.health_rules import Mode as ModeRules
from spinney.domain.matching import PATTERN
from spinney.domain.probe_spec import Role
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
from spinney.policies.base import Members, PolicyType

_Seconds = Annotated[Integer, between(0, 86400, "a number of seconds")]
_Line = Annotated[Text, matching(r"[^\n\r\t]*", "at most 2048 characters on one line", longest=2048)]
_SENLINS = ("LIFECYCLE_EVENTS", "NODE_STATUS_POLLING", "NODE_STATUS_POLL_URL", "HYPERVISOR_STATUS_POLLING")
OURS = "spinney.policy.health"
_LIFECYCLE = Detect.LIFECYCLE_EVENTS.value
_URL = re.compile(r"https?://[^/\s]")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
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

    type: Annotated[Text, one_of(*_SENLINS)] = Field(description="How members are watched.")
    options: ModeOptions = Field(default_factory=ModeOptions, description="For NODE_STATUS_POLL_URL.")

    @model_validator(mode="after")
    def _asks_somebody(self) -> Mode:
        if self.type == Detect.NODE_STATUS_POLL_URL.value and not _URL.match(self.options.poll_url):
            given = f"{self.options.poll_url!r} is none" if self.options.poll_url else "it was not given"
            raise Contradiction(f"this mode asks an http or https URL, and {given}: give one", at=".options.poll_url")
        unknown = next((word for word in _PLACEHOLDER.findall(self.options.poll_url) if word != "{nodename}"), None)
        if unknown is not None:
            raise Contradiction(
                f"{unknown} stands for nothing: write {{nodename}}, the only one", at=".options.poll_url"
            )
        return self


class Detection(SpecModel):
    """How members are watched."""

    interval: Annotated[Integer, between(1, 31 * 86400, "a number of seconds")] = Field(
        60,
        description=f"Seconds between looks; not below [api] health_check_interval_min, and at most {_LONGEST_INTERVAL} count.",
    )
    node_update_timeout: _Seconds = Field(
        300, description="Seconds after a change of a node in which polling does not call it unhealthy."
    )
    recovery_conditional: Annotated[Text, one_of("ANY_FAILED", "ALL_FAILED")] = Field(
        "ANY_FAILED", description="Whether one mode that finds a node unhealthy is enough, or all have to."
    )
    detection_modes: Annotated[tuple[Mode, ...], at_most(10, "modes")] = Field(
        (),
        description="Any number of polling modes, or LIFECYCLE_EVENTS alone. Without any, what Spinney sees by itself counts.",
    )

    #: Whether LIFECYCLE_EVENTS excludes other modes.
    events_alone: ClassVar[bool] = True

    @model_validator(mode="after")
    def _fit(self) -> Detection:
        types = [mode.type for mode in self.detection_modes]
        if self.events_alone and _LIFECYCLE in types and len(types) > 1:
            raise Contradiction(
                f"{_LIFECYCLE} stands alone: remove it, or the other modes; {OURS} takes both", at=".detection_modes"
            )
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

    actions: Annotated[tuple[Action, ...], at_most(1, "action")] = Field(
        (), description="What is done; RECREATE if nothing is said."
    )
    fencing: Annotated[tuple[Annotated[Text, one_of("COMPUTE")], ...], at_most(10, "entries")] = Field(
        (), description="COMPUTE: no new container runs before the old one is known to be gone."
    )
    node_delete_timeout: _Seconds = Field(
        20, description="Seconds that the old container gets to stop when it is made anew; 0: what its profile says."
    )
    node_force_recreate: Boolean = Field(
        False,
        description="Make it anew even when the old one could not be removed; it is, once its host lets that happen.",
    )


class HealthProperties(SpecModel):
    detection: Detection = Field(description="How members are watched.")
    recovery: Recovery = Field(description="What is done for those that are unhealthy.")


class OurModeOptions(ModeOptions):
    """For NODE_STATUS_POLL_URL, and probes for PROBES."""

    probes: Annotated[tuple[Annotated[Text, one_of(*(role.value for role in Role))], ...], at_most(3, "probes")] = (
        Field(
            ("started", "alive"),
            description="Which of the profile's probes count; ready: being not ready is a failure, too.",
        )
    )


class OurMode(Mode):
    """One way of finding out. PROBES and DOCKER_HEALTH are Spinney's own."""

    type: Annotated[Text, one_of(*(detect.value for detect in Detect))] = Field(description="How members are watched.")
    options: OurModeOptions = Field(
        default_factory=OurModeOptions, description="For NODE_STATUS_POLL_URL, and probes for PROBES."
    )


class OurDetection(Detection):
    """How members are watched."""

    events_alone: ClassVar[bool] = False

    detection_modes: Annotated[tuple[OurMode, ...], at_most(10, "modes")] = Field(
        (), description="Any number of modes. Without any, what Spinney sees by itself counts."
    )


class OurAction(Action):
    """What is done."""

    name: Annotated[Text, one_of(*(operation.value for operation in Operation))] = Field(
        description="Restart the container, make it anew on its host (REBUILD) or wherever there is room (RECREATE), or only "
        "tell of it (NOTIFY)."
    )


class CircuitBreaker(SpecModel):
    """When too many members fail, recovery stops."""

    failed: Annotated[Text, matching(r"(?:100|[0-9]{1,2})%|[0-9]{1,6}", "a number of members, or a share as '50%'")] = (
        Field(
            "50%", description="How many different members may fail within the window, at least 2; '100%' never stops."
        )
    )
    window: Annotated[Integer, between(1, 86400, "a number of seconds")] = Field(300, description="Seconds.")
    trial_after: _Seconds = Field(60, description="Seconds until one member is tried again; 0: never.")


class OurRecovery(Recovery):
    """What is done for a member that is unhealthy."""

    actions: Annotated[tuple[OurAction, ...], at_most(1, "action")] = Field(
        (), description="What is done; RECREATE if nothing is said."
    )
    circuit_breaker: CircuitBreaker = Field(
        default_factory=CircuitBreaker, description="When too many members fail, recovery stops."
    )


class OurHealthProperties(HealthProperties):
    detection: OurDetection = Field(description="How members are watched.")
    recovery: OurRecovery = Field(description="What is done for those that are unhealthy.")


def health_rules(properties: HealthProperties) -> HealthRules:
    detection, recovery = properties.detection, properties.recovery
    breaker = BreakerRules()
    if isinstance(recovery, OurRecovery):
        given = recovery.circuit_breaker
        breaker = BreakerRules(given.failed, given.window, given.trial_after)
    return HealthRules(
        interval=min(detection.interval, _LONGEST_INTERVAL),
        grace=detection.node_update_timeout,
        every=detection.recovery_conditional == "ALL_FAILED",
        modes=tuple(_mode(mode) for mode in detection.detection_modes),
        operation=Operation(recovery.actions[0].name) if recovery.actions else Operation.RECREATE,
        fenced=bool(recovery.fencing),
        forced=recovery.node_force_recreate,
        delete_timeout=recovery.node_delete_timeout,
        breaker=breaker,
    )


def _mode(mode: Mode) -> ModeRules:
    options = mode.options
    url = UrlCheck(
        options.poll_url,
        verify=options.poll_url_ssl_verify,
        errors_count=options.poll_url_conn_error_as_unhealthy,
        expected=options.poll_url_healthy_response,
        attempts=max(options.poll_url_retry_limit, 1),
        pause=options.poll_url_retry_interval,
    )
    detect = Detect(mode.type)
    probes = frozenset(Role(name) for name in options.probes) if isinstance(options, OurModeOptions) else frozenset()
    return ModeRules(
        detect,
        url if detect is Detect.NODE_STATUS_POLL_URL else None,
        probes if detect is Detect.PROBES else frozenset(),
    )


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
    if not properties.detection.detection_modes:
        return "The policy names no detection mode: what Spinney sees by itself counts."
    return ""


def _version(version: str, *support: Support) -> PolicyType:
    return PolicyType(
        name="senlin.policy.health",
        version=version,
        summary="How members are watched, and what is done for those that fail.",
        properties=HealthProperties,
        support_status=support,
        priority=600,
        remark=remark,
        binding_data=("HealthPolicy", registered),
    )


HEALTH_1_0 = _version("1.0", Support("EXPERIMENTAL", "2017.02"), Support("SUPPORTED", "2018.06"))
HEALTH_1_1 = _version("1.1", Support("SUPPORTED", "2018.09"))
HEALTH_1_2 = _version("1.2", Support("SUPPORTED", "2020.09"))
OUR_HEALTH = PolicyType(
    name=OURS,
    version="1.0",
    summary="The same with probes and health checks, events beside polling, recovery that only tells, and a circuit breaker.",
    properties=OurHealthProperties,
    support_status=(Support("EXPERIMENTAL", "2026.11"),),
    priority=600,
    ours=True,
    members=Members.CONTAINERS,
    remark=remark,
    binding_data=("HealthPolicy", registered),
)
#: By name and version; where a cluster has several, the first of these counts.
HEALTH = tuple(kind.name_version for kind in (OUR_HEALTH, HEALTH_1_2, HEALTH_1_1, HEALTH_1_0))
