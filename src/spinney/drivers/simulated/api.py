"""The Docker Engine API over one simulated Docker engine: each route as one function.

Spoken are API versions from the minimum to the newest of the engine's settings, with or without a version in the path.
Not spoken: attach (but to the host helper), reading archives, volumes but those in memory, builds, swarm. A path that is not
spoken answers 404 as an unknown one does.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from spinney.domain.container import LABEL_HELPER, LABEL_PROBER
from spinney.domain.terminal import Resize
from spinney.drivers.simulated import bodies, exec_wire, wire
from spinney.drivers.simulated.core import EngineCore
from spinney.drivers.simulated.engine import SimulatedEngine
from spinney.drivers.simulated.exec import Command, Commands
from spinney.drivers.simulated.faults import Operation
from spinney.drivers.simulated.helper import answer_questions
from spinney.drivers.simulated.images import normalised
from spinney.drivers.simulated.logs import read_lines, rendered
from spinney.drivers.simulated.networks import Network
from spinney.drivers.simulated.streams import LineStream, send_exit, send_pull, send_stats
from spinney.drivers.simulated.values import ContainerRecord, EngineEvent, Refusal
from spinney.errors import ContainerGone

Handler = Callable[["DockerApi", web.BaseRequest, str], Awaitable[web.StreamResponse]]

_ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
_FRAMES = "application/vnd.docker.multiplexed-stream"


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _ROUTES.append((method, re.compile(pattern + r"\Z"), handler))
        return handler

    return register


def find_route(method: str, path: str) -> tuple[Handler, str] | None:
    """The handler and what the path names."""
    for known, pattern, handler in _ROUTES:
        if known == method:
            match = pattern.match(path)
            if match:
                return handler, match[1] if pattern.groups else ""
    return None


def answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


class DockerApi:
    """One engine behind the API. Handlers raise Refusal, Cutoff or Silence; the server turns these into answers."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self.engine = engine
        self.core: EngineCore = engine.core
        self.commands = Commands(engine)

    @route("GET", "/_ping")
    @route("HEAD", "/_ping")
    async def ping(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        await self.engine.perform(Operation.PING, lambda now: None)
        return web.Response(text="OK" if request.method == "GET" else "", headers=_PLAIN)

    @route("GET", "/version")
    async def version(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        return answer(await self.engine.perform(Operation.FACTS, lambda now: wire.version(self.core)))

    @route("GET", "/info")
    async def info(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        return answer(await self.engine.perform(Operation.FACTS, lambda now: wire.info(self.core, now)))

    # Containers.

    @route("POST", "/containers/create")
    async def create(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        body = bodies.decoded(await request.read())
        name = request.query.get("name", "").removeprefix("/") or f"simulated_{self.core.count_up()}"
        wanted = bodies.creation(name, body)

        def act(asked: object, now: float) -> ContainerRecord:
            return self.core.create(
                wanted.request,
                now,
                network=wanted.network,
                extra=body,
                always_restart=wanted.always_restart,
                auto_remove=wanted.auto_remove,
                volumes_from=wanted.volumes_from,
            )

        record = await self.engine.perform(Operation.CREATE, act, wanted.request)
        return answer({"Id": record.id, "Warnings": []}, 201)

    @route("GET", "/containers/json")
    async def containers(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        wanted = bodies.filters(request.query.get("filters"))
        everything = bodies.truth(request.query, "all") or "status" in wanted
        limit = int(bodies.number(request.query, "limit", 0) or 0)

        def act(now: float) -> list[wire.Json]:
            found = [one for one in self.core if (everything or one.is_up) and self._is_wanted(one, wanted)]
            found.sort(key=lambda one: one.created_at, reverse=True)
            return [wire.listed(self.core, one, now) for one in (found[:limit] if limit > 0 else found)]

        return answer(await self.engine.perform(Operation.LIST, act))

    def _is_wanted(self, record: ContainerRecord, wanted: dict[str, list[str]]) -> bool:
        networks = [self.core.networks.find(name) for name in wanted.get("network", ())]
        used = self.core.networks.find(record.network_id or record.network)
        return (
            bodies.labels_match(bodies.label_pairs(wanted.get("label", [])), record.request.labels)
            and _any(wanted.get("id"), record.id.startswith)
            and _any(wanted.get("name"), lambda text: re.search(text.removeprefix("/"), record.name))
            and _any(wanted.get("status"), lambda text: record.state == text)
            and _any(wanted.get("health"), lambda text: (record.health or "none") == text)
            and ("network" not in wanted or (used is not None and used in networks))
        )

    @route("GET", "/containers/([^/]+)/json")
    async def inspect(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        def act(wanted: str, now: float) -> wire.Json:
            return wire.inspected(self.core, self.core.require(wanted))

        return answer(await self.engine.perform(Operation.INSPECT, act, reference))

    @route("POST", "/containers/([^/]+)/start")
    async def start(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        started = await self.engine.perform(Operation.START, self.core.start, reference)
        return web.Response(status=204 if started else 304)

    @route("POST", "/containers/([^/]+)/stop")
    async def stop(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        timeout = self._stop_time(request, reference)
        delay = await self.engine.perform(Operation.STOP, self.core.stop, reference, timeout)
        return web.Response(status=304 if delay is None else 204)

    @route("POST", "/containers/([^/]+)/restart")
    async def restart(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        timeout = self._stop_time(request, reference)
        await self.engine.perform(Operation.RESTART, self.core.restart, reference, timeout)
        return web.Response(status=204)

    def _stop_time(self, request: web.BaseRequest, reference: str) -> float | None:
        record = self.core.find(reference)
        seconds = bodies.number(request.query, "t", record.request.stop_timeout if record else 10)
        return None if seconds is None or seconds < 0 else seconds

    @route("POST", "/containers/([^/]+)/kill")
    async def kill(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        signal = request.query.get("signal") or "SIGKILL"
        await self.engine.perform(Operation.KILL, self.core.kill, reference, signal)
        return web.Response(status=204)

    @route("POST", "/containers/([^/]+)/pause")
    async def pause(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        await self.engine.perform(Operation.PAUSE, self.core.pause, reference)
        return web.Response(status=204)

    @route("POST", "/containers/([^/]+)/unpause")
    async def unpause(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        await self.engine.perform(Operation.UNPAUSE, self.core.unpause, reference)
        return web.Response(status=204)

    @route("POST", "/containers/([^/]+)/update")
    async def update(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        body = bodies.decoded(await request.read())
        wanted = bodies.limits(body)

        def act(named: str, now: float) -> None:
            self.core.update(named, wanted, now, extra=body)

        await self.engine.perform(Operation.UPDATE, act, reference)
        return answer({"Warnings": []})

    @route("PUT", "/containers/([^/]+)/archive")
    async def put_archive(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        files = bodies.archived(request.query.get("path", "/"), await request.read())
        await self.engine.perform(Operation.PUT_FILES, self.core.put_files, reference, files)
        return web.Response(status=200)

    @route("DELETE", "/containers/([^/]+)")
    async def remove(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        force = bodies.truth(request.query, "force")

        def act(wanted: str, now: float) -> None:
            self.core.remove(wanted, now, force=force)

        await self.engine.perform(Operation.REMOVE, act, reference)
        return web.Response(status=204)

    @route("POST", "/containers/([^/]+)/wait")
    async def wait(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        record = await self.engine.perform(Operation.INSPECT, self.core.locate, reference)
        return await send_exit(self.engine, request, record, request.query.get("condition") or "not-running")

    @route("GET", "/containers/([^/]+)/logs")
    async def logs(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        query = bodies.log_query(request.query)
        record = await self.engine.perform(Operation.LOGS, self.core.locate, reference)
        response = web.StreamResponse(headers={"Content-Type": _FRAMES})
        await response.prepare(request)
        async for line in read_lines(self.engine, record, query):
            data = rendered(line, query)
            number = b"\x01" if line.stream == "stdout" else b"\x02"
            await response.write(number + b"\x00\x00\x00" + len(data).to_bytes(4, "big") + data)
        return response

    @route("GET", "/containers/([^/]+)/stats")
    async def stats(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        def act(wanted: str, now: float) -> wire.Json:
            return wire.stats(self.core, self.core.require(wanted), self.core.stats(wanted, now))

        first = await self.engine.perform(Operation.STATS, act, reference)
        if request.query.get("stream", "1").lower() in ("0", "false"):
            return answer(first)
        return await send_stats(self.engine, request, first, lambda: act(reference, self.engine.clock.now()))

    @route("GET", "/containers/([^/]+)/attach/ws")
    async def attach(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        record = await self.engine.perform(Operation.ATTACH, self.core.locate, reference)
        if not {LABEL_HELPER, LABEL_PROBER} & set(record.request.labels):
            return answer({"message": "page not found"}, 404)
        return await answer_questions(self.engine, request, record)

    # Commands in containers.

    @route("POST", "/containers/([^/]+)/exec")
    async def create_exec(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        wanted = exec_wire.asked(bodies.decoded(await request.read()))
        made = await self.engine.perform(Operation.EXEC, self.commands.create, reference, wanted)
        return answer({"Id": made.id}, 201)

    @route("POST", "/exec/([^/]+)/start")
    async def start_exec(self, request: web.BaseRequest, command_id: str) -> web.StreamResponse:
        detached = bodies.decoded(await request.read()).get("Detach")
        command = self._command(command_id)
        await self.engine.perform(Operation.EXEC, command.begin)
        if not detached:
            return await exec_wire.speak(command, request)
        # Which it would do with more of a shell than there is.
        await self.commands.kill_marked(command.request.command[-1])
        return web.Response(status=200)

    @route("POST", "/exec/([^/]+)/resize")
    async def resize_exec(self, request: web.BaseRequest, command_id: str) -> web.StreamResponse:
        command = self._command(command_id)
        size = Resize(int(bodies.number(request.query, "w", 0) or 0), int(bodies.number(request.query, "h", 0) or 0))
        if command.code is not None:
            return answer({"message": "cannot resize a stopped container"}, 500)
        await self.engine.perform(Operation.EXEC, lambda now: command.resize(size))
        return web.Response(status=200)

    @route("GET", "/exec/([^/]+)/json")
    async def inspect_exec(self, request: web.BaseRequest, command_id: str) -> web.StreamResponse:
        return answer(await self.engine.perform(Operation.EXEC, lambda now: exec_wire.shown(self._command(command_id))))

    def _command(self, command_id: str) -> Command:
        found = self.commands.find(command_id)
        if found is None:
            raise Refusal(404, f"No such exec instance: {command_id}", ContainerGone)
        return found

    # Images.

    @route("GET", "/images/json")
    async def images(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        wanted = bodies.label_pairs(bodies.filters(request.query.get("filters")).get("label", []))

        def act(now: float) -> list[wire.Json]:
            found = [wire.image_listed(self.core, one, id_) for one, id_ in self.core.images.local.items()]
            return [one for one in found if bodies.labels_match(wanted, one["Labels"])]

        return answer(await self.engine.perform(Operation.IMAGE, act))

    @route("GET", "/images/(.+)/json")
    async def image(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        def act(wanted: str, now: float) -> wire.Json:
            return wire.image(self.core, normalised(wanted), self.core.images.require(wanted))

        return answer(await self.engine.perform(Operation.IMAGE, act, reference))

    @route("DELETE", "/images/(.+)")
    async def remove_image(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        await self.engine.perform(Operation.IMAGE_REMOVE, self.core.remove_image, reference)
        return answer([{"Untagged": reference}])

    @route("POST", "/images/load")
    async def load_image(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        archive = await request.read()
        await self.engine.perform(Operation.LOAD, lambda now: self.core.images.load(archive))
        return answer({"stream": "Loaded image"})

    @route("POST", "/images/create")
    async def create_image(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        query = request.query
        if query.get("fromSrc"):
            await request.read()
            name = query.get("repo", "") or f"imported_{self.core.count_up()}"
            found = self.core.images.add(f"{name}:{query['tag']}" if query.get("tag") else name)
            return answer({"status": found})
        reference, tag = query.get("fromImage", ""), query.get("tag", "")
        if tag:
            reference = f"{reference}@{tag}" if tag.startswith("sha256:") else f"{reference}:{tag}"
        return await send_pull(self.engine, request, reference)

    # Networks.

    @route("POST", "/networks/create")
    async def create_network(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        wanted, options = bodies.network_creation(bodies.decoded(await request.read()))

        def act(now: float) -> str:
            return self.core.create_network(wanted, now, **options).id

        made = await self.engine.perform(Operation.NETWORK_CREATE, act)
        return answer({"Id": made, "Warning": ""}, 201)

    @route("GET", "/networks")
    async def networks(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        wanted = bodies.filters(request.query.get("filters"))
        labels = bodies.label_pairs(wanted.get("label", []))

        def is_wanted(one: Network) -> bool:
            return (
                bodies.labels_match(labels, one.labels)
                and _any(wanted.get("name"), lambda text: text in one.name)
                and _any(wanted.get("id"), one.id.startswith)
                and _any(wanted.get("driver"), lambda text: text == one.driver)
            )

        def act(now: float) -> list[wire.Json]:
            return [wire.network(self.core, one, containers=False) for one in self.core.networks if is_wanted(one)]

        return answer(await self.engine.perform(Operation.NETWORK, act))

    @route("GET", "/networks/([^/]+)")
    async def network(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        def act(wanted: str, now: float) -> wire.Json:
            network = self.core.networks.find(wanted)
            if network is None:
                raise Refusal(404, f"network {wanted} not found", ContainerGone)
            return wire.network(self.core, network, containers=True)

        return answer(await self.engine.perform(Operation.NETWORK, act, reference))

    @route("DELETE", "/networks/([^/]+)")
    async def remove_network(self, request: web.BaseRequest, reference: str) -> web.StreamResponse:
        await self.engine.perform(Operation.NETWORK_REMOVE, self.core.remove_network, reference)
        return web.Response(status=204)

    # Events.

    @route("GET", "/events")
    async def events(self, request: web.BaseRequest, _: str) -> web.StreamResponse:
        wanted = bodies.filters(request.query.get("filters"))
        since, until = (bodies.moment(request.query.get(name)) for name in ("since", "until"))
        labels = bodies.label_pairs(wanted.get("label", []))

        def select(event: EngineEvent) -> bytes | None:
            kind = event.action.partition(":")[0]
            fits = (
                _any(wanted.get("type"), lambda text: text == "container")
                and _any(wanted.get("event"), lambda text: text in (kind, event.action))
                and _any(
                    wanted.get("container"), lambda text: text == event.name or event.container_id.startswith(text)
                )
                and bodies.labels_match(labels, event.labels)
            )
            return orjson.dumps(wire.event(event)) + b"\n" if fits else None

        def act(now: float) -> LineStream:
            past = [event for event in self.core.events if since is not None and since <= event.at <= (until or now)]
            return LineStream(self.engine, select, past, until)

        stream = await self.engine.perform(Operation.EVENTS, act)
        return await stream.send(request)


def _any(wanted: list[str] | None, fits: Callable[[str], Any]) -> bool:
    return wanted is None or any(fits(text) for text in wanted)
