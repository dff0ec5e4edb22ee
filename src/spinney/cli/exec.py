"""``spinney exec`` and ``spinney node exec``: run a command in a node's container."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from spinney.cli.command import Use, pairs, standing_alone
from spinney.cli.faults import CliError

_INTERRUPTED = 130


def run(
    use: Use,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Name, id or beginning of the id.")],
    words: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND…", help="What to run, and its arguments; put -- before it.")
    ],
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Pass on what is typed or piped in.")
    ] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give it this terminal.")] = False,
    user: Annotated[str | None, typer.Option("--user", "-u", metavar="USER[:GROUP]", help="Run as this user.")] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", metavar="NAME=VALUE", help="Set a variable; may be repeated.")
    ] = None,
) -> None:
    """Run a command in a node's container, and end with its exit code."""
    if tty and interactive and not sys.stdin.isatty():
        raise CliError("-t needs a terminal to read from, and the input is none: leave it out to pipe")
    if tty and not (sys.stdin.isatty() or sys.stdout.isatty()):
        raise CliError("-t needs a terminal, and neither input nor output is one: leave it out")
    asked: dict[str, Any] = {"command": words, "tty": tty, "user": user, "environment": pairs(env, "--env")}
    reply, _ = use.service.post("nodes", node, "exec", body={"exec": asked})
    from spinney.cli.terminal import Wanted, join  # for sessions alone

    try:
        code = join(*use.service.socket(reply["exec"]["stream_path"]), Wanted(interactive, tty))
    except KeyboardInterrupt:
        code = _INTERRUPTED
    raise typer.Exit(code)


command = standing_alone(run)
