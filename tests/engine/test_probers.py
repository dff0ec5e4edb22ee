"""Probers, the containers that probe inside another one's network namespace: left alone while they are of use."""

from __future__ import annotations

from engine.world import DEPLOYMENT, World
from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_NODE, LABEL_PROBER, ContainerRequest, ImageRequest
from virtual_time import run_virtually


def test_a_prober_stays_with_its_container_and_is_removed_when_left_behind() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            world.create(1)
            await world.settle()
            (member,) = world.containers()
            engine = world.host_engine(0)
            labels = {LABEL_DEPLOYMENT: DEPLOYMENT, LABEL_NODE: member.node_id or "", LABEL_PROBER: member.id}
            request = ContainerRequest("spinney-prober.x", labels, ImageRequest("busybox"), command=("sleep", "600"))
            prober = engine.do(engine.core.create, request)
            engine.do(engine.core.start, prober.id)
            await world.clock.sleep(60.0)
            assert {one.id for one in world.running()} == {member.id, prober.id}
            engine.do(engine.core.remove, member.id)
            await world.until(lambda: prober.id not in {one.id for one in world.containers()}, 60.0)
            await world.settle()
            (successor,) = world.running()
            assert successor.node_id == member.node_id

    run_virtually(story())
