"""The probes of a container: what a profile may say of them, and what that comes to.

Guaranteed: nothing in them leads out of the container: a probe has a port and a path of its own, and no address.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, model_validator

from spinney.domain.probe_spec import Check, ExecCheck, HttpCheck, Probe, Probes, TcpCheck
from spinney.domain.schema import (
    Contradiction,
    Integer,
    Kind,
    NotAllowed,
    Rule,
    SpecModel,
    Text,
    between,
    is_scalar,
    matching,
    to_text,
)
from spinney.profiles.container_values import Argv, Interval, PortNumber, Seconds, item_text, to_seconds

_RANGE = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", re.ASCII)
_STATUSES_SAY = "a status from 100 to 599, a range as in 200-399, or a list of those"


def to_statuses(value: Any) -> tuple[str, ...]:
    items = to_text(value).split(",") if is_scalar(value) else value
    if not isinstance(items, list | tuple) or not 1 <= len(items) <= 20:
        raise NotAllowed(f"{_STATUSES_SAY}, at most 20")
    return tuple(_status_range(item_text(item, index).strip()) for index, item in enumerate(items))


def _status_range(text: str) -> str:
    found = _RANGE.fullmatch(text)
    if found is None or int(found[1]) > int(found[2] or found[1]):
        raise NotAllowed(_STATUSES_SAY, value=text)
    return text


def _check_program(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words or not words[0]:
        raise NotAllowed("a program, with its arguments")
    return words


Statuses = Annotated[tuple[str, ...], Kind("String", to_statuses)]
#: Printable and of one line, as a request's first line has it.
Path = Annotated[Text, matching(r'/[!"$-~]*', "a path that begins with /, without spaces and #", longest=1024)]
HostHeader = Annotated[
    Text, matching(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(:[0-9]{1,5})?", "a host name, with or without :port")
]
ProbeTimeout = Annotated[float, Kind("Number", to_seconds), between(0.1, 60, "seconds")]


class ExecPart(SpecModel):
    """The command for short, as a string or a list."""

    command: Annotated[Argv, Rule("a program", _check_program)] = Field(
        description="A program in the container and its arguments: a list of words, or a string split as a shell does. It "
        "passes by ending with 0."
    )

    @classmethod
    def expand(cls, value: Any) -> Any:
        return {"command": value} if is_scalar(value) or isinstance(value, list | tuple) else value

    def check(self) -> ExecCheck:
        return ExecCheck(self.command)


class HttpPart(SpecModel):
    port: PortNumber = Field(description="Port in the container, where a server listens on all addresses or 127.0.0.1.")
    path: Path = Field("/", description="What to GET.")
    host: HostHeader = Field("localhost", description="What the Host header says.")
    statuses: Statuses = Field(
        ("200-399",), description=f"The answers that pass: {_STATUSES_SAY}. Redirects are not followed."
    )

    def check(self) -> HttpCheck:
        ranges = tuple((int(low), int(high or low)) for low, _, high in (text.partition("-") for text in self.statuses))
        return HttpCheck(self.port, self.path, self.host, ranges)


class TcpPart(SpecModel):
    """The port for short."""

    port: PortNumber = Field(description="Port in the container; it passes by taking a connection.")

    @classmethod
    def expand(cls, value: Any) -> Any:
        return {"port": value} if is_scalar(value) else value

    def check(self) -> TcpCheck:
        return TcpCheck(self.port)


class ProbePart(SpecModel):
    exec: ExecPart | None = Field(None, description="Run a command in the container.")
    http: HttpPart | None = Field(None, description="Ask an HTTP server in the container.")
    tcp: TcpPart | None = Field(None, description="Connect to a port in the container.")
    interval: Interval = Field(10.0, description="Seconds between two questions.")
    timeout: ProbeTimeout = Field(1.0, description="Seconds after which a question has failed.")
    failures: Annotated[Integer, between(1, 100, "a number of failures")] = Field(
        3, description="Failures in a row after which it has failed."
    )
    successes: Annotated[Integer, between(1, 100, "a number of successes")] = Field(
        1, description="Successes in a row after which it has passed."
    )
    delay: Seconds = Field(0.0, description="Seconds until the first question, from the moment when its turn comes.")

    @model_validator(mode="after")
    def _asks_one_thing(self) -> ProbePart:
        if sum(part is not None for part in (self.exec, self.http, self.tcp)) != 1:
            raise Contradiction("give exactly one of exec, http and tcp: a probe asks one thing")
        return self

    def probe(self) -> Probe:
        part = self.exec or self.http or self.tcp
        assert part is not None
        check: Check = part.check()
        return Probe(check, self.interval, self.timeout, self.failures, self.successes, self.delay)


class ProbesPart(SpecModel):
    started: ProbePart | None = Field(
        None,
        description="Whether it has started: the other two are asked from then on. One that has not passed after failures "
        "intervals has its container started again.",
    )
    ready: ProbePart | None = Field(
        None, description="Whether it may be given work. It decides nothing else: nothing is ever started again for it."
    )
    alive: ProbePart | None = Field(
        None, description="Whether it lives: one that fails has its container started again."
    )

    @model_validator(mode="after")
    def _some(self) -> ProbesPart:
        if self.started is None and self.ready is None and self.alive is None:
            raise Contradiction("give at least one of started, ready and alive, or leave probes out")
        return self

    def probes(self) -> Probes:
        parts = (self.started, self.ready, self.alive)
        return Probes(*(None if part is None else part.probe() for part in parts))
