"""``spinney autoscale``: why clusters have the size they have, and what has been decided about it.

What is shown was written down at the evaluation; nothing is decided again for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import typer

from spinney.cli import listing, looking, output
from spinney.cli.command import Limit, Marker, Use, standing_alone
from spinney.cli.faults import CliError
from spinney.cli.lazy import Entry, LazyGroup
from spinney.cli.output import Column, Format, Row
from spinney.cli.text import ago, exact, moment, one_line

_HERE = "spinney.cli.autoscale"


class AutoscaleGroup(LazyGroup):
    """A back-test evaluates policies itself, and so loads much that looking at decisions does without."""

    entries: ClassVar[Mapping[str, Entry]] = {
        "explain": Entry(_HERE, "explain", "Tell why a cluster has the size it has.", "Commands"),
        "history": Entry(_HERE, "history", "List what was decided about a cluster.", "Commands"),
        "backtest": Entry("spinney.cli.backtest", "command", "Show what a policy would have done.", "Commands"),
    }


app = typer.Typer(cls=AutoscaleGroup, no_args_is_help=True, add_completion=False)


@app.callback()
def _group() -> None:
    """Clusters that are as large as their load asks for."""


Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")]

#: Reasons that are about one metric, and those that are about what is to come.
_OF_METRICS = ("target", "step", "unknown", "nothing")
_AHEAD = "ahead"
_AT_WORK = "enabled"
#: What may end the work of a policy.
_ENDINGS = ["CLUSTER_UPDATE_POLICY", "CLUSTER_DETACH_POLICY"]


def _number(key: str) -> Any:
    def cell(row: Row) -> str:
        value = row.get(key)
        return "-" if value is None else f"{value:.4g}"

    return cell


METRICS = (
    Column("METRIC", "metric"),
    Column("EACH HAS", _number("figure"), right=True),
    Column("TARGET", _number("target"), right=True),
    Column("KNOWN", _number("counted"), right=True),
    Column("UNKNOWN", _number("missing"), right=True),
    Column("COMING", _number("coming"), right=True),
    Column("ASKS FOR", _number("wanted"), right=True),
)
DECISIONS = (
    Column("LATEST", "at", is_time=True),
    Column("TIMES", "times", right=True),
    Column("SIZE", "size", right=True),
    Column("WANTED", "wanted", right=True),
    Column("ACTION", lambda row: str(row.get("action_id") or "")[:8], style=lambda cell: "green" if cell else ""),
    Column("DECISION", lambda row: one_line(row.get("sentence")), cut=True),
    Column("ID", lambda row: str(row.get("id", ""))[:8], spare=1),
)


def _decisions(use: Use, cluster: str, query: dict[str, str | list[str]]) -> list[Any]:
    wanted = listing.newest_first(query, "at")
    return list(use.service.get("clusters", cluster, "scaling-decisions", query=wanted)["scaling_decisions"])


@standing_alone
def explain(use: Use, cluster: Cluster) -> None:
    """Tell why a cluster has the size it has: each metric beside its target, what holds a change back, what would bring one."""
    found = _decisions(use, cluster, {"limit": "1"})
    if not found:
        raise CliError(
            f"nothing has been decided about {cluster} yet: attach a policy of type spinney.policy.autoscaling to it, enabled, "
            f"and wait for its first evaluation"
        )
    if use.form is Format.NAME:
        output.emit(output.name_of({"id": found[0]["id"]}))
        return
    now, policy = datetime.now(UTC), _policy(use, cluster, found[0])
    if use.form is not Format.TABLE:
        output.dump({**found[0], "policy": policy}, use.form)
        return
    if policy["state"] != _AT_WORK:
        output.emit(_at_rest(cluster, policy, now))
    _tell(found[0], now, at_work=policy["state"] == _AT_WORK)


def _policy(use: Use, cluster: str, decision: Row) -> dict[str, Any]:
    """How the policy that decided is attached now. ``since``: when it was disabled or detached; None: nobody knows any more,
    or it is neither."""
    policy_id, cluster_id = str(decision.get("policy_id")), str(decision.get("cluster_id"))
    found = looking.found(use.service, "clusters", cluster, "policies", policy_id)
    state = "detached" if found is None else _AT_WORK if found.get("enabled") else "disabled"
    told = {"id": policy_id, "name": None if found is None else found.get("policy_name"), "state": state, "since": None}
    if state != _AT_WORK:
        query: dict[str, str | list[str]] = {"target": cluster_id, "action": _ENDINGS, "status": "SUCCEEDED"}
        actions = use.service.get("actions", query=listing.newest_first(query, "created_at"))["actions"]
        ends = (one.get("end_time") for one in actions if (one.get("inputs") or {}).get("policy_id") == policy_id)
        at = moment(next(ends, None))
        told["since"] = None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return told


def _at_rest(cluster: str, policy: Row, now: datetime) -> str:
    name = f"Policy '{one_line(policy['name'])}'" if policy["name"] else f"Policy {one_line(policy['id'])[:8]}"
    since = f" since {exact(policy['since'])} ({ago(policy['since'], now)})" if policy["since"] else ""
    return f"{name} is {policy['state']}{since}: nothing is decided about {cluster}. The last decision was:\n"


def _tell(decision: Row, now: datetime, *, at_work: bool) -> None:
    output.emit(one_line(decision.get("sentence")))
    output.emit(_when(decision, now))
    reasons: Sequence[Row] = decision.get("reasons") or ()
    metrics = [reason["data"] for reason in reasons if reason.get("kind") in _OF_METRICS]
    if metrics:
        output.emit("")
        output.show_list(metrics, METRICS, Format.TABLE, "")
    _list("Why:", [one for one in reasons if one.get("kind") != _AHEAD])
    if at_work:
        _list("What would change it:", [one for one in reasons if one.get("kind") == _AHEAD])


def _when(decision: Row, now: datetime) -> str:
    times = decision.get("times") or 1
    often = "" if times == 1 else f"; the same in {times} evaluations since {ago(decision.get('since'), now)}"
    return (
        f"{decision.get('size')} members within {decision.get('low')} to {decision.get('high')}, looked at "
        f"{ago(decision.get('at'), now)}{often}."
    )


def _list(heading: str, reasons: Sequence[Row]) -> None:
    if reasons:
        output.emit(f"\n{heading}")
        for reason in reasons:
            output.emit(f"  - {one_line(reason.get('text'))}")


@standing_alone
def history(
    use: Use,
    cluster: Cluster,
    acted: Annotated[
        bool | None, typer.Option("--acted/--idle", help="Only those that changed something, or only the others.")
    ] = None,
    limit: Limit = None,
    marker: Marker = None,
) -> None:
    """List what was decided about a cluster, newest first; without --limit the newest 100."""
    query: dict[str, str | list[str]] = {}
    if acted is not None:
        query["acted"] = "true" if acted else "false"
    query |= {key: str(value) for key, value in (("limit", limit), ("marker", marker)) if value is not None}
    rows = _decisions(use, cluster, query)
    output.show_list(rows, DECISIONS, use.form, f"nothing has been decided about {cluster}")
