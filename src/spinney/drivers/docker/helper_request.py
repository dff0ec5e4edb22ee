"""The JSON that creates the host helper's container. Pure.

Guaranteed: never privileged, no capability and no way to gain one, no network, nobody as its user, a read-only file system,
limits on memory, processes and CPU, no log, no restart; of the host it sees what any container sees and, in mode ``full``
alone, the tree of control groups, read-only. (Where that tree consists of several mounts, Docker engines before version 25
make only its root read-only; then it is the file permissions that keep nobody from writing.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinney.domain.container import LABEL_HELPER_MODE
from spinney.domain.host import HelperMode

_MEMORY = 32 << 20


def helper_body(image: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """``image`` is an id, so that nothing else can have come under its name. The mode is told by the labels."""
    config: dict[str, Any] = {
        "Privileged": False,
        "IpcMode": "private",
        "NetworkMode": "none",
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
    }
    if labels.get(LABEL_HELPER_MODE) == HelperMode.FULL:
        config["Mounts"] = [
            {
                "Type": "bind",
                "Source": "/sys/fs/cgroup",
                "Target": "/cgroup",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rprivate"},
            }
        ]
    return {
        "Image": image,
        "Labels": dict(labels),
        "User": "65534:65534",
        "Tty": False,
        "OpenStdin": True,
        "StdinOnce": False,
        # The first process of a container is deaf to other signals, and a Docker engine that ends would wait for it.
        "StopSignal": "SIGKILL",
        "HostConfig": config,
    }
