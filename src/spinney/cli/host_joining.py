"""How a machine becomes a host, and a host a member of a host cluster."""

from __future__ import annotations

from typing import Any

from spinney.cli import looking, waiting
from spinney.cli.command import Use, pairs
from spinney.cli.faults import CliError
from spinney.cli.progress import finish

HOST_TYPE = "host.docker-1.0"


def adoption(
    endpoint: str,
    name: str | None = None,
    label: list[str] | None = None,
    zone: str | None = None,
    region: str | None = None,
    credential: str | None = None,
    metadata: list[str] | None = None,
) -> dict[str, Any]:
    """The request body; a bare path is taken as a unix socket."""
    identity = f"unix://{endpoint}" if endpoint.startswith("/") else endpoint
    if "://" not in identity:
        raise CliError(
            f"endpoint {endpoint!r} has no scheme: write unix:///var/run/docker.sock, tcp://address:2376 or ssh://user@address"
        )
    given = {"zone": zone, "region": region, "credential": credential}
    overrides: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if label:
        overrides["labels"] = pairs(label, "--label")
    asked: dict[str, Any] = {"identity": identity, "type": HOST_TYPE}
    if overrides:
        asked["overrides"] = overrides
    if name is not None:
        asked["name"] = name
    if metadata:
        asked["metadata"] = pairs(metadata, "--metadata")
    return asked


def join(use: Use, node_ids: list[str], cluster: str) -> None:
    """Make nodes members of a host cluster, which is made of their profile when there is none."""
    found = looking.found(use.service, "clusters", cluster)
    if found is None:
        profile = looking.unwrapped(use.service.get("nodes", node_ids[0]))["profile_id"]
        body = {"cluster": {"name": cluster, "profile_id": profile, "desired_capacity": 0}}
        reply, action = use.service.post("clusters", body=body)
        found = looking.unwrapped(reply)
        finish(use, cluster, looking.at_cluster(use.service, found["id"], action), waiting.sized(0))
    reply, _ = use.service.post("clusters", found["id"], "actions", body={"add_nodes": {"nodes": node_ids}})
    look = looking.at_cluster(use.service, found["id"], reply["action"])
    finish(use, cluster, look, waiting.membership(node_ids, ()))
