"""What a Docker engine is asked for, from what a profile says."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.container import ContainerRequest, Healthcheck, NetworkRequest, PublishedPort, PullPolicy, Ulimit
from spinney.errors import InvalidSpec
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_request import (
    ContainerDefaults,
    NodeIdentity,
    Reservation,
    check_ceilings,
    container_name,
    container_request,
    fixed_ports,
    reservation,
)
from spinney.profiles.container_values import DEFAULT_CAPABILITIES

MIB = 1024**2
DEFAULTS = ContainerDefaults()
NODE = NodeIdentity("0123456789abcdef", "web-1", "c1", "p1", 4)
BRIDGE = NetworkRequest("spinney-p1", "10.7.0.0/24", {})


def properties(**more: Any) -> ContainerProperties:
    return ContainerProperties.model_validate({"image": "nginx", "host_cluster": "hosts", **more})


def request(**more: Any) -> ContainerRequest:
    return container_request(properties(**more), node=NODE, deployment="d1", network=BRIDGE, defaults=DEFAULTS)


def test_a_silent_profile_gets_the_operators_limits() -> None:
    made = request()
    assert (made.cpu_limit, made.cpu_reservation) == (1.0, 0.1)
    assert (made.memory_limit, made.memory_reservation) == (512 * MIB, 64 * MIB)
    assert (made.pids_limit, made.stop_timeout, made.init, made.read_only) == (512, 10, True, False)
    assert (made.log_driver, made.log_options) == ("json-file", {"max-size": "10m", "max-file": "3"})
    assert (made.network, made.ports, made.cap_add, made.cap_drop) == (BRIDGE, (), (), ())
    assert (made.command, made.entrypoint, made.restart_on_failure, made.healthcheck) == (None, None, None, None)


def test_labels_and_name_tell_whose_it_is() -> None:
    made = request(labels={"team": "a"})
    assert made.name == "web-1.01234567.4"
    assert made.labels == {
        "team": "a",
        "io.spinney.deployment": "d1",
        "io.spinney.project": "p1",
        "io.spinney.cluster": "c1",
        "io.spinney.node": "0123456789abcdef",
        "io.spinney.generation": "4",
    }


@pytest.mark.parametrize(
    ("prefix", "node_name", "name"),
    [
        ("web", "n", "web-n.01234567.4"),
        (None, "森林~1", "c___1.01234567.4"),
        ("-x y", "n", "c-x_y-n.01234567.4"),
        (None, "a.b_c", "a.b_c.01234567.4"),
    ],
)
def test_names_are_those_docker_takes(prefix: str | None, node_name: str, name: str) -> None:
    node = NodeIdentity(NODE.node_id, node_name, "", "p1", 4)
    assert container_name(properties(**({} if prefix is None else {"name": prefix})), node) == name


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, Reservation(0.1, 64 * MIB)),
        ({"cpu": 2, "memory": "1g"}, Reservation(2.0, 1024 * MIB)),
        ({"cpu": {"limit": 0.05}, "memory": {"limit": "16m"}}, Reservation(0.05, 16 * MIB)),
        ({"cpu": {"reservation": 3}, "memory": {"reservation": "2g"}}, Reservation(3.0, 2048 * MIB)),
    ],
)
def test_reservations(given: dict[str, Any], wanted: Reservation) -> None:
    assert reservation(properties(**given), DEFAULTS) == wanted


def test_a_limit_that_is_not_given_grows_with_the_reservation() -> None:
    made = request(cpu={"reservation": 3}, memory={"reservation": "2g"})
    assert (made.cpu_limit, made.memory_limit) == (3.0, 2048 * MIB)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cpu": 65}, "properties.cpu.reservation: 65.0 is not allowed: the operator allows 64.0 cores"),
        ({"memory": {"limit": "1t"}}, "properties.memory.limit"),
        ({"pids_limit": 40000}, "properties.pids_limit: 40000 is not allowed: the operator allows 32768"),
        ({"gpu": 17}, "properties.gpu: 17"),
    ],
)
def test_the_operators_ceilings(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        check_ceilings(properties(**given), DEFAULTS)
    assert told in caught.value.message


def test_a_profile_older_than_a_lower_ceiling_is_held_to_it() -> None:
    made = request(cpu=1000, memory="1t", pids_limit=4000000)
    assert (made.cpu_limit, made.cpu_reservation) == (64.0, 64.0)
    assert (made.memory_limit, made.memory_reservation) == (256 * 1024 * MIB, 256 * 1024 * MIB)
    assert made.pids_limit == 32768


@pytest.mark.parametrize(("policy", "retries"), [("always", None), ("none", None), ("on-failure:7", 7)])
def test_docker_restarts_only_on_failure(policy: str, retries: int | None) -> None:
    assert request(restart_policy=policy).restart_on_failure == retries


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ("nginx", "nginx:latest"),
        ("localhost:5000/nginx", "localhost:5000/nginx:latest"),
        ("nginx:1", "nginx:1"),
        ("nginx@sha256:" + "a" * 64, "nginx@sha256:" + "a" * 64),
    ],
)
def test_an_image_without_tag_is_the_latest(image: str, reference: str) -> None:
    assert request(image=image).image.reference == reference


def test_the_image_request() -> None:
    image = request(pull_policy="always", platform="linux/arm64", registry_credential="hub").image
    assert (image.policy, image.platform, image.credential) == (PullPolicy.ALWAYS, "linux/arm64", "hub")


def test_everything_given_arrives() -> None:
    made = request(
        command="a 'b c'",
        entrypoint=["/e"],
        environment={"A": 1},
        working_dir="/w",
        user="u",
        hostname="h",
        ulimits={"nofile": 9},
        gpu="all",
        healthcheck={"test": "t", "interval": 5},
        stop_signal="INT",
        stop_timeout=0,
        init=False,
        read_only=True,
        tmpfs={"/t": "4m"},
    )
    assert (made.command, made.entrypoint, made.environment) == (("a", "b c"), ("/e",), {"A": "1"})
    assert (made.working_dir, made.user, made.hostname, made.gpus) == ("/w", "u", "h", -1)
    assert made.ulimits == (Ulimit("nofile", 9, 9),)
    assert made.healthcheck == Healthcheck(("CMD-SHELL", "t"), interval=5.0)
    assert (made.stop_signal, made.stop_timeout, made.init, made.read_only) == ("SIGINT", 0, False, True)
    assert made.tmpfs == {"/t": "rw,noexec,nosuid,nodev,size=4194304,mode=1777,uid=0,gid=0"}


def test_an_empty_command_is_the_images_own_and_an_empty_entry_point_is_none() -> None:
    made = request(command="", entrypoint="")
    assert (made.command, made.entrypoint) == (None, ())


def test_a_switched_off_health_check() -> None:
    assert request(healthcheck={"disable": True}).healthcheck == Healthcheck(("NONE",))


def test_dropping_all_capabilities_keeps_those_added() -> None:
    made = request(cap_drop=["ALL"], cap_add=["NET_BIND_SERVICE"])
    assert made.cap_add == ("NET_BIND_SERVICE",)
    assert set(made.cap_drop) == set(DEFAULT_CAPABILITIES) - {"NET_BIND_SERVICE"}


def test_logs_that_are_not_kept_have_no_options() -> None:
    assert request(log="none").log_options == {}
    options = request(log={"driver": "local", "options": {"max-file": 5}}).log_options
    assert options == {"max-size": "10m", "max-file": "5"}


def test_ports_and_those_that_need_one_port_of_the_host() -> None:
    given = properties(ports=["80", "127.0.0.1:53:53/udp"])
    fixed = PublishedPort(53, 53, "udp", "127.0.0.1")
    assert fixed_ports(given) == (fixed,)
    assert request(ports=["80", "127.0.0.1:53:53/udp"]).ports == (PublishedPort(80), fixed)


def test_without_a_network_there_is_neither_network_nor_port() -> None:
    assert request(network="none").network is None
    unconnected = container_request(
        properties(ports=["80"]), node=NODE, deployment="d", network=None, defaults=DEFAULTS
    )
    assert (unconnected.network, unconnected.ports) == (None, ())
