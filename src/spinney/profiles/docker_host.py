"""Profile type ``host.docker-1.0``: nodes that are Docker engines which exist already.

A profile either names one machine (``endpoint``) or lists several (``inventory``), from which a host cluster takes the next
free one; what is said beside the inventory holds for every machine of it that does not say otherwise.

Guaranteed: endpoints are in one canonical spelling and carry no password. Not guaranteed: that the endpoint is permitted here
(unix socket paths and addresses are the operator's to list), or that anything answers. Whether an endpoint has a credential is
checked by ``check_credentials`` alone, because a deployment may have default ones.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, model_validator

from spinney.domain.container import HostFacts
from spinney.domain.credential import CredentialType
from spinney.domain.host import Host, HostState
from spinney.domain.node import Node
from spinney.domain.schema import (
    Contradiction,
    Kind,
    Line,
    NotAllowed,
    Rule,
    SpecModel,
    Text,
    at_most,
    matching,
    to_map,
)
from spinney.errors import InvalidSpec
from spinney.profiles.base import ProfileProperties, ProfileType, Support
from spinney.profiles.container_values import Cores, Memory, check_absolute

ENDPOINT_SAYS = "unix:///path, tcp://host:port or ssh://user@host[:port]"
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?)|[0-9A-Fa-f:.]+",
    re.ASCII,
)
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
SSH_PORT = 22
#: What endpoints are approached with, by how they begin.
_NEEDED = {"tcp": CredentialType.DOCKER_TLS, "ssh": CredentialType.DOCKER_SSH}


def check_endpoint(value: str) -> str:
    """In lower case where case means nothing, ssh with its port."""
    address = _split(value, ENDPOINT_SAYS)
    if address.password is not None:
        raise NotAllowed("an endpoint without a password; keep it in a credential and name that", secret=True)
    if address.query or address.fragment:
        raise NotAllowed(ENDPOINT_SAYS)
    if address.scheme == "unix":
        return _unix(value, address)
    if address.path not in ("", "/") or not address.hostname or not _HOST.fullmatch(address.hostname):
        raise NotAllowed(ENDPOINT_SAYS)
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    if address.scheme == "tcp" and address.username is None and address.port:
        return f"tcp://{host}:{address.port}"
    if address.scheme == "ssh" and address.username and _USER.fullmatch(address.username) and address.port != 0:
        return f"ssh://{address.username}@{host}:{address.port or SSH_PORT}"
    raise NotAllowed(ENDPOINT_SAYS)


def _unix(value: str, address: SplitResult) -> str:
    path = address.path
    if address.netloc or len(path) < 2 or "//" in path or "/./" in path or path.endswith("/"):
        raise NotAllowed("unix:// and an absolute path, as in unix:///run/docker.sock")
    return f"unix://{check_absolute(path)}"


def check_metrics_url(value: str) -> str:
    says = "http:// or https:// with host, port and path, and no user or password"
    address = _split(value, says)
    if address.username is not None or address.password is not None:
        raise NotAllowed(says, secret=True)
    if address.scheme not in ("http", "https") or not address.hostname or not _HOST.fullmatch(address.hostname):
        raise NotAllowed(says)
    return value


def _split(value: str, says: str) -> SplitResult:
    # urlsplit drops tabs and line breaks, and a backslash is a slash to some and none to others.
    if len(value) > 512 or not value.isprintable() or not value.isascii() or "\\" in value or " " in value:
        raise NotAllowed(says, secret="@" in value)
    try:
        address = urlsplit(value)
        _ = address.port
    except ValueError:
        raise NotAllowed(says, secret="@" in value) from None
    return address


Endpoint = Annotated[Text, Rule(ENDPOINT_SAYS, check_endpoint)]
MetricsUrl = Annotated[Text, Rule("an http or https URL", check_metrics_url)]
HostLabels = Annotated[
    Mapping[
        Annotated[Text, matching(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", "1 to 128 letters, digits and ._/-")],
        Annotated[Text, matching(r"[^\n\r\t]*", "at most 255 characters on one line")],
    ],
    Kind("Map", to_map),
    at_most(64, "labels"),
]
_UNKNOWN_CPU = 1024.0
_UNKNOWN_MEMORY = 64 * 2**40
_OPTIONAL = frozenset({"endpoint", "inventory", "zone", "region", "credential", "capacity", "metrics_url"})


class Capacity(SpecModel):
    """What is given to containers, where that is not all the machine has."""

    nullable: ClassVar[frozenset[str]] = frozenset({"cpu", "memory"})

    cpu: Cores | None = Field(None, description="Cores for containers; default: all that the Docker engine reports.")
    memory: Memory | None = Field(
        None, description="Memory for containers; default: all that the Docker engine reports."
    )


class Machine(SpecModel):
    """One machine of an inventory."""

    nullable: ClassVar[frozenset[str]] = _OPTIONAL - {"endpoint"} | {"name"}

    name: Line | None = Field(None, description="Name of the host.")
    endpoint: Endpoint = Field(description="Where its Docker engine answers.")
    labels: HostLabels = Field(default_factory=dict, description="Labels to choose hosts by.")
    zone: Line | None = Field(None, description="Availability zone.")
    region: Line | None = Field(None, description="Region.")
    credential: Line | None = Field(None, description="Name or id of the credential to approach it with.")
    capacity: Capacity | None = Field(None, description="What it gives to containers.")
    metrics_url: MetricsUrl | None = Field(None, description="Where it tells its own load.")


class DockerHostProperties(ProfileProperties):
    in_place: ClassVar[frozenset[str]] = frozenset(
        {"inventory", "labels", "zone", "region", "credential", "capacity", "metrics_url"}
    )
    fixed: ClassVar[frozenset[str]] = frozenset({"context", "endpoint"})
    nullable: ClassVar[frozenset[str]] = _OPTIONAL
    refusals: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("hostnode", "hostcluster"), "only container profiles have it; a host does not run on another host"
    )

    endpoint: Endpoint | None = Field(None, description=f"Where the Docker engine answers: {ENDPOINT_SAYS}.")
    inventory: Annotated[tuple[Machine, ...], at_most(10000, "machines")] | None = Field(
        None, description="Machines to take hosts from, instead of one endpoint."
    )
    labels: HostLabels = Field(default_factory=dict, description="Labels to choose hosts by.")
    zone: Line | None = Field(None, description="Availability zone.")
    region: Line | None = Field(None, description="Region.")
    credential: Line | None = Field(
        None, description="Name or id of the credential to approach the Docker engine with; tcp and ssh need one."
    )
    capacity: Capacity | None = Field(None, description="What it gives to containers; default: all it has.")
    metrics_url: MetricsUrl | None = Field(None, description="Where it tells its own load.")

    @model_validator(mode="after")
    def _one_source(self) -> DockerHostProperties:
        if (self.endpoint is None) == (self.inventory is None):
            both = "both given" if self.endpoint is not None else "both missing"
            raise Contradiction(f"endpoint and inventory are {both}: give exactly one of them")
        if self.inventory == ():
            raise Contradiction("an empty list has no machine to take: name at least one", at=".inventory")
        return self

    def check_credentials(self, defaults: Collection[CredentialType]) -> None:
        """``defaults``: the types for which the deployment has a default credential. Raises InvalidSpec."""
        for index, machine in enumerate(self.machines()):
            needed = _NEEDED.get(machine.endpoint.partition(":")[0])
            if needed is not None and machine.credential is None and needed not in defaults:
                at = "" if self.inventory is None else f".inventory[{index}]"
                kind = "a tcp" if needed is CredentialType.DOCKER_TLS else "an ssh"
                raise InvalidSpec(
                    f"properties{at}.credential: {kind} endpoint needs a credential: name one of type {needed}"
                )

    @model_validator(mode="after")
    def _machines_fit(self) -> DockerHostProperties:
        seen: dict[tuple[str, str], int] = {}
        for index, machine in enumerate(self.machines()):
            at = "" if self.inventory is None else f".inventory[{index}]"
            for key in ("endpoint", "name"):
                value = getattr(machine, key)
                if value is not None and seen.setdefault((key, value), index) != index:
                    raise Contradiction(f"{value} is inventory[{seen[key, value]}]'s already", at=f"{at}.{key}")
        return self

    def machine(self, endpoint: str) -> Machine | None:
        """The one that answers there, with all that holds for it."""
        return next((machine for machine in self.machines() if machine.endpoint == endpoint), None)

    def machines(self) -> tuple[Machine, ...]:
        """Every machine with all that holds for it."""
        shared: dict[str, Any] = {key: getattr(self, key) for key in _OPTIONAL - {"endpoint", "inventory"}}
        if self.endpoint is not None:
            return (Machine(endpoint=self.endpoint, labels=self.labels, **shared),)
        return tuple(
            machine.model_copy(
                update={
                    "labels": {**self.labels, **machine.labels},
                    **{key: value for key, value in shared.items() if getattr(machine, key) is None},
                }
            )
            for machine in self.inventory or ()
        )


def host_of(node: Node, machine: Machine, facts: HostFacts, now: float) -> Host:
    """The host row of a node whose Docker engine has answered."""
    bare = Host(
        node_id=node.id,
        endpoint=machine.endpoint,
        name=node.name,
        cluster_id=node.cluster_id,
        project=node.project,
        state=HostState.READY,
        seen_at=now,
    )
    return described(bare, machine, facts)


def described(host: Host, machine: Machine, facts: HostFacts) -> Host:
    """The host as its machine's profile and its Docker engine tell it now. Where both say something, the profile is right."""
    capacity = {} if machine.capacity is None else machine.capacity.model_dump(exclude_none=True)
    told = replace(
        host,
        credential=machine.credential,
        zone=machine.zone,
        region=machine.region,
        labels={**facts.labels, **machine.labels},
        given=capacity or None,
        metrics_url=machine.metrics_url,
    )
    return measured(told, facts)


