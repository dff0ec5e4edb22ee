"""What the deployment allows its tenants, as configured: one value, the same for the API and for engines.

``making_fault`` and ``grant_faults`` are pure. The API asks when something is asked for, an engine again before each container
is made, because rules, grants and projects may have changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from spinney.config import Settings
from spinney.domain.grant import Grant, Grants
from spinney.domain.identity import Caller
from spinney.domain.image_rule import ImageRule, pattern
from spinney.domain.quota import RESOURCES, Amounts, unlimited
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_request import ContainerDefaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowances:
    """``limits``: quotas of projects for which nothing else is set."""

    limits: Amounts = field(default_factory=unlimited)
    images: ImageRule = ImageRule()
    grants: Grants = field(default_factory=dict)
    containers: ContainerDefaults = ContainerDefaults()
    #: The image that the operator gave for load balancers: no image rule is about it.
    own_image: str = ""


def allowances(settings: Settings, grants: Grants) -> Allowances:
    """As configured. Where Keystone keeps the limits, a project whose limits were never read may add nothing.

    Raises: ValueError with what is wrong.
    """
    quota, images = settings.quota, settings.images
    for text in images.allow:
        try:
            pattern(text)
        except ValueError as error:
            raise ValueError(f"[images] allow: {error}") from error
    local = quota.driver == "local"
    return Allowances(
        limits={name: float(getattr(quota, name)) if local else 0.0 for name in RESOURCES},
        images=ImageRule(images.allow or None, images.require_digest, images.pin),
        grants=grants,
        containers=ContainerDefaults(
            **{
                item.name: getattr(settings.container, item.name)
                for item in fields(ContainerDefaults)
                if hasattr(settings.container, item.name)
            }
        ),
    )


def named_grants(spec: Mapping[str, Any]) -> Sequence[str]:
    """Those of a container profile that was accepted once."""
    properties = spec.get("properties")
    found = properties.get("grants") if isinstance(properties, Mapping) else None
    return [str(name) for name in found] if isinstance(found, list | tuple) else []


def refused_to(caller: Caller, names: Sequence[str], grants: Grants) -> list[str]:
    """Those of the grants that the caller must not use, or that there are not: which of the two is not told."""
    return [name for name in names if name not in grants or not grants[name].given_to(caller)]


def making_fault(properties: ContainerProperties, project: str, rule: ImageRule, grants: Grants) -> str | None:
    """Why no container of the profile may be made now; None: one may."""
    reason = rule.fault(properties.image)
    if reason is not None:
        return f"image rules: {reason}; update the node to a profile with an image that is allowed, or ask an operator"
    gone = [name for name in properties.grants if not _open(grants.get(name), project)]
    if gone:
        return (
            f"the grant {gone[0]} is not given to this project any more: use a profile without it, or ask an operator"
        )
    return None


def _open(grant: Grant | None, project: str) -> bool:
    return grant is not None and grant.open_to(project)
