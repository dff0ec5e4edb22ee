"""One Docker engine as a ``ContainerHost``: each promise of the Protocol as requests to its API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from urllib.parse import quote

import orjson

from spinney.clock import Clock
from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_GENERATION,
    LABEL_NODE,
    Container,
    ContainerEvent,
    ContainerEventKind,
    ContainerLimits,
    ContainerRequest,
    ContainerState,
    ContainerStats,
    HostFacts,
    ImageRequest,
    LogChunk,
    LogQuery,
    NetworkRequest,
    SecretFile,
)
from spinney.domain.host import HelperMode
from spinney.domain.images import HostImage
from spinney.domain.probe import ProbeAnswer, ProbeRequest
from spinney.domain.secret import conceal
from spinney.domain.terminal import ExecRequest
from spinney.domain.utilization import ContainerReading, ContainersReading, HostCounters
from spinney.drivers.base import ExecSession
from spinney.drivers.docker import parse
from spinney.drivers.docker.client import LARGEST_LISTING, Answer, EngineClient
from spinney.drivers.docker.credentials import Credentials
from spinney.drivers.docker.errors import Operation, docker_error, memory_in_use, name_in_use
from spinney.drivers.docker.exec import start_exec
from spinney.drivers.docker.helper import Helper
from spinney.drivers.docker.images import Images, check_reference
from spinney.drivers.docker.networks import Networks
from spinney.drivers.docker.probing import Probing
from spinney.drivers.docker.request import create_body, limits_body
from spinney.drivers.docker.secret_files import SecretFiles
from spinney.drivers.docker.shapes import Lines, decode, mapping
from spinney.drivers.docker.streams import Frames, unpaused, watched
from spinney.errors import HostBroken, HostError, HostUnreachable, NameTaken

#: Seconds between two looks at a container that somebody else is making or removing.
POLL = 0.1

_IDENTITY = (LABEL_DEPLOYMENT, LABEL_NODE, LABEL_GENERATION)
#: The last two are Podman's names for ends and removals; Docker knows no such events.
_EVENTS = ["die", "oom", "destroy", "start", "pause", "unpause", "health_status", "died", "remove"]


class DockerHost:
    """Guarantees of ``ContainerHost``; pulls and networks are serialised per object, so make one per Docker engine."""

    def __init__(self, client: EngineClient, credentials: Credentials, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._images = Images(client, credentials)
        self._networks = Networks(client)
        self._helper = Helper(client)
        self._secret_files = SecretFiles(client, self._helper)
        self._probing = Probing(client, self._helper)

    async def close(self) -> None:
        await self._probing.close()
        await self._helper.close()
        await self._client.close()

    # ContainerOperator

    async def ensure_image(self, image: ImageRequest) -> bool:
        return await self._images.ensure(image)

    async def load_image(self, reference: str, archive: bytes) -> None:
        await self._images.load(reference, archive)

    async def remove_image(self, reference: str) -> bool:
        return await self._images.remove(reference)

    async def ensure_network(self, network: NetworkRequest) -> None:
        await self._networks.ensure(network)

    async def remove_network(self, name: str) -> None:
        await self._networks.remove(name)

    async def create(self, request: ContainerRequest) -> Container:
        check_reference(request.image.reference)
        secret_mount = await self._secret_files.options() if request.secret_directories else ""
        body, query = create_body(request, secret_mount), {"name": request.name}
        if request.image.platform:
            query["platform"] = request.image.platform
        until = self._clock.monotonic() + self._client.limits.look
        while self._clock.monotonic() < until:
            answer = await self._client.call(
                "POST", "/containers/create", query, body, limit=self._client.limits.change
            )
            if answer.status == 201:
                return _created(request, answer)
            if not name_in_use(answer.status, answer.said):
                said = conceal(answer.said, request.secret_environment.values())
                raise docker_error(Operation.CREATE, request.name, answer.status, said)
            found = await self._make_way(request)
            if found is not None:
                return found
        raise HostBroken(
            f"could not create container {request.name}: its name stays taken although nothing bears it; "
            "restart the Docker engine if that lasts"
        )

    async def _make_way(self, request: ContainerRequest) -> Container | None:
        """The container asked for if it is there; None when it is worth asking for it again."""
        found = await self.inspect(request.name)
        if found is None:
            # Its name is taken from the moment somebody asks for it, and it can be seen when it is made.
            await self._clock.sleep(POLL)
            return None
        if found.labels.get(LABEL_DEPLOYMENT) != request.labels.get(LABEL_DEPLOYMENT):
            raise NameTaken(
                f"could not create container {request.name}: a container of that name that is not ours is on the host; "
                "remove or rename it there, or use another host"
            )
        same = all(found.labels.get(label) == request.labels.get(label) for label in _IDENTITY)
        if same and found.state not in (ContainerState.REMOVING, ContainerState.DEAD):
            return found
        await self.remove(found.id)
        return None

    async def start(self, container_id: str, files: Sequence[SecretFile] = ()) -> None:
        if not files:
            await self._act(Operation.START, container_id, "start")
            return
        async with self._secret_files.present(container_id, files):
            await self._act(Operation.START, container_id, "start")

    async def inspect(self, id_or_name: str) -> Container | None:
        answer = await self._client.call("GET", f"/containers/{_quoted(id_or_name)}/json")
        if answer.status == 404:
            return None
        return parse.container(_success(Operation.INSPECT, id_or_name, answer).body)

    async def update(self, container_id: str, limits: ContainerLimits) -> None:
        if limits.memory_limit is not None:
            await self._require_memory(container_id, limits.memory_limit)
        path, limit = f"/containers/{_quoted(container_id)}/update", self._client.limits.change
        answer = await self._client.call("POST", path, None, limits_body(limits), limit=limit)
        _success(Operation.UPDATE, container_id, answer)

    async def _require_memory(self, container_id: str, wanted: int) -> None:
        """Where it is to have less than it has: with cgroups of version 2 the kernel would end processes of the container.
        Asking what it uses takes a Docker engine up to a second."""
        path = f"/containers/{_quoted(container_id)}"
        answer = await self._client.call("GET", f"{path}/json")
        given = parse.memory_limit(_success(Operation.UPDATE, container_id, answer).body)
        if given is not None and wanted >= given:
            return
        answer = await self._client.call("GET", f"{path}/stats", {"stream": "false", "one-shot": "true"})
        used = parse.stats(_success(Operation.UPDATE, container_id, answer).body).memory
        if used is not None and used > wanted:
            raise memory_in_use(container_id, f"{used} bytes of {wanted}")

    async def stop(self, container_id: str, timeout: int) -> None:
        limit = timeout + self._client.limits.stop_margin
        await self._act(Operation.STOP, container_id, "stop", {"t": str(timeout)}, limit=limit)
        await self._probing.let_go(container_id)

    async def restart(self, container_id: str, timeout: int, files: Sequence[SecretFile] = ()) -> None:
        if files:
            await self.stop(container_id, timeout)
            await self.start(container_id, files)
            return
        limit = timeout + self._client.limits.stop_margin + self._client.limits.change
        await self._act(Operation.RESTART, container_id, "restart", {"t": str(timeout)}, limit=limit)
        await self._probing.let_go(container_id)

    async def kill(self, container_id: str, signal: str) -> None:
        await self._act(Operation.KILL, container_id, "kill", {"signal": signal})

    async def pause(self, container_id: str) -> None:
        await self._act(Operation.PAUSE, container_id, "pause", fine="is already paused")

    async def unpause(self, container_id: str) -> None:
        await self._act(Operation.UNPAUSE, container_id, "unpause", fine="is not paused")

    async def remove(self, container_id: str) -> None:
        await self._probing.let_go(container_id)
        query, limit = {"force": "1", "v": "1"}, self._client.limits.change
        answer = await self._client.call("DELETE", f"/containers/{_quoted(container_id)}", query, limit=limit)
        if answer.status == 409 and "already in progress" in answer.said:
            await self._await_removal(container_id)
        elif answer.status != 404:
            _success(Operation.REMOVE, container_id, answer)

    async def _await_removal(self, container_id: str) -> None:
        until = self._clock.monotonic() + self._client.limits.change
        while await self.inspect(container_id) is not None:
            if self._clock.monotonic() > until:
                raise HostBroken(f"container {container_id} is being removed without end; restart the Docker engine")
            await self._clock.sleep(POLL)

    async def _act(
        self,
        operation: Operation,
        container_id: str,
        verb: str,
        query: Mapping[str, str] | None = None,
        *,
        limit: float | None = None,
        fine: str | None = None,
    ) -> None:
        """One change to a container. ``fine``: what a refusal says when there was nothing to do."""
        path = f"/containers/{_quoted(container_id)}/{verb}"
        answer = await self._client.call("POST", path, query, limit=limit or self._client.limits.change)
        if fine is None or fine not in answer.said:
            _success(operation, container_id, answer)

    # ContainerObserver

    async def facts(self) -> HostFacts:
        answer = _success(Operation.FACTS, "", await self._client.call("GET", "/info"))
        return parse.facts(answer.body, await self._client.version())

    async def containers(self, labels: Mapping[str, str]) -> list[Container]:
        query = {"all": "1", "filters": _filters(label=_label_filters(labels))}
        answer = await self._client.call("GET", "/containers/json", query, largest=LARGEST_LISTING)
        return parse.listing(_success(Operation.LIST, "", answer).body)

    async def images(self) -> list[HostImage]:
        answer = await self._client.call("GET", "/images/json", largest=LARGEST_LISTING)
        return parse.images(_success(Operation.IMAGES, "", answer).body)

    async def events(self, labels: Mapping[str, str]) -> AsyncIterator[ContainerEvent]:
        query = {"filters": _filters(type=["container"], event=_EVENTS, label=_label_filters(labels))}
        refused, lines = _refusal(Operation.EVENTS, ""), Lines()
        opening = self._client.limits.opening
        await self._client.reach()
        async with self._client.stream("GET", "/events", query, refused, opening=opening) as response:
            yield ContainerEvent(ContainerEventKind.GAP)
            async with aclosing(watched(response, self._client)) as chunks:
                async for chunk in chunks:
                    for line in lines.feed(chunk):
                        event = parse.event(line)
                        if event is not None:
                            yield event
        raise HostUnreachable("the Docker engine ended its stream of events; it may be restarting")

    # ContainerReader

    async def logs(self, container_id: str, query: LogQuery) -> AsyncGenerator[LogChunk, None]:
        path, frames = f"/containers/{_quoted(container_id)}/logs", Frames()
        refused = _refusal(Operation.LOGS, container_id)
        async with self._client.stream("GET", path, _log_query(query), refused) as response:
            body = watched(response, self._client) if query.follow else unpaused(response, self._client.limits.look)
            async with aclosing(body) as chunks:
                async for chunk in chunks:
                    for piece in frames.feed(chunk):
                        yield piece

    async def stats(self, container_id: str) -> ContainerStats:
        answer = await self._client.call("GET", f"/containers/{_quoted(container_id)}/stats", {"stream": "false"})
        return parse.stats(_success(Operation.STATS, container_id, answer).body)

    async def counters(self, container_id: str) -> ContainerReading:
        query = {"stream": "false", "one-shot": "true"}
        answer = await self._client.call("GET", f"/containers/{_quoted(container_id)}/stats", query)
        return parse.counters(_success(Operation.STATS, container_id, answer).body)

    # CommandRunner

    async def exec(self, container_id: str, request: ExecRequest) -> ExecSession:
        return await start_exec(self._client, container_id, request)

    # NetworkProber

    async def probe(self, container_id: str, request: ProbeRequest) -> ProbeAnswer:
        return await self._probing.probe(container_id, request)

    # HostMeter

    async def ensure_helper(self, deployment: str, mode: HelperMode) -> None:
        await self._helper.ensure(deployment, mode)

    async def measure(self) -> HostCounters:
        return await self._helper.measure()

    async def measure_containers(self) -> ContainersReading:
        return await self._helper.measure_containers()

    async def remove_helper(self, deployment: str) -> None:
        await self._probing.let_all_go()
        await self._helper.remove(deployment)


def _created(request: ContainerRequest, answer: Answer) -> Container:
    made = mapping(decode(answer.body, "answer to create"), "created")
    return Container(
        id=parse.container_id(made.get("Id"), "Id"),
        name=request.name,
        labels=dict(request.labels),
        state=ContainerState.CREATED,
        image=request.image.reference,
    )


def _success(operation: Operation, subject: str, answer: Answer) -> Answer:
    """The answer, unless it is none: 304 means that there was nothing to do."""
    if 200 <= answer.status < 300 or answer.status == 304:
        return answer
    raise docker_error(operation, subject, answer.status, answer.said)


def _refusal(operation: Operation, subject: str) -> Callable[[int, str], HostError]:
    return lambda status, said: docker_error(operation, subject, status, said)


def _quoted(id_or_name: str) -> str:
    return quote(id_or_name, safe="")


def _filters(**values: list[str]) -> str:
    return orjson.dumps(values).decode()


def _label_filters(labels: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in labels.items()]


def _log_query(query: LogQuery) -> dict[str, str]:
    asked = {
        "follow": query.follow,
        "stdout": query.stdout,
        "stderr": query.stderr,
        "timestamps": query.timestamps,
    }
    written = {name: "1" if value else "0" for name, value in asked.items()}
    written["tail"] = "all" if query.tail is None else str(query.tail)
    for name, moment in (("since", query.since), ("until", query.until)):
        if moment is not None:
            written[name] = f"{moment:.9f}"
    return written
