"""Policy type ``spinney.policy.host_scaling-1.0``: a host cluster grown for containers that wait, and shrunk again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from spinney.domain.policy import HostScaling
from spinney.domain.schema import Contradiction, Integer, SpecModel, between
from spinney.domain.support import Support
from spinney.policies.base import Members, PolicyType

_Hosts = Annotated[Integer, between(0, 100_000, "a whole number")]
_Seconds = Annotated[Integer, between(0, 31 * 86400, "a number of seconds")]


class HostScalingProperties(SpecModel):
    minimum: _Hosts = Field(0, description="Never fewer hosts because of this policy.")
    maximum: _Hosts = Field(description="Never more hosts because of this policy.")
    cooldown: _Seconds = Field(300, description="Seconds between two changes of the number of hosts.")
    idle_time: _Seconds = Field(600, description="Seconds for which a host is empty before it is given back.")

    @model_validator(mode="after")
    def _ordered(self) -> HostScalingProperties:
        if self.minimum > self.maximum:
            raise Contradiction(f"{self.minimum} is more than maximum ({self.maximum}): lower it", at=".minimum")
        return self


def host_scaling(properties: HostScalingProperties) -> HostScaling:
    return HostScaling(properties.minimum, properties.maximum, properties.cooldown, properties.idle_time)


HOST_SCALING = PolicyType(
    name="spinney.policy.host_scaling",
    version="1.0",
    summary="A host cluster grows for containers that wait for room, and gives hosts back that stay empty.",
    properties=HostScalingProperties,
    support_status=(Support("EXPERIMENTAL", "2026.11"),),
    priority=100,
    members=Members.HOSTS,
    ours=True,
)
