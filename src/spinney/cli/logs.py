"""``spinney logs``: what a node prints, byte for byte, or what all nodes of a cluster print, each line under its name."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zlib import crc32

import typer

from spinney.cli import output, target
from spinney.cli.command import Use, standing_alone
from spinney.cli.faults import CliError
from spinney.cli.output import Format, painted
from spinney.cli.text import harmless, moment

_SPAN = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?", re.ASCII)
#: Colours and cursor movements of the programs themselves, which would run into each other here.
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue")


@standing_alone
def logs(
    use: Use,
    word: target.Target,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is printed from now on.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", min=0, help="Only so many lines from the end.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="10m|TIME", help="Only what is newer.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="10m|TIME", help="Only what is older.")] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="With the time of each line.")] = False,
    node: target.AsNode = False,
    cluster: target.AsCluster = False,
) -> None:
    """Show what a node, or every node of a cluster, prints."""
    now = datetime.now(UTC)
    query = {key: "true" for key, given in (("follow", follow), ("timestamps", timestamps)) if given}
    if tail is not None:
        query["tail"] = str(tail)
    for key, given in (("since", since), ("until", until)):
        if given is not None:
            query[key] = point_in_time(given, now, f"--{key}")
    noun, found = target.find(use.service, word, node, cluster)
    arriving = use.service.stream(noun, found["id"], "logs", query=query)
    if noun == "nodes":
        for piece in arriving:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        return
    for entry in entries(arriving):
        if use.form is Format.JSON:
            output.emit(output.to_json(entry))
        else:
            output.emit(written(entry, timestamps, output.coloured()))
        sys.stdout.flush()


def point_in_time(word: str, now: datetime, option: str) -> str:
    """An ISO time from an ISO time, seconds since the epoch, or a span back from now as in ``1h30m``."""
    span = _SPAN.fullmatch(word)
    if span is not None and word:
        days, hours, minutes, seconds = (int(part or 0) for part in span.groups())
        at: datetime | None = now - timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    else:
        at = moment(float(word) if re.fullmatch(r"\d+(\.\d+)?", word, re.ASCII) else word)
    if at is None:
        raise CliError(f"{option} {word!r} is no time: write 10m, 1h30m, or a time as in 2026-05-01T12:00:00Z")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def entries(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """One JSON object per line, however the pieces are cut. The service's own heartbeats are empty lines."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (_entry(line) for line in lines if line.strip())
    if rest.strip():
        yield _entry(rest)


def _entry(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise CliError(f"the service sent a line of logs that is no JSON: {line[:80]!r}") from error
    return found if isinstance(found, dict) else {"line": str(found)}


def written(entry: dict[str, Any], timestamps: bool, colour: bool) -> str:
    """A line under the name of its node; the same name always has the same colour."""
    name = harmless(str(entry.get("node_name") or entry.get("node_id") or "?"))
    shade = _COLOURS[crc32(name.encode()) % len(_COLOURS)] if colour else ""
    head = painted(f"{name} |", shade)
    if "error" in entry:
        return f"{head} {painted('cannot be read: ' + harmless(str(entry['error'])), 'red' if colour else '')}"
    at = f"{entry['time']} " if timestamps and entry.get("time") else ""
    return f"{head} {at}{harmless(_CODES.sub('', str(entry.get('line', ''))).rstrip())}"
