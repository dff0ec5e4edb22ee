"""Every example of the reference pages is typed into a shell, as it stands there, and answered as its page says."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clients.seeded import furnish, until
from clients.service import service
from spinney.api.routes import ROUTES
from spinney.api.wire import Route
from spinney.cli.reference.calls import heading, page_of
from spinney.cli.reference.examples import in_order, refused
from system.http_api import Api

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "api"
HEADER = "OpenStack-API-Version: clustering 1.14, spinney 1.0"
LIVE = "status=INIT&status=READY&status=WAITING&status=RUNNING&status=SUSPENDED"


def example(route: Route) -> str:
    """The command below the heading of the call."""
    text = (PAGES / f"{page_of(route)}.md").read_text()
    section = text.partition(f"\n## {heading(route)}\n")[2].partition("\n## ")[0]
    found = re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None, heading(route)
    return found[1]


def test_every_call_that_is_of_use_has_an_example() -> None:
    for route in ROUTES:
        assert refused(route) or example(route).startswith("curl "), heading(route)


class Shell:
    def __init__(self, url: str, password: str) -> None:
        basic = base64.b64encode(f"admin:{password}".encode()).decode()
        self.variables = {
            "PATH": "/usr/bin:/bin",
            "API": f"{url}/v1",
            "AUTH": f"Authorization: Basic {basic}",
            "VERSION": HEADER,
            "PROJECT": "default",
        }

    def type_in(self, command: str) -> tuple[int, str]:
        """Status and body. The status is asked for besides; the command itself is untouched."""
        asked = command.rstrip().replace("curl ", "curl -sS -w '\\n%{http_code}' ", 1)
        ran = subprocess.run(["sh", "-ec", asked], env=self.variables, capture_output=True, text=True, timeout=30)
        assert ran.returncode == 0, (command, ran.stderr)
        body, _, status = ran.stdout.rpartition("\n")
        return int(status), body


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_examples_do_what_their_pages_say(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        api = Api(int(running.url.rpartition(":")[2]), running.password)
        furnish(api, "unix:///m1")
        shell = Shell(running.url, running.password)
        for route in in_order(ROUTES):
            before(route, api, shell)
            status, body = shell.type_in(example(route))
            assert status in (route.status, *route.also), (heading(route), status, body)
            after(route, status, body, api, shell)


def before(route: Route, api: Api, shell: Shell) -> None:
    if route.path == "actions/{action}" and route.method == "PATCH":
        shell.variables["ACTION"] = something_slow(api)
        return
    if route.path == "clusters/{cluster}/policies/{policy}":
        attach = {"policy_attach": {"policy_id": "spread"}}
        assert api.call("POST", "/clusters/site/actions", attach).status == 202
        idle(api)
    shell.variables["ACTION"] = (api.get("/actions?limit=1") or [{"id": ""}])[0]["id"]
    shell.variables["EVENT"] = (api.get("/events?limit=1") or [{"id": ""}])[0]["id"]


def after(route: Route, status: int, body: str, api: Api, shell: Shell) -> None:
    if (route.method, route.path) == ("PATCH", "actions/{action}"):  # which goes on until the host has answered
        api.call("PATCH", f"/actions/{shell.variables['ACTION']}?force=true", {"action": {"status": "CANCELLED"}})
    if status == 202:
        idle(api)
    if (route.method, route.path) == ("POST", "receivers"):
        made = json.loads(body)["receiver"]
        shell.variables |= {"RECEIVER": made["id"], "SECRET": made["channel"]["secret"]}
    if (route.method, route.path) == ("POST", "receivers/{receiver}/rotate"):
        shell.variables["SECRET"] = json.loads(body)["receiver"]["channel"]["secret"]
    if (route.method, route.path) == ("POST", "hosts/{host}/actions"):
        assert api.call("POST", "/hosts/m1/actions", {"uncordon": {}}).status == 202


def idle(api: Api) -> None:
    """Wait until nothing is at work that could be in the way."""
    until(lambda: not api.get(f"/actions?{LIVE}"))


def something_slow(api: Api) -> str:
    """An action that is at work for some seconds."""
    spec = {"type": "host.docker", "version": "1.0", "properties": {"endpoint": "unix:///slow"}}
    api.create("profile", name="slow", spec=spec)
    api.create("cluster", name="slow", profile_id="slow", desired_capacity=1)
    until(lambda: api.get("/clusters/slow")["status"] == "ACTIVE")
    properties = {"image": "busybox", "host_cluster": "slow"}
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}
    api.create("profile", name="lazy", spec=spec)
    reply = api.call("POST", "/nodes", {"node": {"name": "lazy", "profile_id": "lazy"}})
    assert reply.status == 202, reply.body
    return next(str(one["id"]) for one in api.get(f"/actions?action=NODE_CREATE&{LIVE}"))
