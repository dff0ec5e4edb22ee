"""Having images on one host: one pull per image however many wait for it.

Guaranteed: a waiter that is cancelled does not end the pull for the others; when all have left it is cancelled, and the
Docker engine with it (it stops pulling when its client goes away). A registry credential is read when the pull begins.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from spinney.domain.container import ImageRequest, PullPolicy
from spinney.drivers.docker.client import EngineClient
from spinney.drivers.docker.credentials import Credentials
from spinney.drivers.docker.errors import Operation, docker_error
from spinney.drivers.docker.faults import bounded
from spinney.drivers.docker.shapes import Lines, decode, mapping, text
from spinney.drivers.docker.streams import unpaused
from spinney.errors import HostError, ImageNotFound

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armhf": "arm", "armel": "arm"}


class Images:
    def __init__(self, client: EngineClient, credentials: Credentials) -> None:
        self._client = client
        self._credentials = credentials
        self._pulls = Flights()

    async def ensure(self, image: ImageRequest) -> bool:
        """True: it was not there before."""
        check_reference(image.reference)
        present = await self._present(image)
        if present and image.policy is not PullPolicy.ALWAYS:
            return False
        if image.policy is PullPolicy.NEVER:
            raise ImageNotFound(
                f"the host has no image {image.reference}{f' for {image.platform}' if image.platform else ''}, "
                "and pull policy never forbids to pull it; "
                "load it there, or use pull policy missing"
            )
        key = (image.reference, image.platform, image.credential, image.project)
        await self._pulls.join(key, lambda: self._pull(image))
        return not present

    async def load(self, reference: str, archive: bytes) -> None:
        check_reference(reference)
        await self._pulls.join(("load", reference), lambda: self._load(reference, archive))

    async def _load(self, reference: str, archive: bytes) -> None:
        limit = self._client.limits.pull_silence
        answer = await self._client.call("POST", "/images/load", {"quiet": "1"}, archive, limit=limit)
        # What goes wrong on the way is told inside an answer with status 200.
        if answer.status != 200 or not await self._present(ImageRequest(reference)):
            raise docker_error(Operation.LOAD, reference, max(answer.status, 500), answer.said)

    async def remove(self, reference: str) -> bool:
        """False: a container uses it."""
        check_reference(reference)
        path = f"/images/{quote(reference, safe='/:@')}"
        answer = await self._client.call("DELETE", path, limit=self._client.limits.change)
        if answer.status not in (200, 404, 409):
            raise docker_error(Operation.REMOVE_IMAGE, reference, answer.status, answer.said)
        return answer.status != 409

    async def _present(self, image: ImageRequest) -> bool:
        answer = await self._client.call("GET", f"/images/{quote(image.reference, safe='/:@')}/json")
        if answer.status == 404:
            return False
        if answer.status != 200:
            raise docker_error(Operation.INSPECT_IMAGE, image.reference, answer.status, answer.said)
        found = mapping(decode(answer.body, "image"), "image")
        return fits(image.platform, text(found.get("Os"), "Os"), text(found.get("Architecture"), "Architecture"))

    async def _pull(self, image: ImageRequest) -> None:
        query = {"fromImage": tagged(image.reference)}
        if image.platform:
            query["platform"] = image.platform
        headers = {}
        conceal: Callable[[str], str] = str
        if image.credential:
            credential = await self._credentials.registry(image.credential, image.project)
            headers["X-Registry-Auth"] = credential.header(image.reference)
            conceal = credential.conceal

        def refused(status: int, said: str) -> HostError:
            return docker_error(Operation.PULL, image.reference, status, conceal(said))

        limits, lines = self._client.limits, Lines()
        async with bounded(limits.pull, f"pull image {image.reference}"):
            async with (
                self._client.stream(
                    "POST", "/images/create", query, refused, headers=headers, opening=limits.pull_silence
                ) as response,
                aclosing(unpaused(response, limits.pull_silence)) as chunks,
            ):
                async for chunk in chunks:
                    for line in lines.feed(chunk):
                        _check_progress(image.reference, line, conceal)
            if lines.rest():
                _check_progress(image.reference, lines.rest(), conceal)


def _check_progress(reference: str, line: bytes, conceal: Callable[[str], str]) -> None:
    """Errors come inside the stream, after status 200."""
    progress = mapping(decode(line, "progress of a pull"), "progress")
    if progress.get("error") is not None:
        detail = mapping(progress.get("errorDetail"), "errorDetail")
        said = text(progress["error"], "error") or text(detail.get("message"), "message")
        raise docker_error(Operation.PULL, reference, 200, conceal(said))


def check_reference(reference: str) -> None:
    """Keeps what is no reference out of the path of a URL."""
    if not _REFERENCE.fullmatch(reference) or ".." in reference or "//" in reference:
        raise ImageNotFound(f"{reference!r} is no valid image reference; write [registry/]name[:tag] in lower case")


def tagged(reference: str) -> str:
    """With the tag ``latest`` where there is neither tag nor digest: Docker would pull all tags."""
    return reference if "@" in reference or ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def fits(platform: str | None, os: str, architecture: str) -> bool:
    """Is an image for this operating system and architecture the one asked for? A variant is not compared."""
    if not platform:
        return True
    parts = platform.lower().split("/")
    if len(parts) == 1:
        return parts[0] in (os, architecture)
    return parts[0] == os and _ARCHITECTURES.get(parts[1], parts[1]) == architecture


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[None]
    waiters: int = 0


class Flights:
    """Work that many wait for and one does."""

    def __init__(self) -> None:
        self._flights: dict[Any, _Flight] = {}

    async def join(self, key: Any, work: Callable[[], Awaitable[None]]) -> None:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(_run(work)))
            flight.task.add_done_callback(lambda _: self._land(key, flight))
        flight.waiters += 1
        try:
            await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                flight.task.cancel()
                self._land(key, flight)

    def _land(self, key: Any, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()
