"""Having callers let the service act in their projects later, where later work has to call another OpenStack service.

Nothing is asked of anybody else: most work needs no service but this one. Guaranteed: when ``ensure`` returns, a trust of the
caller's that works is stored; the caller's token is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from spinney.clock import Clock
from spinney.domain.identity import Caller, Owner
from spinney.store import trusts
from spinney.store.database import Store


class Trustee(Protocol):
    async def make(self, token: str, user: str, project: str, roles: Sequence[str]) -> str:
        """The id of a new trust. Raises: DelegationRefused, IdentityUnavailable."""

    async def works(self, trust_id: str) -> bool:
        """Raises: IdentityUnavailable."""


class Delegation:
    def __init__(self, store: Store, clock: Clock, trustee: Trustee, roles: Sequence[str]) -> None:
        self._store = store
        self._clock = clock
        self._trustee = trustee
        self._roles = tuple(roles)

    async def given(self, owner: Owner) -> bool:
        """Whether a trust of theirs is stored; whether it works is seen when it is used."""
        return await self._store.read(trusts.find, owner.user, owner.project, self._roles) is not None

    async def ensure(self, caller: Caller) -> None:
        """Raises: DelegationRefused, IdentityUnavailable."""
        user, project = caller.owner.user, caller.owner.project
        known = await self._store.read(trusts.find, user, project, self._roles)
        if known is not None and await self._trustee.works(known):
            return
        made = await self._trustee.make(caller.token, user, project, self._roles)
        await self._store.transact(trusts.keep, user, project, made, self._roles, self._clock.now())
