"""The keys of a service, and of ``healthcheck``, ``logging``, ``depends_on`` and ``deploy`` in it."""

from __future__ import annotations

from spinney.cli.compose import environment, ports, resources, secrets, values
from spinney.cli.compose.extensions import EXTENSIONS
from spinney.cli.compose.keys import Key, Keys, Need, Read, Reading, as_it_is, listed, straight, through, walk
from spinney.cli.compose.places import Items, Part, Table, Unfit, is_null
from spinney.cli.compose.placing import PLACEMENT
from spinney.cli.compose.refusals import DEPLOY_REFUSALS, SERVICE_REFUSALS
from spinney.cli.compose.updating import UPDATE_CONFIG, read_update_config

# --- what a container runs --------------------------------------------------------------------------------------------


def _argv(name: str) -> Read:
    """Words, or one text that is split as a shell does; null: the image's own."""

    def read(part: Part, reading: Reading) -> None:
        if is_null(part):
            return
        value = values.words(part) if isinstance(part, Items) else values.text(part)
        if not value and name == "command":
            raise Unfit(
                part.at, "an empty command is not allowed: leave it out for the image's own, or give an entrypoint"
            )
        reading.draft.put(("profile", name), value or [], part.at)

    return read


def _map(*path: str) -> Read:
    """Labels: a key without a value has an empty one."""

    def read(part: Part, reading: Reading) -> None:
        for name, value, at in values.pairs(part):
            reading.draft.put((*path, name), "" if value is None else values.text(value), at)

    return read


def _tmpfs(part: Part, reading: Reading) -> None:
    for one in values.one_or_more(part):
        path, _, options = values.text(one).partition(":")
        reading.draft.put(("profile", "tmpfs", path), options or {}, one.at)


def _ulimits(part: Part, reading: Reading) -> None:
    for name, one in values.table(part).entries.items():
        reading.draft.put_part(("profile", "ulimits", name), one)


def _network_mode(part: Part, reading: Reading) -> None:
    mode = values.text(part)
    if mode not in ("bridge", "none"):
        raise Unfit(
            part.at,
            f"{mode!r} is not allowed: bridge or none; no container shares the network of another or of its host",
        )
    reading.draft.put(("profile", "network"), mode, part.at)


_PULL = {"always": "always", "never": "never", "missing": "missing", "if_not_present": "missing"}


def _pull_policy(part: Part, reading: Reading) -> None:
    word = values.text(part)
    if word not in _PULL:
        raise Unfit(part.at, f"{word!r} is not allowed: always, missing (or if_not_present) or never")
    reading.draft.put(("profile", "pull_policy"), _PULL[word], part.at)


# --- whether it works, and what then ----------------------------------------------------------------------------------


def _restart(part: Part, reading: Reading) -> None:
    word, _, count = values.text(part).partition(":")
    if word == "on-failure":
        _on_failure(part, count, reading)
        return
    known = {"no": "none", "always": "always", "unless-stopped": "always"}
    if word not in known or count:
        raise Unfit(part.at, f"{values.text(part)!r} is not allowed: no, always, unless-stopped or on-failure:N")
    reading.draft.put(("profile", "restart_policy"), {"condition": known[word]}, part.at)


def _on_failure(part: Part, count: str, reading: Reading) -> None:
    if not count.isdigit():
        raise Unfit(
            part.at, "on-failure needs a number of tries here: write on-failure:N (1 to 100), or always to try for ever"
        )
    policy = {"condition": "on-failure", "max_retries": int(count)}
    reading.draft.put(("profile", "restart_policy"), policy, part.at)


def _restart_policy(part: Part, reading: Reading) -> None:
    walk(part, RESTART_POLICY, reading)
    entries = values.table(part).entries
    condition = values.text(entries["condition"]) if "condition" in entries else "any"
    attempts = entries.get("max_attempts")
    if condition == "on-failure":
        _on_failure(part if attempts is None else attempts, "" if attempts is None else values.text(attempts), reading)
        return
    known = {"none": "none", "any": "always"}
    if condition not in known:
        raise Unfit(entries["condition"].at, f"{condition!r} is not allowed: none, on-failure or any")
    if attempts is not None:
        raise Unfit(attempts.at, f"it goes with on-failure, not with {condition}: leave it out")
    reading.draft.put(("profile", "restart_policy"), {"condition": known[condition]}, part.at)


