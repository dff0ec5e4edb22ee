"""Keys of Compose that have no counterpart here: why, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

from spinney.profiles.container_refusals import CONTAINER_REFUSALS

_BUILD = "images are not built here: push one to a registry, and name it with image"
_VOLUMES = "there are no volumes here: use tmpfs for scratch space"
_NETWORKS = (
    "there are no networks of your own here: containers of a project share one network on each host; leave it out"
)
_LINKS = "there are no names between services here: leave it out, and say in environment where the other one is reached"
_DNS = "the names a container looks up are its host's to resolve: leave it out"
_WRITE_OUT = "is not followed here: write the service out, or use a YAML anchor and a merge key (<<)"
_CONFIGS = "there are no configs here: put the values into environment, or into a secret, which can be a file"
_TERMINAL = "containers run without a terminal: leave it out, and use `spinney exec` to look into one"
_CPU = "there is no such setting here: use cpus, a number of cores"
_MEMORY = "containers have no swap of their own here: leave it out"
_HOOKS = (
    "no commands are run in a container beside its own: leave it out; to be told before members stop and after they start "
    "attach a policy of type spinney.policy.lifecycle with x-spinney-policies"
)
_NOTHING = "there is no such thing here: leave it out"


def _profile(key: str) -> str:
    """In the words of the profile's own refusal."""
    return CONTAINER_REFUSALS[key]


SERVICE_REFUSALS: Mapping[str, str] = {
    **dict.fromkeys(("build", "develop"), _BUILD),
    **dict.fromkeys(("volumes", "volumes_from"), _VOLUMES),
    "networks": _NETWORKS,
    **dict.fromkeys(("links", "external_links"), _LINKS),
    **dict.fromkeys(("dns", "dns_opt", "dns_search", "extra_hosts", "domainname"), _DNS),
    "extends": f"extends {_WRITE_OUT}",
    "configs": _CONFIGS,
    **dict.fromkeys(("tty", "stdin_open", "attach"), _TERMINAL),
    **dict.fromkeys(
        (
            "cpu_count",
            "cpu_percent",
            "cpu_shares",
            "cpu_period",
            "cpu_quota",
            "cpu_rt_period",
            "cpu_rt_runtime",
            "cpuset",
            "blkio_config",
        ),
        _CPU,
    ),
    **dict.fromkeys(("memswap_limit", "mem_swappiness"), _MEMORY),
    **dict.fromkeys(("pre_stop", "post_start"), _HOOKS),
    "privileged": _profile("privileged"),
    **dict.fromkeys(("pid", "ipc", "uts", "userns_mode", "cgroup"), _profile("pidmode")),
    **dict.fromkeys(("devices", "device_cgroup_rules"), _profile("devices")),
    "security_opt": _profile("securityopt"),
    **dict.fromkeys(("sysctls", "oom_kill_disable", "oom_score_adj"), _profile("sysctls")),
    "cgroup_parent": _profile("cgroupparent"),
    **dict.fromkeys(("runtime", "isolation", "storage_opt"), _profile("runtime")),
    "use_api_socket": _profile("binds"),
    "container_name": "each container gets a name of its own from Spinney: leave it out",
    "expose": "containers reach all ports of each other within their network: leave it out, or publish with ports",
    "mac_address": "addresses are Spinney's to give: leave it out",
    "group_add": "there are no further groups here: give user:group with user",
    "pull_refresh_after": "images are pulled by pull_policy alone: use always or missing",
    "label_file": "labels are not read from files: write them into labels",
    **dict.fromkeys(("annotations", "credential_spec", "models", "provider"), _NOTHING),
}
DEPLOY_REFUSALS: Mapping[str, str] = {
    "endpoint_mode": "there are no virtual addresses here: attach a policy of type senlin.policy.loadbalance with "
    "x-spinney-policies",
    "rollback_config": "a rollback goes as the update did: leave it out",
}
TOP_REFUSALS: Mapping[str, str] = {
    "networks": _NETWORKS,
    "volumes": _VOLUMES,
    "configs": _CONFIGS,
    "include": f"include {_WRITE_OUT}",
    "models": _NOTHING,
}
