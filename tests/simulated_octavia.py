"""As much of Octavia as load balancing uses, in memory: one change of a load balancer at a time, done some time after it is
asked for. Whether the real one is like it is what ``drivers/octavia_contract`` asks both."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from spinney.clock import Clock
from spinney.domain.identity import Owner
from spinney.errors import OctaviaBusy, OctaviaFailed, OctaviaGone, OctaviaRefused

Thing = dict[str, Any]
PLURALS = ("loadbalancers", "listeners", "pools", "healthmonitors")
_PATH = re.compile(r"(loadbalancers|listeners|pools|healthmonitors)(?:/([^/]+))?(?:/(members)(?:/([^/]+))?)?")


class Fault(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class SimulatedOctavia:
    """``takes``: seconds until a change is done. ``refused``: addresses of members that it does not take; ``failing``: those
    with which it goes wrong afterwards. ``down``: it does not answer."""

    def __init__(self, clock: Clock, takes: float = 2.0) -> None:
        self.things: dict[str, dict[str, Thing]] = {plural: {} for plural in PLURALS}
        self.members: dict[str, dict[str, Thing]] = {}
        self.takes = takes
        self.refused: set[str] = set()
        self.failing: set[str] = set()
        self.down = False
        self.stillborn = 0
        self.asked: list[tuple[str, str]] = []
        self._clock = clock
        self._due: dict[str, float] = {}  # by load balancer

    # -- as the engine asks --------------------------------------------------------------------------------------------

    async def offered(self) -> bool:
        if self.down:
            raise OctaviaFailed("Keystone does not say")
        return True

    async def network_id(self, owner: Owner, kind: str, word: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind} {word}"))

    async def ask(self, owner: Owner, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if self.down:
            raise OctaviaFailed("Octavia does not answer")
        try:
            return self.handle(method, path, body, owner.project)
        except Fault as fault:
            if fault.status == 404:
                raise OctaviaGone(fault.text) from fault
            raise (OctaviaBusy if "immutable" in fault.text else OctaviaRefused)(fault.text) from fault

    # -- as clients see it ---------------------------------------------------------------------------------------------

    def the(self, plural: str) -> Thing:
        (found,) = self.things[plural].values()
        return found

    def weights(self) -> dict[str, int]:
        """Of all members that are in force, by name."""
        all_of_them = [member for pool in self.members.values() for member in pool.values()]
        return {one["name"]: one["weight"] for one in all_of_them if one["provisioning_status"] == "ACTIVE"}

    def serving(self) -> set[str]:
        return {name for name, weight in self.weights().items() if weight}

    # -- requests ------------------------------------------------------------------------------------------------------

    def handle(self, method: str, path: str, body: Mapping[str, Any] | None, project: str) -> Any:
        self._settle()
        url = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        found = _PATH.fullmatch(url.path)
        if found is None:
            raise Fault(404, f"no such path {path}")
        plural, thing_id, members, member_id = found.groups()
        if method != "GET":
            self.asked.append((method, path))
        if members:
            return self._on_members(method, thing_id, member_id, body, query)
        if method == "POST":
            return self._create(plural, dict((body or {})[plural[:-1]]), project)
        if thing_id is None:
            return {
                plural: [one for one in self.things[plural].values() if one["name"] == query.get("name", one["name"])]
            }
        thing = self._found(plural, thing_id)
        if method == "GET":
            return {plural[:-1]: thing}
        self._claim(self._above(plural, thing))
        if method == "PUT":
            thing.update((body or {})[plural[:-1]], provisioning_status="PENDING_UPDATE")
            return {plural[:-1]: thing}
        thing["provisioning_status"] = "PENDING_DELETE"
        return None

    def _found(self, plural: str, thing_id: str) -> Thing:
        if thing_id not in self.things[plural]:
            raise Fault(404, f"{plural[:-1]} {thing_id} not found.")
        return self.things[plural][thing_id]

    def _create(self, plural: str, given: Thing, project: str) -> Any:
        thing = {**given, "id": str(uuid.uuid4()), "provisioning_status": "PENDING_CREATE", "project_id": project}
        thing["created_at"] = f"{self._clock.now():.6f}"
        if plural == "loadbalancers":
            thing.setdefault("vip_address", "198.51.100.7")
            self._due[thing["id"]] = self._clock.now() + self.takes
        elif plural == "pools":
            thing["loadbalancers"] = [{"id": given["loadbalancer_id"]}]
        self._claim(self._above(plural, thing), new=plural == "loadbalancers")
        if plural == "pools":
            self.members[thing["id"]] = {}
        self.things[plural][thing["id"]] = thing
        return {plural[:-1]: thing}

    def _above(self, plural: str, thing: Thing) -> str:
        if plural == "loadbalancers":
            return str(thing["id"])
        if plural == "healthmonitors":
            thing = self._found("pools", thing["pool_id"])
        return str(thing["loadbalancer_id"])

    def _claim(self, balancer_id: str, *, new: bool = False) -> None:
        if new:
            return
        balancer = self._found("loadbalancers", balancer_id)
        if balancer["provisioning_status"] not in ("ACTIVE", "ERROR"):
            raise Fault(409, f"Load Balancer {balancer_id} is immutable and cannot be updated.")
        balancer["provisioning_status"] = "PENDING_UPDATE"
        self._due[balancer_id] = self._clock.now() + self.takes

    def _on_members(
        self, method: str, pool_id: str, member_id: str | None, body: Mapping[str, Any] | None, query: Mapping[str, str]
    ) -> Any:
        pool = self._found("pools", pool_id)
        present = self.members[pool_id]
        if method == "GET":
            return {"members": list(present.values()), "members_links": []}
        if method == "DELETE" and member_id not in present:
            raise Fault(404, f"member {member_id} not found.")
        self._claim(pool["loadbalancer_id"])
        if method == "DELETE":
            present[str(member_id)]["provisioning_status"] = "PENDING_DELETE"
            return None
        given = list((body or {})["members"])
        if any(one["address"] in self.refused for one in given):
            self._due[pool["loadbalancer_id"]] = self._clock.now()
            raise Fault(400, "Validation failure: a member cannot be taken.")
        places = {(one["address"], one["protocol_port"]): one for one in present.values()}
        for one in given:
            old = places.pop((one["address"], one["protocol_port"]), None)
            if old is None:
                new_id = str(uuid.uuid4())
                present[new_id] = {
                    **one,
                    "id": new_id,
                    "provisioning_status": "PENDING_CREATE",
                    "operating_status": "ONLINE",
                }
            else:
                old.update(one, provisioning_status="PENDING_UPDATE")
        if query.get("additive_only") != "true":
            for left in places.values():
                left["provisioning_status"] = "PENDING_DELETE"
        return None

    # -- the provider --------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        for balancer_id, due in list(self._due.items()):
            if due <= self._clock.now():
                del self._due[balancer_id]
                self._done(balancer_id)

    def _done(self, balancer_id: str) -> None:
        balancer = self.things["loadbalancers"][balancer_id]
        going = balancer["provisioning_status"] == "PENDING_DELETE"
        for monitor in list(self.things["healthmonitors"].values()):
            if self._found("pools", monitor["pool_id"])["provisioning_status"] == "PENDING_DELETE":
                del self.things["healthmonitors"][monitor["id"]]
        for plural in ("healthmonitors", "listeners", "pools"):
            for thing in list(self.things[plural].values()):
                if self._above(plural, thing) == balancer_id and (_over(thing) or going):
                    del self.things[plural][thing["id"]]
                    self.members.pop(thing["id"], None)
        for pool_id, pool in self.members.items():
            if self._above("pools", self.things["pools"][pool_id]) == balancer_id:
                for member in list(pool.values()):
                    if _over(member, "ERROR" if member["address"] in self.failing else "ACTIVE"):
                        del pool[member["id"]]
        if self.stillborn and balancer["provisioning_status"] == "PENDING_CREATE":
            self.stillborn -= 1
            balancer["provisioning_status"] = "ERROR"
        if _over(balancer):
            del self.things["loadbalancers"][balancer_id]


def _over(thing: Thing, becomes: str = "ACTIVE") -> bool:
    """Whether it is gone."""
    if thing["provisioning_status"] in ("PENDING_CREATE", "PENDING_UPDATE"):
        thing["provisioning_status"] = becomes
    return bool(thing["provisioning_status"] == "PENDING_DELETE")


@asynccontextmanager
async def serving(octavia: SimulatedOctavia) -> AsyncIterator[str]:
    """The same by HTTP; its root."""

    async def handle(request: web.Request) -> web.Response:
        headers = {"x-openstack-request-id": f"req-{uuid.uuid4()}"}
        body = await request.json() if request.can_read_body else None
        path = request.raw_path.removeprefix("/v2/lbaas/")
        try:
            told = octavia.handle(request.method, path, body, request.headers["X-Project-Id"])
        except Fault as fault:
            told = {"faultcode": "Client", "faultstring": fault.text, "debuginfo": None}
            return web.json_response(told, status=fault.status, headers=headers)
        return web.Response(status=202, headers=headers) if told is None else web.json_response(told, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/v2/lbaas/{rest:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
