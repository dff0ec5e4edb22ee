"""Sending what lies in the outbox: messages of lifecycle hooks, to addresses that projects chose.

Each is POSTed until it is answered with a status of 2xx or its time is up, at growing intervals. Guaranteed: it is sent at
least once while an engine runs and its address is permitted; where a secret is named, never unsigned; what is given up is told
in an event, as is the first failure. Not guaranteed: that it is sent only once (``X-Spinney-Delivery`` is the same each time),
nor any order. A slow address holds up no other project's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from urllib.parse import urlsplit

import orjson

from spinney.clock import iso
from spinney.domain import webhook
from spinney.domain.credential import Unusable
from spinney.domain.retry import backoff
from spinney.domain.secret import chosen
from spinney.drivers.egress.client import Sender
from spinney.engine.carrying.secrets import Secrets
from spinney.engine.context import EngineContext
from spinney.errors import OutgoingFailed, OutgoingRefused, SecretUnusable, SpinneyError
from spinney.store import outbox
from spinney.store.outbox import PER_PROJECT, Claimed

log = logging.getLogger(__name__)

DELIVERY = "X-Spinney-Delivery"
#: Seconds: between looks, for one answer, and until another engine may take what this one has claimed.
TICK, PATIENCE, HOLD = 1.0, 10.0, 30.0
#: Seconds between two tries: the first time, and at most.
_DELAY, _CEILING = 1.0, 60.0
_TOGETHER = 16


async def deliver(context: EngineContext) -> None:
    """Runs until cancelled; what is being sent then is sent again by whoever comes next."""
    if context.outgoing is None:
        return
    post = _Post(context, context.outgoing)
    async with asyncio.TaskGroup() as group:
        while True:
            await context.clock.sleep(TICK)
            try:
                for claimed in await post.claim():
                    group.create_task(post.send(claimed))
            except Exception as error:
                log.warning("the outbox could not be read, it is tried again: %s", error)


class _Post:
    def __init__(self, context: EngineContext, outgoing: Sender) -> None:
        self._context = context
        self._outgoing = outgoing
        self._secrets = Secrets(context.store, context.keys, context.references)
        self._sending: Counter[str] = Counter()

    async def claim(self) -> list[Claimed]:
        store, free = self._context.store, _TOGETHER - self._sending.total()
        if free <= 0 or not await store.read(outbox.due):
            return []
        busy = [project for project, count in self._sending.items() if count >= PER_PROJECT]
        found = await store.transact(outbox.claim, free, HOLD, busy)
        self._sending.update(claimed.project for claimed in found)
        return found

    async def send(self, claimed: Claimed) -> None:
        try:
            await self._try(claimed)
        except Exception:  # whatever it was, the claim runs out and it is tried again
            log.exception("message %s could not be sent", claimed.id)
        finally:
            self._sending[claimed.project] -= 1
            self._sending += Counter()  # forgets projects without any

    async def _try(self, claimed: Claimed) -> None:
        context, store = self._context, self._context.store
        now, event_id = context.clock.now(), context.ids.new()
        hook = urlsplit(claimed.url).netloc  # the rest of a URL may be a secret
        try:
            if now >= claimed.expires_at:
                raise OutgoingRefused("its time was up before it could be sent")
            await self._post(claimed, int(now))
        except SpinneyError as error:
            after = context.clock.now() + backoff(claimed.attempts, _DELAY, _CEILING)
            if error.retryable and after < claimed.expires_at:
                until = iso(claimed.expires_at)
                told = (
                    f"The hook at {hook} could not be told: {error.message}. It is tried again until {until}; nobody waits "
                    "longer than the hook's own time for that."
                )
                first = told if claimed.attempts == 1 else None
                await store.transact(outbox.put_off, claimed, after, first, event_id)
            else:
                tries = f"after {claimed.attempts} tries" if claimed.attempts > 1 else "and will not be"
                told = f"The hook at {hook} was not told {tries}: {error.message}."
                await store.transact(outbox.give_up, claimed, told, event_id)
        else:
            await store.transact(outbox.sent, claimed)

    async def _post(self, claimed: Claimed, now: int) -> None:
        """Raises: OutgoingFailed, OutgoingRefused, SecretUnusable, SecretUnavailable."""
        body = orjson.dumps(claimed.body)
        headers = {"Content-Type": "application/json", DELIVERY: claimed.id}
        if claimed.secret_id is not None:
            secret = await self._secret(claimed.secret_id, claimed.secret_key)
            headers |= webhook.signed_headers(secret, "POST", webhook.target(claimed.url), now, body)
        answer = await self._outgoing.request("POST", claimed.url, headers=headers, body=body, seconds=PATIENCE)
        if not 200 <= answer.status < 300:
            raise OutgoingFailed(f"it answers with HTTP status {answer.status} instead of 2xx")

    async def _secret(self, secret_id: str, key: str | None) -> bytes:
        held = await self._secrets.open_secret(secret_id)
        try:
            return held[chosen(secret_id, tuple(held), key)].encode()
        except Unusable as error:
            raise SecretUnusable(str(error)) from error
