"""What every command has in common: its options for the cloud, the output and waiting, and the connection made from them.

A command is a function whose first parameter is a ``Use``; the rest is what the user gives. ``command`` registers it and adds
the common options to what Typer sees.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Concatenate, ParamSpec, get_args

import typer

from spinney.cli.connection import connect
from spinney.cli.faults import CliError, Refused
from spinney.cli.output import Format
from spinney.cli.transport import Service

P = ParamSpec("P")
DEFAULT_WAIT = 600.0

Output = Annotated[Format, typer.Option("-o", "--output", help="How to show the result.", rich_help_panel="Common")]
Cloud = Annotated[
    str | None,
    typer.Option(
        "--os-cloud",
        help="Cloud of clouds.yaml (default: OS_CLOUD, then the service on this machine).",
        metavar="NAME",
        rich_help_panel="Common",
    ),
]
WaitFlag = Annotated[bool, typer.Option("--wait", help="Wait until it is done; exit 0 reached, 2 failed, 3 timed out.")]
WaitLimit = Annotated[
    float | None,
    typer.Option("--timeout", min=0, help=f"How long --wait waits, in seconds (default {DEFAULT_WAIT:.0f})."),
]
Metadata = Annotated[list[str] | None, typer.Option("--metadata", metavar="KEY=VALUE", help="May be repeated.")]
Limit = Annotated[int | None, typer.Option("--limit", min=0, help="At most so many.")]
Marker = Annotated[str | None, typer.Option("--marker", metavar="ID", help="Start after this object.")]
Sort = Annotated[str | None, typer.Option("--sort", metavar="KEY[:asc|desc],…", help="Order of the list.")]
Filter = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="KEY=VALUE", help="Only what matches; the same key again means 'or'."),
]
AllProjects = Annotated[bool, typer.Option("--all-projects", help="Of every project (administrators).")]


@dataclass
class Use:
    """One run of a command."""

    cloud: str | None
    form: Format
    wait: bool = False
    timeout: float = DEFAULT_WAIT

    @cached_property
    def service(self) -> Service:
        return connect(self.cloud)

    def close(self) -> None:
        if "service" in vars(self):  # only if it was ever used
            self.service.close()


def command(
    app: typer.Typer, name: str, *, waits: bool = False, panel: str | None = None
) -> Callable[[Callable[Concatenate[Use, P], None]], Callable[Concatenate[Use, P], None]]:
    def register(function: Callable[Concatenate[Use, P], None]) -> Callable[Concatenate[Use, P], None]:
        app.command(name, rich_help_panel=panel)(_with_common_options(function, waits))
        return function

    return register


def standing_alone(function: Callable[Concatenate[Use, P], None], *, waits: bool = False) -> Callable[..., None]:
    """The same for a command that belongs to no group."""
    return _with_common_options(function, waits)


def _with_common_options(function: Callable[Concatenate[Use, P], None], waits: bool) -> Callable[..., None]:
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    common: list[tuple[str, Any, Any]] = []
    if waits:
        common += [("wait", WaitFlag, False), ("timeout", WaitLimit, None)]
    common += [("output", Output, Format.TABLE), ("os_cloud", Cloud, None)]
    options = {parameter.name for parameter in own if _is_option(parameter)}
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        *(parameter.replace(kind=keyword) for parameter in own),
        *(inspect.Parameter(name, keyword, annotation=kind, default=default) for name, kind, default in common),
    ]

    @functools.wraps(function)
    def run(**given: Any) -> None:
        ctx: typer.Context = given.pop("ctx")
        cloud = given.pop("os_cloud") or ctx.find_root().params.get("os_cloud")
        use = Use(cloud, given.pop("output"))
        if waits:
            use.wait, limit = given.pop("wait"), given.pop("timeout")
            if limit is not None and not use.wait:
                raise CliError(f"--timeout {limit:g} says how long --wait waits, and --wait is not given: add --wait")
            use.timeout = DEFAULT_WAIT if limit is None else limit
        try:
            function(use, **given)  # type: ignore[call-arg]  # Typer calls by name what ParamSpec knows by position
        except Refused as error:
            error.message = in_options(error.message, options)
            raise
        finally:
            use.close()

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it; typeshed does not know it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _is_option(parameter: inspect.Parameter) -> bool:
    return any(isinstance(mark, typer.models.OptionInfo) for mark in get_args(parameter.annotation))


#: A field of a request that names another object, at the beginning of a refusal.
_FIELD = re.compile(r"^(?:policies\[[0-9]+\]\.)?([a-z]+)_id: ")


def in_options(said: str, options: Collection[str]) -> str:
    """The same, with the option that the user gave for the field that the service names."""
    found = _FIELD.match(said)
    return f"--{found[1]}: {said[found.end() :]}" if found is not None and found[1] in options else said


def pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """``k=v`` words as a map."""
    found: dict[str, str] = {}
    for word in given or ():
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise CliError(f"{option} {word!r} is not KEY=VALUE: write for example {option} colour=green")
        if key in found:
            raise CliError(f"{option} gives {key!r} twice, {found[key]!r} and {value!r}: give it once")
        found[key] = value
    return found


def scalars(given: Sequence[str] | None, option: str) -> dict[str, Any]:
    """``k=v`` words whose values may be whole numbers or true and false."""
    words = {"true": True, "false": False}
    return {
        key: int(value) if _whole(value) else words.get(value.lower(), value)
        for key, value in pairs(given, option).items()
    }


def _whole(value: str) -> bool:
    digits = value.removeprefix("-")
    return digits.isascii() and digits.isdigit() and (digits == "0" or not digits.startswith("0"))


def list_query(
    limit: int | None = None,
    marker: str | None = None,
    sort: str | None = None,
    filters: Sequence[str] | None = None,
    all_projects: bool = False,
) -> dict[str, str | list[str]]:
    query: dict[str, str | list[str]] = {}
    for word in filters or ():
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise CliError(f"--filter {word!r} is not KEY=VALUE: write for example --filter status=ACTIVE")
        held = query.setdefault(key, [])
        if isinstance(held, list):
            held.append(value)
    for key, given in (("limit", limit), ("marker", marker), ("sort", sort)):
        if given is not None:
            query[key] = str(given)
    if all_projects:
        query["global_project"] = "true"
    return query
