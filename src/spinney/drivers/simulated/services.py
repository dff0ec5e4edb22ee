"""What simulated containers serve on the network, and what a probe inside their network namespace meets there.

A container listens on nothing unless it is told to, in one of three ways, of which a later one overrides an earlier one:

* by its image, so that a profile alone says it: ``sim/web_WORDS:WORDS`` (what stands in the name holds for each of its tags
  and digests) with any of these words between underscores: ``port-8080`` (else 80), ``status-503`` (else 200), ``after-5``
  (seconds until it listens), ``until-60`` (listens no more from then on, though the container runs on), ``takes-0.5`` (seconds
  for each answer), ``hangs`` (takes connections and never answers), ``tcp`` (the same, for those who only want to say that it
  is no HTTP), ``dies-20`` (the program ends with 1 after so many seconds). Other words mean nothing, so they can be versions:
  ``sim/web_port-8080:v2_after-1.5_dies-20``. The body is the image's reference: who answered can be seen.
* by ``services.choose``, which is asked with each container's request: ``services.choose = lambda request:
  (Service(8080),) if request.labels[LABEL_CLUSTER] == mine else None`` (None: it has no opinion).
* by ``services.put(container_id, Service(8080, status=503))``, from now on, for that one container; without a service it is
  deaf. ``services.forget(container_id)`` undoes it.

``SimulatedConnector.services`` is the one of all its Docker engines, ``SimulatedEngine.core.services`` that of one.
``probe`` of a simulated host, and the host helper that the real driver asks over HTTP, both find what is told here, on the
engine's own clock. Times count from the container's start, a restart begins them anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spinney.domain.container import ContainerRequest, ContainerState
from spinney.drivers.helper.probing import Ending, Exchange

if TYPE_CHECKING:
    from spinney.drivers.simulated.values import ContainerRecord

_FOREVER = float("inf")
_REFUSED = 111
_WORD = re.compile(r"([a-z]+)(?:-([0-9]+(?:\.[0-9]+)?))?")
_REQUEST_LINE = re.compile(rb"GET (\S+) HTTP/1\.[01]\r\n")


@dataclass(frozen=True, slots=True)
class Service:
    """What one port of a container answers. Times in seconds."""

    port: int = 80
    #: None: it takes connections and never answers.
    status: int | None = 200
    body: bytes = b""
    #: After the container's start: when it begins to listen, and when it ends.
    after: float = 0.0
    until: float = _FOREVER
    #: For each answer.
    takes: float = 0.0
    #: The statuses of paths that have one of their own.
    paths: Mapping[str, int] = field(default_factory=dict)


class Services:
    def __init__(self) -> None:
        self.choose: Callable[[ContainerRequest], Sequence[Service] | None] | None = None
        self._put: dict[str, tuple[Service, ...]] = {}

    def put(self, container_id: str, *services: Service) -> None:
        """All that the container serves from now on."""
        self._put[container_id] = services

    def forget(self, container_id: str) -> None:
        """It serves again what it would without ``put``."""
        self._put.pop(container_id, None)

    def of(self, record: ContainerRecord) -> Sequence[Service]:
        found: Sequence[Service] | None = self._put.get(record.id)
        if found is None and self.choose is not None:
            found = self.choose(record.request)
        return record.program.services if found is None else found

    def exchange(
        self, record: ContainerRecord, port: int, sent: bytes, limit: float, now: float
    ) -> tuple[float, Exchange]:
        """What comes of sending that to a port of a container that is up, within ``limit`` seconds; and after how many."""
        age = now - (now if record.started_at is None else record.started_at)
        service = next((one for one in self.of(record) if one.port == port and one.after <= age < one.until), None)
        if service is None:
            return 0.0, Exchange(False, ending=Ending.FAILED, number=_REFUSED)
        if not sent:
            return 0.0, Exchange(True, ending=Ending.ENOUGH)
        # The kernel takes connections for those who sleep.
        if service.status is None or service.takes >= limit or record.state is ContainerState.PAUSED:
            return limit, Exchange(True, ending=Ending.LATE)
        return service.takes, Exchange(True, _said(service, service.status, sent))


def _said(service: Service, status: int, sent: bytes) -> bytes:
    asked = _REQUEST_LINE.match(sent)
    path = asked[1].decode("ascii").partition("?")[0] if asked else "/"
    status = service.paths.get(path, status) if asked else 400
    return b"HTTP/1.1 %d Simulated\r\nContent-Length: %d\r\n\r\n%s" % (status, len(service.body), service.body)


def declared(image: str) -> tuple[Service, float | None]:
    """What an image ``sim/web…`` serves, and after how many seconds it ends."""
    said = image.partition("@")[0].replace(":", "_").split("_")
    words = {found[1]: found[2] for word in said if (found := _WORD.fullmatch(word)) is not None}
    numbers = {name: float(number) for name, number in words.items() if number is not None}
    silent = "hangs" in words or "tcp" in words
    service = Service(
        port=int(numbers.get("port", 80)),
        status=None if silent else int(numbers.get("status", 200)),
        body=image.encode(),
        after=numbers.get("after", 0.0),
        until=numbers.get("until", _FOREVER),
        takes=numbers.get("takes", 0.0),
    )
    return service, numbers.get("dies")
