"""``spinney why``: why a node is where it is, or why it is nowhere yet.

What is shown was written down when the node was placed; nothing is decided again for it. One sentence first, then what there
was to choose from, in the order of the service: the chosen host, those that would have fitted, the best first, and those that
would not, the nearest first, each with the rules it fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from spinney.cli import looking, output
from spinney.cli.command import Use, standing_alone
from spinney.cli.output import Column, Format, Row
from spinney.cli.text import ago, bar, one_line

#: Hosts shown unless all are asked for.
SHORT = 12
_FIGURE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?: (bytes|MiB))?", re.ASCII)
#: Strategies whose score is a part of a host.
_SHARES = frozenset({"spread", "least_utilized", "balanced"})
_DECIDED = "What decided: of the scores, in this order, the first that differs; smaller is better."
_EQUAL = "What decided: not the scores, which are equal, but the names of the hosts, or for random the seed."
_ALONE = "Its scores; there was no other host to choose."
#: What the scores of the service mean.
SCORE_WORDS = {
    "setbacks": "failed there lately",
    "quota": "over the quota",
    "spread_over": "members in its group",
    "affinity": "against an affinity",
    "prefer": "preferences not met",
    "threshold": "0 below threshold, 1 above, 2 not measured",
    "difference": "CPU and memory apart, %",
    "spread": "reserved share",
    "least_utilized": "share reserved or used",
    "balanced": "larger reserved share",
    "binpack": "left free",
    "containers": "containers there",
}
_VERDICTS = {"chosen": "green", "fits": "cyan", "no": "red"}


def _plain(key: str) -> Callable[[Row], str]:
    """What has no value is left blank: here that is no unknown."""
    return lambda row: one_line(row[key]) if row.get(key) else ""


COLUMNS = (
    Column("HOST", _plain("host")),
    Column("FITS", _plain("verdict"), style=lambda cell: _VERDICTS.get(cell, "")),
    Column("SCORE", _plain("score"), right=True, optional=True),
    Column("", _plain("share"), picture=True, optional=True, style=lambda _: "cyan", spare=2),
    Column("FAILS", _plain("rule"), optional=True),
    Column("NEEDED", _plain("needed"), optional=True),
    Column("", _plain("picture"), picture=True, optional=True, style=lambda _: "red", spare=1),
    Column("THERE IS", _plain("available"), optional=True),
    Column("IN WORDS", _plain("text"), optional=True, cut=True, spare=3),
)
SCORES = (
    Column("SCORE", "score"),
    Column("CHOSEN", "chosen", right=True),
    Column("NEXT BEST", _plain("next"), right=True, optional=True),
    Column("", _plain("decided"), optional=True),
)
FAILED = (
    Column("FIRST RULE FAILED", "rule"),
    Column("", "picture", picture=True, style=lambda _: "red"),
    Column("HOSTS", "hosts", right=True),
)


@standing_alone
def why(
    use: Use,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Name, id or beginning of the id.")],
    all_: Annotated[bool, typer.Option("--all", help="Every host that was looked at closely.")] = False,
) -> None:
    """Tell why a node is where it is, or why it waits: host by host, with what would have to change."""
    placement = looking.unwrapped(use.service.get("nodes", node, "placement"))
    if use.form is Format.NAME:
        if placement.get("host"):
            output.emit(output.name_of({"name": placement["host"]}))
    elif use.form is not Format.TABLE:
        output.dump(placement, use.form)
    else:
        found = looking.unwrapped(use.service.get("nodes", node))
        name = output.name_of(found)
        _tell(name, placement, None if all_ else SHORT)
        if unready := readiness(name, found, datetime.now(UTC)):
            output.emit(f"\n{unready}")


def _tell(name: str, placement: Row, most: int | None) -> None:
    output.emit(sentence(name, placement, datetime.now(UTC)))
    hosts = placement.get("hosts") or ()
    if hosts:
        _under(None, [row for host in hosts[:most] for row in rows(host, placement)], COLUMNS)
    if left := unseen(placement, len(hosts[:most]), len(hosts)):
        output.emit(left)
    if chosen := scores(hosts, placement):
        compared = any(row["next"] for row in chosen)
        decided = any(row["decided"] for row in chosen)
        _under(_DECIDED if decided else _EQUAL if compared else _ALONE, chosen, SCORES)
    if refusals := failures(placement):
        _under(None, refusals, FAILED)
    if miss := placement.get("nearest_miss"):
        output.emit(f"\nNearest miss: {one_line(miss.get('text'))}")


def _under(heading: str | None, lines: Sequence[Row], columns: Sequence[Column]) -> None:
    output.emit("")
    if heading is not None:
        output.emit(heading)
    output.show_list(lines, columns, Format.TABLE, "")


def sentence(name: str, placement: Row, now: datetime) -> str:
    summary = one_line(placement.get("summary") or "nothing was written down about it")
    if placement.get("state") != "placed":
        return f"{name} waits for a host: {summary}"
    when = f", placed {ago(placement['decided_at'], now)}" if placement.get("decided_at") else ""
    return f"{name} is on {one_line(placement.get('host'))}{when}: {summary}"


def readiness(name: str, node: Row, now: datetime) -> str:
    """Why a container that has a host may not be given work; empty: it may."""
    said = (node.get("data") or {}).get("readiness") or {}
    if said.get("ready", True) or not node.get("physical_id"):
        return ""
    since = f" for {ago(said['since'], now).removesuffix(' ago')}" if said.get("since") else ""
    return f"{name} has not been ready{since}: {one_line(said.get('reason'))}"


def _is_chosen(host: Row, placement: Row) -> bool:
    return placement.get("state") == "placed" and host.get("host_id") == placement.get("host_id")


def rows(host: Row, placement: Row) -> Iterator[Row]:
    """One line for a host that fits, else one for each rule that it fails."""
    verdict = "chosen" if _is_chosen(host, placement) else "fits" if host.get("fits") else "no"
    score, shares = host.get("score"), placement.get("strategy") in _SHARES
    share = bar(score, 1.0) if shares and score is not None else ""
    first = {"host": host.get("host"), "verdict": verdict, "score": figure(score, shares), "share": share}
    if verdict != "no" or not host.get("reasons"):
        yield first
        return
    for index, reason in enumerate(host["reasons"]):
        lead = first if index == 0 else {}
        yield lead | reason | {"rule": word(reason.get("rule")), "picture": picture(reason)}


def picture(reason: Row) -> str:
    """How much of what is needed there is, where both are amounts of the same thing."""
    needed, available = amount(reason.get("needed")), amount(reason.get("available"))
    return "" if not needed or available is None or available > needed else bar(available, needed)


def amount(words: Any) -> float | None:
    found = _FIGURE.fullmatch(str(words).strip())
    return None if found is None else float(found[1]) * (2**20 if found[2] == "MiB" else 1)


def word(rule: Any) -> str:
    return one_line(rule).replace("_", " ")


def figure(score: Any, share: bool) -> str:
    return "" if score is None else f"{100 * score:.1f}%" if share else f"{float(score):.4g}"


def unseen(placement: Row, shown: int, told: int) -> str:
    """How many hosts are not in the table."""
    total = max(int(placement.get("hosts_total") or 0), told)
    if shown >= total:
        return ""
    hint = "; --all shows more" if shown < told else ""
    return f"… and {total - shown} more of {total} hosts{hint}"


def scores(hosts: Sequence[Row], placement: Row) -> list[Row]:
    """The scores of the chosen host beside those of the best of the others."""
    chosen = next((host for host in hosts if _is_chosen(host, placement)), None)
    following = next((host for host in hosts if host.get("fits") and host is not chosen), None)
    own = (chosen or {}).get("scores") or {}
    other = (following or {}).get("scores") or {}
    deciding = next((name for name in own if following is not None and own[name] != other.get(name)), None)
    return [
        {
            "score": SCORE_WORDS.get(name) or word(name),
            "chosen": figure(value, name in _SHARES),
            "next": figure(other.get(name), name in _SHARES),
            "decided": "← this one" if name == deciding else "",
        }
        for name, value in own.items()
    ]


def failures(placement: Row) -> list[Row]:
    """How many hosts fail which rule first: worth a picture when there are many."""
    failed = placement.get("failed") or {}
    total = max(int(placement.get("hosts_total") or 0), 1)
    if len(placement.get("hosts") or ()) <= SHORT:
        return []
    return [
        {"rule": word(rule), "picture": bar(count, total, 20), "hosts": f"{count}/{total}"}
        for rule, count in sorted(failed.items(), key=lambda item: (-item[1], item[0]))
    ]
