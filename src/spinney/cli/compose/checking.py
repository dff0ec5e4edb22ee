"""The service's own models asked about what was made of a file, so that what they refuse is told with its place in the file.

The service asks them again; a newer one may know more than this client.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from spinney.cli.compose.draft import Draft, Path
from spinney.cli.compose.places import Faults, Spot
from spinney.domain.schema import SpecModel
from spinney.domain.schema import faults as faults_of
from spinney.errors import SpinneyError
from spinney.policies import registry
from spinney.profiles.container import ContainerProperties

_STEP = re.compile(r"\.?([^.\[\]]+)|\[([0-9]+)\]")


def check_profile(draft: Draft, at: Spot, faults: Faults) -> dict[str, Any]:
    """The properties in their canonical spelling; as they are when something is wrong with them."""
    given: dict[str, Any] = draft.value(("profile",))
    try:
        return ContainerProperties.model_validate(given).given()
    except ValidationError as error:
        _tell(error, ContainerProperties, draft, ("profile",), at, faults)
        return given


def check_policy(draft: Draft, inside: Path, spec: Any, at: Spot, faults: Faults) -> bool:
    """``inside``: where its properties come from."""
    try:
        registry.validate_spec(spec)
    except SpinneyError as error:
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            kind = registry.policy_type(f"{spec['type']}-{spec['version']}")
            _tell(cause, kind.properties, draft, inside, at, faults)
        else:
            faults.add(at, error.message)
        return False
    return True


def _tell(error: ValidationError, model: type[SpecModel], draft: Draft, root: Path, at: Spot, faults: Faults) -> None:
    for path, says in faults_of(error, model):
        steps = steps_of(path)
        where = draft.at((*root, *steps)) if steps else None
        faults.add(where or at, says if where is not None or not path else f"{path.lstrip('.')}: {says}")


def steps_of(path: str) -> Path:
    """``ports[0].host`` as its steps."""
    return tuple(int(number) if number else name for name, number in _STEP.findall(path))
