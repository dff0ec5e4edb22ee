"""``spinney autoscale backtest``: what a policy would have done with a load, drawn before it is armed.

The load is a cluster's own history, or a table of one's own. Nothing is changed anywhere, and with a table and a
specification in a file no service is needed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from spinney.cli import backtest_load, curves, looking, output, spec
from spinney.cli.command import Use, standing_alone
from spinney.cli.curves import Curve, Panel
from spinney.cli.faults import CliError
from spinney.cli.output import Format
from spinney.domain.autoscale.backtest import Point, Score, World, backtest, score
from spinney.domain.autoscale.rules import Rules
from spinney.domain.autoscale.values import Sample
from spinney.errors import SpinneyError
from spinney.policies.autoscaling import AutoscalingProperties, autoscaling
from spinney.policies.registry import validate_spec

_MOST_EVALUATIONS = 200_000

PolicyWord = Annotated[str | None, typer.Option("--policy", metavar="POLICY", help="A policy of the service.")]
SpecFile = Annotated[
    str | None, typer.Option("--spec-file", metavar="FILE", help="A specification that need not be anywhere else yet.")
]
ClusterWord = Annotated[
    str | None, typer.Option("--cluster", metavar="CLUSTER", help="Whose recorded history is the load.")
]
MetricsFile = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="FILE",
        help="The load as CSV: a column time (seconds, or ISO 8601) and one per metric, each with what all members have "
        "together. - is standard input.",
    ),
]
Size = Annotated[int | None, typer.Option("--size", min=0, help="Members at the beginning (default: what is ideal).")]
Startup = Annotated[
    float, typer.Option("--startup", min=0, help="Seconds until a new member is ready, as far as you know.")
]
Svg = Annotated[str | None, typer.Option("--svg", metavar="FILE", help="Draw it into this file too.")]


@standing_alone
def command(
    use: Use,
    policy: PolicyWord = None,
    spec_file: SpecFile = None,
    cluster: ClusterWord = None,
    metrics: MetricsFile = None,
    size: Size = None,
    startup: Startup = 10.0,
    svg: Svg = None,
) -> None:
    """Show what an autoscaling policy would have done with a load. Nothing is changed."""
    if (policy is None) == (spec_file is None):
        raise CliError("give either --policy, a policy of the service, or --spec-file, a specification")
    if (cluster is None) == (metrics is None):
        raise CliError("give either --cluster, whose history is the load, or --metrics, a table of one")
    found = spec.read(spec_file) if spec_file is not None else _spec_of(use, policy or "")
    rules = _rules(found)
    load = backtest_load.recorded(use, cluster) if cluster is not None else backtest_load.table(metrics or "")
    points = _run(rules, backtest_load.asked_for(rules, load), size, startup)
    told = score(points, rules.interval)
    if use.form is Format.TABLE:
        _draw(rules, points, told)
    else:
        output.show_object(_plain(points, told), use.form)
    if svg is not None:
        _write(svg, _picture(rules, points, told))


def _spec_of(use: Use, word: str) -> Mapping[str, Any]:
    return dict(looking.unwrapped(use.service.get("policies", word))["spec"])


def _rules(found: Mapping[str, Any]) -> Rules:
    try:
        policy = validate_spec(found)
    except SpinneyError as error:
        raise CliError(f"the specification is not right: {error}") from error
    if not isinstance(policy.properties, AutoscalingProperties):
        raise CliError(f"{policy.kind.name_version} scales nothing by itself: give a spinney.policy.autoscaling-1.0")
    return autoscaling(policy.properties)


# --- the run ----------------------------------------------------------------------------------------------------------


def _run(rules: Rules, samples: Mapping[str, Sequence[Sample]], size: int | None, startup: float) -> list[Point]:
    moments = [sample.at for found in samples.values() for sample in found]
    begin, end = min(moments), max(moments)
    if (end - begin) / rules.interval > _MOST_EVALUATIONS:
        most = curves.span(_MOST_EVALUATIONS * rules.interval)
        raise CliError(f"the load lasts {curves.span(end - begin)}, and at most {most} can be tried: give a part of it")
    if size is None:
        first = next(iter(backtest(rules, samples, World(rules.minimum, startup), begin, begin)))
        size = max(rules.minimum, first.ideal or 0)
    total = int((end - begin) // rules.interval) + 1
    return list(_told_of(backtest(rules, samples, World(size, startup), begin, end), total))


def _told_of(points: Iterator[Point], total: int) -> Iterator[Point]:
    """With a line of progress where somebody waits at a terminal."""
    shown = sys.stderr.isatty() and total > 20_000
    for number, point in enumerate(points):
        if shown and number % 2000 == 0:
            sys.stderr.write(f"\r{100 * number // total:3d} % of {total} evaluations")
        yield point
    if shown:
        sys.stderr.write("\r" + " " * 40 + "\r")


def _plain(points: Sequence[Point], told: Score) -> dict[str, Any]:
    return {
        "evaluations": len(points),
        "seconds": told.seconds,
        "changes": told.changes,
        "flaps": told.flaps,
        "overshoot": told.overshoot,
        "worst_shortage": told.worst,
        "short_member_seconds": told.short,
        "spare_member_seconds": told.spare,
        "ideal_member_seconds": told.ideal,
        "median_reaction": told.reaction,
        "points": [
            {
                "at": datetime.fromtimestamp(point.at, UTC).isoformat().replace("+00:00", "Z"),
                "size": point.size,
                "ready": point.ready,
                "ideal": point.ideal,
                "wanted": point.decision.wanted,
                "acted": point.decision.order is not None,
                "loads": dict(point.loads),
                "sentence": point.decision.sentence,
            }
            for point in points
        ],
    }


# --- drawing ----------------------------------------------------------------------------------------------------------


def _panels(rules: Rules, points: Sequence[Point]) -> list[Panel]:
    marks = [index for index, point in enumerate(points) if point.decision.order is not None]
    ready = Curve("members that are ready", [float(point.ready) for point in points], filled=True)
    ideal = Curve("ideal", [None if point.ideal is None else float(point.ideal) for point in points], tone=1)
    loads = [
        Panel(
            f"load: {name}, of all members together",
            [Curve("load", [p.loads[name] for p in points], filled=True, tone=1)],
        )
        for name in dict.fromkeys(signal.name for signal in rules.signals)
    ]
    return [*loads, Panel("members", [ready, ideal], marks)]


def _summary(told: Score) -> list[str]:
    reaction = (
        "nothing to react to" if told.reaction is None else f"{curves.span(told.reaction)} until it had caught up"
    )
    return [
        f"{told.changes} changes of the size in {curves.span(told.seconds)}, {told.flaps} of them undone within 5 min",
        f"too few: {_share(told.short, told.ideal)} of what was needed, at worst {told.worst} missing; median {reaction}",
        f"too many: {_share(told.spare, told.ideal)} more than needed, at most {told.overshoot} to spare",
    ]


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "nothing"


def _draw(rules: Rules, points: Sequence[Point], told: Score) -> None:
    width = min(shutil.get_terminal_size().columns, 120)
    for panel in _panels(rules, points):
        for line in curves.plain(panel, width):
            output.emit(line)
        output.emit("")
    output.emit("█ what is there (of members: ready ones)   • ideal   ┴ the size is changed   ? unknown")
    for line in _summary(told):
        output.emit(line)


def _picture(rules: Rules, points: Sequence[Point], told: Score) -> str:
    return curves.svg("What the policy would have done", _summary(told), _panels(rules, points), told.seconds)


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"--svg {path!r} cannot be written: {error.strerror}") from error
    output.note(f"drawn: {path}")
