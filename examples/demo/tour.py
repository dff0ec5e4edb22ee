"""``./run demo``: the walk itself. Every step says what it does and shows the command to type for it."""

from __future__ import annotations

import os
import shlex
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from demo import docker, engine, image, service
from demo.notes import Notes, Trouble, load

CLUSTER = PROFILE = "web"
SPEC = Path(__file__).parent.parent / "web.yaml"
FIRST, THEN = 3, 5
SECONDS_TO_COME_BACK, SECONDS_TO_ANSWER = 30.0, 10.0


def run(root: Path) -> None:
    notes = load(root)
    began = time.monotonic()
    _step("A Docker engine")
    print(f"  {engine.obtain(notes)}: unix://{notes.socket}")
    _step("A small image")
    print(f"  {image.IMAGE} {image.obtain(notes)}")
    _serve(notes)
    _make(notes)
    _harm(notes)
    _look(notes)
    _close(notes, time.monotonic() - began)


def _step(title: str, *words: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    print(f"\n{bold}== {title}{plain}")
    for line in words:
        print(f"  {line}")


def _cli(notes: Notes, *arguments: str) -> None:
    print(f"$ spinney {' '.join(_shown(word) for word in arguments)}", flush=True)
    code = service.cli(notes, *arguments)
    if code != 0:
        raise Trouble(
            f"that command ended with exit code {code}. What happened: {_prefix(notes)} spinney event list; "
            f"the log of the service: {notes.log}; to begin anew: ./run demo-down, then ./run demo"
        )


def _shown(word: str) -> str:
    path = Path(word)
    return (
        str(path.relative_to(Path.cwd()))
        if path.is_absolute() and path.is_relative_to(Path.cwd())
        else shlex.quote(word)
    )


def _prefix(notes: Notes) -> str:
    return f"SPINNEY_STATE_DIR={shlex.quote(str(notes.state))}"


def _serve(notes: Notes) -> None:
    _step("Spinney itself: API and engine in one process, SQLite in a folder")
    if service.running(notes):
        print(f"  runs already: {notes.url}")
    else:
        print(f"$ spinney standalone --state-dir {_shown(str(notes.state))} &")
        service.start(notes)
        print(f"spinney ready: {notes.url}")
    _step("This machine's Docker engine is the first host, in a host cluster named local")
    _settle(notes)
    _cli(notes, "host", "list")


def _settle(notes: Notes) -> None:
    """The host joins right after the first start."""
    deadline = time.monotonic() + SECONDS_TO_COME_BACK
    while (local := service.ask(notes, "cluster", "show", "local"))["status"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise Trouble(f"the Docker engine did not become a host: {local['status_reason']}; see {notes.log}")
        time.sleep(0.2)


def _make(notes: Notes) -> None:
    _step("A profile: what every member is made from", *SPEC.read_text().splitlines())
    if _named(notes, "profile", PROFILE):
        print(f"  profile {PROFILE} exists already")
    else:
        _cli(notes, "profile", "create", PROFILE, "--spec-file", str(SPEC), "-o", "name")
    _step(f"A cluster of {FIRST} containers")
    if cluster := _named(notes, "cluster", CLUSTER):
        print(f"  cluster {CLUSTER} exists already, with {len(cluster['nodes'])} containers")
    else:
        create = ("cluster", "create", CLUSTER, "--profile", PROFILE, "--desired", str(FIRST))
        _cli(notes, *create, "--config", f"node.name.format={CLUSTER}-$I", "--wait", "-o", "name")
    _step(f"The same cluster with {THEN}")
    if len(_members(notes)) != THEN:
        _cli(notes, "cluster", "resize", CLUSTER, "--capacity", str(THEN), "--wait", "-o", "name")
    _cli(notes, "node", "list", "--cluster", CLUSTER)


def _named(notes: Notes, kind: str, name: str) -> dict[str, Any] | None:
    return next((one for one in service.ask(notes, kind, "list") if one["name"] == name), None)


def _members(notes: Notes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.ask(notes, "node", "list", "--cluster", CLUSTER)
    return sorted(found, key=lambda node: node["index"])


def _harm(notes: Notes) -> None:
    _step("Kill one behind Spinney's back, as a crash would: it is started again")
    _, *_, other, victim = _members(notes)
    _blow(notes, victim, "kill")
    _step("Remove another altogether, as a careless hand would: it is replaced by a new container")
    _blow(notes, other, "rm --force")


def _blow(notes: Notes, victim: dict[str, Any], command: str) -> None:
    container = victim["physical_id"]
    before = _began(notes, container)
    print(f"  {victim['name']} is container {container[:12]}, running since {before}")
    print(f"$ docker --host unix://{notes.socket} {command} {container[:12]}")
    begun = time.monotonic()
    if command == "kill":
        docker.expect(notes.socket, "POST", f"/containers/{container}/kill")
    else:
        docker.expect(notes.socket, "DELETE", f"/containers/{container}", {"force": "1"})
    now, after = _back(notes, victim["id"], before)
    which = "the same container" if now["physical_id"] == container else f"container {now['physical_id'][:12]}"
    print(f"  back, seen after {time.monotonic() - begun:.1f} s: {which}, running since {after}")
    _cli(notes, "event", "list", "--filter", f"oname={victim['name']}", "--limit", "4")


def _back(notes: Notes, node: str, before: str) -> tuple[dict[str, Any], str]:
    """The node once its container runs again, and since when."""
    deadline = time.monotonic() + SECONDS_TO_COME_BACK
    while True:
        now = service.ask(notes, "node", "show", node)
        after = _began(notes, now["physical_id"]) if now["physical_id"] else ""
        if after not in ("", before) and now["status"] == "ACTIVE":
            return now, after
        if time.monotonic() > deadline:
            raise Trouble(
                f"{now['name']} did not come back within {SECONDS_TO_COME_BACK:.0f} s: it is {now['status']}, "
                f"{now['status_reason']}. The log of the service: {notes.log}"
            )
        time.sleep(0.1)


def _began(notes: Notes, container: str) -> str:
    """When it was started; empty while it does not run."""
    status, found = docker.call(notes.socket, "GET", f"/containers/{container}/json")
    running = status == 200 and found["State"]["Running"]
    return str(found["State"]["StartedAt"])[11:23] if running else ""


def _look(notes: Notes) -> None:
    _step("A page from each: Spinney knows on which port of this machine it is")
    for node in _members(notes):
        url = f"http://127.0.0.1:{node['data']['ports'][0]['host']}/"
        print(f"  {node['name']}  curl {url}  ->  {_page(url)}")
    _step("What they print, and what they use, wherever they run")
    _cli(notes, "logs", CLUSTER, "--tail", "1")
    _cli(notes, "stats", CLUSTER)


def _page(url: str) -> str:
    """What is served there; a server just started is given a moment."""
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while True:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
                return str(answer.read().decode().strip())
        except OSError as error:
            if time.monotonic() > deadline:
                raise Trouble(f"nothing answers at {url}: {error}") from error
            time.sleep(0.1)


def _close(notes: Notes, seconds: float) -> None:
    shown = Path(service.SPINNEY.parent, "activate")
    _step(f"It all runs on ({seconds:.0f} s so far)")
    print(f"""\
  API           {notes.url}, user admin, password in {notes.state}/password
  state         {notes.state}
  log           {notes.log}
  clouds.yaml   {notes.state}/clouds.yaml, cloud spinney
  Docker        unix://{notes.socket}

Use it from this shell:
  . {shown}
  export {_prefix(notes)}
  spinney cluster list
  spinney cluster resize {CLUSTER} --capacity 8 --wait
  spinney logs {CLUSTER} --follow
  spinney --help

As an OpenStack cloud, from Python and from the openstack command (pip install -e '.[openstack]'):
  export OS_CLIENT_CONFIG_FILE={notes.state}/clouds.yaml
  python -c 'import openstack; print([c.name for c in openstack.connect("spinney").clustering.clusters()])'
  openstack --os-cloud spinney cluster list

Remove every trace:
  ./run demo-down""")
