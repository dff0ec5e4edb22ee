"""Having callers let the service act for them: once, and anew when it works no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from api.world import World, run
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
