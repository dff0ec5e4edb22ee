"""Rules of who may do what: those delivered, those of a policy file, and what is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.world import StoppedClock
from spinney.api.access import FURTHER, RULES
from spinney.api.routes import ROUTES
from spinney.api.rules import PERSONAS, AccessRules, policy_files
from spinney.api.rules_sample import list_rules, sample
from spinney.domain.identity import Caller, Owner
from spinney.errors import Forbidden

#: What each role alone allows, without any other that Keystone would imply.
EXAMPLES = {
    "admin": {
        "hosts:register",
        "services:index",
        "shares:create",
        "clusters:create",
        "clusters:index",
        "context_is_admin",
    },
    "manager": {"shares:create", "clusters:create", "clusters:index"},
    "member": {"clusters:create", "clusters:index"},
    "reader": {"clusters:index"},
    "service": {"services:index"},
    "guest": set(),
}


def caller(*roles: str, user: str = "ann", project: str = "shop") -> Caller:
    return Caller(Owner(user, project), frozenset(roles))


@pytest.mark.parametrize("role", EXAMPLES)
def test_each_role_allows_what_those_below_it_do(role: str) -> None:
    rules, asked = AccessRules(), EXAMPLES["admin"]
    assert {rule for rule in asked if rules.allows(caller(role), rule)} == EXAMPLES[role]
    assert rules.admit(caller(role)).is_admin == (role == "admin")
    assert rules.allows(caller(role.upper()), "clusters:index") == ("clusters:index" in EXAMPLES[role])


def test_nobody_makes_actions_and_a_rule_that_is_not_there_allows_nobody() -> None:
    for rule in ("actions:create", "clusters:dance"):
        with pytest.raises(Forbidden, match=f"{rule} is not allowed: nobody may do it"):
            AccessRules().require(caller("admin"), rule)


def test_a_refusal_names_the_rule_and_what_is_needed() -> None:
    with pytest.raises(
        Forbidden, match=r"clusters:create .* admin, manager, member is needed, and the caller has reader\."
    ):
        AccessRules().require(caller("reader"), "clusters:create")


def test_a_file_changes_what_is_in_it_and_tells_callers_nothing_of_itself(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        '"clusters:create": "rule:ops and project_id:%(project_id)s"\n"ops": "role:ops"\n"nodes:index": "user_id:eve"\n'
    )
    rules = AccessRules([file])
    assert rules.allows(caller("ops"), "clusters:create") and not rules.allows(caller("admin"), "clusters:create")
    assert rules.allows(caller(user="eve"), "nodes:index") and not rules.allows(caller("reader"), "nodes:index")
    assert rules.allows(caller("member"), "clusters:delete")
    with pytest.raises(
        Forbidden, match="clusters:create is not allowed: this deployment has a rule of its own"
    ) as refused:
        rules.require(caller("member"), "clusters:create")
    assert "ops" not in refused.value.message


def test_who_is_admin_may_be_decided_by_the_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"context_is_admin": "role:cloud_admin"\n')
    rules = AccessRules([file])
    assert rules.admit(caller("cloud_admin")).is_admin and not rules.admit(caller("admin")).is_admin
    assert rules.allows(caller("cloud_admin"), "clusters:create") and not rules.allows(
        caller("admin"), "hosts:register"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "no map"),
        ("a: [\n", "cannot be read as YAML"),
        ('"clusters:creat": "role:ops"\n', r"no rule clusters:creat, and none uses it; did you mean clusters:create\?"),
        ('"clusters:create": "role:"\n"xyzzy": "@"\n', "no rule xyzzy.*spinney policy sample"),
        ('"clusters:create": 3\n', "clusters:create: 3 is no check"),
        ('"clusters:create": "role:a and"\n', "'role:a and' is no check"),
        ('"clusters:create": "http://opa/%(user)s"\n', "ask another server"),
        ('"clusters:create": "rule:missing"\n', "missing rules"),
        ('"clusters:create": "rule:nodes:create"\n"nodes:create": "rule:clusters:create"\n', "themselves"),
    ],
)
def test_a_file_that_cannot_mean_what_it_says_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"(?s)policy\.yaml.*{words}"):
        AccessRules([file])


def test_a_changed_file_counts_soon_and_a_bad_one_not_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, clock = tmp_path / "policy.yaml", StoppedClock()
    file.write_text("")
    rules = AccessRules([file], clock)

    def becomes(text: str) -> bool:
        file.write_text(text)
        clock.moment += 2
        return rules.allows(caller("reader"), "clusters:create")

    assert not becomes("{}\n")
    assert becomes('"clusters:create": "role:reader"\n')
    assert becomes('"clusters:create": "role:reader" and\n')
    assert "the rules before stay in force" in caplog.text
    assert not becomes('"clusters:create": "role:member"\n')
    file.unlink()
    clock.moment += 2
    assert rules.allows(caller("member"), "clusters:create")


def test_where_the_file_is_looked_for(tmp_path: Path) -> None:
    config = tmp_path / "spinney.conf"
    config.write_text("")
    assert policy_files([]) == policy_files([config]) == ()
    (tmp_path / "policy.yaml").write_text("{}")
    assert policy_files([config]) == (tmp_path / "policy.yaml",)
    (tmp_path / "policy.d").mkdir()
    (tmp_path / "policy.d/more.yaml").write_text("{}")
    assert policy_files([config]) == (tmp_path / "policy.yaml", tmp_path / "policy.d/more.yaml")
    config.write_text("[oslo_policy]\npolicy_file = other.yaml\n")
    with pytest.raises(ValueError, match=r"policy_file: .*other\.yaml does not exist"):
        policy_files([config])


def test_every_rule_is_documented_with_the_requests_it_is_about() -> None:
    documented = {rule.name: rule for rule in list_rules()}
    assert documented.keys() == RULES.keys() | PERSONAS.keys()
    told = {
        (rule.name, operation["method"], operation["path"])
        for rule in documented.values()
        for operation in getattr(rule, "operations", ())
    }
    routes = {(route.rule, route.method, f"/v1/{route.path}") for route in ROUTES}
    assert routes <= told
    assert {rule for rule, _, _ in told - routes} <= FURTHER.keys()


def test_the_sample_is_what_is_delivered() -> None:
    kept = Path(__file__).parents[2] / "deploy/policy.yaml.sample"
    assert kept.read_text() == sample(), "make it again: spinney policy sample > deploy/policy.yaml.sample"


def test_the_sample_without_its_marks_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("\n".join(line.removeprefix("#") for line in sample().splitlines() if line.startswith('#"')))
    rules, delivered = AccessRules([file]), AccessRules()
    for rule in RULES:
        for role in EXAMPLES:
            assert rules.allows(caller(role), rule) == delivered.allows(caller(role), rule)
