"""Secret files in containers: in memory, there before the command starts, gone when the container stops.

A container with secret files has anonymous volumes at their directories, each a tmpfs. Such a file system exists while some
running container has it mounted; so a *keeper*, a small container of our own program without network or any capability, is
started with the same volumes, gets the files as an archive, and is removed once the container itself runs.

Guaranteed: no file touches the host's disk (where the kernel can, it is kept out of swap too); the keeper is found by a name
made from the container's id, so that one left behind by a death is replaced by the next start; the volumes go with the last of
the two that is removed. Not guaranteed: that a Docker engine which itself starts the container again finds files there; so none
is asked to.
"""

from __future__ import annotations

import asyncio
import io
import posixpath
import re
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

from spinney.domain.container import LABEL_KEEPER, LABEL_PREFIX, HostFacts, SecretFile
from spinney.drivers.docker import parse
from spinney.drivers.docker.client import EngineClient
from spinney.drivers.docker.errors import Operation, docker_error
from spinney.drivers.docker.helper import Helper
from spinney.drivers.docker.helper_request import helper_body
from spinney.drivers.docker.request import secret_volumes_of
from spinney.drivers.docker.shapes import decode, mapping, text
from spinney.errors import ContainerGone, ContainerRefused, HostBroken, HostError

#: Bytes of all secret files of one container, and of the file system they are in.
MOST_BYTES = 1 << 20
_NOSWAP_SINCE = (6, 4)
_ATTEMPTS = 3


class SecretFiles:
    def __init__(self, client: EngineClient, helper: Helper) -> None:
        self._client = client
        self._helper = helper
        self._swap_is_avoidable: bool | None = None

    async def options(self) -> str:
        """How the file systems are mounted on this host."""
        if self._swap_is_avoidable is None:
            answer = await self._client.call("GET", "/info")
            if answer.status != 200:
                raise docker_error(Operation.FACTS, "", answer.status, answer.said)
            self._swap_is_avoidable = knows_noswap(parse.facts(answer.body, ""))
        return mount_options(noswap=self._swap_is_avoidable)

    @asynccontextmanager
    async def present(self, container_id: str, files: Sequence[SecretFile]) -> AsyncIterator[None]:
        """The files are in the container's volumes for as long as this lasts, and longer if it runs when it ends.

        Raises: ContainerGone, ContainerRefused.
        """
        if sum(len(one.content) for one in files) > MOST_BYTES:
            raise ContainerRefused(
                f"the secret files of container {container_id[:12]} are larger than {MOST_BYTES} bytes together; "
                "give it fewer or smaller ones"
            )
        directories, labels = await self._places(container_id)
        name = keeper_name(container_id)
        keeper = await self._start(name, container_id, labels)
        try:
            for directory in directories:
                below = [one for one in files if one.path.startswith(f"{directory}/")]
                await self._put(keeper, name, directory, archive(directory, below))
            yield
        finally:
            # Also when it was cancelled: a keeper that stays would keep the files too. If this fails, the reaper does it.
            with suppress(HostError):
                await asyncio.shield(self._remove(keeper))

    async def _places(self, container_id: str) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """The directories that the container was made with, and our labels on it."""
        answer = await self._client.call("GET", f"/containers/{quote(container_id, safe='')}/json")
        if answer.status == 404:
            raise ContainerGone(f"container {container_id[:12]} does not exist on the host")
        if answer.status != 200:
            raise docker_error(Operation.INSPECT, container_id, answer.status, answer.said)
        config = mapping(mapping(decode(answer.body, "container"), "container").get("HostConfig"), "HostConfig")
        labels = parse.container(answer.body).labels
        ours = {name: value for name, value in labels.items() if name.startswith(LABEL_PREFIX)}
        return secret_volumes_of(config), ours | {LABEL_KEEPER: container_id[:12]}

    async def _start(self, name: str, container_id: str, labels: Mapping[str, str]) -> str:
        body = helper_body(await self._helper.image(), labels)
        body["HostConfig"]["VolumesFrom"] = [container_id]
        limit = self._client.limits.change
        for _ in range(_ATTEMPTS):
            answer = await self._client.call("POST", "/containers/create", {"name": name}, body, limit=limit)
            if answer.status == 409:
                await self._remove(name)
                continue
            if answer.status != 201:
                raise docker_error(Operation.CREATE, name, answer.status, answer.said)
            made = text(mapping(decode(answer.body, "answer to create"), "created").get("Id"), "Id")
            keeper = parse.container_id(made, "Id")
            answer = await self._client.call("POST", f"/containers/{keeper}/start", limit=limit)
            if answer.status not in (204, 304):
                with suppress(HostError):
                    await self._remove(keeper)
                raise docker_error(Operation.START, name, answer.status, answer.said)
            return keeper
        raise HostBroken(f"the keeper of secret files {name} does not go away; restart the Docker engine")

    async def _put(self, keeper: str, name: str, directory: str, content: bytes) -> None:
        answer = await self._client.call(
            "PUT", f"/containers/{keeper}/archive", {"path": directory}, content, limit=self._client.limits.change
        )
        if answer.status != 200:
            raise docker_error(Operation.SECRETS, name, answer.status, answer.said)

    async def _remove(self, keeper: str) -> None:
        """With its volumes, unless the container they were made for is there still."""
        query = {"force": "1", "v": "1"}
        answer = await self._client.call("DELETE", f"/containers/{keeper}", query, limit=self._client.limits.change)
        if answer.status not in (204, 404) and "already in progress" not in answer.said:
            raise docker_error(Operation.REMOVE, keeper, answer.status, answer.said)


def keeper_name(container_id: str) -> str:
    return f"spinney-keeper.{container_id[:24]}"


def knows_noswap(facts: HostFacts) -> bool:
    """Whether a file system in memory can be kept out of swap there. A kernel refuses that to who is not really root."""
    found = re.match(r"(\d+)\.(\d+)", facts.kernel)
    return found is not None and (int(found[1]), int(found[2])) >= _NOSWAP_SINCE and not facts.rootless


def mount_options(*, noswap: bool) -> str:
    # Each file takes whole pages, and so does a directory.
    return f"size={2 * MOST_BYTES},mode=0755,nosuid,nodev,noexec{',noswap' if noswap else ''}"


def archive(directory: str, files: Sequence[SecretFile]) -> bytes:
    """The files below the directory, with the directories between."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        between: set[str] = set()
        for one in files:
            name = posixpath.relpath(one.path, directory)
            parents = name.split("/")[:-1]
            between |= {"/".join(parents[: depth + 1]) for depth in range(len(parents))}
        for name in sorted(between):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            packed.addfile(folder)
        for one in files:
            member = tarfile.TarInfo(posixpath.relpath(one.path, directory))
            member.size, member.mode, member.uid, member.gid = len(one.content), one.mode, one.uid, one.gid
            packed.addfile(member, io.BytesIO(one.content))
    return buffer.getvalue()
