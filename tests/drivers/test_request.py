"""What is sent to create a container: everything asked for, and never what would be a way out of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.container import (
    ContainerRequest,
    Healthcheck,
    ImageRequest,
    NetworkRequest,
    PublishedPort,
    Ulimit,
)
from spinney.drivers.docker.request import DEFAULT_CAPABILITIES, capabilities, create_body, network_body
from spinney.errors import ContainerRefused

NETWORK = NetworkRequest("spinney-net", "10.1.2.0/24", {"io.spinney.project": "p"})

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
some_words = st.lists(words, max_size=3).map(tuple)
capability = st.sampled_from(["NET_ADMIN", "CAP_SYS_ADMIN", "chown", "KILL", "ALL", "all", "cap_all"])
ports = st.builds(
    PublishedPort,
    container_port=st.integers(1, 65535),
    host_port=st.none() | st.integers(1, 65535),
    protocol=st.sampled_from(["tcp", "udp", "sctp"]),
    host_ip=words,
)
requests = st.builds(
    ContainerRequest,
    name=words,
    labels=st.dictionaries(words, words, max_size=3),
    image=st.builds(ImageRequest, words),
    command=st.none() | some_words,
    entrypoint=st.none() | some_words,
    environment=st.dictionaries(words, words, max_size=3),
    working_dir=st.none() | words,
    user=st.none() | words,
    hostname=st.none() | words,
    cpu_limit=st.none() | st.floats(0.01, 1000),
    cpu_reservation=st.none() | st.floats(0, 1000),
    memory_limit=st.none() | st.integers(0, 2**50),
    memory_reservation=st.none() | st.integers(0, 2**50),
    ulimits=st.lists(st.builds(Ulimit, words, st.integers(0, 9), st.integers(0, 9)), max_size=2).map(tuple),
    gpus=st.integers(-1, 8),
    restart_on_failure=st.none() | st.integers(0, 10),
    healthcheck=st.none() | st.builds(Healthcheck, test=some_words),
    tmpfs=st.dictionaries(words, words, max_size=2),
    cap_add=st.lists(capability, max_size=3).map(tuple),
    cap_drop=st.lists(capability, max_size=3).map(tuple),
    network=st.none() | st.just(NETWORK),
    ports=st.lists(ports, max_size=4).map(tuple),
    log_options=st.dictionaries(words, words, max_size=2),
)

FIELDS = {
    *("Image", "Labels", "Env", "Tty", "OpenStdin", "StopTimeout", "ExposedPorts", "HostConfig", "Cmd", "Entrypoint"),
    *("WorkingDir", "User", "Hostname", "StopSignal", "Healthcheck"),
}
HOST_FIELDS = {
    *("Privileged", "PublishAllPorts", "AutoRemove", "IpcMode", "NetworkMode", "CapDrop", "CapAdd", "SecurityOpt"),
    *("PidsLimit", "Init", "ReadonlyRootfs", "RestartPolicy", "LogConfig", "PortBindings", "Ulimits", "Tmpfs"),
    *("NanoCpus", "CpuShares", "Memory", "MemorySwap", "MemoryReservation", "DeviceRequests"),
}


@given(requests)
def test_nothing_asked_for_leads_out_of_the_container(request: ContainerRequest) -> None:
    try:
        body = json.loads(json.dumps(create_body(request)))
    except ContainerRefused:
        assert any(name.upper().removeprefix("CAP_") == "ALL" for name in request.cap_add)
        return
    host: dict[str, Any] = body["HostConfig"]
    assert set(body) <= FIELDS
    assert set(host) <= HOST_FIELDS
    assert (host["Privileged"], host["PublishAllPorts"], host["IpcMode"]) == (False, False, "private")
    assert host["NetworkMode"] in ("none", NETWORK.name)
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges:true"])
    assert "ALL" not in host["CapAdd"]
    assert host["PidsLimit"] == request.pids_limit
    assert host["RestartPolicy"]["Name"] == "no" or host["RestartPolicy"]["MaximumRetryCount"] > 0
    assert set(host["PortBindings"]) == set(body["ExposedPorts"])
    assert all(set(one) == {"Driver", "Count", "Capabilities"} for one in host.get("DeviceRequests", []))


def test_everything_asked_for_is_sent() -> None:
    request = ContainerRequest(
        name="n",
        labels={"a": "b"},
        image=ImageRequest("registry.example/i:1"),
        command=("run", "it"),
        entrypoint=("/entry",),
        environment={"KEY": "a=b"},
        working_dir="/w",
        user="1000:1000",
        hostname="h",
        cpu_limit=1.5,
        cpu_reservation=0.001,
        memory_limit=1 << 30,
        memory_reservation=1 << 29,
        ulimits=(Ulimit("nofile", 10, 20),),
        gpus=-1,
        restart_on_failure=2,
        healthcheck=Healthcheck(("CMD", "true"), 1.5, 2.0, 0.5, 4),
        stop_signal="SIGUSR1",
        stop_timeout=7,
        read_only=True,
        tmpfs={"/t": "size=1m"},
        network=NETWORK,
        ports=(PublishedPort(80, 8080), PublishedPort(80, 8081, "tcp", "127.0.0.1"), PublishedPort(53, None, "udp")),
        log_driver="local",
        log_options={"max-size": "1m"},
    )
    body = create_body(request)
    host = body.pop("HostConfig")
    assert body == {
        "Image": "registry.example/i:1",
        "Labels": {"a": "b"},
        "Env": ["KEY=a=b"],
        "Tty": False,
        "OpenStdin": False,
        "StopTimeout": 7,
        "StopSignal": "SIGUSR1",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Cmd": ["run", "it"],
        "Entrypoint": ["/entry"],
        "WorkingDir": "/w",
        "User": "1000:1000",
        "Hostname": "h",
        "Healthcheck": {
            "Test": ["CMD", "true"],
            "Interval": 1_500_000_000,
            "Timeout": 2_000_000_000,
            "StartPeriod": 500_000_000,
            "Retries": 4,
        },
    }
    assert host["PortBindings"] == {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "8081"}],
        "53/udp": [{"HostIp": "0.0.0.0", "HostPort": ""}],
    }
    assert (host["NanoCpus"], host["CpuShares"], host["Memory"]) == (1_500_000_000, 2, 1 << 30)
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 10, "Hard": 20}]
    assert host["DeviceRequests"] == [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert (host["ReadonlyRootfs"], host["Tmpfs"]) == (True, {"/t": "size=1m"})
    assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "1m"}}


def test_zero_retries_are_none_and_not_for_ever() -> None:
    body = create_body(ContainerRequest("n", {}, ImageRequest("i"), restart_on_failure=0))
    assert body["HostConfig"]["RestartPolicy"]["Name"] == "no"


def test_a_disabled_health_check_is_only_that() -> None:
    body = create_body(ContainerRequest("n", {}, ImageRequest("i"), healthcheck=Healthcheck(("NONE",))))
    assert body["Healthcheck"] == {"Test": ["NONE"]}


@pytest.mark.parametrize(
    ("add", "drop", "kept"),
    [
        ((), (), sorted(DEFAULT_CAPABILITIES)),
        ((), ("ALL",), []),
        (("net_raw",), ("all",), ["NET_RAW"]),
        (("CAP_NET_RAW",), DEFAULT_CAPABILITIES[1:], ["CHOWN", "NET_RAW"]),
    ],
)
def test_capabilities_are_a_short_list(add: tuple[str, ...], drop: tuple[str, ...], kept: list[str]) -> None:
    assert capabilities(add, drop) == kept


def test_a_project_network_is_a_bridge_with_its_own_subnet() -> None:
    body = network_body(NETWORK)
    assert (body["Driver"], body["IPAM"]["Config"]) == ("bridge", [{"Subnet": "10.1.2.0/24"}])
    assert body["Labels"] == NETWORK.labels