def _test(part: Part, reading: Reading) -> None:
    if isinstance(part, Items):
        given = values.words(part)
        if given == ["NONE"]:
            reading.draft.put(("profile", "healthcheck", "disable"), True, part.at)
            return
        if not given or given[0] not in ("CMD", "CMD-SHELL"):
            raise Unfit(part.at, "a list begins with CMD (a program and its arguments), CMD-SHELL (one text) or NONE")
        reading.draft.put(("profile", "healthcheck", "test"), given, part.at)
    else:
        reading.draft.put(("profile", "healthcheck", "test"), values.text(part), part.at)


def _disable(part: Part, reading: Reading) -> None:
    if values.flag(part):
        reading.draft.put(("profile", "healthcheck", "disable"), True, part.at)


def _period(name: str) -> Key:
    return Key(straight(("profile", "healthcheck", name), values.seconds), f"`healthcheck.{name}`")


def _log_options(part: Part, reading: Reading) -> None:
    for name, one in values.table(part).entries.items():
        reading.draft.put(("profile", "log", "options", name), values.text(one), one.at)


# --- how many, in which order -----------------------------------------------------------------------------------------


def _depends_on(part: Part, reading: Reading) -> None:
    if isinstance(part, Items):
        reading.needs += [Need(values.text(one), one.at, healthy=False, required=True) for one in part.items]
        return
    for name, one in values.table(part).entries.items():
        with reading.faults.caught():
            walk(one, DEPENDENCY, reading)
            entries = values.table(one).entries
            if "condition" not in entries:
                raise Unfit(one.at, "condition is missing: service_started or service_healthy")
            condition = values.text(entries["condition"])
            required = "required" not in entries or values.flag(entries["required"])
            reading.needs.append(Need(name, one.at, healthy=condition == "service_healthy", required=required))


def _condition(part: Part, reading: Reading) -> None:
    if values.text(part) not in ("service_started", "service_healthy"):
        raise Unfit(
            part.at,
            f"{values.text(part)!r} is not allowed: service_started or service_healthy; to run something to its end first, "
            "do so before this deployment",
        )


def _no_restart(part: Part, reading: Reading) -> None:
    if values.flag(part):
        raise Unfit(part.at, "true is not allowed: a service is not restarted because another one was updated")


def _mode(part: Part, reading: Reading) -> None:
    if values.text(part) != "replicated":
        raise Unfit(
            part.at,
            f"{values.text(part)!r} is not allowed: only replicated; one container per host is replicas with "
            "placement.max_replicas_per_node: 1",
        )


def _names(part: Part, reading: Reading) -> None:
    reading.profiles += values.words(part)


