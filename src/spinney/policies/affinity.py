"""Policy type ``senlin.policy.affinity-1.0``, for containers: members on one host, or on different ones.

A server group is the cluster itself, or, with a name, all clusters of the project whose attached policies name it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from spinney.domain.schema import Boolean, Contradiction, Line, SpecModel, Text, one_of
from spinney.domain.support import Support
from spinney.policies.base import Contribution, Members, PolicyType, Toward


class ServerGroup(SpecModel):
    """Whose members the rule is about."""

    name: Line | None = Field(
        None, description="Clusters of the project with the same name share the rule; without: this cluster alone."
    )
    policies: Annotated[Text, one_of("affinity", "soft-affinity", "anti-affinity", "soft-anti-affinity")] = Field(
        "anti-affinity",
        description="All on one host, or at most one on each host; soft: as far as possible, without waiting for it.",
    )


class AffinityProperties(SpecModel):
    servergroup: ServerGroup = Field(default_factory=ServerGroup, description="Who stays together or apart.")
    availability_zone: Line | None = Field(None, description="The only zone whose hosts are used.")
    enable_drs_extension: Boolean = Field(False, description="For vSphere only: true is refused.")

    @model_validator(mode="after")
    def _no_drs(self) -> AffinityProperties:
        if self.enable_drs_extension:
            raise Contradiction(
                "it belongs to vSphere, and hosts here are Docker engines: set it to false or leave it out",
                at=".enable_drs_extension",
            )
        return self


def contribution(properties: AffinityProperties) -> Contribution:
    word = properties.servergroup.policies
    toward = Toward(
        group=properties.servergroup.name, apart=word.endswith("anti-affinity"), hard=not word.startswith("soft-")
    )
    zone = properties.availability_zone
    return Contribution(toward=(toward,), zones=() if zone is None else (zone,))


AFFINITY = PolicyType(
    name="senlin.policy.affinity",
    version="1.0",
    summary="Members on one host, or on different hosts.",
    properties=AffinityProperties,
    support_status=(Support("SUPPORTED", "2016.10"),),
    priority=300,
    members=Members.CONTAINERS,
    placement=contribution,
)
