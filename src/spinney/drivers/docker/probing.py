"""Probes inside the network namespaces of containers, in one of two ways.

Where the host helper may enter namespaces (mode ``full``, and the machine lets it), it does, at a process that the Docker
engine has named and that it sees to be the container's still. Elsewhere each probed container gets a *prober*, made with its
first probe: a container of the helper's image that has no right at all and shares that one's network namespace.

Guaranteed: what is asked is asked in the namespace that the container has now; that nothing answers in one that it had before
a restart is found out, and asked anew in the one it has. A prober is removed when its container is stopped or removed here,
ends when we hang up or end, or when it is not asked for ``IDLE`` seconds, and is removed by its Docker engine then. One that
was made and never ran is left to the reaper. A helper that was once kept from entering a namespace is not asked again over
this connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote

from spinney.domain.container import LABEL_PREFIX, LABEL_PROBER, Container, ContainerState
from spinney.domain.probe import ProbeAnswer, ProbeRequest
from spinney.drivers.docker import parse
from spinney.drivers.docker.client import EngineClient
from spinney.drivers.docker.errors import Operation, docker_error
from spinney.drivers.docker.faults import bounded
from spinney.drivers.docker.helper import Helper
from spinney.drivers.docker.helper_request import prober_body
from spinney.drivers.docker.shapes import decode, mapping, text
from spinney.drivers.docker.talk import Talk
from spinney.drivers.helper import probing
from spinney.drivers.helper.probing import Ending, Exchange
from spinney.errors import ContainerGone, ContainerRefused, HostBroken, HostError

#: Seconds.
IDLE = 300
#: Seconds for an answer, besides what the probe itself may take.
_PATIENCE = 5.0
_ATTEMPTS = 3
#: Probers that one Docker engine makes at a time.
_MAKING = 4
#: Processes that are remembered, so that those of containers gone elsewhere do not pile up.
_KNOWN = 4096


@dataclass(slots=True)
class _Prober:
    id: str
    talk: Talk
    #: When its container had been started, whose namespace of then it shares.
    started_at: float | None


@dataclass(slots=True)
class _Place:
    """Where the prober of one container is, or will be."""

    prober: _Prober | None = None
    making: asyncio.Lock = field(default_factory=asyncio.Lock)


class Probing:
    """On one Docker engine."""

    def __init__(self, client: EngineClient, helper: Helper) -> None:
        self._client = client
        self._helper = helper
        self._places: dict[str, _Place] = {}
        self._pids: dict[str, int] = {}
        self._making = asyncio.Semaphore(_MAKING)

    async def probe(self, container_id: str, request: ProbeRequest) -> ProbeAnswer:
        wrong = probing.problem(request)
        if wrong is not None:
            return ProbeAnswer(False, text=wrong)
        found = await self._from_inside(container_id, request) if self._helper.may_enter else None
        return probing.answer(request, found or await self._from_beside(container_id, request))

    async def let_go(self, container_id: str) -> None:
        """Remove the container's prober, if it has one. What fails is left to the prober itself, and to the reaper."""
        self._pids.pop(container_id, None)
        place = self._places.pop(container_id, None)
        if place is not None and place.prober is not None:
            await self._remove(place.prober)

    async def let_all_go(self) -> None:
        await asyncio.gather(*(self.let_go(one) for one in tuple(self._places)))

    async def close(self) -> None:
        """Probers end when nobody talks to them."""
        places, self._places = self._places, {}
        await asyncio.gather(*(one.prober.talk.hang_up() for one in places.values() if one.prober is not None))

    # The helper enters.

    async def _from_inside(self, container_id: str, request: ProbeRequest) -> Exchange | None:
        """None: it may not."""
        pid = self._pids.get(container_id) or await self._process(container_id)
        for _ in range(_ATTEMPTS):
            found = _checked(await self._helper.probe(container_id, pid, request))
            if found.ending is Ending.BARRED:
                return None
            if found.connected:
                return found
            known, pid = pid, await self._process(container_id)
            if pid != known:
                continue
            if found.ending is not Ending.GONE:
                return found
            # The Docker engine knows it, and the helper does not find it: they do not see the same processes.
            self._helper.bar()
            return None
        raise _restless(container_id)

    async def _process(self, container_id: str) -> int:
        """One of the container's. The helper looks whether it still is, so it need not be asked for each time."""
        _, pid = await self._member(container_id)
        if len(self._pids) >= _KNOWN:
            self._pids.clear()
        self._pids[container_id] = pid
        return pid

    # A prober beside it.

    async def _from_beside(self, container_id: str, request: ProbeRequest) -> Exchange:
        place = self._places.setdefault(container_id, _Place())
        for _ in range(_ATTEMPTS):
            known = place.prober
            prober = known or await self._make(container_id, place)
            try:
                async with bounded(request.timeout + _PATIENCE, "answer through a prober"):
                    found = _checked(await prober.talk.probe(request))
            except HostError:
                _forget(place, prober)
                await prober.talk.hang_up()
                if known is None:
                    raise
                continue  # it may only have ended since it was last asked
            if found.connected:
                return found
            member, _ = await self._member(container_id)
            if member.started_at == prober.started_at:
                return found
            _forget(place, prober)
            await self._remove(prober)
        raise _restless(container_id)

    async def _make(self, container_id: str, place: _Place) -> _Prober:
        async with place.making:
            if place.prober is None:
                async with self._making:
                    place.prober = await self._made(container_id)
                self._tidy()
            return place.prober

    def _tidy(self) -> None:
        """Forget those that have ended; their containers may have gone without our knowing."""
        for container_id, place in tuple(self._places.items()):
            if place.prober is not None and not place.prober.talk.is_open:
                del self._places[container_id]

    async def _made(self, container_id: str) -> _Prober:
        member, _ = await self._member(container_id)
        labels = {name: value for name, value in member.labels.items() if name.startswith(LABEL_PREFIX)}
        body = prober_body(await self._helper.image(), labels | {LABEL_PROBER: member.id}, member.id, IDLE)
        name = f"spinney-prober.{member.id[:12]}.{secrets.token_hex(4)}"
        limit = self._client.limits.change
        answer = await self._client.call("POST", "/containers/create", {"name": name}, body, limit=limit)
        if answer.status != 201:
            raise docker_error(Operation.PROBE, container_id, answer.status, answer.said)
        made = mapping(decode(answer.body, "answer to create"), "created")
        prober_id = parse.container_id(text(made.get("Id"), "Id"), "Id")
        prober = _Prober(prober_id, Talk(lambda: self._client.attached(prober_id)), member.started_at)
        try:
            answer = await self._client.call("POST", f"/containers/{prober_id}/start", limit=limit)
            if answer.status not in (204, 304):
                raise docker_error(Operation.PROBE, container_id, answer.status, answer.said)
            async with bounded(_PATIENCE, "let us attach to a prober"):
                await prober.talk.open()
        except BaseException:
            await asyncio.shield(self._remove(prober))
            raise
        return prober

    async def _remove(self, prober: _Prober) -> None:
        await prober.talk.hang_up()
        with contextlib.suppress(HostError):
            query, limit = {"force": "1", "v": "1"}, self._client.limits.change
            await self._client.call("DELETE", f"/containers/{prober.id}", query, limit=limit)

    # The container.

    async def _member(self, container_id: str) -> tuple[Container, int]:
        """As it is now, and a process of it. Raises: ContainerGone, ContainerRefused."""
        answer = await self._client.call("GET", f"/containers/{quote(container_id, safe='')}/json")
        if answer.status == 404:
            await self.let_go(container_id)
            raise ContainerGone(f"container {container_id[:12]} does not exist on the host")
        if answer.status != 200:
            raise docker_error(Operation.PROBE, container_id, answer.status, answer.said)
        found = parse.container(answer.body)
        if found.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
            await self.let_go(container_id)
            raise ContainerRefused(f"container {container_id[:12]} does not run, so it cannot be probed; start it")
        return found, parse.process_id(answer.body)


def _restless(container_id: str) -> ContainerRefused:
    return ContainerRefused(f"container {container_id[:12]} is started again and again; it cannot be probed meanwhile")


def _forget(place: _Place, prober: _Prober) -> None:
    if place.prober is prober:
        place.prober = None


def _checked(found: Exchange) -> Exchange:
    if found.ending is Ending.BUSY:
        raise HostBroken("the host helper has too many probes under way; have containers probed less often")
    if found.ending is Ending.WRONG:
        raise HostBroken("the host helper does not understand a probe; look at what runs under its name")
    return found
