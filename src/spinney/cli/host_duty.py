"""The part of ``spinney host`` that says what is wanted of hosts: open, cordoned, or emptied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from spinney.cli import looking, output, plan_view, waiting
from spinney.cli.batch import for_each
from spinney.cli.command import Use, command
from spinney.cli.faults import CliError
from spinney.cli.transport import Service
from spinney.cli.waiting import Scene, State, Verdict

Hosts = Annotated[list[str], typer.Argument(metavar="HOST…", help="Names, ids or beginnings of ids.")]


def register(app: typer.Typer) -> None:
    command(app, "cordon")(cordon)
    command(app, "uncordon")(uncordon)
    command(app, "drain", waits=True)(drain)


def cordon(use: Use, hosts: Hosts) -> None:
    """Place nothing new on hosts; what is there stays. A drain that is under way is stopped."""
    _set(use, hosts, "cordon", "cordoned")


def uncordon(use: Use, hosts: Hosts) -> None:
    """Open hosts again. A drain that is under way is stopped."""
    _set(use, hosts, "uncordon", "open")


def _set(use: Use, hosts: list[str], verb: str, says: str) -> None:
    for word in hosts:
        host = looking.unwrapped(use.service.get("hosts", word))
        use.service.post("hosts", host["id"], "actions", body={verb: {}})
        after = looking.unwrapped(use.service.get("hosts", host["id"]))
        if use.form is output.Format.TABLE:
            silent = (
                "" if after["state"] in ("ready", "cordoned") else f" (shown when it answers; it is {after['state']})"
            )
            output.emit(f"{output.name_of(after)}: {says}{silent}")
        else:
            output.show_object(after, use.form)


def drain(
    use: Use,
    hosts: Hosts,
    deadline: Annotated[
        int | None, typer.Option("--deadline", min=1, metavar="SECONDS", help="Begin no move after this time.")
    ] = None,
    max_in_flight: Annotated[
        int | None,
        typer.Option("--max-in-flight", min=1, metavar="N", help="Moves at a time on each host (usually 4)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go where, what could not leave, and why.")
    ] = False,
) -> None:
    """Move every container to other hosts, the new one first, within each cluster's disruption budget.

    Stop it with `spinney action cancel`, `spinney host cordon` or `spinney host uncordon`; drain again to go on.
    """
    given = {"deadline": deadline, "max_in_flight": max_in_flight}
    asked: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if dry_run:
        _would(use, hosts, asked)
        return

    def begin(word: str) -> tuple[str, str | None]:
        host = looking.unwrapped(use.service.get("hosts", word))
        reply, _ = use.service.post("hosts", host["id"], "actions", body={"drain": asked})
        return host["id"], reply["action"]

    for_each(use, hosts, "host", "drain", begin, at_drain, drained)


def _would(use: Use, hosts: list[str], asked: dict[str, Any]) -> None:
    if use.wait:
        raise CliError("--dry-run and --wait are both given: a dry run has nothing to wait for; leave one out")
    for word in hosts:
        host = looking.unwrapped(use.service.get("hosts", word))
        reply, _ = use.service.post("hosts", host["id"], "actions", body={"drain": {**asked, "dry_run": True}})
        plan_view.show(use, looking.unwrapped(reply))


def at_drain(service: Service, host_id: str, action_id: str | None) -> Callable[[], Scene]:
    def look() -> Scene:
        action = looking.found(service, "actions", action_id) if action_id else None
        return Scene(looking.found(service, "hosts", host_id), (), action)

    return look


def drained(scene: Scene) -> Verdict:
    """The host carries nothing more. How far it is, is what its action says."""
    if scene.subject is None:
        return Verdict(State.FAILED, "the host is gone")
    said = str((scene.action or {}).get("status_reason") or "").rstrip(".")
    says = f"{scene.status}, {said}" if said else scene.status
    if scene.working:
        return Verdict(State.PENDING, says)
    left = int(scene.subject.get("containers") or 0)
    return Verdict(waiting.State.REACHED if not left else waiting.State.FAILED, says)
