"""All profile types, and the validation of whole specifications.

A new type is one module of this package and one entry of ``PROFILE_TYPES``.

Guaranteed: ``validate_spec`` is pure and total over JSON values: it returns a ``ValidatedProfile`` or raises ESchema (no
type or version), ResourceNotFound (unknown type) or InvalidSpec (anything else). Not guaranteed: that what the
specification names exists; ``hosts.check_hosts`` decides that from looked-up facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from spinney.domain import spec_type
from spinney.domain.cluster import Cluster
from spinney.domain.schema import explain
from spinney.domain.spec_type import word
from spinney.errors import InvalidSpec
from spinney.policies.attaching import Target
from spinney.policies.base import Members
from spinney.profiles.base import ProfileProperties, ProfileType
from spinney.profiles.container import CONTAINER, ContainerProperties
from spinney.profiles.docker_host import DOCKER_HOST

PROFILE_TYPES: Mapping[str, ProfileType] = {kind.name_version: kind for kind in (CONTAINER, DOCKER_HOST)}

_SPEC_KEYS = frozenset({"type", "version", "properties"})


@dataclass(frozen=True, slots=True)
class ValidatedProfile:
    type: str
    version: str
    properties: ProfileProperties

    @property
    def name_version(self) -> str:
        return f"{self.type}-{self.version}"


def listed_types(*, with_ours: bool) -> list[ProfileType]:
    return spec_type.listed(PROFILE_TYPES, with_ours=with_ours)


def profile_type(name_version: str) -> ProfileType:
    """Raises ResourceNotFound."""
    return spec_type.the("profile_type", PROFILE_TYPES, name_version)


def attach_target(name_version: str, spec: Any, cluster: Cluster) -> Target:
    """The cluster, with a profile of that type and specification, as policies see it."""
    kind = PROFILE_TYPES.get(name_version)
    members = None
    if kind is not None:
        members = Members.CONTAINERS if kind.contained else Members.HOSTS if kind.hosts else None
    sizes = (cluster.min_size, cluster.max_size, cluster.desired_capacity)
    return Target(name_version, members, *sizes, partial(restarts, spec))


def restarts(spec: Any) -> str | None:
    """The restart_policy of what is made from the specification; None: it has none."""
    properties = validate_spec(spec).properties
    return properties.restart_policy.condition if isinstance(properties, ContainerProperties) else None


def support_status(name: str) -> dict[str, list[dict[str, str]]]:
    return spec_type.support_status(PROFILE_TYPES, name)


def validate_spec(spec: Any) -> ValidatedProfile:
    if not isinstance(spec, Mapping):
        raise InvalidSpec("spec: a map with type, version and properties is needed")
    kind = profile_type(f"{word(spec, 'type', InvalidSpec)}-{word(spec, 'version', InvalidSpec)}")
    unknown = sorted(str(key)[:80] for key in spec if key not in _SPEC_KEYS)
    if unknown:
        raise InvalidSpec(
            f"spec: {', '.join(map(repr, unknown))} is not known; a spec has type, version and properties"
        )
    if spec.get("properties") is None:
        raise InvalidSpec("spec.properties: this is required: a map of the profile type's properties")
    try:
        properties = kind.properties.model_validate(spec["properties"])
    except ValidationError as error:
        raise InvalidSpec(explain(error, kind.properties, "properties")) from error
    return ValidatedProfile(kind.name, kind.version, properties)
