"""All policy types, and the validation of whole specifications.

A new type is one module of this package and one entry of ``POLICY_TYPES``.

Guaranteed: ``validate_spec`` is pure and total over JSON values: it returns a ``ValidatedPolicy`` or raises ESchema (the
specification violates its schema), ResourceNotFound (unknown type) or InvalidSpec (values that do not go together).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from spinney.domain import spec_type
from spinney.domain.dialect import since
from spinney.domain.schema import Contradiction, SpecModel, explain
from spinney.domain.spec_type import word
from spinney.errors import ESchema, InvalidSpec
from spinney.policies.affinity import AFFINITY
from spinney.policies.autoscaling import AUTOSCALING
from spinney.policies.base import Contribution, PolicyType
from spinney.policies.batch import BATCH
from spinney.policies.deletion import DELETION_1_0, DELETION_1_1
from spinney.policies.health import HEALTH_1_0, HEALTH_1_1, HEALTH_1_2, OUR_HEALTH
from spinney.policies.host_scaling import HOST_SCALING
from spinney.policies.job import JOB
from spinney.policies.lifecycle import LIFECYCLE
from spinney.policies.loadbalance import LOADBALANCE
from spinney.policies.placement import PLACEMENT
from spinney.policies.quotas import REGION_PLACEMENT, ZONE_PLACEMENT
from spinney.policies.scaling import SCALING
from spinney.policies.update import UPDATE

POLICY_TYPES: Mapping[str, PolicyType] = {
    kind.name_version: kind
    for kind in (
        AFFINITY,
        BATCH,
        DELETION_1_0,
        DELETION_1_1,
        HEALTH_1_0,
        HEALTH_1_1,
        HEALTH_1_2,
        *LOADBALANCE,
        REGION_PLACEMENT,
        SCALING,
        ZONE_PLACEMENT,
        AUTOSCALING,
        OUR_HEALTH,
        HOST_SCALING,
        JOB,
        LIFECYCLE,
        PLACEMENT,
        UPDATE,
    )
}
#: Those that ask something of placement.
PLACING = tuple(name for name, kind in POLICY_TYPES.items() if kind.placement is not None)

_SPEC_KEYS = frozenset({"type", "version", "properties", "description"})


@dataclass(frozen=True, slots=True)
class ValidatedPolicy:
    kind: PolicyType
    properties: SpecModel

    def contribution(self) -> Contribution | None:
        """What it asks of placement; None: nothing, and never will."""
        return None if self.kind.placement is None else self.kind.placement(self.properties)


def listed_types(*, with_ours: bool) -> list[PolicyType]:
    return spec_type.listed(POLICY_TYPES, with_ours=with_ours)


def policy_type(name_version: str) -> PolicyType:
    """Raises ResourceNotFound."""
    return spec_type.the("policy_type", POLICY_TYPES, name_version)


def support_status(name: str) -> dict[str, list[dict[str, str]]]:
    return spec_type.support_status(POLICY_TYPES, name)


def validate_spec(spec: Any) -> ValidatedPolicy:
    if not isinstance(spec, Mapping):
        raise ESchema("spec: a map with type, version and properties is needed")
    kind = policy_type(f"{word(spec, 'type', ESchema)}-{word(spec, 'version', ESchema)}")
    unknown = sorted(str(key)[:80] for key in spec if key not in _SPEC_KEYS)
    if unknown:
        raise ESchema(
            f"spec: {', '.join(map(repr, unknown))} is not known; a spec has type, version, properties and, if you like, "
            f"description"
        )
    if spec.get("description") is not None:
        word(spec, "description", ESchema)
    if spec.get("properties") is None:
        raise ESchema("spec.properties: this is required: a map of the policy type's properties")
    try:
        properties = kind.properties.model_validate(spec["properties"])
    except ValidationError as error:
        text = explain(error, kind.properties, "properties")
        raise (InvalidSpec(text) if _contradictions_alone(error) else ESchema(text)) from error
    _refuse_later_keys(kind, properties)
    return ValidatedPolicy(kind, properties)


def _refuse_later_keys(kind: PolicyType, properties: SpecModel) -> None:
    """Raises: ESchema, for keys that only later versions of the type have."""
    for key in sorted(properties.model_fields_set):
        version = since(kind.properties.model_fields[key])
        if version is not None and version > kind.version:
            raise ESchema(
                f"properties.{key}: {kind.name} has it from version {version} on, and the specification's is {kind.version}; "
                f"leave it out, or say version {version}"
            )


def _contradictions_alone(error: ValidationError) -> bool:
    """Whether every value is allowed by itself."""
    raised = [detail.get("ctx", {}).get("error") for detail in error.errors(include_url=False)]
    return all(isinstance(one, Contradiction) for one in raised)
