"""``spinney host import``: every machine of an inventory file into one host cluster.

Running it again with the same file takes up where it stopped: a host that is there already, known by its name, is left as it
is and only joined when it belongs to no cluster. One machine that is refused does not hold up the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from spinney.cli import looking, output, waiting, yaml_file
from spinney.cli.command import Use
from spinney.cli.faults import EXIT_REFUSED, CliError, Refused
from spinney.cli.host_joining import HOST_TYPE, join
from spinney.cli.lazy import complain
from spinney.cli.output import Format
from spinney.cli.progress import finish

KEYS = ("name", "endpoint", "labels", "zone", "region", "credential", "capacity", "metrics_url")


def import_(
    use: Use,
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML: a list of maps with name and endpoint.")],
    cluster: Annotated[str, typer.Option("--cluster", help="Host cluster they join; made when there is none.")],
) -> None:
    """Take every machine of an inventory file as a host of one cluster. Safe to run again."""
    wanted = read_inventory(file)
    known = {row["name"]: row for row in use.service.get("hosts")["hosts"]}
    target = looking.found(use.service, "clusters", cluster)
    ids: list[str] = []
    to_join: list[str] = []
    refused = 0
    for entry in wanted:
        try:
            node_id, there = _adopted(use, entry, known)
        except Refused as error:
            complain(f"{entry['name']}: {error.message}")
            refused += 1
            continue
        if there and (target is None or there != target["id"]):
            other = looking.found(use.service, "clusters", there) or {"id": there}
            complain(f"{entry['name']}: it is a member of the cluster {output.name_of(other)}: take it out there first")
            refused += 1
            continue
        ids.append(node_id)
        if not there:
            to_join.append(node_id)
    if to_join:
        join(use, to_join, cluster)
    if use.wait and ids:
        finish(use, cluster, at_hosts(use, ids), all_ready)
    _report(use, cluster, ids, to_join)
    if refused:
        raise CliError(f"{refused} of {len(wanted)} hosts were not taken: mend them and import again", EXIT_REFUSED)


def _adopted(use: Use, entry: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[str, str]:
    """The node's id and the cluster it is in, if any."""
    there = known.get(entry["name"])
    if there is not None:
        return str(there["id"]), str(there.get("cluster_id") or "")
    overrides = {key: entry[key] for key in KEYS[2:] if entry.get(key) is not None}
    asked: dict[str, Any] = {"identity": entry["endpoint"], "type": HOST_TYPE, "name": entry["name"]}
    reply, _ = use.service.post("nodes", "adopt", body=asked | ({"overrides": overrides} if overrides else {}))
    return str(looking.unwrapped(reply)["id"]), ""


def _report(use: Use, cluster: str, ids: Sequence[str], joined: Sequence[str]) -> None:
    if use.form is Format.TABLE:
        output.emit(f"{output.name_of({'name': cluster})}: {len(ids)} hosts, {len(joined)} of them new in it")
    elif use.form is Format.NAME:
        for node_id in ids:
            output.emit(node_id)
    else:
        output.dump({"cluster": cluster, "hosts": list(ids), "joined": list(joined)}, use.form)


def at_hosts(use: Use, ids: Sequence[str]) -> Callable[[], waiting.Scene]:
    """The hosts as members, one that is ready counting as ACTIVE."""
    wanted = set(ids)

    def look() -> waiting.Scene:
        rows = [row for row in use.service.get("hosts")["hosts"] if row["id"] in wanted]
        members = [
            {
                "name": row["name"],
                "status": "ACTIVE" if row.get("state") == "ready" else str(row.get("state")).upper(),
                "status_reason": row.get("state_reason"),
            }
            for row in rows
        ]
        return waiting.Scene({"status": "importing", "desired_capacity": len(wanted)}, members)

    return look


def all_ready(scene: waiting.Scene) -> waiting.Verdict:
    done = scene.active == scene.desired
    says = f"{scene.active} of {scene.desired} hosts ready"
    return waiting.Verdict(waiting.State.REACHED if done else waiting.State.PENDING, says)


def read_inventory(path: str) -> list[dict[str, Any]]:
    """Raises CliError with the entry, the key and what is wrong with it."""
    found = yaml_file.read(path, f"the inventory {path!r}")
    if not isinstance(found, list) or not found:
        raise CliError(f"the inventory {path!r} holds no list of hosts: write '- name: …' and '  endpoint: …' for each")
    names: set[str] = set()
    for number, entry in enumerate(found, start=1):
        _check(path, number, entry, names)
    return found


def _check(path: str, number: int, entry: Any, names: set[str]) -> None:
    where = f"the inventory {path!r}, host {number}"
    if not isinstance(entry, dict):
        raise CliError(f"{where} is no map: give it name and endpoint")
    if unknown := sorted(str(key) for key in entry if key not in KEYS):
        raise CliError(f"{where} has the unknown key {unknown[0]!r}: there are {', '.join(KEYS)}")
    for key in ("name", "endpoint"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise CliError(f"{where} has the {key} {entry.get(key)!r}: a text is needed")
    if entry["name"] in names:
        raise CliError(f"{where} has the name {entry['name']!r} of another one: give each its own")
    names.add(entry["name"])
