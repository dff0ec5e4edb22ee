"""What a container profile may say, and how it is refused otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.schema import normalised
from spinney.errors import InvalidSpec
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_refusals import CONTAINER_REFUSALS
from spinney.profiles.container_values import ADDABLE_CAPABILITIES, ULIMIT_CEILINGS
from spinney.profiles.registry import validate_spec

MIB = 1024**2


def properties(**more: Any) -> ContainerProperties:
    given = {"image": "nginx", "host_node": "h1", **more}
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": given}
    found = validate_spec(spec).properties
    assert isinstance(found, ContainerProperties)
    return found


def refusal(**more: Any) -> str:
    with pytest.raises(InvalidSpec) as caught:
        properties(**more)
    return caught.value.message


@pytest.mark.parametrize(
    "old",
    [
        {"image": "hello-world", "host_node": "my_node"},
        {
            "image": "hello-world",
            "name": "docker_container",
            "command": "/bin/sleep 30",
            "port": 2375,
            "host_node": "fake",
        },
        {"image": "hello-world", "context": {"region_name": "RegionOne"}, "host_cluster": "c", "port": "2375"},
        {"image": "ubuntu:14.04", "command": "", "host_node": "n", "host_cluster": "c"},
        {"image": "x", "host_node": "8cbac8cf-571b-41bd-bf27-fb1a4bce73d7", "host_cluster": None, "name": 7},
    ],
)
def test_specifications_written_for_senlin_stay_valid(old: dict[str, Any]) -> None:
    validate_spec({"type": "container.dockerinc.docker", "version": 1.0, "properties": old})


@pytest.mark.parametrize("hosts", [{}, {"host_node": None}, {"host_node": None, "host_cluster": None}])
def test_at_least_one_of_host_node_and_host_cluster(hosts: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpec, match="host_node and host_cluster are both missing"):
        validate_spec({"type": "container.dockerinc.docker", "version": "1.0", "properties": {"image": "x", **hosts}})


def test_both_of_host_node_and_host_cluster_may_be_given() -> None:
    found = properties(host_cluster="c1")
    assert (found.host_node, found.host_cluster) == ("h1", "c1")


@pytest.mark.parametrize("key", ["host_node", "host_cluster"])
def test_an_empty_host_name_is_no_name(key: str) -> None:
    assert f"properties.{key}: '' is not allowed" in refusal(**{key: ""})


@pytest.mark.parametrize(
    ("key", "given", "taken"),
    [
        ("command", "sleep 'a b'  c", ("sleep", "a b", "c")),
        ("command", ["sleep", 30, True], ("sleep", "30", "true")),
        ("command", 'sh -c "echo $HOME; # no"', ("sh", "-c", "echo $HOME; # no")),
        ("entrypoint", [], ()),
        (
            "environment",
            {"A": 1, "B_2": 1.0, "C": False, "D": "x\ny"},
            {"A": "1", "B_2": "1.0", "C": "false", "D": "x\ny"},
        ),
        ("environment", '{"A": "b"}', {"A": "b"}),
        ("labels", {"com.example/team": 7}, {"com.example/team": "7"}),
        ("pids_limit", "64", 64),
        ("init", "No", False),
        ("read_only", 1, True),
        ("gpu", "all", "all"),
        ("gpu", 2, "2"),
        ("stop_signal", "usr1", "SIGUSR1"),
        ("stop_signal", "3", "SIGQUIT"),
        ("network", "None", "none"),
        ("platform", "Linux/ARM64", "linux/arm64"),
        ("cap_add", ["cap_net_raw", "SYS_CHROOT"], ("NET_RAW", "SYS_CHROOT")),
        ("cap_drop", ["all"], ("ALL",)),
        ("cap_drop", ["CAP_SYS_ADMIN"], ("SYS_ADMIN",)),
        ("user", "1000:www-data", "1000:www-data"),
        ("stop_timeout", 3.0, 3),
    ],
)
def test_values_are_read_into_one_form(key: str, given: Any, taken: Any) -> None:
    assert getattr(properties(**{key: given}), key) == taken


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (8 * MIB, 8 * MIB),
        ("512m", 512 * MIB),
        ("512 MiB", 512 * MIB),
        ("1.5g", 1536 * MIB),
        ("2Gi", 2048 * MIB),
        ("7340032", 7 * MIB),
    ],
)
def test_sizes(given: Any, size: int) -> None:
    found = properties(memory=given).memory
    assert (found.reservation, found.limit) == (size, size)


@pytest.mark.parametrize("given", ["12 parsecs", "-1", "1e9", True, -5, 1.5, "5m", 2**60, None, "٥m"])
def test_sizes_refused(given: Any) -> None:
    assert "properties.memory" in refusal(memory=given)


def test_cpu_and_memory_as_maps() -> None:
    found = properties(cpu={"limit": "2"}, memory={"reservation": "64m", "limit": "1g"})
    assert (found.cpu.reservation, found.cpu.limit) == (None, 2.0)
    assert (found.memory.reservation, found.memory.limit) == (64 * MIB, 1024 * MIB)
    assert "the reservation (3.0) is above the limit (2.0)" in refusal(cpu={"reservation": 3, "limit": 2})
    assert "properties.memory: the reservation" in refusal(memory={"reservation": "1g", "limit": "64m"})


@pytest.mark.parametrize("given", [0, -1, "nan", "inf", 10**400, "a lot", True])
def test_cpu_refused(given: Any) -> None:
    assert "properties.cpu" in refusal(cpu=given)


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "nginx:1.27",
        "library/nginx",
        "localhost:5000/a/b_c__d-e:tag",
        "registry.example.org:5000/team/app@sha256:" + "a" * 64,
        "[2001:db8::1]:5000/x",
        "cafe",
    ],
)
def test_image_names(image: str) -> None:
    assert properties(image=image).image == image


@pytest.mark.parametrize(
    "image",
    [
        "",
        "Nginx",
        "nginx:",
        "a//b",
        "-a",
        "a b",
        "nginx\n",
        "a" * 64,
        "sha256:" + "a" * 64,
        "x" * 300,
        "http://x/y",
        None,
    ],
)
def test_image_names_refused(image: Any) -> None:
    assert refusal(image=image).startswith("properties.image: ")


@pytest.mark.parametrize(
    ("given", "port"),
    [
        (80, (80, None, "tcp", "0.0.0.0")),
        ("80", (80, None, "tcp", "0.0.0.0")),
        ("8080:80/UDP", (80, 8080, "udp", "0.0.0.0")),
        ("127.0.0.1:8080:80", (80, 8080, "tcp", "127.0.0.1")),
        ("127.0.0.1::80", (80, None, "tcp", "127.0.0.1")),
        ("[::1]:8080:80", (80, 8080, "tcp", "::1")),
        ("auto:80", (80, None, "tcp", "0.0.0.0")),
        ({"container": "80", "host": "auto"}, (80, None, "tcp", "0.0.0.0")),
        ({"container": 80, "host": None, "protocol": "sctp"}, (80, None, "sctp", "0.0.0.0")),
        ({"container": 53, "host": 53, "host_ip": "10.0.0.1"}, (53, 53, "tcp", "10.0.0.1")),
    ],
)
def test_ports(given: Any, port: tuple[Any, ...]) -> None:
    (found,) = properties(ports=[given]).ports
    assert (found.container, found.host, found.protocol, found.host_ip) == port


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"container": 80, "host": 99999},
            "properties.ports[0].host: 99999 is not allowed: a port number from 1 to 65535",
        ),
        ("80-90", "properties.ports[0].container: '80-90' is not allowed"),
        ("80/icmp", "properties.ports[0].protocol: 'icmp' is not allowed: one of tcp, udp, sctp"),
        ("host.example:1:80", "properties.ports[0].host_ip: 'host.example' is not allowed"),
        ({"container": 80, "host_ip": "fe80::1%eth0"}, "properties.ports[0].host_ip"),
        ({}, "properties.ports[0].container: this is required"),
        ({"host_port": 1, "container": 2}, "properties.ports[0].host_port: there is no such key; did you mean 'host"),
        (None, "properties.ports[0]: null is not allowed"),
        (True, "properties.ports[0]"),
    ],
)
def test_ports_refused(given: Any, told: str) -> None:
    assert told in refusal(ports=[given])


@pytest.mark.parametrize(
    "both",
    [
        ["80", "80"],
        ["8080:80", "8080:81"],
        ["127.0.0.1:53:53", "53:53"],
        ["1:80/udp", {"container": 9, "host": 1, "protocol": "udp"}],
    ],
)
def test_ports_that_clash(both: list[Any]) -> None:
    assert "properties.ports[1]: this publishes the same as ports[0]" in refusal(ports=both)


@pytest.mark.parametrize(
    "both",
    [
        ["8080:80", "8081:80"],
        ["53:53/tcp", "53:53/udp"],
        ["127.0.0.1:53:53", "127.0.0.2:53:53"],
        ["80", "81"],
        ["80", "8080:80"],
    ],
)
def test_ports_that_do_not_clash(both: list[Any]) -> None:
    assert len(properties(ports=both).ports) == 2


def test_no_ports_without_a_network() -> None:
    assert "properties.ports: network none publishes nothing" in refusal(network="none", ports=["80"])


@pytest.mark.parametrize("network", ["host", "container:abc", "default", "ns:/proc/1/ns/net"])
def test_no_network_of_others(network: str) -> None:
    assert "no container shares the network of its host" in refusal(network=network)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"/run": "64m"}, "rw,noexec,nosuid,nodev,size=67108864,mode=1777,uid=0,gid=0"),
        ({"/run": {}}, "rw,noexec,nosuid,nodev,size=67108864,mode=1777,uid=0,gid=0"),
        (["/run"], "rw,noexec,nosuid,nodev,size=67108864,mode=1777,uid=0,gid=0"),
        ({"/run": "size=4m,mode=755,exec,ro,uid=5,nosuid"}, "ro,exec,nosuid,nodev,size=4194304,mode=755,uid=5,gid=0"),
        ({"/run": {"size": 4096, "read_only": True}}, "ro,noexec,nosuid,nodev,size=4096,mode=1777,uid=0,gid=0"),
    ],
)
def test_tmpfs(given: Any, options: str) -> None:
    assert properties(tmpfs=given).tmpfs["/run"].options() == options


@pytest.mark.parametrize(
    "options", ["suid", "dev", "size=4m,suid", "bind", "mode=9999", "size=lots", "nr_inodes=5", "exec=1"]
)
def test_tmpfs_options_refused(options: str) -> None:
    assert "properties.tmpfs./run" in refusal(tmpfs={"/run": options})


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "run",
        "/proc",
        "/proc/sys",
        "/sys/fs/cgroup",
        "/dev",
        "/dev/pts",
        "/a/../proc",
        "/a//b",
        "/a/",
        "/./proc",
        "/a,b",
        "/a:b",
        "/a\x00",
    ],
)
def test_tmpfs_paths_refused(path: str) -> None:
    assert "properties.tmpfs" in refusal(tmpfs=[path])
    assert "properties.tmpfs" in refusal(tmpfs={path: {}})


def test_tmpfs_on_shared_memory_is_allowed() -> None:
    assert set(properties(tmpfs={"/dev/shm": "1g"}).tmpfs) == {"/dev/shm"}


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ("no", ("none", 3)),
        ("always", ("always", 3)),
        ("on-failure:5", ("on-failure", 5)),
        ({"condition": "on-failure"}, ("on-failure", 3)),
    ],
)
def test_restart_policies(given: Any, policy: tuple[str, int]) -> None:
    found = properties(restart_policy=given).restart_policy
    assert (found.condition, found.max_retries) == policy


@pytest.mark.parametrize(
    "given", ["unless-stopped", "on-failure:0", "always:3", {"condition": "none", "max_retries": 1}, 3]
)
def test_restart_policies_refused(given: Any) -> None:
    assert "properties.restart_policy" in refusal(restart_policy=given)


@pytest.mark.parametrize(
    ("given", "test"),
    [
        ("curl -f http://localhost", ("CMD-SHELL", "curl -f http://localhost")),
        (["curl", "-f", "http://localhost"], ("CMD", "curl", "-f", "http://localhost")),
        (["CMD", "true"], ("CMD", "true")),
        (["CMD-SHELL", "exit 0"], ("CMD-SHELL", "exit 0")),
    ],
)
def test_health_tests(given: Any, test: tuple[str, ...]) -> None:
    found = properties(
        healthcheck={"test": given, "interval": "1m30s", "timeout": "1500ms", "retries": "5"}
    ).healthcheck
    assert found is not None
    assert (found.test, found.interval, found.timeout, found.retries) == (test, 90.0, 1.5, 5)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"test": []},
        {"test": ""},
        {"test": ["CMD-SHELL", "a", "b"]},
        {"test": ["CMD"]},
        {"test": "x", "disable": True},
        {"test": "x", "interval": "soon"},
        {"test": "x", "interval": 0},
        {"test": "x", "retries": 0},
        "curl",
    ],
)
def test_healthchecks_refused(given: Any) -> None:
    assert "properties.healthcheck" in refusal(healthcheck=given)


def test_ulimits() -> None:
    found = properties(ulimits={"nofile": 1024, "core": {"soft": 0, "hard": "10"}}).ulimits
    assert {name: (limit.soft, limit.hard) for name, limit in found.items()} == {
        "nofile": (1024, 1024),
        "core": (0, 10),
    }


@pytest.mark.parametrize(
    "given",
    [
        {"rtprio": 1},
        {"nofile": -1},
        {"nofile": ULIMIT_CEILINGS["nofile"] + 1},
        {"core": {"soft": 2, "hard": 1}},
        {"core": {}},
    ],
)
def test_ulimits_refused(given: Any) -> None:
    assert "properties.ulimits" in refusal(ulimits=given)


def test_log_options_are_read() -> None:
    found = properties(log={"driver": "local", "options": {"max-size": "20m", "compress": "yes"}}).log
    assert dict(found.options) == {"max-size": "20971520", "compress": "true"}
    assert properties(log="none").log.driver == "none"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"driver": "syslog"}, "properties.log.driver: 'syslog' is not allowed: one of json-file, local, none"),
        ({"options": {"max-size": "100g"}}, "properties.log.options.max-size: '100g' is not allowed"),
        ({"options": {"max-file": 0}}, "properties.log.options.max-file"),
        ({"options": {"syslog-address": "x"}}, "json-file has no such option"),
        ({"driver": "none", "options": {"max-size": "1m"}}, "none has no such option"),
        ({"options": {"compress": True, "max-file": 1}}, "compress needs max-file of at least 2"),
        ({"options": {"max-buffer-size": "1m"}}, "goes with mode: non-blocking"),
        ({"options": {"mode": "lossy"}}, "blocking or non-blocking"),
    ],
)
def test_logs_refused(given: Any, told: str) -> None:
    assert told in refusal(log=given)


@pytest.mark.parametrize("name", ["SYS_ADMIN", "cap_net_admin", "ALL", "MKNOD", "SYS_PTRACE", ""])
def test_capabilities_never_given(name: str) -> None:
    assert name.upper().removeprefix("CAP_") not in ADDABLE_CAPABILITIES
    assert "properties.cap_add[0]" in refusal(cap_add=[name])


def test_a_capability_cannot_be_added_and_dropped() -> None:
    assert "NET_RAW is in cap_drop too" in refusal(cap_add=["NET_RAW"], cap_drop=["CAP_NET_RAW"])


@pytest.mark.parametrize("key", sorted(CONTAINER_REFUSALS))
def test_what_is_always_refused_says_why(key: str) -> None:
    for spelling in (key, key.upper(), f"{key[0]}_{key[1:]}"):
        assert normalised(spelling) == key
        assert refusal(**{spelling: "x"}) == f"properties.{spelling}: {CONTAINER_REFUSALS[key]}"


def test_refused_keys_are_no_properties() -> None:
    assert not set(CONTAINER_REFUSALS) & {normalised(name) for name in ContainerProperties.model_fields}


def test_a_misspelt_key_is_answered_with_the_nearest() -> None:
    assert "properties.imge: there is no such key; did you mean 'image'?" in refusal(imge="x")
    assert "properties.healthcheck.intervall: there is no such key; did you mean 'interval'?" in refusal(
        healthcheck={"test": "x", "intervall": 3}
    )
    assert "there are cap_add, " in refusal(zzzz=1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "a\nb"),
        ("name", ""),
        ("name", "a\x00b"),
        ("name", "\ud800"),
        ("command", "echo 'open"),
        ("command", ["a", None]),
        ("command", "a\x00"),
        ("command", "x" * 70000),
        ("environment", {"A B": "x"}),
        ("environment", {"A=B": "x"}),
        ("environment", {"": "x"}),
        ("environment", {"A": None}),
        ("environment", ["A=b"]),
        ("working_dir", "relative"),
        ("working_dir", "/a/../../etc"),
        ("user", "a:b:c"),
        ("user", "-rf"),
        ("hostname", "under_score"),
        ("hostname", "-a"),
        ("hostname", "a" * 64),
        ("labels", {"io.spinney.node": "x"}),
        ("labels", {"IO.Spinney.node": "x"}),
        ("labels", {"a": "x" * 5000}),
        ("labels", {f"k{n}": "" for n in range(101)}),
        ("context", {"colour": "red"}),
        ("port", 22),
        ("port", 80),
        ("pids_limit", -1),
        ("pids_limit", True),
        ("gpu", -1),
        ("stop_signal", "SIGSTOP"),
        ("stop_timeout", 3601),
        ("init", "perhaps"),
        ("init", 2),
        ("pull_policy", "Always!"),
        ("platform", "windows/amd64"),
        ("image", None),
        ("tmpfs", {f"/m{n}": {} for n in range(17)}),
    ],
)
def test_values_refused(key: str, value: Any) -> None:
    assert refusal(**{key: value}).startswith(f"properties.{key}")


def test_no_message_repeats_an_environment_value() -> None:
    for value in ("hunter2\x00", "hunter2" * 10000):
        assert "hunter2" not in refusal(environment={"PASSWORD": value})


def test_many_faults_are_told_together_but_not_without_end() -> None:
    message = refusal(**{f"zz{n}": n for n in range(20)})
    assert message.count("there is no such key") == 5
    assert message.endswith("and 15 more")


def test_long_values_are_shortened() -> None:
    assert len(refusal(network="x" * 10000)) < 300
