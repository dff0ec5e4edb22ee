"""Why certain well-known container settings do not exist here.

The properties are a closed model, so these keys would be refused in any case; this table only makes the refusal say why and
what to do instead. Keys are in the spelling of ``schema.normalised``: ``PidMode``, ``pid-mode`` and ``pid_mode`` are one.
"""

from __future__ import annotations

from collections.abc import Mapping

_PRIVILEGE = "never given to tenants: a container with it controls its host; name the capabilities needed in cap_add"
_NAMESPACE = "never given to tenants: a container always has namespaces of its own; leave it out"
_HOST_PATH = "never given to tenants: no path or volume of the host is mounted; use tmpfs for scratch space, or a grant"
_DEVICE = "never given to tenants: no device of the host is passed on; ask for GPUs with gpu, or name a grant"
_SECURITY = "never given to tenants: the security profile is the same for every container; leave it out"
_KERNEL = "never given to tenants: it would change the kernel's treatment of the whole host; leave it out"
_CGROUP = (
    "never given to tenants: Spinney accounts for containers in cgroups of its own; use cpu, memory and pids_limit"
)
_RUNTIME = "never given to tenants: the operator chooses the runtime of a host; leave it out"

CONTAINER_REFUSALS: Mapping[str, str] = {
    "privileged": _PRIVILEGE,
    "capabilities": "there is no such key; use cap_add and cap_drop",
    **dict.fromkeys(("pid", "pidmode", "ipc", "ipcmode", "uts", "utsmode", "userns", "usernsmode"), _NAMESPACE),
    **dict.fromkeys(("cgroupns", "cgroupnsmode", "hostnetwork", "hostpid", "hostipc", "joinnamespace"), _NAMESPACE),
    "networkmode": "there is no such key; network is bridge or none, and no container shares the network of its host",
    **dict.fromkeys(
        ("binds", "bind", "mount", "mounts", "volume", "volumes", "volumesfrom", "volumedriver"), _HOST_PATH
    ),
    **dict.fromkeys(("device", "devices", "devicerequests", "devicecgrouprules"), _DEVICE),
    **dict.fromkeys(("securityopt", "securityopts", "apparmor", "seccomp", "selinux", "maskedpaths"), _SECURITY),
    **dict.fromkeys(("readonlypaths", "nonewprivileges", "systempaths"), _SECURITY),
    **dict.fromkeys(("sysctl", "sysctls", "oomkilldisable", "oomscoreadj", "kernelmemory"), _KERNEL),
    **dict.fromkeys(("cgroup", "cgroupparent", "cgroups"), _CGROUP),
    **dict.fromkeys(("runtime", "isolation", "storageopt"), _RUNTIME),
    "hostconfig": "there is no such key; Docker's request is built by Spinney from the properties documented here",
    "autoremove": "there is no such key; Spinney removes containers itself when their nodes go",
    "restart": "there is no such key; use restart_policy",
    "env": "there is no such key; use environment, a map of names to values",
    "cpus": "there is no such key; use cpu, a number of cores or a map with reservation and limit",
    "memlimit": "there is no such key; use memory, a size or a map with reservation and limit",
    "shmsize": "there is no such key; mount a tmpfs of that size on /dev/shm",
    "workdir": "there is no such key; use working_dir",
    "logging": "there is no such key; use log, with driver and options",
    "publish": "there is no such key; use ports",
    "publishallports": "there is no such key; name each port in ports",
    "gpus": "there is no such key; use gpu, a count or all",
}
