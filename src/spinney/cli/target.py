"""``logs`` and ``stats`` take a cluster or a node by the same word; this finds out which it is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spinney.cli import looking
from spinney.cli.faults import CliError
from spinney.cli.transport import Service

Target = Annotated[str, typer.Argument(metavar="NODE|CLUSTER", help="Name, id or beginning of the id.")]
AsNode = Annotated[bool, typer.Option("--node", help="The word names a node.")]
AsCluster = Annotated[bool, typer.Option("--cluster", help="The word names a cluster.")]


def find(service: Service, word: str, as_node: bool, as_cluster: bool) -> tuple[str, Any]:
    """``clusters`` or ``nodes``, and the object."""
    if as_node and as_cluster:
        raise CliError("--node and --cluster are both given: leave one of them out")
    if as_node or as_cluster:
        noun = "nodes" if as_node else "clusters"
        return noun, looking.unwrapped(service.get(noun, word))
    cluster, node = looking.found(service, "clusters", word), looking.found(service, "nodes", word)
    if cluster and node:
        raise CliError(f"{word!r} is both a cluster and a node: add --cluster or --node")
    if cluster:
        return "clusters", cluster
    if node:
        return "nodes", node
    raise CliError(
        f"there is neither a cluster nor a node {word!r}: see `spinney cluster list` and `spinney node list`"
    )
