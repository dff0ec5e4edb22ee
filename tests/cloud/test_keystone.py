"""Who is let in by tokens of a real Keystone, and as whom, through HTTP and through openstacksdk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import openstack
import pytest

from cloud.conftest import Service
from cloud.keystone import PASSWORD, Answer, Keystone, configuration
from system.running import Program

pytestmark = pytest.mark.integration


def refused(answer: Answer, status: int, *words: str) -> bool:
    message = answer.body["error"]["message"]
    assert answer.status == answer.body["code"] == status, answer
    assert all(word in message for word in words), message
    return True


def unauthorized(answer: Answer, keystone: Keystone) -> bool:
    assert answer.headers["www-authenticate"] == f'Keystone uri="{keystone.url}"'
    return refused(answer, 401, "X-Auth-Token")


def eventually(look: Callable[[], Answer], status: int) -> Answer:
    """Not longer than a token is remembered and a test may take."""
    deadline = time.monotonic() + 30
    while True:
        answer = look()
        if answer.status == status:
            return answer
        assert time.monotonic() < deadline, answer


@pytest.mark.parametrize("role", ["admin", "manager", "member", "reader", "service", "guest"])
@pytest.mark.parametrize("project", ["alpha", "beta"])
def test_each_role_may_do_what_is_its_own(keystone: Keystone, service: Service, project: str, role: str) -> None:
    token = keystone.token(f"{project}-{role}", project)
    listing = service.ask(token)
    if role in ("guest", "service"):
        refused(listing, 403, "clusters:index", "reader", role)
        refused(service.ask(token, path="/v1/events"), 403, "events:index")
    else:
        assert listing.body == {"clusters": []}
    asked = {"services": service.ask(token, path="/v1/services"), "hosts": service.ask(token, "GET", "/v1/credentials")}
    assert (asked["services"].status == 200) == (role in ("admin", "service"))
    assert (asked["hosts"].status == 200) == (role == "admin")
    everywhere = service.ask(token, path="/v1/clusters?global_project=true")
    assert everywhere.status == (200 if role == "admin" else 403)
    creating = service.ask(token, "POST", "/v1/policies", {"policy": {"name": "x", "spec": {}}})
    assert (creating.status == 403) == (role in ("reader", "service", "guest"))


def make_policy(service: Service, token: str) -> Answer:
    spec = {"type": "spinney.policy.placement", "version": "1.0", "properties": {}}
    return service.ask(token, "POST", "/v1/policies", {"policy": {"name": "mine", "spec": spec}})


def test_what_is_made_belongs_to_the_tokens_project(keystone: Keystone, service: Service) -> None:
    made = make_policy(service, keystone.token("alpha-member", "alpha"))
    policy = made.body["policy"]
    assert (policy["user"], policy["project"]) == (keystone.id("user", "alpha-member"), keystone.id("project", "alpha"))
    assert policy["domain"] == "default"
    path = f"/v1/policies/{policy['id']}"
    assert service.ask(keystone.token("alpha-reader", "alpha"), path=path).status == 200
    assert service.ask(keystone.token("beta-manager", "beta"), path=path).status == 404
    assert service.ask(keystone.token("beta-admin", "beta"), path=path).status == 200


def test_no_token_and_nonsense(keystone: Keystone, service: Service) -> None:
    for token in ("", "notused", "gAAAA", "ü"):
        assert unauthorized(service.ask(token), keystone)


def test_a_revoked_token_is_refused_once_it_is_forgotten(keystone: Keystone, service: Service) -> None:
    token = keystone.token("alpha-reader", "alpha")
    assert service.ask(token).status == 200
    keystone.revoke(token)
    assert unauthorized(eventually(lambda: service.ask(token), 401), keystone)


def test_an_expired_token_is_refused_at_once(keystone: Keystone, service: Service) -> None:
    token = keystone.token("alpha-reader", "alpha", short=True)
    assert unauthorized(eventually(lambda: service.ask(token), 401), keystone)


def test_a_service_may_carry_on_with_an_expired_token(keystone: Keystone, service: Service) -> None:
    token = keystone.token("alpha-member", "alpha", short=True)
    eventually(lambda: service.ask(token), 401)
    helper = keystone.token("spinney", "service")
    assert service.ask(token, X_Service_Token=helper).body == {"clusters": []}
    assert unauthorized(service.ask(token, X_Service_Token=keystone.token("beta-member", "beta")), keystone)
    assert unauthorized(service.ask(token), keystone)


def test_tokens_that_are_for_no_project(keystone: Keystone, service: Service) -> None:
    identity = {
        "methods": ["password"],
        "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": PASSWORD}},
    }
    admin, domain = keystone.id("user", "admin"), {"domain": {"id": "default"}}
    keystone.ask("PUT", f"/domains/default/users/{admin}/roles/{keystone.id('role', 'admin')}")
    for scope, word in ((domain, "a domain"), ({"system": {"all": True}}, "the system"), ("unscoped", "no scope")):
        answer = service.ask(keystone.sign_in(identity, scope))
        assert refused(answer, 403, word, "OS_PROJECT_NAME")


def test_a_disabled_user_is_out(keystone: Keystone, service: Service) -> None:
    user = keystone.user("leaver", "alpha", "reader")
    token = keystone.token("leaver", "alpha")
    assert service.ask(token).status == 200
    keystone.ask("PATCH", f"/users/{user}", {"user": {"enabled": False}})
    assert unauthorized(eventually(lambda: service.ask(token), 401), keystone)


def test_an_application_credential_has_the_roles_it_was_given(keystone: Keystone, service: Service) -> None:
    made = keystone.application_credential("alpha-member", "alpha", roles=[{"name": "member"}])
    assert make_policy(service, keystone.credential_token(made)).status == 201


def test_access_rules_of_a_credential_are_held_for_each_request(keystone: Keystone, service: Service) -> None:
    rules = [{"path": "/v1/clusters", "method": "GET", "service": "clustering"}]
    made = keystone.application_credential("beta-member", "beta", access_rules=rules)
    token = keystone.credential_token(made)
    for _ in range(2):
        assert service.ask(token).body == {"clusters": []}
        assert unauthorized(service.ask(token, path="/v1/nodes"), keystone)
        assert unauthorized(make_policy(service, token), keystone)


def test_a_trust_lets_its_trustee_act_for_the_trustor(keystone: Keystone, service: Service) -> None:
    trust = keystone.trust("beta-member", "spinney", "beta", "member")
    made = make_policy(service, keystone.trust_token(trust, "spinney")).body["policy"]
    assert (made["user"], made["project"]) == (keystone.id("user", "beta-member"), keystone.id("project", "beta"))


def test_many_requests_at_a_time_with_one_new_token(keystone: Keystone, service: Service) -> None:
    token, seen = keystone.token("alpha-reader", "alpha"), []
    threads = [threading.Thread(target=lambda: seen.append(service.ask(token).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200] * 8


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_openstacksdk_finds_the_service_in_the_catalogue(keystone: Keystone, service: Service) -> None:
    with openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_url=keystone.url,
        username="alpha-member",
        password=PASSWORD,
        project_name="alpha",
        user_domain_id="default",
        project_domain_id="default",
        region_name="RegionOne",
        clustering_default_microversion="1.14",
    ) as cloud:
        assert cloud.clustering.get_endpoint() == f"{service.url}/v1"
        made = cloud.clustering.create_policy(
            name="through", spec={"type": "spinney.policy.placement", "version": "1.0", "properties": {}}
        )
        assert cloud.clustering.get_policy(made.id).project_id == keystone.id("project", "alpha")


@pytest.mark.parametrize("change", [{"auth_url": "http://127.0.0.1:1/v3"}, {"password": "wrong"}])
def test_when_keystone_cannot_be_asked_nothing_is_said_of_the_token(
    keystone: Keystone, tmp_path: Path, change: dict[str, str]
) -> None:
    file = tmp_path / "spinney.conf"
    file.write_text(configuration(keystone, **change))
    program = Program(tmp_path, "api", "--state-dir", str(tmp_path / "s"), "--config-file", str(file), "--port", "0")
    try:
        service = Service(program.until_says(r"spinney ready: (http://\S+)/v1"), program, tmp_path)
        answer = service.ask(keystone.token("alpha-member", "alpha"))
        assert refused(answer, 503, "identity service") and "www-authenticate" not in answer.headers
    finally:
        program.terminate()


def test_no_cloud_file_is_left_where_the_catalogue_leads_to_the_service(service: Service) -> None:
    assert not (service.folder / "state/clouds.yaml").exists()
    assert PASSWORD not in service.program.output
