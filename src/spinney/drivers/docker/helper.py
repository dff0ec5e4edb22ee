"""The host helper on one Docker engine: its image loaded, its container kept, questions asked over one line that stays open.

Guaranteed: what runs as the helper is our program (the layer of its image is compared by digest), confined as
``helper_request`` says. Where a Docker engine refuses what mode ``full`` needs to probe, the helper is made without that, and
does all else. Of what it measures one thing is asked at a time, of probes a bounded number; a line on which an answer did not
come in time, or was nonsense, is given up. A helper that keeps silent is made anew with the next ``ensure``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

import orjson

from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_HELPER,
    LABEL_KEEPER,
    LABEL_PROBER,
    Container,
    ContainerState,
)
from spinney.domain.host import HelperMode
from spinney.domain.probe import ProbeRequest
from spinney.domain.utilization import ContainersReading, HostCounters
from spinney.drivers.docker import parse
from spinney.drivers.docker.client import EngineClient
from spinney.drivers.docker.errors import Operation, docker_error
from spinney.drivers.docker.faults import bounded
from spinney.drivers.docker.helper_request import helper_body
from spinney.drivers.docker.line import Line
from spinney.drivers.docker.shapes import decode, mapping, sequence, text
from spinney.drivers.docker.talk import Talk
from spinney.drivers.helper import answers
from spinney.drivers.helper.image import (
    NOT_OURS,
    REPOSITORY,
    VERSION,
    HelperImage,
    container_name,
    helper_image,
    known_architecture,
)
from spinney.drivers.helper.probing import Ending, Exchange
from spinney.errors import ContainerRefused, HostBroken, HostError, HostRefused, NameTaken

T = TypeVar("T")

#: Seconds for one answer, the line to ask over included; for a probe besides what it may take itself.
_PATIENCE = 5.0
#: Answers that did not come before the helper counts as broken.
_SILENCES = 2
_ATTEMPTS = 3
#: Probes at a time; the program takes half as many again.
_PROBES = 32


class Helper:
    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._one_at_a_time = asyncio.Lock()
        self._probes = asyncio.Semaphore(_PROBES)
        self._container_id: str | None = None
        self._talk = Talk(self._attach)
        self._silences = 0
        self._mode = HelperMode.NONE
        #: The Docker engine refuses to make a helper that may enter namespaces.
        self._confined = False
        #: The helper that is there may not enter them.
        self._barred = False

    async def close(self) -> None:
        self._container_id = None
        await self._talk.hang_up()

    async def ensure(self, deployment: str, mode: HelperMode) -> None:
        image = helper_image(known_architecture(await self._architecture()))
        labels, name = image.labels(deployment, mode), container_name(deployment)
        for _ in range(_ATTEMPTS):
            found = await self._inspect(name)
            try:
                if found is None:
                    found = await self._create(name, labels, image)
                elif found.labels.get(LABEL_DEPLOYMENT) != deployment or LABEL_HELPER not in found.labels:
                    raise NameTaken(NOT_OURS.format(name=name))
                elif self._silences >= _SILENCES or not labels.items() <= found.labels.items() or not _can_run(found):
                    await self._remove(found.id)
                    self._silences = 0
                    continue
                if found is None or not await self._start(found):
                    continue
            except (ContainerRefused, HostBroken, HostRefused):
                if mode is not HelperMode.FULL or self._confined:
                    raise
                # Only what it needs to probe can have been refused: all else a plain one needs too.
                self._confined = True
                if found is not None:
                    await self._remove(found.id)
                continue
            await self._begin(found, mode)
            return
        raise HostBroken(f"the host helper {name} does not stay; see who else makes and removes it")

    async def _start(self, found: Container) -> bool:
        """False: it is gone again."""
        if found.state is ContainerState.RUNNING:
            return True
        answer = await self._client.call("POST", f"/containers/{found.id}/start", limit=self._client.limits.change)
        if answer.status not in (204, 304, 404):
            raise docker_error(Operation.START, found.name, answer.status, answer.said)
        return answer.status != 404

    async def _begin(self, found: Container, mode: HelperMode) -> None:
        """Hear from it."""
        if self._container_id != found.id:
            await self._talk.hang_up()
            self._container_id, self._barred = found.id, False
        self._mode = mode
        spoken = answers.version(await self._ask("version"))
        if spoken != VERSION:
            raise HostBroken(
                f"the host helper speaks version {spoken[:20]!r} instead of {VERSION!r}; remove {found.name}"
            )

    async def measure(self) -> HostCounters:
        return answers.host(await self._ask("host"))

    async def measure_containers(self) -> ContainersReading:
        return answers.containers(await self._ask("containers"))

    @property
    def may_enter(self) -> bool:
        """Whether it can probe inside the network namespaces of containers, as far as is known."""
        full = self._mode is HelperMode.FULL and self._container_id is not None
        return full and not self._confined and not self._barred

    async def probe(self, container_id: str, pid: int, request: ProbeRequest) -> Exchange:
        """``pid``: of a process of the container. Of one that has ended, ending ``gone``; ``barred``: ``may_enter`` no more."""
        async with self._probes:
            found = await self._answer(
                lambda: self._talk.probe(request, container_id, pid), request.timeout + _PATIENCE
            )
        self._barred = self._barred or found.ending is Ending.BARRED
        return found

    def bar(self) -> None:
        """What it should be able to enter it does not find."""
        self._barred = True

    async def remove(self, deployment: str) -> None:
        await self.close()
        wanted = orjson.dumps({"label": [f"{LABEL_DEPLOYMENT}={deployment}", LABEL_HELPER]}).decode()
        answer = await self._client.call("GET", "/containers/json", {"all": "1", "filters": wanted})
        if answer.status != 200:
            raise docker_error(Operation.LIST, "", answer.status, answer.said)
        for container in parse.listing(answer.body):
            if not {LABEL_KEEPER, LABEL_PROBER} & set(container.labels):
                await self._remove(container.id)
        await self._remove_images()

    async def _remove_images(self) -> None:
        """Those that no container uses: another deployment may have its helper here."""
        wanted = orjson.dumps({"label": [LABEL_HELPER]}).decode()
        answer = await self._client.call("GET", "/images/json", {"filters": wanted})
        if answer.status != 200:
            raise docker_error(Operation.LOAD, "", answer.status, answer.said)
        for entry in sequence(decode(answer.body, "list of images"), "images"):
            for tag in sequence(mapping(entry, "images[]").get("RepoTags"), "RepoTags"):
                reference = text(tag, "RepoTags")
                if reference.startswith(f"{REPOSITORY}:"):
                    await self._client.call("DELETE", f"/images/{quote(reference, safe='')}")

    async def image(self) -> str:
        """The id of the program's image, loaded if it was not there. Raises: ContainerRefused."""
        return await self._loaded(helper_image(known_architecture(await self._architecture())))

    # Questions.

    async def _ask(self, question: str) -> list[str]:
        async with self._one_at_a_time:
            return await self._answer(lambda: self._talk.ask(question), _PATIENCE)

    async def _answer(self, ask: Callable[[], Awaitable[T]], patience: float) -> T:
        if self._container_id is None:
            raise HostBroken("the host helper is not in use; have it started first")
        try:
            async with bounded(patience, "answer through its helper"):
                answer = await ask()
        except HostError:
            self._silences += 1
            await self._talk.hang_up()
            raise
        self._silences = 0
        return answer

    async def _attach(self) -> Line:
        return await self._client.attached(self._container_id or "")

    # Image and container.

    async def _architecture(self) -> str:
        answer = await self._client.call("GET", "/version")
        if answer.status != 200:
            raise docker_error(Operation.FACTS, "", answer.status, answer.said)
        return text(mapping(decode(answer.body, "version"), "version").get("Arch"), "Arch")

    async def _image(self, image: HelperImage) -> str | None:
        """The id under which the Docker engine has it; None: it has not."""
        answer = await self._client.call("GET", f"/images/{image.reference}/json")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise docker_error(Operation.INSPECT_IMAGE, image.reference, answer.status, answer.said)
        found = mapping(decode(answer.body, "image"), "image")
        layers = sequence(mapping(found.get("RootFS"), "RootFS").get("Layers"), "RootFS.Layers")
        return text(found.get("Id"), "Id") if layers == [image.layer] else None

    async def _loaded(self, image: HelperImage) -> str:
        found = await self._image(image)
        if found is not None:
            return found
        answer = await self._client.call(
            "POST", "/images/load", {"quiet": "1"}, image.archive, limit=self._client.limits.change
        )
        found = await self._image(image) if answer.status == 200 else None
        if found is None:
            raise docker_error(Operation.LOAD, image.reference, max(answer.status, 500), answer.said)
        return found

    async def _create(self, name: str, labels: Mapping[str, str], image: HelperImage) -> Container | None:
        """None: somebody else is making it, or has just removed its image."""
        body = helper_body(await self._loaded(image), labels, confined=self._confined)
        answer = await self._client.call(
            "POST", "/containers/create", {"name": name}, body, limit=self._client.limits.change
        )
        if answer.status == 201:
            made = text(mapping(decode(answer.body, "answer to create"), "created").get("Id"), "Id")
            return Container(parse.container_id(made, "Id"), name, labels, ContainerState.CREATED, image.reference)
        if answer.status not in (404, 409):
            raise docker_error(Operation.CREATE, name, answer.status, answer.said)
        return None

    async def _inspect(self, name: str) -> Container | None:
        answer = await self._client.call("GET", f"/containers/{name}/json")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise docker_error(Operation.INSPECT, name, answer.status, answer.said)
        return parse.container(answer.body)

    async def _remove(self, container_id: str) -> None:
        await self._talk.hang_up()
        query = {"force": "1", "v": "1"}
        answer = await self._client.call(
            "DELETE", f"/containers/{container_id}", query, limit=self._client.limits.change
        )
        if answer.status not in (204, 404) and "already in progress" not in answer.said:
            raise docker_error(Operation.REMOVE, container_id, answer.status, answer.said)


def _can_run(container: Container) -> bool:
    return container.state in (ContainerState.RUNNING, ContainerState.CREATED, ContainerState.EXITED)
