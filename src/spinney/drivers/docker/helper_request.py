"""The JSON that creates containers of the host helper's image. Pure.

Guaranteed: never privileged, no way to gain a capability, a read-only file system, limits on memory, processes and CPU, no
log, no restart, nothing of the host but what any container sees. One that measures or keeps files has no network either, and
nobody as its user; so has a prober, but for the network of the one container that it is for, and is removed when it ends.

In mode ``full`` alone the host helper sees the tree of control groups, read-only, and so that it can probe inside the network
namespaces of others, it sees the processes of the host, and is root with the capabilities SYS_ADMIN and SYS_PTRACE, and no
others. That is as good as root on the host; ``confined`` is a full helper without that, which does all but probe. (Where the
tree consists of several mounts, Docker engines before version 25 make only its root read-only; then only that the program
writes nothing keeps it from writing.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinney.domain.container import LABEL_HELPER_MODE
from spinney.domain.host import HelperMode

_MEMORY = 32 << 20
#: Each probe that is under way is a process, of 48 at most.
_PIDS_OF_PROBES = 80


def helper_body(image: str, labels: Mapping[str, str], *, confined: bool = False) -> dict[str, Any]:
    """``image`` is an id, so that nothing else can have come under its name. The mode is told by the labels."""
    body = _body(image, labels, "none")
    if labels.get(LABEL_HELPER_MODE) == HelperMode.FULL:
        config = body["HostConfig"]
        config["Mounts"] = [
            {
                "Type": "bind",
                "Source": "/sys/fs/cgroup",
                "Target": "/cgroup",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rprivate"},
            }
        ]
        if not confined:
            body["User"] = "0:0"
            config["CapAdd"] = ["SYS_ADMIN", "SYS_PTRACE"]
            config["PidMode"] = "host"
            config["PidsLimit"] = _PIDS_OF_PROBES
    return body


def prober_body(image: str, labels: Mapping[str, str], container_id: str, idle: int) -> dict[str, Any]:
    """Of one that probes inside the network namespace of a container, and ends when it is not asked for so many seconds."""
    body = _body(image, labels, f"container:{container_id}")
    body["Cmd"] = [f"idle={idle}"]
    # It ends when we hang up, even if that is because we are gone.
    body["StdinOnce"] = True
    body["HostConfig"]["AutoRemove"] = True
    body["HostConfig"]["PidsLimit"] = _PIDS_OF_PROBES
    return body


def _body(image: str, labels: Mapping[str, str], network: str) -> dict[str, Any]:
    return {
        "Image": image,
        "Labels": dict(labels),
        "User": "65534:65534",
        "Tty": False,
        "OpenStdin": True,
        "StdinOnce": False,
        # The first process of a container is deaf to other signals, and a Docker engine that ends would wait for it.
        "StopSignal": "SIGKILL",
        "HostConfig": {
            "Privileged": False,
            "IpcMode": "private",
            "NetworkMode": network,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "ReadonlyRootfs": True,
            # What a Docker engine needs to start a container counts as well.
            "PidsLimit": 32,
            "Memory": _MEMORY,
            "MemorySwap": _MEMORY,
            "NanoCpus": 500_000_000,
            "Init": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "LogConfig": {"Type": "none", "Config": {}},
        },
    }
