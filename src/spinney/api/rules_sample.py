"""Every rule, documented, as oslo.policy and its tools want them, and as a file for operators to start from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from oslo_policy import policy

from spinney.api.access import FURTHER, RULES
from spinney.api.routes import ROUTES
from spinney.api.rules import DELIVERED, PERSONAS

_HEAD = """\
# What callers may do, rule by rule, as it is without a file. Take out the # of a rule to change it; what is not
# in the file stays as it is. The service reads this file where [oslo_policy] policy_file says.
#
# A rule decides whether somebody may do such a thing at all, by the caller's roles, user_id, project_id and
# project_domain_id. Whose things they are is no matter of rules: a caller never sees another project's, except
# who fulfils context_is_admin.
"""


def list_rules() -> list[policy.DocumentedRuleDefault | policy.RuleDefault]:
    """The personas first, then a rule for each thing to do."""
    personas = [policy.RuleDefault(name, check, text) for name, (check, text) in PERSONAS.items()]
    return [*personas, *(_documented(rule) for rule in RULES if rule not in PERSONAS)]


def _documented(rule: str) -> policy.DocumentedRuleDefault:
    found = [route for route in ROUTES if route.rule == rule]
    requests = [(route.method, route.path) for route in found]
    texts = [route.summary for route in found]
    if rule in FURTHER:
        text, further = FURTHER[rule]
        texts.append(text)
        requests += further
    operations = [policy.Operation(method=method, path=f"/v1/{path}") for method, path in requests]
    return policy.DocumentedRuleDefault(rule, DELIVERED[rule], "; ".join(texts), operations, scope_types=["project"])


def sample() -> str:
    return _HEAD + "\n" + "\n\n".join("\n".join(_lines(rule)) for rule in list_rules()) + "\n"


def _lines(rule: policy.DocumentedRuleDefault | policy.RuleDefault) -> Iterator[str]:
    yield from textwrap.wrap(f"{rule.description}.", 110, initial_indent="# ", subsequent_indent="# ")
    if isinstance(rule, policy.DocumentedRuleDefault):
        for operation in rule.operations:
            yield f"# {operation['method']}  {operation['path']}"
    yield f'#"{rule.name}": "{rule.check_str}"'
