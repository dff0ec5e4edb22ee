"""Who may do what: rule -> the roles of which one is enough.

Guaranteed: a rule that is not in the table allows nobody. Whose objects are meant is decided elsewhere: here it is only asked
whether the caller may do such a thing at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from spinney.domain.identity import Caller
from spinney.errors import Forbidden

ADMIN = frozenset({"admin"})
MEMBER = frozenset({"admin", "member"})
READER = frozenset({"admin", "member", "reader"})
NOBODY: frozenset[str] = frozenset()


def _rules() -> Mapping[str, frozenset[str]]:
    by_roles = {
        READER: (
            "build_info:build_info profile_types:index profile_types:get profile_types:ops policy_types:index "
            "policy_types:get profiles:index profiles:get policies:index policies:get clusters:index clusters:get "
            "clusters:collect cluster_policies:index cluster_policies:get nodes:index nodes:get receivers:index "
            "receivers:get actions:index actions:get events:index events:get api:openapi hosts:index hosts:get "
            "nodes:placement nodes:stats clusters:stats clusters:shared shares:index shares:get"
        ),
        MEMBER: (
            "profiles:create profiles:update profiles:delete profiles:validate policies:create policies:validate "
            "policies:update policies:delete "
            "clusters:create clusters:update clusters:delete clusters:action clusters:operation nodes:create "
            "nodes:adopt nodes:adopt_preview nodes:update nodes:delete nodes:action nodes:operation actions:update "
            "nodes:logs clusters:logs clusters:plan shares:create shares:delete"
        ),
        ADMIN: (
            "services:index hosts:register hosts:action credentials:index credentials:get credentials:create "
            "credentials:update credentials:delete"
        ),
        NOBODY: "actions:create",
    }
    return {rule: roles for roles, rules in by_roles.items() for rule in rules.split()}


RULES = _rules()


def require(caller: Caller, rule: str) -> None:
    """Raises: Forbidden."""
    roles = RULES.get(rule, NOBODY)
    if roles.isdisjoint(caller.roles):
        needed = f"one of the roles {', '.join(sorted(roles))} is needed" if roles else "nobody may do it"
        has = ", ".join(sorted(caller.roles)) or "none"
        raise Forbidden(f"{rule} is not allowed: {needed}, and the caller has {has}.")
