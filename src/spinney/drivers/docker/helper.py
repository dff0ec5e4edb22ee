"""The host helper on one Docker engine: its image loaded, its container kept, questions asked over one line that stays open.

Guaranteed: what runs as the helper is our program (the layer of its image is compared by digest), without network, without
any capability, unable to gain any, on a read-only file system, as nobody, bounded in memory, processes and CPU; in mode
``full`` it sees the host's control groups besides, read-only. One question is asked at a time; a line on which an answer did
not come in time, or was nonsense, is given up. A helper that keeps silent is made anew with the next ``ensure``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from urllib.parse import quote

import orjson

from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_HELPER, LABEL_KEEPER, Container, ContainerState
from spinney.domain.host import HelperMode
from spinney.domain.utilization import ContainersReading, HostCounters
from spinney.drivers.docker import parse
from spinney.drivers.docker.client import EngineClient
from spinney.drivers.docker.errors import Operation, docker_error
from spinney.drivers.docker.faults import bounded
from spinney.drivers.docker.helper_request import helper_body
from spinney.drivers.docker.line import Line
from spinney.drivers.docker.shapes import decode, mapping, sequence, text
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
from spinney.errors import HostBroken, NameTaken

#: Seconds for one answer, the line to ask over included.
_PATIENCE = 5.0
#: Answers that did not come before the helper counts as broken.
_SILENCES = 2
_ATTEMPTS = 3


class Helper:
    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._one_at_a_time = asyncio.Lock()
        self._container_id: str | None = None
        self._line: Line | None = None
        self._silences = 0

    async def close(self) -> None:
        self._container_id = None
        await self._hang_up()

    async def ensure(self, deployment: str, mode: HelperMode) -> None:
        image = helper_image(known_architecture(await self._architecture()))
        labels, name = image.labels(deployment, mode), container_name(deployment)
        for _ in range(_ATTEMPTS):
            found = await self._inspect(name)
            if found is None:
                found = await self._create(name, labels, image)
            elif found.labels.get(LABEL_DEPLOYMENT) != deployment or LABEL_HELPER not in found.labels:
                raise NameTaken(NOT_OURS.format(name=name))
            elif self._silences >= _SILENCES or not labels.items() <= found.labels.items() or not _can_run(found):
                await self._remove(found.id)
                self._silences = 0
                continue
            if found is not None and await self._begin(found):
                return
        raise HostBroken(f"the host helper {name} does not stay; see who else makes and removes it")

    async def _begin(self, found: Container) -> bool:
        """Start it and hear from it. False: it is gone again."""
        if found.state is not ContainerState.RUNNING:
            answer = await self._client.call("POST", f"/containers/{found.id}/start", limit=self._client.limits.change)
            if answer.status == 404:
                return False
            if answer.status not in (204, 304):
                raise docker_error(Operation.START, found.name, answer.status, answer.said)
        if self._container_id != found.id:
            await self._hang_up()
            self._container_id = found.id
        spoken = answers.version(await self._ask("version"))
        if spoken != VERSION:
            raise HostBroken(
                f"the host helper speaks version {spoken[:20]!r} instead of {VERSION!r}; remove {found.name}"
            )
        return True

    async def measure(self) -> HostCounters:
        return answers.host(await self._ask("host"))

    async def measure_containers(self) -> ContainersReading:
        return answers.containers(await self._ask("containers"))

    async def remove(self, deployment: str) -> None:
        await self.close()
        wanted = orjson.dumps({"label": [f"{LABEL_DEPLOYMENT}={deployment}", LABEL_HELPER]}).decode()
        answer = await self._client.call("GET", "/containers/json", {"all": "1", "filters": wanted})
        if answer.status != 200:
            raise docker_error(Operation.LIST, "", answer.status, answer.said)
        for container in parse.listing(answer.body):
            if LABEL_KEEPER not in container.labels:
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
        if self._container_id is None:
            raise HostBroken("the host helper is not in use; have it started first")
        async with self._one_at_a_time:
            answered = False
            try:
                async with bounded(_PATIENCE, "answer through its helper"):
                    lines = await self._exchange(question, self._container_id)
                answered = True
                return lines
            finally:
                self._silences = 0 if answered else self._silences + 1
                if not answered:
                    await self._hang_up()

    async def _exchange(self, question: str, container_id: str) -> list[str]:
        if self._line is None:
            self._line = await self._client.attached(container_id)
        tag = secrets.token_hex(8)
        answer = answers.Answer(tag)
        await self._line.send(f"{question} {tag}\n".encode())
        while True:
            lines = answer.feed(await self._line.receive())
            if lines is not None:
                return lines

    async def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

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
        body = helper_body(await self._loaded(image), labels)
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
        await self._hang_up()
        query = {"force": "1", "v": "1"}
        answer = await self._client.call(
            "DELETE", f"/containers/{container_id}", query, limit=self._client.limits.change
        )
        if answer.status not in (204, 404) and "already in progress" not in answer.said:
            raise docker_error(Operation.REMOVE, container_id, answer.status, answer.said)


def _can_run(container: Container) -> bool:
    return container.state in (ContainerState.RUNNING, ContainerState.CREATED, ContainerState.EXITED)
