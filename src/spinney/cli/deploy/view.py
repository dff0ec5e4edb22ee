"""A plan as people and programs see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from spinney.cli import output, plan_view
from spinney.cli.command import Use
from spinney.cli.deploy.deciding import Kind, Plan, Step
from spinney.cli.deploy.present import Running
from spinney.cli.output import Column, Format

_STYLES = {
    Kind.CREATE: "green",
    Kind.SCALE: "cyan",
    Kind.IN_PLACE: "cyan",
    Kind.REPLACE: "yellow",
    Kind.RECOVER: "yellow",
    Kind.REMOVE: "red",
}
COLUMNS = (
    Column("STEP", "step", style=lambda cell: _STYLES.get(Kind(cell), "") if cell in list(Kind) else ""),
    Column("SERVICE", "service"),
    Column("CLUSTER", "cluster"),
    Column("WHAT", "what"),
)


def rows(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [{"step": one.kind.value, "service": one.service, "cluster": one.cluster, "what": one.says} for one in steps]


def show(use: Use, steps: Sequence[Step], foreseen: Sequence[Any]) -> None:
    """``foreseen``: what the service says of single steps, as plans."""
    if use.form is Format.NAME:
        for name in dict.fromkeys(one.cluster for one in steps):
            output.emit(name)
    elif use.form is not Format.TABLE:
        output.dump(rows(steps), use.form)
    else:
        output.show_list(rows(steps), COLUMNS, Format.TABLE, "")
        unplaceable = [row for plan in foreseen for row in plan["unplaceable"]]
        if unplaceable:
            output.emit("")
            output.show_list(plan_view.alike(unplaceable), plan_view.UNPLACEABLE, Format.TABLE, "")


def summary(plan: Plan, going: int) -> str:
    """How many services are to be changed or go, and how many are as they should be."""
    same = sum(not one.steps for one in plan.services)
    changing = len(plan.services) - same
    told = ((changing, "to be made or changed"), (going, "to be removed"))
    words = [f"{_services(count)} {what}" for count, what in told if count] or ["nothing to do"]
    if same:
        words.append(f"{_services(same)} as the file has {'it' if same == 1 else 'them'}")
    return ", ".join(words)


def left_alone(orphans: Sequence[Running]) -> str:
    names = ", ".join(one.name for one in orphans)
    them = "it" if len(orphans) == 1 else "them"
    return f"gone from the file and left as {'it is' if len(orphans) == 1 else 'they are'}: {names} (--prune removes {them})"


def _services(count: int) -> str:
    return "1 service" if count == 1 else f"{count} services"
