"""Whatever a profile says, Docker is never asked for what no tenant may have; judged by an oracle that knows nothing of us."""

from __future__ import annotations

import ast
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import oracle.docker_request
import oracle.profiles
from oracle.docker_request import faults
from oracle.profiles import profile
from oracle.trial import body_of, tried

#: By what is always refused, ways to ask for it: directly, by another name, by way of labels, options, paths and templates.
SPELLINGS: dict[str, list[dict[str, Any]]] = {
    "privileged": [
        {"privileged": True},
        {"Privileged": "true"},
        {"host_config": {"Privileged": True}},
        {"labels": {"privileged": "true"}},
        {"cap_add": ["ALL"]},
        {"securityContext": {"privileged": True}},
        {"user": "root --privileged"},
    ],
    "host network": [
        {"network": "host"},
        {"network": "HOST "},
        {"network_mode": "host"},
        {"NetworkMode": "host"},
        {"network": "container:0123456789ab"},
        {"network": "ns:/proc/1/ns/net"},
        {"labels": {"network": "host"}},
        {"hostNetwork": True},
    ],
    "host PID namespace": [
        {"pid": "host"},
        {"pid_mode": "host"},
        {"PidMode": "container:init"},
        {"hostPID": True},
        {"labels": {"pid": "host"}},
    ],
    "host IPC namespace": [
        {"ipc": "host"},
        {"IpcMode": "shareable"},
        {"ipc_mode": "container:other"},
        {"tmpfs": {"/dev/mqueue": {}}},
        {"labels": {"ipc": "host"}},
    ],
    "host UTS namespace": [{"uts": "host"}, {"UTSMode": "host"}, {"uts_mode": "host"}, {"hostname": "host:uts"}],
    "host user namespace": [
        {"userns": "host"},
        {"userns_mode": "host"},
        {"UsernsMode": "host"},
        {"user": "0:0:host"},
        {"group_add": ["0"]},
    ],
    "host paths": [
        {"binds": ["/:/host"]},
        {"Binds": ["/etc:/etc:ro"]},
        {"volumes": ["/:/host"]},
        {"volumes": [{"name": "data", "driver": "local", "options": {"type": "none", "o": "bind", "device": "/"}}]},
        {"mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]},
        {"tmpfs": ["/:/host"]},
        {"tmpfs": {"/data": "bind,size=1m"}},
        {"tmpfs": {"/data/../../etc": {}}},
        {"volumes_from": ["other"]},
        {"working_dir": "/srv/../../host"},
        {"labels": {"com.docker.compose.volumes": "/:/host"}},
    ],
    "the Docker socket": [
        {"volumes": ["/var/run/docker.sock:/var/run/docker.sock"]},
        {"mounts": [{"Type": "bind", "Source": "/run/docker.sock", "Target": "/s"}]},
        {"tmpfs": {"/var/run/docker.sock:/s": {}}},
        {"binds": ["/proc/1/root/run/docker.sock:/s"]},
        {"mounts": [{"Type": "npipe", "Source": "docker_engine"}]},
        {"labels": {"volumes": "/var/run/docker.sock"}},
    ],
    "devices": [
        {"devices": ["/dev/sda"]},
        {"Devices": [{"PathOnHost": "/dev/mem", "PathInContainer": "/dev/mem", "CgroupPermissions": "rwm"}]},
        {"device_cgroup_rules": ["a *:* rwm"]},
        {"device_requests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/device=all"]}]},
        {"tmpfs": {"/dev": {}}},
        {"tmpfs": {"/scratch": "dev,size=1m"}},
        {"gpu": "all,device=/dev/sda"},
        {"cap_add": ["MKNOD"]},
        {"cap_add": ["SYS_RAWIO"]},
    ],
    "seccomp off": [
        {"security_opt": ["seccomp=unconfined"]},
        {"SecurityOpt": ["apparmor:unconfined"]},
        {"seccomp": "unconfined"},
        {"apparmor": "unconfined"},
        {"labels": {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}},
        {"masked_paths": []},
        {"systempaths": "unconfined"},
        {"no_new_privileges": False},
    ],
    "foreign cgroup parent": [
        {"cgroup_parent": "/system.slice"},
        {"CgroupParent": "../../.."},
        {"cgroup": "host"},
        {"cgroupns": "host"},
        {"labels": {"cgroup_parent": "/"}},
    ],
    "shared mount propagation": [
        {"volumes": ["/srv:/srv:rshared"]},
        {"mounts": [{"Type": "bind", "Source": "/srv", "Target": "/srv", "BindOptions": {"Propagation": "rshared"}}]},
        {"tmpfs": {"/srv": "rshared"}},
        {"tmpfs": {"/srv": {"propagation": "shared"}}},
        {"tmpfs": ["/srv:rshared"]},
    ],
}
#: What a harmless request is made of beside what labels, environment and commands may say.
FREE = ("Labels", "Env", "Cmd", "Entrypoint", "Healthcheck")


