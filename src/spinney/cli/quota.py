"""``spinney quota``: what projects may have at most, and what they have."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from spinney.cli import looking, output
from spinney.cli.command import Use, command
from spinney.cli.faults import CliError
from spinney.cli.output import Column, Format

app = typer.Typer(no_args_is_help=True, add_completion=False, help="What projects may have at most.")

#: What the API takes for the caller's own project.
OWN = "-"
RESOURCES = ("clusters", "nodes", "cpu", "memory", "receivers", "secrets", "volumes")
_FACTORS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmgt]?)i?b?", re.IGNORECASE)

Project = Annotated[str, typer.Argument(metavar="PROJECT", help="Id of a project.")]
Most = Annotated[int | None, typer.Option(min=-1, help="-1: no limit.")]

COLUMNS = (
    Column("RESOURCE", "resource"),
    Column("LIMIT", lambda row: written(row["resource"], row["limit"]), right=True),
    Column("USED", lambda row: written(row["resource"], row["used"]), right=True),
)


def written(resource: str, amount: float) -> str:
    if amount < 0:
        return "none"
    if resource != "memory" or amount == 0:
        return f"{amount:g}" if resource == "cpu" else str(int(amount))
    unit = next((name for name in "tgmk" if amount >= _FACTORS[name]), "")
    return f"{amount / _FACTORS[unit]:.4g}{unit}"


def to_bytes(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if text.strip() == "-1":
        return -1
    if found is None:
        raise CliError(f"--memory {text!r} is no size: write bytes or for example 512m, 64g; -1 for no limit")
    return int(float(found[1]) * _FACTORS[found[2].lower()])


@command(app, "show")
def show(
    use: Use, project: Annotated[str, typer.Argument(metavar="[PROJECT]", help="Default: your own.")] = OWN
) -> None:
    """Show what a project may have at most, and what it has or is about to have."""
    _show(use, looking.unwrapped(use.service.get("quotas", project)))


@command(app, "set")
def set_(
    use: Use,
    project: Project,
    clusters: Most = None,
    nodes: Most = None,
    cpu: Annotated[float | None, typer.Option(help="Cores set aside for containers; -1: no limit.")] = None,
    memory: Annotated[str | None, typer.Option(help="Set aside for containers, as in 64g; -1: no limit.")] = None,
    receivers: Most = None,
    secrets: Most = None,
    volumes: Most = None,
) -> None:
    """Set what a project may have at most (administrators). What it has already stays, whatever the limit."""
    if cpu is not None and not math.isfinite(cpu):
        raise CliError(f"--cpu: {cpu} is no number of cores; give one such as 16, or -1 for no limit")
    given = {
        "clusters": clusters,
        "nodes": nodes,
        "cpu": cpu,
        "memory": None if memory is None else to_bytes(memory),
        "receivers": receivers,
        "secrets": secrets,
        "volumes": volumes,
    }
    limits = {name: limit for name, limit in given.items() if limit is not None}
    if not limits:
        raise CliError(f"nothing to set: give some of {', '.join(f'--{name}' for name in RESOURCES)}")
    _show(use, looking.unwrapped(use.service.put("quotas", project, body={"quota": limits})))


@command(app, "reset")
def reset(use: Use, project: Project) -> None:
    """Give a project the deployment's limits again (administrators)."""
    use.service.delete("quotas", project)
    if use.form in (Format.TABLE, Format.NAME):
        output.emit(output.name_of({"name": project}) + (": reset" if use.form is Format.TABLE else ""))


def _show(use: Use, quota: Mapping[str, Any]) -> None:
    if use.form is not Format.TABLE:
        output.show_object({"name": quota["project"], **quota} if use.form is Format.NAME else quota, use.form)
        return
    rows = [{"resource": name, "limit": quota[name], "used": quota["used"][name]} for name in RESOURCES]
    output.show_list(rows, COLUMNS, use.form, "")