def measured(host: Host, facts: HostFacts) -> Host:
    """The host with new facts, and with the capacity they tell where none was given."""
    given = host.given or {}
    return replace(
        host, facts=facts.as_dict(), cpu=given.get("cpu", facts.cpu), memory=given.get("memory", facts.memory)
    )


def expected(machine: Machine, cluster_id: str, project: str, like: Host | None) -> Host:
    """A machine that has not joined yet, as the host it would be: with what its profile gives, else like another host, else
    with room for anything, because nothing is known of it."""
    bare = Host(
        node_id=machine.endpoint,
        endpoint=machine.endpoint,
        name=machine.name or machine.endpoint,
        cluster_id=cluster_id,
        project=project,
        state=HostState.READY,
        cpu=_UNKNOWN_CPU,
        memory=_UNKNOWN_MEMORY,
    )
    facts = {} if like is None else {**like.facts, "labels": {}}
    if like is not None:
        bare = replace(bare, cpu=like.facts.get("cpu", like.cpu), memory=like.facts.get("memory", like.memory))
    capacity = machine.capacity or Capacity()
    return replace(
        bare,
        zone=machine.zone,
        region=machine.region,
        labels=dict(machine.labels),
        facts=facts,
        cpu=bare.cpu if capacity.cpu is None else capacity.cpu,
        memory=bare.memory if capacity.memory is None else capacity.memory,
    )


DOCKER_HOST = ProfileType(
    name="host.docker",
    version="1.0",
    summary="A machine with a Docker engine that exists already, reached through a unix socket, TLS or SSH.",
    properties=DockerHostProperties,
    support_status=(Support("EXPERIMENTAL", "2026.11"),),
    operations={},
    ours=True,
    hosts=True,
)
