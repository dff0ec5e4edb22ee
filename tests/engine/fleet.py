"""A host cluster that takes its machines from an inventory of simulated Docker engines."""

from __future__ import annotations

from typing import Any

from engine.world import OWNER, World
from spinney.domain.cluster import Cluster
from spinney.domain.host import Host
from spinney.domain.profile import Profile
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.drivers.simulated.engine import SimulatedEngine
from spinney.store.rows import PROFILES
from spinney.store.tables import pin


class UnixAsSimulated:
    """Profiles know no simulated endpoints; ``unix:///NAME`` stands for ``sim://NAME``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def connect(self, address: HostAddress) -> ContainerHost:
        name = address.endpoint.removeprefix("unix:///")
        return self._world.connector.connect(HostAddress(f"sim://{name}", address.credential))


class FleetWorld(World):
    """Without hosts of its own; give ``connector`` to each engine."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(host_count=0, **settings)
        self.unix = UnixAsSimulated(self)

    def fleet_profile(self, machines: int, *, name: str = "m", **properties: Any) -> str:
        inventory = [{"endpoint": f"unix:///{name}{i}.sock", "name": f"{name}{i}"} for i in range(machines)]
        return self.host_profile(inventory=inventory, **properties)

    def host_profile(self, **properties: Any) -> str:
        spec = {"type": "host.docker", "version": "1.0", "properties": properties}
        made = Profile(
            id=self.ids.new(), name="fleet", type="host.docker-1.0", spec=spec, metadata={}, domain=None,
            created_at=self.clock.now(), **OWNER,
        )  # fmt: skip
        self.store.run(PROFILES.insert, [made])
        return made.id

    def on(self, cluster_id: str, **properties: Any) -> str:
        """A container profile for that host cluster."""
        profile_id = self.profile(**properties)
        self.store.run(
            lambda c: c.execute(pin.update().where(pin.c.profile_id == profile_id).values(target_id=cluster_id))
        )
        return profile_id

    def fleet(self, cluster_id: str) -> Cluster:
        found = self.cluster(cluster_id)
        assert found is not None
        return found

    def host(self, node_id: str) -> Host:
        return next(host for host in self.hosts() if host.node_id == node_id)

    def machine(self, host: Host) -> SimulatedEngine:
        return self.connector.engine(host.endpoint.removeprefix("unix:///"))

    def told(self, kind: str) -> list[str]:
        """The reasons of all events of a kind."""
        return [event.status_reason for event in self.events() if event.action == kind]
