"""Sessions with OpenStack services in the name of users who let the service act for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from spinney.domain.identity import Owner
from spinney.errors import SecretUnavailable, SecretUnusable
from spinney.store import trusts
from spinney.store.database import Store, StoreUnavailable

_OF_SECRETS = (
    "the user who made the secret does not let the service read it: give the secret its reference anew, with a token from "
    "signing in"
)


class TrustedSessions:
    """``open_session`` makes one of a trust's id; each renews its own tokens, so they are kept. ``untrusted``: what is said
    where there is no trust."""

    def __init__(
        self, store: Store, open_session: Callable[[str], Any], roles: Sequence[str], untrusted: str = _OF_SECRETS
    ) -> None:
        self._store = store
        self._open = open_session
        self._roles = tuple(roles)
        self._untrusted = untrusted
        self._kept: dict[tuple[str, str], tuple[str, Any]] = {}

    async def __call__(self, owner: Owner) -> Any:
        """Raises: SecretUnusable when the user lets the service do nothing, SecretUnavailable."""
        key = (owner.user, owner.project)
        try:
            trust_id = await self._store.read(trusts.find, *key, self._roles)
        except (StoreUnavailable, DBAPIError) as error:
            raise SecretUnavailable("the database does not answer, which knows who trusts the service") from error
        if trust_id is None:
            raise SecretUnusable(self._untrusted)
        known = self._kept.get(key)
        if known is None or known[0] != trust_id:
            known = self._kept[key] = (trust_id, self._open(trust_id))
        return known[1]
