"""``spinney autoscale``: why clusters have the size they have, and what has been decided about it.

What is shown was written down at the evaluation; nothing is decided again for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import typer

from spinney.cli import listing, output
from spinney.cli.command import Limit, Marker, Use, standing_alone
from spinney.cli.faults import CliError
from spinney.cli.lazy import Entry, LazyGroup
from spinney.cli.output import Column, Format, Row
from spinney.cli.text import ago, one_line

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
    elif use.form is not Format.TABLE:
        output.dump(found[0], use.form)
    else:
        _tell(found[0], datetime.now(UTC))


def _tell(decision: Row, now: datetime) -> None:
    output.emit(one_line(decision.get("sentence")))
    output.emit(_when(decision, now))
    reasons: Sequence[Row] = decision.get("reasons") or ()
    metrics = [reason["data"] for reason in reasons if reason.get("kind") in _OF_METRICS]
    if metrics:
        output.emit("")
        output.show_list(metrics, METRICS, Format.TABLE, "")
    _list("Why:", [one for one in reasons if one.get("kind") != _AHEAD])
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
