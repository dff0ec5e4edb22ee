"""What a profile type is.

Guaranteed: a ``ProfileType`` is a constant; rendering it gives the documents of ``GET /profile-types``; comparing two
validated property maps says, per top-level property, what a change takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError

from spinney.domain.dialect import render
from spinney.domain.schema import Kind, SpecModel, explain, one_of, to_map
from spinney.domain.support import Support as Support  # every profile type needs it beside what is here
from spinney.domain.support import entries
from spinney.errors import BadRequest

#: What a request context of OpenStack may carry. Nothing of it is used for containers and hosts.
CONTEXT_KEYS = (
    "api_version",
    "auth_token",
    "auth_token_info",
    "auth_url",
    "domain_id",
    "domain_name",
    "is_admin",
    "password",
    "project_domain_id",
    "project_domain_name",
    "project_id",
    "project_name",
    "read_only",
    "region_name",
    "request_id",
    "roles",
    "show_deleted",
    "trusts",
    "user_domain_id",
    "user_domain_name",
    "user_id",
    "user_name",
)

Context = Annotated[Mapping[Annotated[str, one_of(*CONTEXT_KEYS)], Any], Kind("Map", to_map)]


class ProfileProperties(SpecModel):
    """What every profile type has. Subclasses say in which way each property may change."""

    #: Changed on the living object, without making it anew.
    in_place: ClassVar[frozenset[str]] = frozenset()
    #: Never changed by an update.
    fixed: ClassVar[frozenset[str]] = frozenset({"context"})

    context: Context = Field(
        default_factory=dict,
        description="Request context overrides, e.g. region_name. Kept, and not used by this type.",
    )


class OperationParameters(SpecModel):
    """Parameters of one operation; this one takes none."""

    def inputs(self) -> dict[str, Any]:
        """The parameters as the engine takes them: canonical, and without those not given."""
        return self.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True, slots=True)
class Operation:
    description: str
    parameters: type[OperationParameters] = OperationParameters


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two property maps of one type, by what it takes to get there."""

    in_place: frozenset[str] = frozenset()
    recreate: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileType:
    name: str
    version: str
    summary: str
    properties: type[ProfileProperties]
    support_status: tuple[Support, ...]
    operations: Mapping[str, Operation]
    #: Not one of Senlin's: left out of lists unless the caller speaks Spinney's own API version.
    ours: bool = False
    #: Nodes of this type are containers, and need hosts.
    contained: bool = False
    #: Nodes of this type can be named as hosts.
    hosts: bool = False

    @property
    def name_version(self) -> str:
        return f"{self.name}-{self.version}"

    def schema(self) -> dict[str, Any]:
        """The properties in the API's schema dialect."""
        return render(self.properties, lambda name: name not in self.properties.fixed)

    def operations_schema(self) -> dict[str, Any]:
        return {
            name: {"description": operation.description, "parameters": render(operation.parameters, None)}
            for name, operation in self.operations.items()
        }

    def support(self) -> dict[str, list[dict[str, str]]]:
        """This version's entry of the ``support_status`` map."""
        return {self.version: entries(self.support_status)}

    def operation_parameters(self, operation: str, parameters: Any) -> dict[str, Any]:
        """What to do the operation with. Raises BadRequest for an unknown operation or unfit parameters."""
        known = self.operations.get(operation)
        if known is None:
            available = ", ".join(sorted(self.operations)) or "none at all"
            raise BadRequest(f"{self.name_version} has no operation '{operation[:80]}'; it has {available}.")
        try:
            return known.parameters.model_validate({} if parameters is None else parameters).inputs()
        except ValidationError as error:
            raise BadRequest(explain(error, known.parameters, operation)) from error

    def compare(self, old: ProfileProperties, new: ProfileProperties) -> Changes:
        """What an update from one validated map to another takes."""
        names = self.properties.model_fields
        changed = frozenset(name for name in names if getattr(old, name) != getattr(new, name))
        refused = changed & self.properties.fixed
        in_place = changed & self.properties.in_place
        return Changes(in_place=in_place, recreate=changed - refused - in_place, refused=refused)
