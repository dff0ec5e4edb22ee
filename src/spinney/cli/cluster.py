"""``spinney cluster``: create, look at, update and delete clusters. Changing what is in them is in ``cluster_members``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spinney.cli import (
    batch,
    cluster_members,
    cluster_policies,
    cluster_rebalance,
    cluster_shares,
    cluster_updates,
    looking,
    output,
    plan_view,
    waiting,
)
from spinney.cli.command import (
    AllProjects,
    Filter,
    Limit,
    Marker,
    Metadata,
    Sort,
    Use,
    command,
    list_query,
    pairs,
    scalars,
)
from spinney.cli.faults import CliError
from spinney.cli.output import Column
from spinney.cli.progress import finish
from spinney.cli.text import one_line

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Sets of containers or hosts, kept at the size you want."
)
cluster_members.register(app)
cluster_rebalance.register(app)
cluster_policies.register(app)
cluster_shares.register(app)
cluster_updates.register(app)

TIMES = ("init_at", "created_at", "updated_at")
Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")]
Config = Annotated[
    list[str] | None, typer.Option("--config", metavar="KEY=VALUE", help="How the cluster behaves; may be repeated.")
]
ActionTimeout = Annotated[
    int | None, typer.Option("--action-timeout", min=0, help="Seconds any action on the cluster may take.")
]


def _sizes(row: output.Row) -> str:
    most = row.get("max_size")
    return f"{row.get('min_size', 0)}–{'∞' if most in (None, -1) else most}"


def _members(row: output.Row) -> str:
    """How many may be given work of how many are wanted. A service that is not ours does not tell the first."""
    count = row.get("members")
    ready = count.get("ready") if isinstance(count, dict) else None
    return f"{one_line(ready)}/{one_line(row.get('desired_capacity'))}"


COLUMNS = (
    Column("NAME", "name"),
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
    Column("STATUS", "status", is_status=True),
    Column("MEMBERS", _members, right=True),
    Column("LIMITS", _sizes, right=True),
    Column("PROFILE", "profile_name"),
    Column("CREATED", "created_at", is_time=True),
    output.reason_of("status", "ACTIVE"),
)


@command(app, "create", waits=True)
def create(
    use: Use,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    profile: Annotated[str, typer.Option("--profile", help="What its nodes are made from.")],
    desired: Annotated[
        int | None, typer.Option("--desired", min=0, help="How many nodes (default: the minimum).")
    ] = None,
    minimum: Annotated[int | None, typer.Option("--min", "--min-size", min=0, help="Never fewer.")] = None,
    maximum: Annotated[
        int | None, typer.Option("--max", "--max-size", min=-1, help="Never more; -1 is no limit.")
    ] = None,
    action_timeout: ActionTimeout = None,
    metadata: Metadata = None,
    config: Config = None,
    policy: Annotated[
        list[str] | None, typer.Option("--policy", metavar="POLICY", help="Policy to begin with; may be repeated.")
    ] = None,
) -> None:
    """Create a cluster."""
    asked: dict[str, Any] = {"name": name, "profile_id": profile}
    sizes = {"desired_capacity": desired, "min_size": minimum, "max_size": maximum, "timeout": action_timeout}
    asked |= {key: value for key, value in sizes.items() if value is not None}
    if metadata:
        asked["metadata"] = pairs(metadata, "--metadata")
    if config:
        asked["config"] = scalars(config, "--config")
    if policy:
        asked["policies"] = [{"policy_id": word} for word in policy]
    reply, action = use.service.post("clusters", body={"cluster": asked})
    made = looking.unwrapped(reply)
    if not use.wait:
        output.show_object(made, use.form, TIMES)
        return
    look = looking.at_cluster(use.service, made["id"], action)
    finish(use, name, look, waiting.sized(made.get("desired_capacity")), _shown(use))


def _shown(use: Use) -> Any:
    return lambda cluster: output.show_object(cluster, use.form, TIMES)


@command(app, "list")
def list_(
    use: Use,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
    filters: Filter = None,
    all_projects: AllProjects = False,
) -> None:
    """List clusters. Filters: name, status."""
    rows = use.service.get("clusters", query=list_query(limit, marker, sort, filters, all_projects))["clusters"]
    output.show_list(rows, COLUMNS, use.form, "no clusters: make one with `spinney cluster create`")


@command(app, "show")
def show(use: Use, cluster: Cluster) -> None:
    """Show a cluster with everything known of it."""
    output.show_object(looking.unwrapped(use.service.get("clusters", cluster)), use.form, TIMES)


@command(app, "update", waits=True)
def update(
    use: Use,
    cluster: Cluster,
    name: Annotated[str | None, typer.Option("--name", help="New name.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="New profile, of the same type.")] = None,
    profile_only: Annotated[
        bool, typer.Option("--profile-only", help="Only nodes made from now on get the new profile.")
    ] = False,
    action_timeout: ActionTimeout = None,
    metadata: Metadata = None,
    config: Config = None,
    supersede: cluster_updates.Supersede = False,
    base_revision: cluster_updates.BaseRevision = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would become of each member.")] = False,
) -> None:
    """Change a cluster; with a new profile its nodes are replaced or changed to match."""
    if plan:
        _plan_update(use, cluster, profile)
        return
    given = {"name": name, "profile_id": profile, "timeout": action_timeout}
    asked: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if profile_only:
        if profile is None:
            raise CliError("--profile-only says how to use a new profile, and none is given: add --profile")
        asked["profile_only"] = True
    if supersede and profile is None:
        raise CliError("--supersede says what becomes of another update to a profile: add --profile")
    if metadata is not None:
        asked["metadata"] = pairs(metadata, "--metadata")
    if config is not None:
        asked["config"] = scalars(config, "--config")
    if not asked:
        raise CliError("nothing to change is given: add --name, --profile, --action-timeout, --metadata or --config")
    asked |= cluster_updates.conditions(supersede, base_revision)
    wanted: dict[str, Any] = {key: value for key, value in asked.items() if key in ("name", "timeout")}
    if use.wait and profile is not None:
        wanted["profile_id"] = looking.unwrapped(use.service.get("profiles", profile))["id"]
    reply, action = use.service.patch("clusters", cluster, body={"cluster": asked})
    current = looking.unwrapped(reply)
    if not use.wait:
        batch.requested(use, cluster, "update", action, current, TIMES)
        return
    members = {"profile_id": wanted["profile_id"]} if profile is not None and not profile_only else {}
    look = looking.at_cluster(use.service, current["id"], action)
    finish(use, cluster, look, waiting.matches(wanted, members), _shown(use))


def _plan_update(use: Use, cluster: str, profile: str | None) -> None:
    if profile is None:
        raise CliError("--plan tells what another profile would mean, and none is given: add --profile")
    if use.wait:
        raise CliError("--plan and --wait are both given: a plan has nothing to wait for; leave one out")
    reply, _ = use.service.post("clusters", cluster, "plan", body={"update": {"profile_id": profile}})
    plan_view.show(use, looking.unwrapped(reply))


@command(app, "delete", waits=True)
def delete(
    use: Use,
    clusters: Annotated[list[str], typer.Argument(metavar="CLUSTER…", help="Names, ids or beginnings of ids.")],
    force: Annotated[bool, typer.Option("--force", help="Even while something is at work on it.")] = False,
) -> None:
    """Delete clusters with all their nodes. Nothing is asked back."""

    def begin(word: str) -> tuple[str, str | None]:
        found = looking.unwrapped(use.service.get("clusters", word))
        return found["id"], use.service.delete("clusters", found["id"], body={"force": True} if force else None)

    batch.for_each(use, clusters, "cluster", "delete", begin, looking.at_cluster, waiting.gone())


@command(app, "check", waits=True)
def check(
    use: Use, clusters: Annotated[list[str], typer.Argument(metavar="CLUSTER…", help="Names, ids or beginnings.")]
) -> None:
    """Look at every node of the clusters and note which are not well."""
    _act_on_each(use, clusters, "check", {}, waiting.healthy(whatever_the_action=False))


@command(app, "recover", waits=True)
def recover(
    use: Use,
    clusters: Annotated[list[str], typer.Argument(metavar="CLUSTER…", help="Names, ids or beginnings.")],
    operation: Annotated[
        str | None, typer.Option("--operation", metavar="REBOOT|REBUILD|RECREATE", help="How to mend a node.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Look first, and leave alone what is well.")] = False,
    check_capacity: Annotated[
        bool, typer.Option("--check-capacity", help="Also make or remove nodes until the number is right.")
    ] = False,
) -> None:
    """Mend the nodes of clusters that are not well."""
    asked: dict[str, Any] = {"operation": operation.upper()} if operation else {}
    asked |= {key: True for key, given in (("check", check), ("check_capacity", check_capacity)) if given}
    _act_on_each(use, clusters, "recover", asked, waiting.healthy(whatever_the_action=True))


def _act_on_each(use: Use, words: list[str], verb: str, asked: dict[str, Any], goal: waiting.Goal) -> None:
    def begin(word: str) -> tuple[str, str | None]:
        found = looking.unwrapped(use.service.get("clusters", word))
        reply, _ = use.service.post("clusters", found["id"], "actions", body={verb: asked})
        return found["id"], reply["action"]

    batch.for_each(use, words, "cluster", verb, begin, looking.at_cluster, goal)


@command(app, "op", waits=True)
def op(
    use: Use,
    cluster: Cluster,
    operation: Annotated[str, typer.Argument(metavar="OPERATION", help="One of `spinney profile type-show --ops`.")],
    parameters: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE…")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="KEY=VALUE", help="Only nodes with this name, status, role or profile_id."),
    ] = None,
) -> None:
    """Carry out an operation, such as restart, on the nodes of a cluster."""
    body: dict[str, Any] = {"params": pairs(parameters, "parameter")}
    if filters:
        body["filters"] = pairs(filters, "--only")

    def begin(word: str) -> tuple[str, str | None]:
        found = looking.unwrapped(use.service.get("clusters", word))
        reply, _ = use.service.post("clusters", found["id"], "ops", body={operation: body})
        return found["id"], reply["action"]

    batch.for_each(use, [cluster], "cluster", operation, begin, looking.at_cluster, waiting.operated())
