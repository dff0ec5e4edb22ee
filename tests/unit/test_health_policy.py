"""What health policies say, what is seen of members, and what follows from it: tables of cases."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from spinney.config import HealthSettings
from spinney.domain.container import Container, ContainerState
from spinney.domain.health import Ailment, Diagnosis, RestartPolicy, changed_at, recovery
from spinney.domain.health_rules import BreakerRules, Detect, HealthRules, Mode, Operation, UrlCheck
from spinney.domain.health_sights import (
    WELL,
    Says,
    Sight,
    ill,
    of_answer,
    of_container,
    of_docker_health,
    of_host,
    of_probes,
    of_silence,
    unknown,
    url_for,
    verdict,
)
from spinney.domain.host import HostState
from spinney.domain.node import Node, PowerState
from spinney.domain.probe_spec import Role
from spinney.errors import ESchema, InvalidSpec
from spinney.policies.health import HealthProperties, health_rules
from spinney.policies.registry import validate_spec

NODE = Node(id="n", name="web-1", profile_id="p", physical_id="c", ready=True)
SETTINGS = HealthSettings()
ILL, UNKNOWN = ill("it is ill"), unknown("nobody knows")
POLL, EVENTS = Mode(Detect.NODE_STATUS_POLLING), Mode(Detect.LIFECYCLE_EVENTS)


def a_container(state: ContainerState = ContainerState.RUNNING, **values: Any) -> Container:
    return Container(id="c", name="c", labels={}, image="i", state=state, **values)


def rules_of(
    type_: str = "spinney.policy.health", version: str = "1.0", recovery: Any = None, **detection: Any
) -> HealthRules:
    properties = {"detection": detection, "recovery": recovery or {}}
    found = validate_spec({"type": type_, "version": version, "properties": properties}).properties
    assert isinstance(found, HealthProperties)
    return health_rules(found)


# --- what is said -----------------------------------------------------------------------------------------------------


def test_what_a_policy_of_senlin_comes_to() -> None:
    url = {"poll_url": "https://{nodename}.example/health", "poll_url_retry_interval": 20, "poll_url_ssl_verify": False}
    found = rules_of(
        "senlin.policy.health", "1.2",
        interval=100000, node_update_timeout=7, recovery_conditional="ALL_FAILED",
        detection_modes=[{"type": "NODE_STATUS_POLLING"}, {"type": "NODE_STATUS_POLL_URL", "options": url}],
        recovery={"actions": [{"name": "REBOOT"}], "fencing": ["COMPUTE"], "node_force_recreate": True},
    )  # fmt: skip
    check = UrlCheck("https://{nodename}.example/health", verify=False, attempts=3, pause=20)
    assert found == HealthRules(
        interval=3600,
        grace=7,
        every=True,
        modes=(POLL, Mode(Detect.NODE_STATUS_POLL_URL, check)),
        operation=Operation.REBOOT,
        fenced=True,
        forced=True,
    )
    assert check.timeout == 2.0 and not found.prompt


def test_what_is_ours() -> None:
    found = rules_of(
        detection_modes=[{"type": "LIFECYCLE_EVENTS"}, {"type": "PROBES", "options": {"probes": ["ready"]}}],
        recovery={"actions": [{"name": "NOTIFY"}], "circuit_breaker": {"failed": "4", "window": 60, "trial_after": 5}},
    )
    assert found.prompt and found.polled == (Mode(Detect.PROBES, probes=frozenset({Role.READY})),)
    assert found.operation is Operation.NOTIFY and found.breaker == BreakerRules("4", 60, 5)
    assert rules_of().operation is Operation.RECREATE and rules_of().prompt and not rules_of().polled


@pytest.mark.parametrize(
    ("type_", "detection", "recovery", "error", "says"),
    [
        ("senlin", {"detection_modes": [{"type": "PROBES"}]}, {}, ESchema, "'PROBES'"),
        ("senlin", {}, {"actions": [{"name": "NOTIFY"}]}, ESchema, "'NOTIFY'"),
        ("senlin", {}, {"circuit_breaker": {}}, ESchema, "circuit_breaker"),
        ("senlin", {"detection_modes": [{"type": "NODE_STATUS_POLL_URL"}]}, {}, InvalidSpec, "poll_url.*not given"),
        (
            "senlin",
            {"detection_modes": [{"type": "NODE_STATUS_POLLING"}, {"type": "LIFECYCLE_EVENTS"}]},
            {},
            InvalidSpec,
            "spinney.policy.health takes both",
        ),
        (
            "spinney",
            {"detection_modes": [{"type": "NODE_STATUS_POLL_URL", "options": {"poll_url": "file:///etc/passwd"}}]},
            {},
            InvalidSpec,
            "http or https URL",
        ),
        (
            "spinney",
            {"detection_modes": [{"type": "NODE_STATUS_POLL_URL", "options": {"poll_url": "http://{nodenam}/"}}]},
            {},
            InvalidSpec,
            "{nodenam} stands for nothing: write {nodename}",
        ),
        ("spinney", {}, {"circuit_breaker": {"failed": "101%"}}, ESchema, "circuit_breaker.failed"),
        ("spinney", {}, {"circuit_breaker": {"fails": 3}}, ESchema, "fails"),
    ],
)
def test_what_is_refused(type_: str, detection: Any, recovery: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        rules_of(f"{type_}.policy.health", "1.0", recovery, **detection)


# --- what is seen -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "policy", "says"),
    [
        (a_container(), RestartPolicy.ALWAYS, Says.WELL),
        (None, RestartPolicy.ALWAYS, Says.ILL),
        (a_container(ContainerState.EXITED, exit_code=1), RestartPolicy.ALWAYS, Says.ILL),
        (a_container(ContainerState.EXITED, exit_code=0), RestartPolicy.ON_FAILURE, Says.WELL),
        (a_container(ContainerState.EXITED, exit_code=3), RestartPolicy.ON_FAILURE, Says.ILL),
        (a_container(ContainerState.EXITED, exit_code=3), RestartPolicy.NEVER, Says.WELL),
        (a_container(ContainerState.PAUSED), RestartPolicy.ALWAYS, Says.ILL),
        (a_container(health="unhealthy"), RestartPolicy.ALWAYS, Says.ILL),
        (a_container(health="starting"), RestartPolicy.ALWAYS, Says.WELL),
    ],
)
def test_what_the_docker_engine_has(container: Container | None, policy: RestartPolicy, says: Says) -> None:
    assert of_container(NODE, container, policy).says is says
    assert of_container(replace(NODE, physical_id=None), None, policy).text == "it has no container"


@pytest.mark.parametrize(
    ("container", "says"),
    [
        (a_container(), Says.WELL),
        (a_container(health="healthy"), Says.WELL),
        (a_container(health="unhealthy"), Says.ILL),
        (None, Says.WELL),
    ],
)
def test_what_its_health_check_says(container: Container | None, says: Says) -> None:
    assert of_docker_health(container).says is says


@pytest.mark.parametrize(
    ("state", "looks", "says"),
    [
        (HostState.READY, 0, Says.WELL),
        (HostState.DRAINING, 0, Says.WELL),
        (HostState.SUSPECT, 1, Says.UNKNOWN),
        (HostState.SUSPECT, 2, Says.ILL),
        (HostState.LOST, 0, Says.ILL),
        (None, 0, Says.ILL),
    ],
)
def test_what_its_host_says(state: HostState | None, looks: int, says: Says) -> None:
    assert of_host(state, looks).says is says


@pytest.mark.parametrize(
    ("ailment", "ready", "roles", "says"),
    [
        ("", True, "alive", Says.WELL),
        ("its alive probe failed: 500", True, "started alive", Says.ILL),
        ("its alive probe failed: 500", True, "started", Says.WELL),
        ("its started probe did not pass in time: no", True, "started", Says.ILL),
        ("", False, "started alive", Says.WELL),
        ("", False, "ready", Says.ILL),
    ],
)
def test_what_its_probes_say(ailment: str, ready: bool, roles: str, says: Says) -> None:
    named = frozenset(Role(word) for word in roles.split())
    assert of_probes(ailment, replace(NODE, ready=ready), named).says is says


@pytest.mark.parametrize(
    ("expected", "status", "body", "says"),
    [
        ("", 200, b"", Says.WELL),
        ("", 204, b"", Says.WELL),
        ("", 302, b"", Says.ILL),
        ("", 503, b"", Says.ILL),
        ("^ok$", 200, b"ok", Says.WELL),
        ("ok", 200, b"all is ok here", Says.WELL),
        ("^ok$", 200, b"not ok", Says.ILL),
    ],
)
def test_what_its_url_answers(expected: str, status: int, body: bytes, says: Says) -> None:
    assert of_answer(UrlCheck("http://a/", expected=expected), status, body).says is says


def test_silence_of_a_url_is_ill_or_unknown_as_the_policy_says() -> None:
    assert of_silence(UrlCheck("http://a/"), "nothing answers there").says is Says.ILL
    assert of_silence(UrlCheck("http://a/", errors_count=False), "nothing answers there").says is Says.UNKNOWN


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("web-1", "http://web-1.example/h?n=web-1"),
        ("a/../b", "http://a%2F..%2Fb.example/h?n=a%2F..%2Fb"),
        ("x@evil#", "http://x%40evil%23.example/h?n=x%40evil%23"),
    ],
)
def test_a_name_stays_within_its_place_in_the_url(name: str, url: str) -> None:
    assert url_for(UrlCheck("http://{nodename}.example/h?n={nodename}"), name) == url


@pytest.mark.parametrize(
    ("sights", "anyone", "everyone"),
    [
        ([WELL], Says.WELL, Says.WELL),
        ([ILL], Says.ILL, Says.ILL),
        ([UNKNOWN], Says.UNKNOWN, Says.UNKNOWN),
        ([ILL, WELL], Says.ILL, Says.WELL),
        ([ILL, UNKNOWN], Says.ILL, Says.UNKNOWN),
        ([WELL, UNKNOWN], Says.UNKNOWN, Says.WELL),
        ([ILL, ILL], Says.ILL, Says.ILL),
        ([], Says.WELL, Says.WELL),
    ],
)
def test_what_all_sights_come_to(sights: list[Sight], anyone: Says, everyone: Says) -> None:
    assert verdict(sights, every=False).says is anyone
    assert verdict(sights, every=True).says is everyone


# --- what is done -----------------------------------------------------------------------------------------------------

_ENDED = Diagnosis(Ailment.ENDED, "it ended")


@pytest.mark.parametrize(
    ("operation", "sick", "policy", "done"),
    [
        (Operation.REBOOT, _ENDED, RestartPolicy.ALWAYS, "REBOOT"),
        (Operation.REBUILD, _ENDED, RestartPolicy.ALWAYS, "REBUILD"),
        (Operation.RECREATE, _ENDED, RestartPolicy.ALWAYS, "RECREATE"),
        (Operation.NOTIFY, _ENDED, RestartPolicy.ALWAYS, None),
        (Operation.RECREATE, _ENDED, RestartPolicy.NEVER, None),
        (Operation.REBOOT, Diagnosis(Ailment.GONE, ""), RestartPolicy.ALWAYS, "REBUILD"),
        (Operation.RECREATE, Diagnosis(Ailment.GONE, ""), RestartPolicy.NEVER, "RECREATE"),
        (Operation.RECREATE, Diagnosis(Ailment.WRONG_POWER, ""), RestartPolicy.ALWAYS, "REBOOT"),
        (Operation.NOTIFY, Diagnosis(Ailment.WRONG_POWER, ""), RestartPolicy.ALWAYS, None),
        (Operation.REBOOT, Diagnosis(Ailment.UNHEALTHY, ""), RestartPolicy.NEVER, "REBOOT"),
    ],
)
def test_which_recovery_a_policy_wants(
    operation: Operation, sick: Diagnosis, policy: RestartPolicy, done: str | None
) -> None:
    rules = HealthRules(60, operation=operation)
    found = recovery(rules, NODE, sick, policy=policy, settings=SETTINGS, now=1000.0)
    assert (None if found is None else found.operation) == done


@pytest.mark.parametrize(
    ("modes", "pause", "waits"),
    [
        # Seen at once: delays grow until the good period is over.
        ((EVENTS,), 0.0, [0, 1, 2, 4, 8, 16, 32, 64, 120, 120]),
        ((EVENTS,), SETTINGS.good_period, [0, 0, 0]),
        # Polled once in 60 s with 300 s of grace: that it is still ill is no good period.
        ((POLL,), 360.0, [0, 1, 2, 4]),
        ((POLL,), 420.0, [0, 0, 0]),
    ],
)
def test_recoveries_in_a_row_come_ever_later_until_a_good_period(
    modes: tuple[Mode, ...], pause: float, waits: list[int]
) -> None:
    rules, node, now = HealthRules(60, grace=300, modes=modes, operation=Operation.REBOOT), NODE, 0.0
    found = []
    for _ in waits:
        ordered = recovery(rules, node, _ENDED, policy=RestartPolicy.ALWAYS, settings=SETTINGS, now=now)
        assert ordered is not None
        found.append(round(ordered.at - now))
        node = replace(node, repairs=ordered.repairs, repaired_at=ordered.at)
        now = ordered.at + pause
    assert found == waits
    assert all(a <= b for a, b in pairwise(found))


def test_a_change_of_a_node_is_its_latest() -> None:
    assert changed_at(replace(NODE, init_at=1.0)) == 1.0
    assert changed_at(replace(NODE, init_at=1.0, created_at=2.0, updated_at=9.0, placed_at=5.0)) == 9.0
    assert PowerState.RUNNING is NODE.power
