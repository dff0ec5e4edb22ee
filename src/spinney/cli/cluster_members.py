"""The part of ``spinney cluster`` that changes how many nodes there are, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from spinney.cli import looking, output, waiting
from spinney.cli.batch import say_requested
from spinney.cli.command import Use, command, pairs
from spinney.cli.faults import CliError, Refused
from spinney.cli.output import Format
from spinney.cli.progress import finish

PANEL = "Size and members"
Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")]
Number = Annotated[
    int | None, typer.Argument(metavar="[N]", min=1, help="How many (default: 1, or what a policy says).")
]
Count = Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="How many, said in another way.")]
Nodes = Annotated[list[str], typer.Argument(metavar="NODE…", help="Names, ids or beginnings of ids.")]


def register(app: typer.Typer) -> None:
    command(app, "scale-out", waits=True, panel=PANEL)(scale_out)
    command(app, "scale-in", waits=True, panel=PANEL)(scale_in)
    command(app, "resize", waits=True, panel=PANEL)(resize)
    command(app, "add-nodes", waits=True, panel=PANEL)(add_nodes)
    command(app, "del-nodes", waits=True, panel=PANEL)(del_nodes)
    command(app, "replace-nodes", waits=True, panel=PANEL)(replace_nodes)


def scale_out(use: Use, cluster: Cluster, number: Number = None, count: Count = None) -> None:
    """Add nodes."""
    _act(use, cluster, "scale_out", _scaling(number, count), waiting.sized())


def scale_in(use: Use, cluster: Cluster, number: Number = None, count: Count = None) -> None:
    """Remove nodes."""
    _act(use, cluster, "scale_in", _scaling(number, count), waiting.sized())


def _scaling(number: int | None, count: int | None) -> dict[str, int]:
    if number is not None and count is not None and number != count:
        raise CliError(f"{number} and --count {count} contradict each other: give one of them")
    given = count if number is None else number
    return {} if given is None else {"count": given}


def resize(
    use: Use,
    cluster: Cluster,
    capacity: Annotated[int | None, typer.Option("--capacity", min=0, help="Exactly so many nodes.")] = None,
    adjustment: Annotated[
        int | None, typer.Option("--adjustment", help="So many more, or fewer when negative.")
    ] = None,
    percentage: Annotated[float | None, typer.Option("--percentage", help="So many percent more or fewer.")] = None,
    min_size: Annotated[int | None, typer.Option("--min", "--min-size", min=0, help="New minimum.")] = None,
    max_size: Annotated[
        int | None, typer.Option("--max", "--max-size", min=-1, help="New maximum; -1 is no limit.")
    ] = None,
    min_step: Annotated[
        int | None, typer.Option("--min-step", min=0, help="At least so many nodes, with --percentage.")
    ] = None,
    best_effort: Annotated[
        bool, typer.Option("--best-effort", help="Go as far as the limits allow, instead of refusing what they forbid.")
    ] = False,
) -> None:
    """Set or change the number of nodes, and the limits of that number."""
    asked = resize_request(capacity, adjustment, percentage, min_size, max_size, min_step, best_effort)
    # With --best-effort the limits may stop it short of the capacity that was asked for.
    try:
        _act(use, cluster, "resize", asked, waiting.sized(None if best_effort else capacity))
    except Refused as error:
        raise Refused(error.message.replace("strict=false", "--best-effort"), error.status, error.kind) from error


def resize_request(
    capacity: int | None = None,
    adjustment: int | None = None,
    percentage: float | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    min_step: int | None = None,
    best_effort: bool = False,
) -> dict[str, Any]:
    kinds = {
        "--capacity": ("EXACT_CAPACITY", capacity),
        "--adjustment": ("CHANGE_IN_CAPACITY", adjustment),
        "--percentage": ("CHANGE_IN_PERCENTAGE", percentage),
    }
    given = [(option, kind, number) for option, (kind, number) in kinds.items() if number is not None]
    if len(given) > 1:
        raise CliError(f"{' and '.join(option for option, _, _ in given)} contradict each other: give one of them")
    if min_step is not None and percentage is None:
        raise CliError(f"--min-step {min_step} only has a meaning with --percentage: add it, or leave --min-step out")
    if not given and min_size is None and max_size is None:
        raise CliError("nothing to change is given: add --capacity, --adjustment, --percentage, --min or --max")
    asked: dict[str, Any] = {"strict": not best_effort}
    for _, kind, number in given:
        asked |= {"adjustment_type": kind, "number": number}
    limits = {"min_size": min_size, "max_size": max_size, "min_step": min_step}
    return asked | {key: value for key, value in limits.items() if value is not None}


def add_nodes(use: Use, cluster: Cluster, nodes: Nodes) -> None:
    """Make nodes that belong to no cluster members of this one."""
    ids = _node_ids(use, nodes)
    _act(use, cluster, "add_nodes", {"nodes": ids}, waiting.membership(ids, ()))


def del_nodes(
    use: Use,
    cluster: Cluster,
    nodes: Nodes,
    destroy: Annotated[bool, typer.Option("--destroy", help="Delete them too, not only their membership.")] = False,
) -> None:
    """Take nodes out of a cluster."""
    ids = _node_ids(use, nodes)
    _act(use, cluster, "del_nodes", {"nodes": ids, "destroy_after_deletion": destroy}, waiting.membership((), ids))


def replace_nodes(
    use: Use,
    cluster: Cluster,
    replacements: Annotated[list[str], typer.Argument(metavar="OLD=NEW…", help="Which node takes the place of which.")],
) -> None:
    """Put nodes that belong to no cluster in the place of members."""
    named = pairs(replacements, "replacement")
    old, new = _node_ids(use, list(named)), _node_ids(use, list(named.values()))
    goal = waiting.membership(new, old)
    _act(use, cluster, "replace_nodes", {"nodes": dict(zip(old, new, strict=True))}, goal)


def _node_ids(use: Use, words: Sequence[str]) -> list[str]:
    return [str(looking.unwrapped(use.service.get("nodes", word))["id"]) for word in words]


def _act(use: Use, word: str, verb: str, asked: Mapping[str, Any], goal: waiting.Goal) -> None:
    """One action on one cluster, waited for when asked."""
    cluster = looking.unwrapped(use.service.get("clusters", word))
    reply, _ = use.service.post("clusters", cluster["id"], "actions", body={verb: asked})
    action = reply["action"]
    if use.wait:
        show = None if use.form is Format.TABLE else lambda seen: output.show_object(seen, use.form)
        finish(use, word, looking.at_cluster(use.service, cluster["id"], action), goal, show)
    elif use.form is Format.TABLE:
        say_requested(word, verb.replace("_", "-"), action)
    elif use.form is Format.NAME:
        output.emit(word)
    else:
        output.dump({"cluster": cluster["id"], "action": action}, use.form)
