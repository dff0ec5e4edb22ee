"""Having callers let the service act for them: once, and anew when it works no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from api.client import Client
from api.world import Personas, World, run
from spinney.api.auth import Request
from spinney.api.delegating import Delegation
from spinney.domain.identity import Caller, Owner
from spinney.errors import DelegationRefused
from spinney.store import trusts

CALLER = Caller(Owner("u1", "p1"), frozenset({"member"}), token="the token")


@dataclass
class Keystone:
    """What it was asked, and which trusts work."""

    asked: list[tuple[str, str, str, tuple[str, ...]]] = field(default_factory=list)
    working: set[str] = field(default_factory=set)
    refuses: bool = False

    async def make(self, token: str, user: str, project: str, roles: Sequence[str]) -> str:
        if self.refuses:
            raise DelegationRefused("no")
        self.asked.append((token, user, project, tuple(roles)))
        self.working.add(made := f"trust-{len(self.asked)}")
        return made

    async def works(self, trust_id: str) -> bool:
        return trust_id in self.working


def stored(world: World, *roles: str) -> str | None:
    return world.store.run(trusts.find, "u1", "p1", roles)


def test_a_trust_is_made_once_and_kept(world: World) -> None:
    keystone = Keystone()
    delegation = Delegation(world.store, world.clock, keystone, ["member"])
    run(lambda: delegation.ensure(CALLER))
    run(lambda: delegation.ensure(CALLER))
    assert keystone.asked == [("the token", "u1", "p1", ("member",))]
    assert stored(world, "member") == "trust-1"


def test_one_that_works_no_more_is_replaced(world: World) -> None:
    keystone = Keystone()
    delegation = Delegation(world.store, world.clock, keystone, ["member"])
    run(lambda: delegation.ensure(CALLER))
    keystone.working.clear()
    run(lambda: delegation.ensure(CALLER))
    assert stored(world, "member") == "trust-2"


def test_other_roles_need_another_trust(world: World) -> None:
    keystone = Keystone()
    run(lambda: Delegation(world.store, world.clock, keystone, ["member"]).ensure(CALLER))
    assert stored(world, "creator") is None
    run(lambda: Delegation(world.store, world.clock, keystone, ["creator"]).ensure(CALLER))
    assert stored(world, "creator") == "trust-2"


def test_what_is_refused_leaves_what_was_kept(world: World) -> None:
    keystone = Keystone()
    delegation = Delegation(world.store, world.clock, keystone, ["member"])
    run(lambda: delegation.ensure(CALLER))
    keystone.working.clear()
    keystone.refuses = True
    with pytest.raises(DelegationRefused):
        run(lambda: delegation.ensure(CALLER))
    assert stored(world, "member") == "trust-1"


class SignedIn(Personas):
    async def authenticate(self, request: Request) -> Caller:
        return replace(await super().authenticate(request), token="the token")


@pytest.mark.parametrize(
    ("kind", "type_", "refuses", "status", "asked"),
    [
        ("octavia", "senlin.policy.loadbalance-1.0", False, 202, 1),
        ("octavia", "senlin.policy.loadbalance-1.0", True, 403, 0),
        ("auto", "senlin.policy.loadbalance-1.0", True, 202, 0),
        ("haproxy", "senlin.policy.loadbalance-1.0", False, 202, 0),
        ("octavia", "senlin.policy.deletion-1.0", False, 202, 0),
    ],
)
def test_whoever_has_a_cluster_balanced_by_octavia_lets_the_service_ask_it(
    world: World, kind: str, type_: str, refuses: bool, status: int, asked: int
) -> None:
    keystone = Keystone(refuses=refuses)
    properties = {"pool": {"subnet": "s"}, "vip": {"subnet": "s"}} if "loadbalance" in type_ else {}
    policy, cluster = world.policy(type=type_, **properties), world.cluster(world.profile())
    delegation = Delegation(world.store, world.clock, keystone, ["member"])
    app = world.app(authenticator=SignedIn(), delegation=delegation, balancer_kind=kind)
    body = {"policy_attach": {"policy_id": policy.id}}
    answer = run(lambda: Client(app).post(f"/v1/clusters/{cluster.id}/actions", body))
    assert (answer.status, len(keystone.asked)) == (status, asked)


@pytest.mark.parametrize(
    ("trusted", "kind", "status"), [(False, "octavia", 403), (False, "auto", 202), (True, "octavia", 202)]
)
def test_somebody_elses_trust_is_not_asked_for_a_cluster(world: World, trusted: bool, kind: str, status: int) -> None:
    keystone = Keystone()
    policy = world.policy(type="senlin.policy.loadbalance-1.0", pool={"subnet": "s"}, vip={"subnet": "s"})
    cluster = world.cluster(world.profile(), user="another")
    delegation = Delegation(world.store, world.clock, keystone, ["member"])
    if trusted:
        world.store.run(trusts.keep, "another", cluster.project, "t", ["member"], 0.0)
    app = world.app(authenticator=SignedIn(), delegation=delegation, balancer_kind=kind)
    body = {"policy_attach": {"policy_id": policy.id}}
    answer = run(lambda: Client(app).post(f"/v1/clusters/{cluster.id}/actions", body))
    assert (answer.status, keystone.asked) == (status, [])
    assert status == 202 or "user another, who does not let the service do that yet" in answer.error[2]
