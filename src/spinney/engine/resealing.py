"""Sealing anew, after the deployment's key was rotated, what is sealed for engines.

Guaranteed: it goes on in small batches beside all other work, from wherever a death left it; nothing is ever unsealed into the
database; a value that changes meanwhile stays as changed. What no key at hand opens is left as it is and told in the log once.
"""

from __future__ import annotations

import logging

from spinney.engine.context import EngineContext
from spinney.sealing import SecretKeys, WrongKey
from spinney.store import credentials, sealed
from spinney.store.sealed import Box

log = logging.getLogger(__name__)

#: Seconds between looks at the key file.
EVERY = 60.0
#: Boxes at a time, and seconds between two batches.
_BATCH = 50
_PAUSE = 0.1


async def keep_up(context: EngineContext) -> None:
    """Runs until cancelled."""
    told: set[str] = set()
    while True:
        try:
            context.keys.refresh()
            await context.store.transact(credentials.register_key, context.keys)
        except WrongKey as error:
            log.error("%s", error)
        else:
            count = await _seal_anew(context, told)
            if count:
                log.info("%d secrets were sealed anew for key %s", count, context.keys.public.id)
        await context.clock.sleep(EVERY)


async def _seal_anew(context: EngineContext, told: set[str]) -> int:
    """Everything once; how much there was to do."""
    key, after, count = context.keys.public, ("", ""), 0
    while True:
        boxes = await context.store.read(sealed.for_others, key.id, after, _BATCH)
        if not boxes:
            return count
        anew = [(box, fresh) for box in boxes if (fresh := _anew(context.keys, box, told)) is not None]
        if anew:
            count += await context.store.transact(sealed.replace, anew)
        after = boxes[-1].table, boxes[-1].id
        await context.clock.sleep(_PAUSE)


def _anew(keys: SecretKeys, box: Box, told: set[str]) -> bytes | None:
    try:
        return keys.public.seal(keys.unseal(box.content, box.id), box.id)
    except WrongKey as error:
        if box.id not in told:
            told.add(box.id)
            log.error("%s %s stays as it is: %s", box.table, box.id, error)
        return None
