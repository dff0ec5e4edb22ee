"""Health policies at work: what is found, what is done about it, and when it is left alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from engine.policed import attach, ended
from engine.world import FAST, World
from spinney.domain.action import ActionKind, Cause
from spinney.domain.container import Container
from spinney.domain.node import Node, NodeStatus
from spinney.drivers.egress.client import Answer
from spinney.drivers.simulated.faults import FaultPlan, parse_faults
from spinney.errors import OutgoingFailed, OutgoingRefused
from spinney.store import tables
from virtual_time import run_virtually

EVENTS, POLLING = {"type": "LIFECYCLE_EVENTS"}, {"type": "NODE_STATUS_POLLING"}
URL = {"type": "NODE_STATUS_POLL_URL", "options": {"poll_url": "http://{nodename}/", "poll_url_retry_interval": 1}}


class Pages:
    """What URLs answer, by the name of the node in them."""

    def __init__(self) -> None:
        self.ill: dict[str, int | Exception] = {}
        self.asked: list[tuple[str, float]] = []
        self.world: World | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 10.0,
        largest: int = 65536,
        verify: bool = True,
    ) -> Answer:
        name = url.removeprefix("http://").rstrip("/")
        assert self.world is not None
        self.asked.append((name, self.world.clock.now()))
        found = self.ill.get(name, self.ill.get("*", 200))
        if isinstance(found, Exception):
            raise found
        return Answer(found, b"")

    async def close(self) -> None: ...


async def a_cluster(world: World, size: int, *modes: Any, do: str = "RECREATE", **values: Any) -> str:
    """A cluster that is looked at every 2 s, 1 s after a change at the earliest."""
    cluster_id = world.create(size, **values.pop("fields", {}))
    await world.settle()
    await watch(world, cluster_id, *modes, do=do, **values)
    return cluster_id


async def watch(world: World, cluster_id: str, *modes: Any, do: str = "RECREATE", **values: Any) -> str:
    recovery = {"actions": [{"name": do}], **values.pop("recovery", {})}
    detection = {"interval": 2, "node_update_timeout": 1, "detection_modes": list(modes), **values}
    return await attach(world, cluster_id, "spinney.policy.health", detection=detection, recovery=recovery)


async def within(world: World, condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """As ``until`` of the world, with fewer looks: policies are not in such a hurry."""
    deadline = world.clock.monotonic() + seconds
    while not condition():
        assert world.clock.monotonic() < deadline, f"not within {seconds} virtual seconds: {world.describe()}"
        await world.clock.sleep(0.25)
    world.check_readiness()


def kill(world: World, container: Container | None = None, host: int = 0) -> None:
    victim = container or world.running()[0]
    world.host_engine(host).core.kill(victim.id, "SIGKILL", world.clock.now())


def recoveries(world: World) -> list[str]:
    return [a.inputs["operation"] for a in world.actions() if a.cause is Cause.HEALING]


def told(world: World, kind: str) -> list[str]:
    return [event.status_reason for event in world.events() if event.action == kind]


@pytest.mark.parametrize(
    ("modes", "do", "seconds", "same_container"),
    [
        ((EVENTS,), "REBOOT", 1.5, True),
        ((EVENTS,), "REBUILD", 1.5, False),
        ((), "RECREATE", 1.5, False),
        ((POLLING,), "REBOOT", 3.5, True),
        ((POLLING,), "RECREATE", 3.5, False),
    ],
)
def test_the_policy_says_how_a_member_that_died_comes_back(
    modes: tuple[Any, ...], do: str, seconds: float, same_container: bool
) -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            await a_cluster(world, 2, *modes, do=do)
            await world.clock.sleep(2.0)
            before = {c.id for c in world.containers()}
            kill(world)
            await within(world, lambda: len(world.running()) == 2, seconds)
            await world.settle()
            assert recoveries(world) == [do]
            assert ({c.id for c in world.containers()} == before) is same_container
            await world.clock.sleep(5.0)
            assert recoveries(world) == [do]
            world.check_invariants()

    run_virtually(story())


def test_notify_tells_and_does_nothing_and_without_the_policy_healing_goes_on() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            policy_id = await watch(world, cluster_id, EVENTS, do="NOTIFY")
            await world.clock.sleep(2.0)
            kill(world)
            await world.clock.sleep(6.0)
            assert [n.status for n in world.members(cluster_id)] == [NodeStatus.ERROR] and not recoveries(world)
            assert len(told(world, "CONTAINER_ENDED")) == 1
            await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, cluster_id, policy_id=policy_id, enabled=False)
            await within(world, lambda: len(world.running()) == 1, 3.0)
            await world.settle()
            await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, cluster_id, policy_id=policy_id, enabled=True)
            kill(world)
            await world.clock.sleep(1.5)
            assert world.running() == []
            await ended(world, ActionKind.CLUSTER_DETACH_POLICY, cluster_id, policy_id=policy_id)
            await within(world, lambda: len(world.running()) == 1, 3.0)

    run_virtually(story())


def test_a_policy_heals_where_the_cluster_does_not_heal_itself() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            await a_cluster(world, 1, EVENTS, do="REBOOT", fields={"config": {"spinney.self_healing": False}})
            kill(world)
            await within(world, lambda: len(world.running()) == 1, 2.0)

    run_virtually(story())


def test_a_member_whose_url_fails_is_restarted_and_the_others_are_left_alone() -> None:
    async def story() -> None:
        world, pages = World(host_count=1), Pages()
        pages.world = world
        async with world.engine(poller=pages):
            cluster_id = await a_cluster(world, 3, URL, do="REBOOT")
            await world.clock.sleep(5.0)
            assert recoveries(world) == []
            sick = world.members(cluster_id)[1]
            pages.ill[sick.name] = 503
            await within(world, lambda: bool(recoveries(world)), 6.0)
            (order,) = [a for a in world.actions() if a.cause is Cause.HEALING]
            assert order.target == sick.id and "answers with status 503" in told(world, "CONTAINER_UNHEALTHY")[0]
            attempts = [at for name, at in pages.asked if name == sick.name][-3:]
            assert [round(b - a) for a, b in pairwise(attempts)] == [1, 1], "three attempts"
            pages.ill.clear()
            await world.settle()
            await world.clock.sleep(6.0)
            assert recoveries(world) == ["REBOOT"]
            assert all(n.status is NodeStatus.ACTIVE for n in world.members(cluster_id))

    run_virtually(story())


def test_ill_by_its_url_alone_it_is_shown_until_its_url_says_otherwise() -> None:
    async def story() -> None:
        world, pages = World(host_count=1), Pages()
        pages.world = world
        async with world.engine(poller=pages):
            cluster_id = await a_cluster(world, 1, URL, do="NOTIFY")
            pages.ill["*"] = OutgoingFailed("nothing answers there")
            await within(world, lambda: world.members(cluster_id)[0].status is NodeStatus.WARNING, 7.0)
            await world.clock.sleep(6.0)  # listings of the host, which find its container well, do not change that
            (node,) = world.members(cluster_id)
            assert node.status is NodeStatus.WARNING and node.ready
            assert "cannot be had: nothing answers there" in node.status_reason
            assert len(told(world, "CONTAINER_UNHEALTHY")) == 1
            pages.ill.clear()
            await within(world, lambda: world.members(cluster_id)[0].status is NodeStatus.ACTIVE, 6.0)
            assert recoveries(world) == []

    run_virtually(story())


def test_what_cannot_be_found_out_is_told_once_and_nothing_is_recovered() -> None:
    async def story() -> None:
        world, pages = World(host_count=1), Pages()
        pages.world = world
        async with world.engine(poller=pages):
            cluster_id = await a_cluster(world, 1, URL, do="REBOOT")
            pages.ill["*"] = OutgoingRefused("it leads to a private address")
            await world.clock.sleep(7.0)
            (text,) = told(world, "HEALTH_UNKNOWN")
            assert "may not be asked: it leads to a private address" in text
            assert recoveries(world) == [] and world.members(cluster_id)[0].status is NodeStatus.ACTIVE

    run_virtually(story())


@pytest.mark.parametrize(("every", "recovered"), [("ANY_FAILED", True), ("ALL_FAILED", False)])
def test_one_mode_or_all_have_to_find_it_ill(every: str, recovered: bool) -> None:
    async def story() -> None:
        world, pages = World(host_count=1), Pages()
        pages.world = world
        async with world.engine(poller=pages):
            modes = ({"type": "DOCKER_HEALTH"}, {"type": "PROBES"}, URL)
            await a_cluster(world, 1, *modes, do="REBUILD", recovery_conditional=every)
            (container,) = world.running()
            world.host_engine(0).core.set_health(container.id, "unhealthy", world.clock.now())
            await world.clock.sleep(5.0)
            assert recoveries(world) == (["REBUILD"] if recovered else [])

    run_virtually(story())


def test_after_a_change_polling_gives_it_time() -> None:
    async def story() -> None:
        world, pages = World(host_count=1), Pages()
        pages.world = world
        pages.ill["*"] = 500
        async with world.engine(poller=pages):
            cluster_id = await a_cluster(world, 1, URL, do="REBOOT", node_update_timeout=8)
            await world.clock.sleep(7.0)
            assert len(pages.asked) >= 3 and recoveries(world) == []
            await within(world, lambda: len(recoveries(world)) == 1, 6.0)
            await world.settle()
            (node,) = world.members(cluster_id)
            assert node.updated_at is not None
            await within(world, lambda: len(recoveries(world)) == 2, 20.0)
            assert world.clock.now() - node.updated_at >= 8.0, "its recovery was a change, too"

    run_virtually(story())


def test_what_our_own_actions_work_on_is_left_alone_also_after_a_restart() -> None:
    async def story() -> None:
        world, pages = World(host_count=1), Pages()
        pages.world = world
        async with world.engine(poller=pages):
            cluster_id = await a_cluster(world, 2, URL, EVENTS, do="RECREATE")
            await world.clock.sleep(2.0)
            hook = {"type": "webhook", "params": {"url": "https://ops.example/"}, "timeout": 600}
            await attach(world, cluster_id, "senlin.policy.deletion", "1.1", hooks=hook)
            action_id = world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id, {"count": 1})
            await within(world, lambda: any(a.cause is Cause.HOOKED for a in world.actions()))
            (victim,) = [a.target for a in world.actions() if a.cause is Cause.HOOKED]
            node = world.node(victim)
            assert node is not None
            pages.ill[node.name] = 500
        async with world.engine(poller=pages):
            await world.clock.sleep(10.0)
            assert not world.action(action_id).final and recoveries(world) == []
            assert len(world.running()) == 2
            world.cancel(action_id)
            await within(world, lambda: len(recoveries(world)) == 1, 12.0)

    run_virtually(story())


def test_members_of_a_host_that_does_not_answer_are_made_anew_elsewhere() -> None:
    async def story() -> None:
        world = World(host_count=2, health=replace(FAST, suspect_after=1.0, reap_after=1.0, listing_interval=2.0))
        async with world.engine():
            cluster_id = await a_cluster(world, 4, {"type": "HYPERVISOR_STATUS_POLLING"})
            await world.clock.sleep(2.0)
            world.host_engine(0).go_down()
            await within(world, lambda: all(n.host_id == world.host_ids[1] for n in world.members(cluster_id)), 60.0)
            await world.settle()
            assert len(recoveries(world)) == 2 and len(world.running()) == 6
            world.host_engine(0).heal()
            await within(world, lambda: len(world.containers()) == 4, 60.0)
            world.check_invariants()

    run_virtually(story())


def test_fenced_it_waits_for_its_host() -> None:
    async def story() -> None:
        world = World(host_count=2, health=replace(FAST, suspect_after=1.0, reap_after=1.0, listing_interval=2.0))
        async with world.engine():
            mode = {"type": "HYPERVISOR_STATUS_POLLING"}
            fenced = await a_cluster(world, 2, mode, recovery={"fencing": ["COMPUTE"]})
            single = await a_cluster(world, 2, mode, fields={"config": {"spinney.overlap": "at-most-one"}})
            await world.clock.sleep(2.0)

            def members() -> list[Node]:
                return [*world.members(fenced), *world.members(single)]

            homes = [n.host_id for n in members()]
            world.host_engine(0).go_down()
            await world.clock.sleep(15.0)
            assert [n.host_id for n in members()] == homes and len(world.containers()) == 4
            world.host_engine(0).heal()
            await within(world, lambda: all(n.status is NodeStatus.ACTIVE for n in members()), 60.0)
            assert len(world.running()) == 4

    run_virtually(story())


@pytest.mark.parametrize("forced", [False, True])
def test_what_its_docker_engine_does_not_remove_is_replaced_all_the_same_where_the_policy_says_so(forced: bool) -> None:
    async def story() -> None:
        world = World(host_count=1, health=replace(FAST, reap_after=1.0, listing_interval=1.0))
        async with world.engine():
            policy = {"recovery": {"node_force_recreate": forced, "node_delete_timeout": 7}}
            await a_cluster(world, 1, EVENTS, do="REBUILD", **policy)
            world.host_engine(0).plan = FaultPlan(parse_faults("remove:before"), random.Random(1))
            kill(world)
            await world.clock.sleep(3.0)
            (order,) = [a for a in world.actions() if a.cause is Cause.HEALING]
            assert order.inputs["delete_timeout"] == 7
            assert len(world.running()) == forced and len(world.containers()) == 1 + forced
            world.host_engine(0).plan = None
            await within(world, lambda: len(world.containers()) == len(world.running()) == 1, 30.0)

    run_virtually(story())


def test_a_member_whose_recovery_left_it_without_a_container_is_found_by_polling() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = await a_cluster(world, 1, POLLING)
            lost = {"physical_id": None, "status": NodeStatus.ERROR, "ready": False}
            world.store.run(
                lambda c: c.execute(tables.node.update().where(tables.node.c.cluster_id == cluster_id).values(lost))
            )
            await within(world, lambda: world.members(cluster_id)[0].status is NodeStatus.ACTIVE, 8.0)
            assert recoveries(world) == ["RECREATE"]

    run_virtually(story())


def broken(world: World, cluster_id: str) -> dict[str, Any]:
    binding = tables.binding
    data = world.store.run(lambda c: c.execute(binding.select().where(binding.c.cluster_id == cluster_id)).one().data)
    found: dict[str, Any] = data.get("circuit_breaker", {})
    return found


def test_when_too_many_fail_healing_stops_and_goes_on_once_one_that_is_tried_is_well() -> None:
    async def story() -> None:
        world, pages = World(host_count=1), Pages()
        pages.world = world
        breaker = {"circuit_breaker": {"failed": "40%", "window": 20, "trial_after": 8}}
        async with world.engine(poller=pages):
            cluster_id = await a_cluster(world, 5, URL, do="REBOOT", recovery=breaker)
            await world.clock.sleep(2.0)
            pages.ill["*"] = 500
            await within(world, lambda: bool(told(world, "HEALING_STOPPED")), 20.0)
            assert len(recoveries(world)) == 2
            assert "3 of 5 members failed within 20 s" in told(world, "HEALING_STOPPED")[0]
            await within(world, lambda: len(recoveries(world)) == 3, 20.0)
            tried = broken(world, cluster_id)["trial"]
            assert sum(n.status is NodeStatus.WARNING for n in world.members(cluster_id)) >= 2, "they serve as they can"
            name = next(n.name for n in world.members(cluster_id) if n.id == tried)
            pages.ill |= {name: 200}
            await within(world, lambda: bool(told(world, "HEALING_RESUMED")), 12.0)
            assert told(world, "HEALING_RESUMED") == ["The member that was tried is well."]
            assert broken(world, cluster_id)["state"] == "closed"
            pages.ill.clear()
            await within(world, lambda: all(n.status is NodeStatus.ACTIVE for n in world.members(cluster_id)), 30.0)

    run_virtually(story())


@pytest.mark.parametrize("how", ["recover", "themselves"])
def test_a_user_or_health_itself_lets_healing_go_on(how: str) -> None:
    async def story() -> None:
        world = World(host_count=1)
        breaker = {"circuit_breaker": {"trial_after": 0}}
        async with world.engine():
            cluster_id = await a_cluster(world, 4, EVENTS, do="REBOOT", recovery=breaker)
            await world.clock.sleep(2.0)
            for container in world.running():
                kill(world, container)
            await world.clock.sleep(4.0)
            assert world.running() == [] and broken(world, cluster_id)["state"] == "open"
            if how == "recover":
                world.submit(ActionKind.CLUSTER_RECOVER, cluster_id)
            else:
                for container in world.containers():
                    world.host_engine(0).core.start(container.id, world.clock.now())
            await within(world, lambda: broken(world, cluster_id)["state"] == "closed", 20.0)
            await within(world, lambda: len(world.running()) == 4, 5.0)
            await world.settle()
            kill(world)
            await within(world, lambda: len(world.running()) == 4, 3.0)

    run_virtually(story())


def test_a_host_whose_docker_engine_was_restarted_comes_back_after_one_trial() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            breaker = {"circuit_breaker": {"trial_after": 2}}
            cluster_id = await a_cluster(world, 6, EVENTS, do="REBOOT", recovery=breaker)
            await world.clock.sleep(2.0)
            world.host_engine(0).reboot()
            await world.clock.sleep(20.0)
            assert len(world.running()) == 6
            assert len(told(world, "HEALING_STOPPED")) == len(told(world, "HEALING_RESUMED")) == 1
            assert broken(world, cluster_id)["state"] == "closed"

    run_virtually(story())


def test_two_engines_look_at_each_member_once() -> None:
    async def story() -> None:
        world, pages = World(host_count=4), Pages()
        pages.world = world
        async with world.engine(poller=pages), world.engine(poller=pages):
            cluster_id = world.create(8)
            await world.settle()
            await watch(world, cluster_id, URL)
            await world.clock.sleep(4.0)
            begun = len(pages.asked)
            await world.clock.sleep(6.0)
            names = [name for name, _ in pages.asked[begun:]]
            assert {names.count(n.name) for n in world.members(cluster_id)} <= {2, 3, 4}
            at = [when for _, when in pages.asked[begun:]]
            assert max(at.count(when) for when in at) < 8, "they are looked at at different moments"

    run_virtually(story())


def test_of_senlins_and_ours_ours_counts() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = await a_cluster(world, 1, EVENTS, do="REBOOT")
            detection = {"detection_modes": [EVENTS]}
            recreate = {"actions": [{"name": "RECREATE"}]}
            await attach(world, cluster_id, "senlin.policy.health", "1.2", detection=detection, recovery=recreate)
            kill(world)
            await within(world, lambda: recoveries(world) == ["REBOOT"], 3.0)

    run_virtually(story())
