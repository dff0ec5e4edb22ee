"""The part of ``spinney cluster`` that attaches policies to clusters, and shows which are attached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from spinney.cli import looking, output
from spinney.cli.batch import say_requested
from spinney.cli.command import Filter, Sort, Use, command, list_query
from spinney.cli.output import Column, Format
from spinney.cli.progress import finish
from spinney.cli.waiting import Goal, Scene, State, Verdict

PANEL = "Policies"
Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")]
Policy = Annotated[str, typer.Argument(metavar="POLICY", help="Name, id or beginning of the id.")]

COLUMNS = (
    Column("POLICY", "policy_name"),
    Column("ID", lambda row: str(row.get("policy_id", ""))[:8]),
    Column("TYPE", "policy_type"),
    Column("ENABLED", lambda row: "yes" if row.get("enabled") else "no"),
    Column("PRIORITY", "priority", right=True),
)


def register(app: typer.Typer) -> None:
    command(app, "policy-attach", waits=True, panel=PANEL)(policy_attach)
    command(app, "policy-detach", waits=True, panel=PANEL)(policy_detach)
    command(app, "policy-update", waits=True, panel=PANEL)(policy_update)
    command(app, "policy-list", panel=PANEL)(policy_list)
    command(app, "policy-show", panel=PANEL)(policy_show)


def policy_attach(
    use: Use,
    cluster: Cluster,
    policy: Policy,
    disabled: Annotated[bool, typer.Option("--disabled", help="Attach it, and enable it later.")] = False,
) -> None:
    """Attach a policy to a cluster. What is placed already stays where it is."""
    _act(use, cluster, policy, "policy_attach", {"enabled": not disabled}, bound())


def policy_detach(use: Use, cluster: Cluster, policy: Policy) -> None:
    """Detach a policy from a cluster."""
    _act(use, cluster, policy, "policy_detach", {}, unbound)


def policy_update(
    use: Use,
    cluster: Cluster,
    policy: Policy,
    enable: Annotated[bool, typer.Option("--enable/--disable", help="Whether the policy counts from now on.")],
) -> None:
    """Enable or disable an attached policy."""
    _act(use, cluster, policy, "policy_update", {"enabled": enable}, bound(enable))


def policy_list(use: Use, cluster: Cluster, sort: Sort = None, filters: Filter = None) -> None:
    """List the policies of a cluster. Filters: enabled, policy_name, policy_type."""
    rows = use.service.get("clusters", cluster, "policies", query=list_query(sort=sort, filters=filters))
    empty = "no policies: attach one with `spinney cluster policy-attach`"
    named = [{**row, "name": row.get("policy_name")} for row in rows["cluster_policies"]]
    output.show_list(named if use.form is Format.NAME else rows["cluster_policies"], COLUMNS, use.form, empty)


def policy_show(use: Use, cluster: Cluster, policy: Policy) -> None:
    """Show how a policy is attached to a cluster."""
    found = use.service.get("clusters", cluster, "policies", policy)
    output.show_object(looking.unwrapped(found), use.form, ("last_op",))


def _act(use: Use, cluster: str, policy: str, verb: str, asked: Mapping[str, Any], goal: Goal) -> None:
    there = looking.unwrapped(use.service.get("clusters", cluster))
    rule = looking.unwrapped(use.service.get("policies", policy))
    body = {verb: {"policy_id": rule["id"], **asked}}
    reply, _ = use.service.post("clusters", there["id"], "actions", body=body)
    action = reply["action"]
    if use.wait:
        show = None if use.form is Format.TABLE else lambda seen: output.show_object(seen, use.form)
        finish(use, cluster, looking.at_binding(use.service, there["id"], rule["id"], action), goal, show)
    elif use.form is Format.TABLE:
        say_requested(cluster, verb.replace("_", "-"), action)
    elif use.form is Format.NAME:
        output.emit(cluster)
    else:
        output.dump({"cluster": there["id"], "policy": rule["id"], "action": action}, use.form)


def bound(enabled: bool | None = None) -> Goal:
    """The policy is attached and, if that is asked, enabled or not."""

    def goal(scene: Scene) -> Verdict:
        if scene.working:
            return Verdict(State.PENDING, "at work")
        if scene.subject is not None and enabled in (None, scene.subject.get("enabled")):
            says = "enabled" if scene.subject.get("enabled") else "disabled"
            return Verdict(
                State.REACHED, f"policy {scene.subject.get('policy_name')} is attached and {says}{_remark(scene)}"
            )
        return _given_up(scene)

    return goal


def _remark(scene: Scene) -> str:
    """What the action says beside that it is done, such as that a policy has no effect yet."""
    said = str((scene.action or {}).get("status_reason") or "").partition(" is done.")[2].strip().rstrip(".")
    return f" ({said})" if said else ""


def unbound(scene: Scene) -> Verdict:
    """The policy is not attached."""
    if scene.working:
        return Verdict(State.PENDING, "at work")
    return Verdict(State.REACHED, "the policy is detached") if scene.subject is None else _given_up(scene)


def _given_up(scene: Scene) -> Verdict:
    if scene.gave_up and scene.action is not None:
        return Verdict(State.FAILED, str(scene.action.get("status_reason") or scene.action.get("status")))
    return Verdict(State.PENDING, "the policy does not show it yet")
