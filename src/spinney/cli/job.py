"""``spinney job``: runs of clusters whose members do something and end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from spinney.cli import logs as log_lines
from spinney.cli import looking, output, spec
from spinney.cli.command import Use, command, pairs
from spinney.cli.faults import EXIT_FAILED, CliError
from spinney.cli.output import Column, Format
from spinney.cli.progress import finish
from spinney.cli.text import one_line
from spinney.cli.transport import Service
from spinney.cli.waiting import Scene, State, Verdict, wait_for

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Clusters whose members do a job and end.")

TIMES = ("scheduled_at", "created_at", "started_at", "ended_at")
POLICY_TYPE = "spinney.policy.job"
#: Seconds within which an engine says which run an order has become.
_PATIENCE = 30.0
Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")]
Number = Annotated[int, typer.Argument(metavar="RUN", min=1, help="Its number.")]
AnyRun = Annotated[int | None, typer.Argument(metavar="RUN", min=1, help="Its number (default: the latest).")]


def _done(row: output.Row) -> str:
    return f"{one_line(row.get('succeeded'))}/{one_line(row.get('completions'))}"


COLUMNS = (
    Column("RUN", "number", right=True),
    Column("STATUS", "status", is_status=True),
    Column("DONE", _done, right=True),
    Column("FAILED", "failed", right=True),
    Column("SCHEDULED", "scheduled_at", is_time=True, spare=2),
    Column("STARTED", "started_at", is_time=True, spare=1),
    Column("ENDED", "ended_at", is_time=True),
    output.reason_of("status", "SUCCEEDED"),
)
MEMBERS = (
    Column("NODE", "node_name"),
    Column("COMPLETION", "completion", right=True),
    Column("ATTEMPT", "attempt", right=True),
    Column("EXIT", lambda row: "" if row.get("exit_code") is None else str(row["exit_code"]), right=True),
    Column("ENDED", "ended_at", is_time=True),
    Column("REASON", "status_reason", cut=True),
)


@command(app, "run", waits=True)
def run(use: Use, cluster: Cluster) -> None:
    """Begin a run now. With --wait: exit 0 once it has succeeded, 2 when it has failed or was cancelled."""
    reply, _ = use.service.post("clusters", cluster, "actions", body={"run": {}})
    number = _ordered(use.service, str(reply["action"]))
    _follow(use, cluster, number)


@command(app, "list")
def list_(use: Use, cluster: Cluster) -> None:
    """List the runs of a cluster that are kept, the latest first."""
    rows = use.service.get("clusters", cluster, "runs")["runs"]
    if use.form is Format.NAME:
        for row in rows:
            output.emit(str(row["number"]))
        return
    output.show_list(rows, COLUMNS, use.form, "no runs: begin one with `spinney job run`")


@command(app, "show", waits=True)
def show(use: Use, cluster: Cluster, number: AnyRun = None) -> None:
    """Show a run and its members. With --wait: follow it to its end first."""
    _follow(use, cluster, _latest(use.service, cluster) if number is None else number)


@command(app, "cancel", waits=True)
def cancel(use: Use, cluster: Cluster, number: Number) -> None:
    """End a run; its members are stopped, and kept for their logs. With --wait: until they have ended."""
    reply, _ = use.service.post("clusters", cluster, "actions", body={"cancel_run": {"number": number}})
    _ordered(use.service, str(reply["action"]))
    if use.wait:
        finish(use, _name(cluster, number), _looking_at(use.service, cluster, number), _over, _shown(use))
    else:
        _shown(use)(use.service.get("clusters", cluster, "runs", str(number))["run"])


@command(app, "logs")
def logs(
    use: Use,
    cluster: Cluster,
    number: AnyRun = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what the members that there are print from now on.")
    ] = False,
    tail: Annotated[int | None, typer.Option("--tail", min=0, help="Only so many lines from the end of each.")] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="With the time of each line.")] = False,
) -> None:
    """Show what the members of a run print or have printed, each line under its node."""
    query = {"run": str(_latest(use.service, cluster) if number is None else number)}
    if follow:
        query["follow"] = "true"
    if tail is not None:
        query["tail"] = str(tail)
    for entry in log_lines.entries(use.service.stream("clusters", cluster, "logs", query=query)):
        if use.form is Format.JSON:
            output.emit(output.to_json(entry))
        else:
            output.emit(log_lines.written(entry, timestamps, output.coloured()))
        sys.stdout.flush()


@command(app, "submit", waits=True)
def submit(
    use: Use,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the cluster, its profile and its policy.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="[-- COMMAND…]", help="What each member does.")] = None,
    image: Annotated[str | None, typer.Option("--image", help="Image to run.")] = None,
    host_cluster: Annotated[str | None, typer.Option("--host-cluster", help="Cluster of hosts to run on.")] = None,
    host_node: Annotated[str | None, typer.Option("--host-node", help="The one host to run on.")] = None,
    env: Annotated[list[str] | None, typer.Option("--env", metavar="KEY=VALUE", help="May be repeated.")] = None,
    cpu: Annotated[float | None, typer.Option("--cpu", min=0, help="Cores.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", help="As in 512m or 2g.")] = None,
    completions: Annotated[int | None, typer.Option("--completions", min=1, help="How many have to succeed.")] = None,
    parallelism: Annotated[int | None, typer.Option("--parallelism", min=1, help="How many at a time.")] = None,
    retries: Annotated[int | None, typer.Option("--retries", min=0, help="Failures of one completion.")] = None,
    run_timeout: Annotated[
        int | None, typer.Option("--run-timeout", metavar="SECONDS", min=1, help="A run that takes longer has failed.")
    ] = None,
    cron: Annotated[str | None, typer.Option("--cron", metavar="'M H DOM MON DOW'", help="When to run.")] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Of --cron (default: UTC).")
    ] = None,
) -> None:
    """Make a profile, a job policy and a cluster of that name, and begin its first run, or let a schedule begin it."""
    if timezone is not None and cron is None:
        raise CliError(f"--timezone {timezone!r} says whose clocks --cron means, and --cron is not given: add --cron")
    if cron is not None and use.wait:
        raise CliError("--cron and --wait are both given: nothing begins before its time; leave one out")
    quick = spec.QuickContainer(
        image=image, host_cluster=host_cluster, host_node=host_node, environment=pairs(env, "--env"), cpu=cpu,
        memory=memory, restart="none",
    )  # fmt: skip
    profile = spec.from_options(quick)
    if words:
        profile["properties"]["command"] = words
    given = {"completions": completions, "parallelism": parallelism, "retries": retries, "timeout": run_timeout}
    properties: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if cron is not None:
        properties["schedule"] = {"cron": cron} | ({} if timezone is None else {"timezone": timezone})
    policy = {"type": POLICY_TYPE, "version": "1.0", "properties": properties}
    _make(use.service, name, profile, policy)
    if use.wait:
        _follow(use, name, 1, coming=True)
        return
    output.note(f"{name}: made; see `spinney job list {name}`")


def _make(service: Service, name: str, profile: dict[str, Any], policy: dict[str, Any]) -> None:
    """All that may be refused for what it says is asked for first, so that a mistake leaves nothing behind."""
    if service.get("clusters", query={"name": name})["clusters"]:
        raise CliError(
            f"there is a cluster {name!r} already: run it again with `spinney job run {name}`, or give another name"
        )
    service.post("profiles", "validate", body={"profile": {"spec": profile}})
    service.post("policies", "validate", body={"policy": {"spec": policy}})
    made, _ = service.post("profiles", body={"profile": {"name": name, "spec": profile}})
    profile_id = looking.unwrapped(made)["id"]
    made, _ = service.post("policies", body={"policy": {"name": name, "spec": policy}})
    policy_id = looking.unwrapped(made)["id"]
    cluster = {"name": name, "profile_id": profile_id, "policies": [{"policy_id": policy_id}]}
    service.post("clusters", body={"cluster": cluster})


def _ordered(service: Service, action_id: str) -> int:
    """The number of the run that an action was about, once the action is final."""

    def look() -> Scene:
        return Scene(None, (), looking.found(service, "actions", action_id))

    def goal(scene: Scene) -> Verdict:
        if scene.working:
            return Verdict(State.PENDING, "an engine is to say which run it is")
        reason = str((scene.action or {}).get("status_reason") or "the order is gone").rstrip(".")
        return Verdict(State.FAILED if scene.gave_up or scene.action is None else State.REACHED, reason)

    outcome = wait_for(look, goal, _PATIENCE, _Silent())
    if outcome.verdict.state is State.REACHED and outcome.scene.action is not None:
        return int(outcome.scene.action["outputs"]["run"])
    if outcome.verdict.state is State.FAILED:
        raise CliError(outcome.verdict.says, EXIT_FAILED)
    raise CliError(f"no engine has taken the order up within {_PATIENCE:g} s: see `spinney action show {action_id}`")


class _Silent:
    def show(self, scene: Scene, says: str, elapsed: float) -> None: ...


def _latest(service: Service, cluster: str) -> int:
    rows = service.get("clusters", cluster, "runs")["runs"]
    if not rows:
        raise CliError(f"the cluster {cluster!r} has no runs: begin one with `spinney job run {cluster}`")
    return int(rows[0]["number"])


def _name(cluster: str, number: int) -> str:
    return f"{cluster}, run {number}"


def _looking_at(service: Service, cluster: str, number: int) -> Callable[[], Scene]:
    def look() -> Scene:
        found = looking.found(service, "clusters", cluster, "runs", str(number))
        members = [{**member, "name": member["node_name"]} for member in (found or {}).get("members", ())]
        return Scene(found, members)

    return look


def _follow(use: Use, cluster: str, number: int, *, coming: bool = False) -> None:
    """Show the run, and with --wait not before it has ended. ``coming``: nobody has said yet that it is there."""
    look = _looking_at(use.service, cluster, number)
    if use.wait:
        finish(use, _name(cluster, number), look, _begun if coming else _succeeded, _shown(use))
    else:
        _shown(use)(use.service.get("clusters", cluster, "runs", str(number))["run"])


def _begun(scene: Scene) -> Verdict:
    return _succeeded(scene) if scene.subject is not None else Verdict(State.PENDING, "it has not begun")


def _succeeded(scene: Scene) -> Verdict:
    if scene.subject is None:
        return Verdict(State.FAILED, "it is gone")
    says = _says(scene)
    if scene.status in ("WAITING", "RUNNING"):
        return Verdict(State.PENDING, says)
    return Verdict(State.REACHED if scene.status == "SUCCEEDED" else State.FAILED, says)


def _over(scene: Scene) -> Verdict:
    if scene.subject is None:
        return Verdict(State.FAILED, "it is gone")
    return Verdict(State.REACHED if scene.subject.get("ended_at") else State.PENDING, _says(scene))


def _says(scene: Scene) -> str:
    reason = str((scene.subject or {}).get("status_reason") or "").rstrip(".")
    return f"{scene.status}: {reason}"


def _shown(use: Use) -> Callable[[Any], None]:
    def shown(found: Any) -> None:
        if use.form is Format.NAME:
            output.emit(str(found["number"]))
        elif use.form is not Format.TABLE:
            output.dump(found, use.form)
        else:
            output.show_object({key: value for key, value in found.items() if key != "members"}, use.form, TIMES)
            output.show_list(found["members"], MEMBERS, use.form, "no members")

    return shown
