"""Random container profiles: half well meant, half hostile, all made from one integer.

Hostile ones use every way that has ever led out of a container: keys of Docker's own API in any spelling, values that are
taken apart later (paths, options, names), nesting where scalars are expected, and JSON in strings.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

PATHS = [
    "/", "//", "/..", "/data/../..", "/proc", "/proc/self", "/proc/1/root", "/sys", "/sys/fs/cgroup", "/dev", "/dev/sda",
    "/dev/shm", "/dev/shm/..", "/var/run/docker.sock", "/run/docker.sock", "/var/run/../run/docker.sock", "/host",
    "/etc/shadow", "/data", "/tmp", "/srv/a b", "/srv/a,exec", "/srv/a:/host", "/srv\x00/x", "/srv/${HOME}", "/{{.ID}}",
    "data", "", "C:\\", "/proc/../proc", "/x/./y", "/a" * 200,
]  # fmt: skip
WORDS = [
    "host", "HOST", "container:abc", "ns:/proc/1/ns/net", "shareable", "private", "bridge", "none", "default", "host ",
    "spinney-other", "unconfined", "seccomp=unconfined", "apparmor:unconfined", "label=disable", "rshared", "shared",
    "all", "ALL", "SYS_ADMIN", "CAP_SYS_ADMIN", "cap_net_admin", "NET_RAW", "CHOWN", "chown", "kill", "true", "1", "yes",
    "/docker", "../../system.slice", "json-file", "local", "syslog", "fluentd", "gelf", "awslogs", "tcp://10.0.0.1:1",
    "busybox", "busybox:1.36", "sha256:" + "a" * 64, "a" * 64, "registry.example:5000/x@sha256:" + "b" * 64, "root",
    "0:0", "0", "-1", "1g", "512m", "99999999999999999999", "1e309", "nan", "NaN", "\n", "a\nb", "\u202e", "\ud800", "",
    "SIGSTOP", "SIGKILL", "9", "no", "always", "unless-stopped", "on-failure:0", "on-failure:-1", "on-failure:3",
    "size=1m,suid,dev", "size=1m", "exec", "bind", "bind,shared", "nr_inodes=0", "rw,size=64m,mode=1777", "o=bind",
    '{"Type": "bind", "Source": "/"}', '["/:/host"]', "{{ .Node.ID }}", "${SECRET}", "$(id)", "nofile", "rtprio",
]  # fmt: skip
#: Keys that are no properties here, as Docker, Compose and Kubernetes spell them.
FOREIGN = [
    "privileged", "Privileged", "pid", "pid_mode", "PidMode", "pid-mode", "ipc", "IpcMode", "uts", "UTSMode", "userns",
    "UsernsMode", "userns_mode", "network_mode", "NetworkMode", "net", "binds", "Binds", "mounts", "Mounts", "volumes",
    "volumes_from", "VolumesFrom", "devices", "Devices", "device_requests", "device_cgroup_rules", "security_opt",
    "SecurityOpt", "seccomp", "apparmor", "cgroup_parent", "CgroupParent", "cgroupns", "CgroupnsMode", "host_config",
    "HostConfig", "sysctls", "Sysctls", "oom_score_adj", "OomKillDisable", "runtime", "Runtime", "group_add", "GroupAdd",
    "links", "Links", "extra_hosts", "ExtraHosts", "dns", "storage_opt", "MaskedPaths", "ReadonlyPaths", "CapAdd", "Env",
    "securityContext", "hostPID", "hostNetwork", "hostPath", "tty", "stdin_open", "__class__", "constructor", "shm_size",
]  # fmt: skip
KNOWN = [
    "image", "pull_policy", "platform", "name", "command", "entrypoint", "environment", "working_dir", "user", "hostname",
    "labels", "stop_signal", "stop_timeout", "init", "restart_policy", "healthcheck", "probes", "cpu", "memory", "pids_limit",
    "ulimits", "gpu", "read_only", "tmpfs", "cap_add", "cap_drop", "network", "ports", "log", "port", "context",
]  # fmt: skip
#: Well meant values, so that much of what is made is taken and reaches the Docker engine.
GOOD: dict[str, list[Any]] = {
    "image": ["busybox", "nginx:1.27", "registry.example:5000/team/app:2"],
    "platform": ["linux/amd64"],
    "pull_policy": ["always", "missing", "never"],
    "name": ["web", "a.b_c-d"],
    "command": ["sleep 10", ["sh", "-c", "echo $HOME; cat /etc/shadow"], "--privileged -v /:/host"],
    "entrypoint": [["/bin/sh"], [], "tini --"],
    "environment": [{"A": "1"}, {"PATH": "/var/run/docker.sock", "X": "privileged"}],
    "working_dir": ["/srv", "/"],
    "user": ["1000:1000", "root", 0],
    "hostname": ["web-1", "a.example"],
    "labels": [{"team": "shop"}, {"com.docker.compose.volumes": "/:/host", "privileged": "true"}],
    "stop_signal": ["SIGTERM", 15, "INT"],
    "stop_timeout": [0, 10, "30"],
    "init": [True, False, "no"],
    "restart_policy": ["always", "none", "on-failure:3", {"condition": "on-failure", "max_retries": 5}],
    "probes": [{"ready": {"http": {"port": 80, "path": "/up"}}, "alive": {"exec": "true", "interval": "5s"}}],
    "healthcheck": [{"test": "true"}, {"disable": True}, {"test": ["CMD", "/bin/true"], "interval": "5s"}],
    "cpu": [0.5, {"limit": 2}, {"reservation": 0.1, "limit": "1"}],
    "memory": ["64m", {"limit": "1g"}, 33554432],
    "pids_limit": [10, "100"],
    "ulimits": [{"nofile": 1024}, {"nproc": {"soft": 10, "hard": 20}}],
    "gpu": ["0", 1, "all"],
    "read_only": [True, False],
    "tmpfs": [["/tmp"], {"/run": "size=1m,exec"}, {"/scratch": {"size": "10m", "mode": "0700"}}],
    "cap_add": [["NET_RAW"], ["cap_chown", "Kill"]],
    "cap_drop": [["ALL"], ["SYS_ADMIN", "setuid"]],
    "network": ["bridge", "none"],
    "ports": [["80"], ["8080:80/tcp", {"container": 53, "protocol": "udp"}], ["127.0.0.1:81:81"]],
    "log": [{"driver": "local"}, {"driver": "json-file", "options": {"max-size": "1m"}}, {"driver": "none"}],
    "port": [2375],
    "context": [{}, {"region_name": "one"}],
}


def profile(seed: int) -> dict[str, Any]:
    """Properties of a container profile."""
    chance = random.Random(seed)
    made: dict[str, Any] = {"image": "busybox", "host_cluster": "metal"}
    hostile = chance.random() < 0.5
    for key in chance.sample(KNOWN, chance.randint(0, 8)):
        made[key] = _hostile(chance) if hostile and chance.random() < 0.4 else chance.choice(GOOD[key])
    if hostile and chance.random() < 0.3:
        made[chance.choice(FOREIGN)] = _hostile(chance)
    return made


def _hostile(chance: random.Random, depth: int = 0) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: chance.choice(WORDS),
        lambda: chance.choice(PATHS),
        lambda: chance.choice([True, False, None, 0, 1, -1, 65535, 2**63, 0.5, -0.0]),
        lambda: f"{chance.choice(PATHS)}:{chance.choice(PATHS)}:{chance.choice(['ro', 'rw', 'rshared', 'z'])}",
    ]
    if depth < 3:
        kinds += [
            lambda: [_hostile(chance, depth + 1) for _ in range(chance.randint(0, 3))],
            lambda: {_key(chance): _hostile(chance, depth + 1) for _ in range(chance.randint(0, 3))},
            lambda: json.dumps({_key(chance): _hostile(chance, depth + 2)}),
        ]
    return chance.choice(kinds)()


def _key(chance: random.Random) -> str:
    return str(
        chance.choice([*FOREIGN, *PATHS, *WORDS, "driver", "options", "test", "size", "soft", "hard", "host_ip"])
    )
