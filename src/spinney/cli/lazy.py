"""A group of commands which loads the module of a command only when that command is used.

``spinney --help`` and completion of the first word need names and one-line descriptions alone; those stand here as values.
The group also ends commands: a ``CliError`` and wrong use become one line on standard error, and exit 1, because 2 means
"waited for and failed".
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from spinney.cli.faults import EXIT_REFUSED, CliError


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is found: a ``typer.Typer`` (a group) or a function (one command)."""

    module: str
    attribute: str
    help: str
    panel: str


class LazyGroup(TyperGroup):
    entries: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in self.entries.items():
            self.add_command(TyperCommand(name, help=entry.help, rich_help_panel=entry.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, found, rest = super().resolve_command(ctx, args)
        if name is not None and name in self.entries:
            found = load(name, self.entries[name])
        return name, found, rest

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except typer.TyperException as error:
            raise _wrong_use(error) from error

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            raise _wrong_use(error) from error
        except CliError as error:
            if error.message:  # else everything has been said already
                complain(error.message)
            raise typer.Exit(error.exit_code) from error


def _wrong_use(error: typer.TyperException) -> Exception:
    """What to raise instead. An error without words has shown the help of a group already."""
    said = " ".join((_wrong_value(error) or error.format_message()).split())
    if not said:
        error.exit_code = EXIT_REFUSED
        return error
    ctx = getattr(error, "ctx", None)
    remedy = f" See `{ctx.command_path} --help`." if ctx is not None else ""
    complain(f"{said if said.endswith(('.', '?')) else said + '.'}{remedy}")
    return typer.Exit(EXIT_REFUSED)


#: What is allowed, by the kind of the fault that pydantic has found.
_ALLOWED = {
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_parsing": "a number",
    "greater_than_equal": "{ge:g} or more",
    "less_than_equal": "{le:g} or less",
}


def _wrong_value(error: typer.TyperException) -> str:
    """The option or argument, its value and what is allowed; empty where Typer's own words have to do."""
    found: list[Any] = getattr(error.__cause__, "errors", list)()
    parameter = getattr(error, "param", None)
    allowed = _ALLOWED.get(found[0]["type"]) if found else None
    if allowed is None or parameter is None:
        return ""
    name = parameter.get_error_hint().replace("'", "")
    return f"{name} {found[0]['input']!r} is not allowed: {allowed.format_map(found[0].get('ctx', {}))}"


def complain(message: str) -> None:
    from spinney.cli.text import harmless

    sys.stdout.flush()
    sys.stderr.write(f"spinney: {harmless(message)}\n")


def load(name: str, entry: Entry) -> Any:
    try:
        target = getattr(import_module(entry.module), entry.attribute)
    except (ImportError, AttributeError) as error:
        raise CliError(f"the command {name!r} cannot be loaded, this installation is incomplete: {error}") from error
    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(name)(target)
        target = app
    command = typer.main.get_command(target)
    command.name = name
    return command
