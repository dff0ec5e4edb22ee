"""Docker engines as hosts, and which hosts a container profile may name."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.credential import CredentialType
from spinney.errors import InvalidSpec, ResourceInUse
from spinney.profiles.docker_host import DOCKER_HOST, DockerHostProperties
from spinney.profiles.hosts import (
    EVERYBODY,
    ClusterFacts,
    NodeFacts,
    Pins,
    can_host,
    check_hosts,
    check_not_pinned,
    pins,
)
from spinney.profiles.registry import PROFILE_TYPES, validate_spec

HOST = "host.docker-1.0"
CONTAINER = "container.dockerinc.docker-1.0"


def properties(**given: Any) -> DockerHostProperties:
    found = validate_spec({"type": "host.docker", "version": "1.0", "properties": given}).properties
    assert isinstance(found, DockerHostProperties)
    return found


def refusal(**given: Any) -> str:
    with pytest.raises(InvalidSpec) as caught:
        properties(**given)
    return caught.value.message


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
        ("tcp://Host.Example.org:2376", "tcp://host.example.org:2376"),
        ("tcp://[2001:db8::1]:2376/", "tcp://[2001:db8::1]:2376"),
        ("ssh://ops@10.0.0.5", "ssh://ops@10.0.0.5:22"),
        ("SSH://ops@h:2222", "ssh://ops@h:2222"),
    ],
)
def test_endpoints(given: str, endpoint: str) -> None:
    assert properties(endpoint=given, credential="c").endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "/var/run/docker.sock",
        "unix://var/run/docker.sock",
        "unix:///",
        "unix:///a/../b",
        "unix:///a//b",
        "unix:///a?x",
        "tcp://h",
        "tcp://h:0",
        "tcp://h:99999",
        "tcp://u@h:1",
        "tcp://h:1/path",
        "tcp://a b:1",
        "tcp://h\t:1",
        "tcp://[::1:1",
        "tcp://h\\@x:1",
        "ssh://h",
        "ssh://-oProxyCommand=x@h",
        "ssh://u@-oProxyCommand",
        "http://h:2375",
        "npipe:////./pipe/docker",
        5,
    ],
)
def test_endpoints_refused(endpoint: object) -> None:
    assert refusal(endpoint=endpoint, credential="c").startswith("properties.endpoint: ")


@pytest.mark.parametrize("endpoint", ["ssh://root:hunter2@h", "ssh://root:hunter2@h:99999", "ssh://root:hunter2 @h"])
def test_no_message_repeats_a_password(endpoint: str) -> None:
    assert "hunter2" not in refusal(endpoint=endpoint)


def uncredited(*defaults: CredentialType, **given: Any) -> str:
    with pytest.raises(InvalidSpec) as caught:
        properties(**given).check_credentials(defaults)
    return caught.value.message


def test_plain_tcp_is_refused() -> None:
    assert "properties.credential: a tcp endpoint needs a credential" in uncredited(endpoint="tcp://h:2375")
    machines = [
        {"endpoint": "unix:///s"},
        {"endpoint": "tcp://h:2376", "credential": "c"},
        {"endpoint": "tcp://i:2376"},
    ]
    assert "properties.inventory[2].credential" in uncredited(inventory=machines)
    assert "name one of type docker-ssh" in uncredited(CredentialType.DOCKER_TLS, endpoint="ssh://u@h")


def test_a_default_credential_is_one() -> None:
    properties(endpoint="tcp://h:2376").check_credentials({CredentialType.DOCKER_TLS})
    properties(endpoint="ssh://u@h").check_credentials({CredentialType.DOCKER_SSH})
    properties(endpoint="unix:///s").check_credentials(())


def test_exactly_one_of_endpoint_and_inventory() -> None:
    assert "both missing" in refusal(zone="z")
    assert "both given" in refusal(endpoint="ssh://u@h", inventory=[{"endpoint": "ssh://u@i"}])
    assert "properties.inventory: an empty list" in refusal(inventory=[])


def test_overrides_of_an_adoption_may_be_null() -> None:
    found = properties(
        endpoint="ssh://u@h", labels={}, zone=None, region=None, credential=None, capacity=None, metrics_url=None
    )
    assert (found.zone, found.capacity) == (None, None)


def test_an_inventory_takes_what_is_said_beside_it() -> None:
    found = properties(
        labels={"disk": "ssd", "rack": 1},
        zone="z1",
        credential="tls",
        inventory=[
            {"name": "a", "endpoint": "tcp://a:2376", "labels": {"rack": 2}},
            {"name": "b", "endpoint": "tcp://b:2376", "zone": "z2", "capacity": {"cpu": 4, "memory": "8g"}},
        ],
    )
    a, b = found.machines()
    assert (a.labels, a.zone, a.credential) == ({"disk": "ssd", "rack": "2"}, "z1", "tls")
    assert (b.labels, b.zone, b.capacity and b.capacity.memory) == ({"disk": "ssd", "rack": "1"}, "z2", 8 * 1024**3)


def test_one_endpoint_is_one_machine() -> None:
    (machine,) = properties(endpoint="ssh://u@h", region="r", labels={"a": "b"}).machines()
    assert (machine.endpoint, machine.region, machine.labels) == ("ssh://u@h:22", "r", {"a": "b"})


@pytest.mark.parametrize("key", ["name", "endpoint"])
def test_machines_of_an_inventory_are_distinct(key: str) -> None:
    machines = [{"name": "a", "endpoint": "ssh://u@a"}, {"name": "b", "endpoint": "ssh://u@b"}]
    machines[1][key] = machines[0][key]
    assert f"properties.inventory[1].{key}: " in refusal(inventory=machines)


@pytest.mark.parametrize("url", ["ftp://h/x", "http://u:p@h/", "http:///x", "h:9100/metrics", "http://h:x/"])
def test_metrics_urls_refused(url: str) -> None:
    assert refusal(endpoint="ssh://u@h", metrics_url=url).startswith("properties.metrics_url: ")


@pytest.mark.parametrize("key", ["host_node", "host_cluster"])
def test_only_container_profiles_name_hosts(key: str) -> None:
    assert f"properties.{key}: only container profiles have it" in refusal(endpoint="ssh://u@h", **{key: "x"})


# --- the rules of host_node and host_cluster that need looked-up objects ----------------------------------------------

OURS = ClusterFacts(id="c1", profile_type=HOST, project="p1")
FOREIGN = ClusterFacts(id="c2", profile_type=HOST, project="p2")
SHARED = ClusterFacts(id="c3", profile_type=HOST, project="p2", shared_with=frozenset({"p1"}))
PUBLIC = ClusterFacts(id="c4", profile_type=HOST, project="p2", shared_with=frozenset({EVERYBODY}))
WEB = ClusterFacts(id="c5", profile_type=CONTAINER, project="p1")


def host(cluster: ClusterFacts | None, project: str = "p1", profile_type: str = HOST) -> NodeFacts:
    return NodeFacts(id="n1", profile_type=profile_type, project=project, cluster=cluster)


def why(node: NodeFacts | None, cluster: ClusterFacts | None, *, both: bool = False) -> str:
    named = Pins("h" if node or both else None, "c" if cluster or both else None)
    with pytest.raises(InvalidSpec) as caught:
        check_hosts(named, project="p1", node=node, cluster=cluster)
    return caught.value.message


@pytest.mark.parametrize(
    ("node", "cluster"),
    [
        (host(None), None),
        (host(OURS), OURS),
        (None, OURS),
        (None, SHARED),
        (None, PUBLIC),
        (host(SHARED, "p2"), SHARED),
        (host(PUBLIC, "p2"), None),
    ],
)
def test_hosts_that_may_be_named(node: NodeFacts | None, cluster: ClusterFacts | None) -> None:
    check_hosts(Pins(node and "h", cluster and "c"), project="p1", node=node, cluster=cluster)


@pytest.mark.parametrize("cluster", [SHARED, None])
def test_a_host_has_to_be_a_member_of_the_cluster_named_beside_it(cluster: ClusterFacts | None) -> None:
    assert "'h' is not a member of the host cluster 'c'" in why(host(cluster), OURS)


def test_what_is_named_has_to_be_a_host() -> None:
    assert "'h' is not a host" in why(host(None, profile_type=CONTAINER), None)
    assert "'c' is not a host cluster" in why(None, WEB)


def test_an_absent_object_and_a_foreign_one_get_the_same_answer() -> None:
    with pytest.raises(InvalidSpec) as absent_node:
        check_hosts(Pins(host_node="h"), project="p1", node=None, cluster=None)
    assert why(host(FOREIGN, "p2"), None) == absent_node.value.message
    with pytest.raises(InvalidSpec) as absent_cluster:
        check_hosts(Pins(host_cluster="c"), project="p1", node=None, cluster=None)
    assert why(None, FOREIGN) == absent_cluster.value.message


def test_a_share_revoked_is_a_share_no_more() -> None:
    revoked = ClusterFacts(id="c3", profile_type=HOST, project="p2")
    assert "could not be found" in why(None, revoked)
    assert "could not be found" in why(host(revoked, "p2"), None)


def test_which_types_can_host() -> None:
    assert {name for name in PROFILE_TYPES if can_host(name)} == {DOCKER_HOST.name_version}
    assert not can_host("os.magnum.cluster-1.0")


def test_pins_are_what_a_container_profile_names() -> None:
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": {"image": "x", "host_cluster": "c"}}
    assert pins(validate_spec(spec)) == Pins(None, "c")
    machine = validate_spec({"type": "host.docker", "version": "1.0", "properties": {"endpoint": "ssh://u@h"}})
    assert pins(machine) == Pins()


def test_what_is_pinned_is_not_deleted() -> None:
    check_not_pinned("Host 'h1'", [], 0)
    for own, others, told in (
        (["profile web"], 0, "it is used by profile web;"),
        ([], 3, "it is in use by others;"),
        (["profile web"], 3, "used by profile web, and in use by others;"),
        ([f"node n{n}" for n in range(7)], 0, "node n4 and 2 more of yours;"),
    ):
        with pytest.raises(ResourceInUse) as caught:
            check_not_pinned("Host 'h1'", own, others)
        assert told in caught.value.message
        assert "3" not in caught.value.message.replace("n3", "")
