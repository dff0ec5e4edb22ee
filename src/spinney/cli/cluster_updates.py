"""``spinney cluster rollback``, ``revisions``, and what is said to an update that is under way."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spinney.cli import batch, looking, output, waiting
from spinney.cli.command import Use, command
from spinney.cli.output import Column
from spinney.cli.progress import finish
from spinney.cli.text import one_line
from spinney.cli.waiting import Goal, Scene, State, Verdict

PANEL = "Updates"
Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")]
Supersede = Annotated[
    bool, typer.Option("--supersede", help="Stop an update under way where it is, and go on from there.")
]
BaseRevision = Annotated[
    int | None,
    typer.Option("--base-revision", metavar="N", min=0, help="Only if that is the cluster's present revision."),
]


def register(app: typer.Typer) -> None:
    command(app, "rollback", waits=True, panel=PANEL)(rollback)
    command(app, "revisions", panel=PANEL)(revisions)
    command(app, "pause", waits=True, panel=PANEL)(pause)
    command(app, "resume", waits=True, panel=PANEL)(resume)
    command(app, "promote", waits=True, panel=PANEL)(promote)
    command(app, "abort", waits=True, panel=PANEL)(abort)


def conditions(supersede: bool, base_revision: int | None) -> dict[str, Any]:
    """What an update is given beside what it changes."""
    asked: dict[str, Any] = {"supersede": True} if supersede else {}
    return asked if base_revision is None else asked | {"base_revision": base_revision}


def rollback(
    use: Use,
    cluster: Cluster,
    to: Annotated[
        int | None, typer.Option("--to", metavar="N", min=1, help="Number of the revision (default: the one before).")
    ] = None,
    supersede: Supersede = False,
    base_revision: BaseRevision = None,
) -> None:
    """Take the members of a cluster back to an earlier revision; what serves is not stopped to mend what does not."""
    asked = conditions(supersede, base_revision) | ({} if to is None else {"revision": to})
    reply, _ = use.service.post("clusters", cluster, "actions", body={"rollback": asked})
    action = str(reply["action"])
    if not use.wait:
        _report(use, cluster, "rollback", action)
        return
    wanted = looking.unwrapped(use.service.get("actions", action))
    profile = {"profile_id": wanted["inputs"]["new_profile_id"]}
    _finish(use, cluster, wanted["target"], action, waiting.matches(profile, profile))


REVISIONS = (
    Column("REVISION", lambda row: f"{one_line(row.get('number'))}{' *' * bool(row.get('current'))}", right=True),
    Column("PROFILE", "profile_name"),
    Column("IMAGE", lambda row: one_line(row.get("image")), spare=1),
    Column("DIGEST", lambda row: str(row.get("digest") or "")[:19], optional=True, spare=2),
    Column("CREATED", "created_at", is_time=True),
    Column("REASON", "reason", cut=True),
)


def revisions(use: Use, cluster: Cluster) -> None:
    """What a cluster's members were to be made from, the latest first; * marks the one that it is at."""
    rows = use.service.get("clusters", cluster, "revisions")["revisions"]
    output.show_list(rows, REVISIONS, use.form, "no revisions")


def pause(use: Use, cluster: Cluster) -> None:
    """Let an update begin no more members until it is resumed."""
    _say(use, cluster, "pause", _paused)


def resume(use: Use, cluster: Cluster) -> None:
    """Let a paused update go on; members that failed are tried again."""
    _say(use, cluster, "resume", _through)


def promote(use: Use, cluster: Cluster) -> None:
    """Let the other members follow the canary of an update."""
    _say(use, cluster, "promote", _through)


def abort(use: Use, cluster: Cluster) -> None:
    """Take the members that an update has changed back to the profile that the cluster has."""
    _say(use, cluster, "abort", _went_back)


def _say(use: Use, cluster: str, verb: str, goal: Goal) -> None:
    reply, _ = use.service.post("clusters", cluster, "actions", body={verb: {}})
    action = str(reply["action"])
    if not use.wait:
        _report(use, cluster, verb, action)
        return
    target = looking.unwrapped(use.service.get("actions", action))["target"]
    _finish(use, cluster, target, action, goal)


def _report(use: Use, cluster: str, verb: str, action: str) -> None:
    batch.requested(use, cluster, verb, action, {"cluster": cluster, "action": action}, ())


def _finish(use: Use, cluster: str, target: str, action: str, goal: Goal) -> None:
    finish(use, cluster, looking.at_cluster(use.service, target, action), goal)


def _paused(scene: Scene) -> Verdict:
    if scene.action is None or not scene.working:
        return Verdict(State.FAILED, f"the update has ended before it could pause: {_reason(scene)}")
    paused = (scene.action.get("outputs") or {}).get("state") == "paused"
    return Verdict(State.REACHED if paused else State.PENDING, waiting.describe(scene))


def _through(scene: Scene) -> Verdict:
    """The update comes to its end, and the members show it."""
    profile = {"profile_id": ((scene.action or {}).get("inputs") or {}).get("new_profile_id")}
    return waiting.matches(profile, profile)(scene)


def _went_back(scene: Scene) -> Verdict:
    """The action has FAILED then, as it should: what counts is that all members have what the cluster has."""
    if scene.subject is None:
        return Verdict(State.FAILED, waiting.describe(scene))
    if scene.working:
        return Verdict(State.PENDING, waiting.describe(scene))
    profile = scene.subject.get("profile_id")
    restored = all(m.get("profile_id") == profile and m.get("status") == "ACTIVE" for m in scene.members)
    says = waiting.describe(scene) if restored else _reason(scene)
    return Verdict(State.REACHED if restored else State.FAILED, says)


def _reason(scene: Scene) -> str:
    return str((scene.action or {}).get("status_reason") or "no reason given").rstrip(".")
