"""Profiles as the engine uses them: validated once, kept by id, because a profile's specification never changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.grant import Grants
from spinney.domain.health import RestartPolicy
from spinney.domain.placement.model import Port
from spinney.domain.placement.rules import LabelTerm, Operator
from spinney.domain.probe_spec import NO_PROBES, Probes
from spinney.domain.profile import Profile
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_request import ContainerDefaults, fixed_ports, reservation
from spinney.profiles.docker_host import DockerHostProperties
from spinney.profiles.registry import validate_spec
from spinney.store.rows import PROFILES
from spinney.store.tables import pin
from spinney.store.tables import profile as table

_KEPT = 4096


@dataclass(frozen=True, slots=True)
class ContainerProfile:
    profile: Profile
    properties: ContainerProperties
    host_node: str | None  # ids
    host_cluster: str | None
    cpu: float
    memory: int
    ports: tuple[Port, ...]
    restart: RestartPolicy
    stop_timeout: int
    #: Wants the project's own bridge.
    networked: bool
    #: Facts that a host's Docker engine must have.
    needs: Mapping[str, str]
    #: Labels that a host must have for the grants that the profile names.
    labels: tuple[LabelTerm, ...] = ()
    probes: Probes = NO_PROBES


@dataclass(frozen=True, slots=True)
class HostProfile:
    profile: Profile
    properties: DockerHostProperties


class Catalog:
    """Not safe for use from two threads at once; the store runs the functions that use it one after the other."""

    def __init__(self, defaults: ContainerDefaults, grants: Grants = MappingProxyType({})) -> None:
        self.defaults = defaults
        self._grants = grants
        self._known: OrderedDict[str, ContainerProfile | HostProfile] = OrderedDict()

    def load(self, connection: Connection, ids: Collection[str]) -> dict[str, ContainerProfile | HostProfile]:
        """Those of the profiles that exist, by id."""
        missing = [profile_id for profile_id in set(ids) if profile_id not in self._known]
        if missing:
            self._read(connection, missing)
        return {profile_id: self._known[profile_id] for profile_id in set(ids) if profile_id in self._known}

    def _read(self, connection: Connection, ids: list[str]) -> None:
        pins: dict[tuple[str, str], str] = {}
        for profile_id, kind, target in connection.execute(
            sa.select(pin.c.profile_id, pin.c.kind, pin.c.target_id).where(pin.c.profile_id.in_(ids))
        ):
            pins[profile_id, kind] = target
        for profile in PROFILES.all(connection, table.c.id.in_(ids)):
            self._known[profile.id] = self._interpret(
                profile, pins.get((profile.id, "host_node")), pins.get((profile.id, "host_cluster"))
            )
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)

    def _interpret(
        self, profile: Profile, host_node: str | None, host_cluster: str | None
    ) -> ContainerProfile | HostProfile:
        properties = validate_spec(profile.spec).properties
        if isinstance(properties, DockerHostProperties):
            return HostProfile(profile, properties)
        assert isinstance(properties, ContainerProperties)
        reserved = reservation(properties, self.defaults)
        timeout = properties.stop_timeout
        return ContainerProfile(
            profile,
            properties,
            host_node,
            host_cluster,
            reserved.cpu,
            reserved.memory,
            tuple((port.protocol, port.host_port) for port in fixed_ports(properties) if port.host_port is not None),
            RestartPolicy(
                "no" if properties.restart_policy.condition == "none" else properties.restart_policy.condition
            ),
            self.defaults.stop_timeout if timeout is None else timeout,
            properties.network == "bridge",
            {"gpus": "1" if properties.gpu == "all" else properties.gpu} if properties.gpu != "0" else {},
            tuple(
                LabelTerm(key, Operator.IN, (value,))
                for name in properties.grants
                if name in self._grants
                for key, value in sorted(self._grants[name].host_labels.items())
            ),
            NO_PROBES if properties.probes is None else properties.probes.probes(),
        )