@pytest.mark.parametrize(
    ("item", "more"),
    [pytest.param(item, more, id=f"{item}-{n}") for item, all in SPELLINGS.items() for n, more in enumerate(all)],
)
def test_what_is_always_refused_is_refused_in_every_spelling(item: str, more: dict[str, Any]) -> None:
    plain = body_of({"image": "busybox", "host_cluster": "metal"})
    body = body_of({"image": "busybox", "host_cluster": "metal", **more})
    assert plain is not None
    if body is None:
        return
    assert set(more) <= {"labels"}, f"{more} is taken"
    assert {key: body[key] for key in body if key not in FREE} == {key: plain[key] for key in plain if key not in FREE}


def test_each_refused_item_has_at_least_three_spellings() -> None:
    assert min(map(len, SPELLINGS.values())) >= 3
    assert len(SPELLINGS) == 12


def test_random_profiles_lead_to_no_bad_request() -> None:
    taken = 0
    for seed in range(3000):
        properties = profile(seed)
        accepted, found = tried(properties)
        assert not found, f"seed {seed}: {properties} led to {found}"
        taken += accepted
    assert taken > 1000, "too few reached the Docker engine to say anything"


BAD: list[tuple[str, Any]] = [
    ("Privileged", True),
    ("Privileged", 1),
    ("NetworkMode", "host"),
    ("NetworkMode", "container:abc"),
    ("PidMode", "host"),
    ("IpcMode", "host"),
    ("UTSMode", "host"),
    ("UsernsMode", "host"),
    ("Binds", ["/:/host"]),
    ("Mounts", [{"Type": "bind", "Source": "/", "Target": "/host"}]),
    ("Mounts", [{"Type": "volume", "Source": "spinney-x", "Target": "/x", "VolumeOptions": {"DriverConfig": {}}}]),
    ("Devices", [{"PathOnHost": "/dev/sda"}]),
    ("DeviceCgroupRules", ["a *:* rwm"]),
    ("SecurityOpt", ["no-new-privileges:true", "seccomp=unconfined"]),
    ("CgroupParent", "/system.slice"),
    ("CapAdd", ["SYS_ADMIN"]),
    ("CapDrop", []),
    ("RestartPolicy", {"Name": "always", "MaximumRetryCount": 0}),
    ("Tmpfs", {"/proc": "size=1,nosuid,nodev"}),
    ("Tmpfs", {"/x": "size=1,suid,nodev"}),
    ("Tmpfs", {"/x": "nosuid,nodev"}),
    ("LogConfig", {"Type": "syslog", "Config": {}}),
    ("MemorySwap", -1),
    ("PidsLimit", -1),
    ("OomScoreAdj", -1000),
    ("Sysctls", {}),
]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_the_oracle_knows_bad_requests(key: str, value: Any) -> None:
    body = body_of({"image": "busybox", "host_cluster": "metal"})
    assert body is not None and not list(faults(body))
    worse = deepcopy(body)
    worse["HostConfig"][key] = value
    assert any(key in fault for fault in faults(worse))


def test_the_oracle_misses_limits_that_are_not_there() -> None:
    body = body_of({"image": "busybox", "host_cluster": "metal"})
    assert body is not None
    for key in ("Memory", "NanoCpus", "PidsLimit", "CapDrop", "SecurityOpt"):
        less = deepcopy(body)
        del less["HostConfig"][key]
        assert f"HostConfig.{key} is missing" in faults(less)


@pytest.mark.parametrize("module", [oracle.docker_request, oracle.profiles])
def test_the_oracle_imports_nothing_of_ours(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text())
    named = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert named and not any(name.split(".")[0] == "spinney" for name in named)
