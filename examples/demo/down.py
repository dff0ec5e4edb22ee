"""``./run demo-down``: every trace of the demo removed, after a good end or a bad one. Safe to run again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from demo import docker, engine, image, service
from demo.notes import Notes, Trouble, forget, load

LOCAL = "local"
#: The label of the host helper, and of its image.
HELPER = "io.spinney.helper"


def run(root: Path) -> None:
    notes = load(root)
    notes.deployment = notes.deployment or service.deployment(notes)
    reachable = _engine_answers(notes)
    if reachable and service.running(notes):
        _delete_through_cli(notes)
    service.stop(notes)
    print("Spinney is stopped.")
    if reachable:
        _remove_leftovers(notes)
        image.remove(notes)
    if notes.own_engine:
        engine.stop(notes)
        print("The Docker engine started for the demo is stopped, and its data removed.")
    elif notes.socket and not reachable:
        raise Trouble(
            f"the Docker engine at {notes.socket} does not answer, so containers of the demo may be left on it; "
            "start it, then run ./run demo-down again"
        )
    _remove_files(notes)
    print("Nothing of the demo is left. The virtual environment (.venv) and packages that were installed stay.")


def _engine_answers(notes: Notes) -> bool:
    """Our own engine is started again if it died with containers in its care."""
    if not notes.socket:
        return False
    if docker.answers(notes.socket):
        return True
    if notes.own_engine and (notes.engine / "data").exists():
        print("The Docker engine of the demo has died. Starting it again, to remove what it left …")
        try:
            engine.start(notes)
        except Trouble as trouble:
            print(trouble)
    return docker.answers(notes.socket)


def _delete_through_cli(notes: Notes) -> None:
    try:
        clusters = [one for one in service.ask(notes, "cluster", "list") if one["name"] != LOCAL]
        nodes = [one for one in service.ask(notes, "node", "list") if not one["cluster_id"]]
        for kind, found in (("cluster", clusters), ("node", nodes)):
            for one in found:
                print(f"Deleting {kind} {one['name']} …", flush=True)
                service.cli(notes, kind, "delete", one["id"], "--wait", "--timeout", "60", quiet=True)
    except Trouble as trouble:
        print(f"{trouble}\nRemoving containers without it.")


def _remove_leftovers(notes: Notes) -> None:
    """What a killed service left: by the label of this deployment, and no other's."""
    if not notes.deployment:
        return
    mine = {"filters": json.dumps({"label": [f"io.spinney.deployment={notes.deployment}"]})}
    socket = notes.socket
    containers = docker.expect(socket, "GET", "/containers/json", mine | {"all": "1"})
    for container in containers:
        docker.expect(socket, "DELETE", f"/containers/{container['Id']}", {"force": "1", "v": "1"})
    for network in docker.expect(socket, "GET", "/networks", mine):
        docker.expect(socket, "DELETE", f"/networks/{network['Id']}")
    for volume in docker.expect(socket, "GET", "/volumes", mine)["Volumes"] or []:
        docker.expect(socket, "DELETE", f"/volumes/{volume['Name']}")
    helpers = {"filters": json.dumps({"label": [HELPER]})}
    for found in docker.expect(socket, "GET", "/images/json", helpers):
        # It stays where another service has its helper on the same Docker engine.
        docker.call(socket, "DELETE", f"/images/{found['Id']}")
    left = [container for container in containers if HELPER not in container["Labels"]]
    if left:
        print(f"Removed {len(left)} containers that were left.")


def _remove_files(notes: Notes) -> None:
    shutil.rmtree(notes.state, ignore_errors=True)
    shutil.rmtree(notes.engine, ignore_errors=True)
    notes.log.unlink(missing_ok=True)
    forget(notes.root)
    if notes.root.is_dir() and not any(notes.root.iterdir()):
        notes.root.rmdir()
