"""Who may do what, as the deployment is delivered: rule -> the roles of which one is enough.

The roles are the community's: a reader looks, a member works with the project's things, a manager decides on behalf of the
project (today: who else may use its hosts), an admin operates the service. Each may also do what the one before may; that is
written out here and does not rely on the identity service. ``service`` is what other services of the cloud have: it tells
them of this service and lets them through where they are part of a function, and opens no project's things.

Guaranteed: a rule that is not in the table allows nobody. Whose objects are meant is decided elsewhere: here it is only said
whether the caller may do such a thing at all. ``rules`` applies this, and what an operator changed of it.
"""

from __future__ import annotations

from collections.abc import Mapping

ADMIN = frozenset({"admin"})
MANAGER = ADMIN | {"manager"}
MEMBER = MANAGER | {"member"}
READER = MEMBER | {"reader"}
SERVICE = ADMIN | {"service"}
#: A reader, or another service: about this service itself, nothing of anybody.
ABOUT = READER | SERVICE
NOBODY: frozenset[str] = frozenset()
#: Also without authentication; the handler sees to what is needed.
EVERYBODY = frozenset({"*"})

#: Who may act beyond the own project: see everything by its id, and list with global_project.
IS_ADMIN = "context_is_admin"


def _rules() -> Mapping[str, frozenset[str]]:
    by_roles = {
        ABOUT: (
            "build_info:build_info profile_types:index profile_types:get profile_types:ops policy_types:index "
            "policy_types:get api:openapi"
        ),
        READER: (
            "profiles:index profiles:get policies:index policies:get clusters:index clusters:get "
            "clusters:collect cluster_policies:index cluster_policies:get nodes:index nodes:get receivers:index "
            "receivers:get actions:index actions:get events:index events:get hosts:index hosts:get "
            "runs:index runs:get nodes:placement nodes:stats clusters:stats clusters:scaling_decisions clusters:metrics "
            "clusters:balancers "
            "clusters:shared shares:index shares:get "
            "secrets:index secrets:get quotas:get image_rules:get grants:index clusters:revisions"
        ),
        MEMBER: (
            "profiles:create profiles:update profiles:delete profiles:validate policies:create policies:validate "
            "policies:update policies:delete "
            "clusters:create clusters:update clusters:delete clusters:action clusters:operation nodes:create "
            "nodes:adopt nodes:adopt_preview nodes:update nodes:delete nodes:action nodes:operation actions:update "
            "secrets:create secrets:update secrets:delete "
            "nodes:exec nodes:logs clusters:logs clusters:plan "
            "receivers:create receivers:update receivers:delete receivers:notify receivers:rotate"
        ),
        MANAGER: "shares:create shares:delete",
        ADMIN: (
            "quotas:update quotas:delete image_rules:update image_rules:delete "
            "context_is_admin hosts:register hosts:action credentials:index credentials:get credentials:create "
            "credentials:update credentials:delete"
        ),
        SERVICE: "services:index",
        NOBODY: "actions:create",
        EVERYBODY: "webhooks:trigger",
    }
    return {rule: roles for roles, rules in by_roles.items() for rule in rules.split()}


RULES = _rules()

#: Rules of no route of their own: what each is about, and the requests in which it is asked as well.
FURTHER: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    IS_ADMIN: ("Act beyond the own project: use anything by its id, list with global_project", ()),
    "hosts:register": (
        "Register a host, by adopting it or by a profile of type host.docker",
        (("POST", "nodes/adopt"), ("POST", "nodes/adopt-preview"), ("POST", "profiles"), ("POST", "profiles/validate")),
    ),
}