HEALTHCHECK = Keys(
    "services.*.healthcheck",
    {
        "test": Key(
            _test, "`healthcheck.test`", "A text is for the shell; a list begins with `CMD`, `CMD-SHELL` or `NONE`."
        ),
        "interval": _period("interval"),
        "timeout": _period("timeout"),
        "start_period": _period("start_period"),
        "retries": Key(as_it_is("profile", "healthcheck", "retries"), "`healthcheck.retries`"),
        "disable": Key(_disable, "`healthcheck.disable`"),
    },
    {"start_interval": "there is none here: interval counts from the start; leave it out"},
)
LOGGING = Keys(
    "services.*.logging",
    {
        "driver": Key(
            straight(("profile", "log", "driver"), values.text), "`log.driver`", "`json-file`, `local` or `none`."
        ),
        "options": Key(_log_options, "`log.options`"),
    },
)
DEPENDENCY = Keys(
    "services.*.depends_on.*",
    {
        "condition": Key(
            _condition,
            "the order of creating and updating",
            "`service_started`: its members are in service; `service_healthy`: and ready, by their probes or health check.",
        ),
        "required": Key(None, "", "`false`: it may be absent from the file or switched off."),
        "restart": Key(_no_restart, "", "Only `false`."),
    },
)
RESTART_POLICY = Keys(
    "services.*.deploy.restart_policy",
    {
        "condition": Key(None, "`restart_policy.condition`", "`any` is `always`."),
        "max_attempts": Key(None, "`restart_policy.max_retries`", "Needed with `on-failure`, and only there."),
    },
    {
        "delay": "the pauses between restarts are Spinney's own, 0 to 120 s: leave it out",
        "window": "when a restart has succeeded is Spinney's to tell: leave it out",
    },
)
DEPLOY = Keys(
    "services.*.deploy",
    {
        "mode": Key(_mode, "", "Only `replicated`."),
        "replicas": Key(
            straight(("cluster", "desired_capacity"), values.whole),
            "the cluster's desired capacity",
            "Left out: 1 at first, and from then on whatever the cluster has.",
        ),
        "labels": Key(_map("cluster", "metadata"), "the cluster's metadata"),
        "resources": Key(through(resources.RESOURCES), "`cpu`, `memory`, `pids_limit`, `gpu`"),
        "restart_policy": Key(_restart_policy, "`restart_policy`"),
        "placement": Key(through(PLACEMENT), "policy `spinney.policy.placement`"),
        "update_config": Key(read_update_config, "policies `senlin.policy.batch` and `spinney.policy.update`"),
    },
    DEPLOY_REFUSALS,
    (resources.RESOURCES, RESTART_POLICY, PLACEMENT, UPDATE_CONFIG),
)
SERVICE = Keys(
    "services.*",
    {
        "image": Key(straight(("profile", "image"), values.text), "`image`", "Needed."),
        "command": Key(_argv("command"), "`command`"),
        "entrypoint": Key(_argv("entrypoint"), "`entrypoint`"),
        "environment": Key(
            environment.read_environment,
            "`environment`",
            "A map or a list; a name without a value is taken from outside.",
        ),
        "env_file": Key(environment.read_files, "`environment`", "A file, a list of files, or of maps."),
        "labels": Key(_map("profile", "labels"), "`labels`", "A map or a list."),
        "working_dir": Key(straight(("profile", "working_dir"), values.text), "`working_dir`"),
        "user": Key(straight(("profile", "user"), values.text), "`user`"),
        "hostname": Key(straight(("profile", "hostname"), values.text), "`hostname`"),
        "init": Key(as_it_is("profile", "init"), "`init`", "Left out: `true`."),
        "platform": Key(straight(("profile", "platform"), values.text), "`platform`"),
        "pull_policy": Key(_pull_policy, "`pull_policy`", "`always`, `missing`, `if_not_present` or `never`."),
        "stop_signal": Key(straight(("profile", "stop_signal"), values.text), "`stop_signal`"),
        "stop_grace_period": Key(
            straight(("profile", "stop_timeout"), values.seconds), "`stop_timeout`", "Whole seconds."
        ),
        "restart": Key(
            _restart,
            "`restart_policy`",
            "`no`, `always`, `unless-stopped` (the same here) or `on-failure:N`. Left out: `always`.",
        ),
        "healthcheck": Key(through(HEALTHCHECK), "`healthcheck`"),
        "logging": Key(through(LOGGING), "`log`"),
        "ports": Key(ports.read_ports, "`ports`", "Texts or maps; published on each host that runs a container."),
        "network_mode": Key(_network_mode, "`network`", "`bridge` or `none`."),
        "secrets": Key(secrets.read_secrets, "`secrets`", "Names or maps."),
        "read_only": Key(as_it_is("profile", "read_only"), "`read_only`"),
        "tmpfs": Key(_tmpfs, "`tmpfs`", "`PATH` or `PATH:OPTIONS`, one or a list. Without `size=` 64 MiB."),
        "ulimits": Key(_ulimits, "`ulimits`"),
        "cap_add": Key(listed("profile", "cap_add"), "`cap_add`"),
        "cap_drop": Key(listed("profile", "cap_drop"), "`cap_drop`"),
        **resources.SERVICE_KEYS,
        "scale": Key(straight(("cluster", "desired_capacity"), values.whole), "the cluster's desired capacity"),
        "depends_on": Key(_depends_on, "the order of creating and updating", "A list or a map."),
        "profiles": Key(_names, "", "The service is left out unless one of them is switched on."),
        "deploy": Key(through(DEPLOY), "the cluster and its policies"),
        **EXTENSIONS,
    },
    SERVICE_REFUSALS,
    (
        environment.FILE,
        HEALTHCHECK,
        LOGGING,
        ports.PORT,
        secrets.USE,
        resources.DEVICE,
        DEPENDENCY,
        DEPLOY,
    ),
)


def read_service(part: Table, reading: Reading) -> None:
    walk(part, SERVICE, reading)
    environment.finish(reading)
