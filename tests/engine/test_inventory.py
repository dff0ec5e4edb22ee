"""A host cluster that takes its machines from an inventory."""

from __future__ import annotations

from engine.world import OWNER, World
from spinney.domain.action import ActionKind
from spinney.domain.node import NodeStatus
from spinney.domain.profile import Profile
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.store.rows import PROFILES
from virtual_time import run_virtually


class UnixAsSimulated:
    """Profiles know no simulated endpoints; ``unix:///NAME`` stands for ``sim://NAME``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def connect(self, address: HostAddress) -> ContainerHost:
        name = address.endpoint.removeprefix("unix:///")
        return self._world.connector.connect(HostAddress(f"sim://{name}"))


def test_each_host_takes_a_machine_of_its_own_and_gives_it_back() -> None:
    async def story() -> None:
        world = World(host_count=0)
        machines = [{"endpoint": f"unix:///m{i}.sock", "zone": f"z{i}"} for i in range(3)]
        spec = {
            "type": "host.docker",
            "version": "1.0",
            "properties": {"inventory": machines, "labels": {"rack": "r1"}},
        }
        profile = Profile(
            id=world.ids.new(), name="fleet", type="host.docker-1.0", spec=spec, metadata={}, domain=None,
            created_at=0.0, **OWNER,
        )  # fmt: skip
        world.store.run(PROFILES.insert, [profile])
        async with world.engine(connector=UnixAsSimulated(world)):
            cluster_id = world.create(4, profile_id=profile.id)
            await world.settle()
            statuses = sorted(node.status for node in world.members(cluster_id))
            assert statuses == [NodeStatus.ACTIVE] * 3 + [NodeStatus.ERROR]
            assert {(h.endpoint, h.zone) for h in world.hosts()} == {(m["endpoint"], m["zone"]) for m in machines}
            assert all(h.labels["rack"] == "r1" and h.cpu > 0 for h in world.hosts())
            leaving = next(n for n in world.members(cluster_id) if n.status is NodeStatus.ACTIVE)
            world.submit(ActionKind.NODE_DELETE, leaving.id)
            await world.settle()
            assert len(world.hosts()) == 2
            stuck = next(n for n in world.members(cluster_id) if n.status is NodeStatus.ERROR)
            world.submit(ActionKind.NODE_RECOVER, stuck.id)
            await world.settle()
            assert len(world.hosts()) == 3

    run_virtually(story())
