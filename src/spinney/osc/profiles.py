"""``openstack cluster profile …`` and ``openstack cluster policy …``: specifications, and the types they are of."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, ClassVar

from spinney.osc.columns import Column, Row, Support
from spinney.osc.families import Answer, Delete, List, Show
from spinney.osc.parsing import flag, given, pairs, pairs_flag, spec_file
from spinney.osc.wire import Api

_COLUMNS = (Column("id", is_id=True), Column("name"), Column("type"), Column("created_at"))
_FILTERS = ("name", "type")
_SORTS = ("type", "name", "created_at", "updated_at")
_SPEC = flag("--spec-file", required=True, help="File of YAML or JSON with type, version and properties.")
_METADATA = pairs_flag("--metadata", "Metadata of the profile.")


class ListProfiles(List):
    """List profiles."""

    path, columns, filters, sort_keys = "profiles", _COLUMNS, _FILTERS, _SORTS


class ShowProfile(Show):
    """Show a profile."""

    path, noun = "profiles", "profile"


class CreateProfile(Show):
    """Create a profile."""

    path, noun, about = "profiles", "profile-name", "Name of the profile to create."
    flags = (_SPEC, _METADATA)

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = given(name=named, spec=spec_file(args.spec_file), metadata=pairs(args.metadata) or None)
        return api.change("POST", self.path, body={"profile": body})


class UpdateProfile(Show):
    """Change the name or metadata of a profile."""

    path, noun = "profiles", "profile"
    flags = (
        flag("--name", help="New name."),
        pairs_flag("--metadata", "New metadata, instead of all there is; '{}' for none."),
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = given(name=args.name, metadata=None if args.metadata is None else pairs(args.metadata))
        return api.change("PATCH", self.path, named, body={"profile": body})


class DeleteProfiles(Delete):
    """Delete profiles."""

    path, noun = "profiles", "profile"


class ListPolicies(List):
    """List policies."""

    path, columns, filters, sort_keys = "policies", _COLUMNS, _FILTERS, _SORTS


class ShowPolicy(Show):
    """Show a policy."""

    path, noun = "policies", "policy"


class CreatePolicy(Show):
    """Create a policy."""

    path, noun, about = "policies", "name", "Name of the policy to create."
    flags = (_SPEC,)

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        return api.change("POST", self.path, body={"policy": {"name": named, "spec": spec_file(args.spec_file)}})


class UpdatePolicy(Show):
    """Change the name of a policy."""

    path, noun = "policies", "policy"
    flags = (flag("--name", help="New name."),)

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        return api.change("PATCH", self.path, named, body={"policy": given(name=args.name)})


class DeletePolicies(Delete):
    """Delete policies."""

    path, noun = "policies", "policy"


class _Validate(Answer):
    """Check a specification."""

    path: ClassVar[str]
    noun: ClassVar[str]
    flags = (_SPEC,)

    def answer(self, api: Api, args: Namespace) -> Row:
        body: dict[str, Any] = {self.noun: {"spec": spec_file(args.spec_file)}}
        return api.change("POST", self.path, "validate", body=body)


class ValidateProfile(_Validate):
    """Check the specification of a profile."""

    path, noun = "profiles", "profile"


class ValidatePolicy(_Validate):
    """Check the specification of a policy."""

    path, noun = "policies", "policy"


class _Types(List):
    columns = (Column("name"), Column("version"), Column("support_status", shape=Support))
    pages = projects = ids = False


class ListProfileTypes(_Types):
    """List the types of profiles."""

    path = "profile-types"


class ListPolicyTypes(_Types):
    """List the types of policies."""

    path = "policy-types"


class _ShowType(Show):
    noun, about = "type-name", "Type and version, as in senlin.policy.scaling-1.0."

    @property
    def formatter_default(self) -> str:
        return "yaml"


class ShowProfileType(_ShowType):
    """Show what properties a type of profiles has."""

    path, noun, about = "profile-types", "name-version", "Type and version, as in container.dockerinc.docker-1.0."


class ShowPolicyType(_ShowType):
    """Show what properties a type of policies has."""

    path = "policy-types"


class ShowProfileTypeOperations(_ShowType):
    """Show what operations nodes of a type have."""

    path, about = "profile-types", ShowProfileType.about

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        return {"operations": api.one(self.path, named, "ops")}
