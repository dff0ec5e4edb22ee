"""What Octavia promises to whoever has load balancers there, as tests: a simulated one by HTTP always, a real API too."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from spinney.clock import SystemClock
from spinney.domain.balancing.model import Applied, Mode, Service, Stands, Wanted, Wish
from spinney.domain.identity import Owner
from spinney.drivers.openstack.octavia import Octavia
from spinney.engine.balancing.octavia import OctaviaBalancer
from spinney.errors import OctaviaGone, OctaviaRefused
from spinney.policies.loadbalance import LoadBalanceProperties

OWNER = Owner("u", "p1", None)
SUBNET = "7c5cc2a8-0d3a-4a7e-9a37-4d8a2a3b1c11"
SERVICE = Service(mode=Mode.HTTP, port=80, member_port=80)
FULL: dict[str, Any] = {
    "pool": {
        "subnet": SUBNET,
        "lb_method": "LEAST_CONNECTIONS",
        "session_persistence": {"type": "APP_COOKIE", "cookie_name": "JSESSION"},
    },
    "vip": {"subnet": SUBNET, "protocol_port": 8080, "connection_limit": 77},
    "health_monitor": {"type": "HTTP", "url_path": "/health", "expected_codes": "200,204", "delay": 7, "timeout": 3},
}
Story = Callable[["Case"], Awaitable[None]]


def properties(**changes: Any) -> LoadBalanceProperties:
    return LoadBalanceProperties.model_validate({**FULL, **changes}, context={"version": "1.3"})


def wish(number: int, stands: Stands = Stands.IN) -> Wish:
    return Wish(f"n{number}", f"c{number}", f"192.0.2.{number}", 8000 + number, number, stands)


class Case:
    def __init__(self, url: str) -> None:
        self.url = url
        self.api = Octavia(url)
        self.id = str(uuid.uuid4())

    def balancer(self, **changes: Any) -> OctaviaBalancer:
        return OctaviaBalancer(self.api, OWNER, SystemClock(), self.id, ("spinney-cluster:c",)).of(
            properties(**changes)
        )

    async def until(self, balancer: OctaviaBalancer, *wishes: Wish) -> Applied:
        """Until the wishes, and nothing but them, are so."""
        expected = {one.physical_id: one.stands for one in wishes}
        async with asyncio.timeout(60):
            while True:
                said = await balancer.apply(Wanted(SERVICE, 8, wishes))
                assert not said.fault, said.fault
                if not said.missing and {key: seen.stands for key, seen in said.members.items()} == expected:
                    return said
                await asyncio.sleep(0.05)

    async def gone(self, balancer: OctaviaBalancer, pool: str | None = None) -> None:
        async with asyncio.timeout(60):
            while not await balancer.remove(pool):
                pass

    async def all(self, plural: str) -> list[Any]:
        found = await self.api.ask(OWNER, "GET", f"{plural}?name=spinney-{self.id}")
        return [one for one in found[plural] if one["provisioning_status"] != "DELETED"]


class OctaviaPromises:
    """``tell`` runs a story against the Octavia that is meant."""

    def tell(self, story: Story) -> None:
        raise AssertionError("which Octavia is meant?")

    def test_all_that_a_policy_says_is_there_and_goes_again(self) -> None:
        async def story(case: Case) -> None:
            balancer = case.balancer()
            said = await case.until(balancer, wish(1), wish(2))
            (above,), (pool,) = await case.all("loadbalancers"), await case.all("pools")
            (listener,), (monitor,) = await case.all("listeners"), await case.all("healthmonitors")
            assert said.address == above["vip_address"] and said.facts["pool"] == pool["id"]
            assert {"spinney", "spinney-cluster:c"} < set(above["tags"]) and above["project_id"] == "p1"
            assert pool["lb_algorithm"] == "LEAST_CONNECTIONS" and pool["protocol"] == "HTTP"
            assert pool["session_persistence"]["cookie_name"] == "JSESSION"
            assert (listener["protocol_port"], listener["connection_limit"]) == (8080, 77)
            assert listener["default_pool_id"] == pool["id"]
            assert (monitor["url_path"], monitor["expected_codes"], monitor["delay"]) == ("/health", "200,204", 7)
            await case.gone(balancer)
            for plural in ("loadbalancers", "pools", "listeners", "healthmonitors"):
                assert await case.all(plural) == []

        self.tell(story)

    def test_members_come_drain_and_go(self) -> None:
        async def story(case: Case) -> None:
            balancer = case.balancer()
            await case.until(balancer, wish(1), wish(2), wish(3))
            await case.until(balancer, wish(1, Stands.DRAINING), wish(2, Stands.DRAINING), wish(3))
            await case.until(balancer, wish(3))
            await case.until(balancer, wish(1), wish(3))
            await case.gone(balancer)

        self.tell(story)

    def test_who_comes_after_a_crash_finds_all_and_makes_nothing_twice(self) -> None:
        async def story(case: Case) -> None:
            for _ in range(3):  # one step each, and forgotten
                await case.balancer().apply(Wanted(SERVICE, 8, (wish(1),)))
            await case.until(case.balancer(), wish(1))
            for plural in ("loadbalancers", "pools", "listeners", "healthmonitors"):
                assert len(await case.all(plural)) == 1
            await case.gone(case.balancer())

        self.tell(story)

    def test_what_others_change_is_set_right(self) -> None:
        async def story(case: Case) -> None:
            balancer = case.balancer()
            said = await case.until(balancer, wish(1))
            asked = {"listener": {"connection_limit": 5}}
            await case.api.ask(OWNER, "PUT", f"listeners/{said.facts['listener']}", asked)
            async with asyncio.timeout(60):
                while (await case.all("listeners"))[0]["connection_limit"] != 77:
                    await balancer.apply(Wanted(SERVICE, 8, (wish(1),)))
            await case.until(balancer, wish(1))
            await case.gone(balancer)

        self.tell(story)

    def test_in_a_pool_of_somebody_else_only_our_members_come_and_go(self) -> None:
        async def story(case: Case) -> None:
            theirs, ours = Case(case.url), case
            first = theirs.balancer()
            pool = str((await theirs.until(first, wish(9))).facts["pool"])
            second = ours.balancer(pool={"subnet": SUBNET, "id": pool})
            said = await ours.until(second, wish(1), wish(2))
            assert said.facts["preexisting"] is True
            await ours.until(second, wish(2))
            await ours.gone(second, pool)
            await theirs.until(first, wish(9))
            await theirs.gone(first)

        self.tell(story)

    def test_what_is_not_there_and_what_is_not_taken_is_told_with_the_request(self) -> None:
        async def story(case: Case) -> None:
            with pytest.raises(OctaviaGone, match=r"Octavia answers 404: .*\(request req-"):
                await case.api.ask(OWNER, "GET", f"pools/{SUBNET}")
            with pytest.raises(OctaviaRefused, match="is no id"):
                await case.balancer(vip={"subnet": "by name"}).apply(Wanted(SERVICE, 8))

        self.tell(story)
