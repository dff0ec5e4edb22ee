"""Requests with an Idempotency-Key: a repetition is answered as the first was, and changes nothing.

The key's row is written in the transaction in which its request first changes something, together with what that transaction
returned and the ids drawn until then. So whatever happens afterwards (the process is killed before it answers, even), a
repetition finds the row: it runs the handler again, but gives it those ids and results instead of running its transactions.
Once the answer is known, the row holds that. Two at the same time, in two processes: the second meets the first's row, is
rolled back, and answers as the first.

Guaranteed: a key changes something at most once while its row is kept. Not guaranteed: that a repetition gets the first answer
when its process was killed before that was stored; where it cannot be made again, it is told what was done. Answers of 500 and
above are not kept, unless something was changed before; public routes and streams know no keys.
"""

from __future__ import annotations

import hashlib
import logging
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import asdict, is_dataclass, replace
from types import SimpleNamespace
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
from sqlalchemy import Connection, Row
from sqlalchemy.engine import result_tuple

from spinney.api import faults
from spinney.api.wire import Call, Reply, Stream
from spinney.clock import Ids
from spinney.errors import Conflict, HTTPBadRequest, IdempotencyKeyInUse, IdempotencyKeyReused, SpinneyError, UserError
from spinney.keyring import KeyRing, NoSuchKey
from spinney.store import idempotency
from spinney.store.database import Transactions
from spinney.store.idempotency import Kept, KeyTaken, Place

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_PURPOSE = "idempotency"
_LONGEST = 255
#: Bytes: a longer answer is not kept, so that a repetition makes it again.
_LARGEST = 1 << 20
#: How often a request is begun anew because another with its key came before.
_ROUNDS = 3
#: Seconds after which a repetition may find the first request done.
_SOON = 1.0
_REPLAYED = (b"idempotency-replayed", b"true")

Run = Callable[[Call], Awaitable[Reply | Stream]]


def read_key(header: bytes | None) -> str | None:
    """Raises: HTTPBadRequest."""
    if header is None:
        return None
    key = header.decode("latin-1")
    if not 1 <= len(key) <= _LONGEST or not (key.isascii() and key.isprintable()):
        raise HTTPBadRequest(
            f"Idempotency-Key: '{key[:80]}' is not allowed: 1 to {_LONGEST} printable ASCII characters, a UUID for example."
        )
    return key


def digest_of(method: str, path: bytes, query: bytes, versions: str, body: bytes) -> str:
    """What a repetition must have in common with the first."""
    parts = (method.encode(), path, query, versions.encode(), body)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


class Repetitions:
    """The keys of all projects, as one API process knows them."""

    def __init__(self) -> None:
        self._at_work: set[Place] = set()

    async def serve(self, call: Call, key: str, digest: str, run: Run) -> Reply | Stream:
        """Raises: IdempotencyKeyReused, IdempotencyKeyInUse, and what ``run`` raises above 499."""
        place = Place(call.caller.project, hashlib.sha256(key.encode()).hexdigest())
        if place in self._at_work:
            raise _in_use()
        self._at_work.add(place)
        try:
            for _ in range(_ROUNDS):
                try:
                    return await _once(call, place, digest, run)
                except KeyTaken as error:
                    log.info("%s; looking again", error)
            raise _in_use()
        finally:
            self._at_work.discard(place)


def _in_use() -> IdempotencyKeyInUse:
    fault = IdempotencyKeyInUse("The first request with this Idempotency-Key is still at work; try again in 1 s.")
    fault.retry_after = _SOON
    return fault


async def _once(call: Call, place: Place, digest: str, run: Run) -> Reply | Stream:
    """Raises: KeyTaken."""
    kept = await call.deps.store.read(idempotency.find, place, call.now)
    if kept is not None and kept.digest != digest:
        raise IdempotencyKeyReused(
            "Idempotency-Key: it came with another request before; send that again as it was, or take a new key for this one."
        )
    if kept is not None and kept.status is not None:
        return _given(call.deps.keys, kept)
    steps = Steps(call, place, digest, kept)
    reply = await _rerun(call, steps, run)
    if isinstance(reply, Reply) and reply.status < 500:
        await steps.keep(reply)
        if kept is not None:
            return replace(reply, headers=(*reply.headers, _REPLAYED))
    return reply


async def _rerun(call: Call, steps: Steps, run: Run) -> Reply | Stream:
    deps = replace(call.deps, store=steps, ids=steps.ids, secret=steps.secret)
    try:
        return await run(replace(call, deps=deps))
    except KeyTaken:
        raise
    except Exception as error:
        if not steps.done_before:
            if isinstance(error, UserError):
                return faults.reply_to(error)
            raise
        if isinstance(error, SpinneyError) and error.retryable:
            raise
        # What it would be shown of is gone, or was never kept: the answer is lost, not what was done.
        log.info("the answer to a request of before cannot be made again", exc_info=error)
        raise Conflict(
            f"The request was carried out before, but its answer was lost with the process that gave it. Look at what "
            f"has one of these ids: {', '.join(steps.drawn) or 'none was drawn'}."
        ) from error


def _given(keys: KeyRing, kept: Kept) -> Reply:
    """Raises: Conflict."""
    assert kept.status is not None
    found = _unsealed(keys, kept)
    headers = tuple((name.encode(), value.encode()) for name, value in found["headers"])
    return Reply(kept.status, b64decode(found["body"]), (*headers, _REPLAYED))


def _unsealed(keys: KeyRing, kept: Kept) -> Any:
    """Raises: Conflict."""
    try:
        return orjson.loads(keys.unseal(kept.sealed, _PURPOSE))
    except NoSuchKey as error:
        log.warning("an answer that was kept cannot be given again: %s", error)
        raise Conflict(
            "The request came before, but the service has no longer the key that its answer is sealed with; look at what "
            "it made."
        ) from error


class Steps:
    """What a request has drawn and changed so far: recorded when it happens first, given again to a repetition."""

    def __init__(self, call: Call, place: Place, digest: str, kept: Kept | None) -> None:
        self._store: Transactions = call.deps.store
        self._keys = call.deps.keys
        self._draw = call.deps.secret
        self._place, self._digest, self._now = place, digest, call.now
        self._sealed = None if kept is None else kept.sealed
        before = {"drawn": [], "results": []} if kept is None else _unsealed(self._keys, kept)
        self.drawn: list[str] = before["drawn"]
        self._results: list[list[Any]] = before["results"]
        self._draws, self._step = 0, 0
        self._inside = False
        self._given = len(self._results)
        self.ids = _Drawn(self, call.deps.ids)

    @property
    def done_before(self) -> bool:
        """Whether nothing was done yet but what had been done before."""
        return self._given > 0 and self._step <= self._given

    def draw(self, fresh: Callable[[], str]) -> str:
        """Transactions are not run again, so what they draw inside is not recorded."""
        if self._inside:
            return fresh()
        if self._draws == len(self.drawn):
            self.drawn.append(fresh())
        self._draws += 1
        return self.drawn[self._draws - 1]

    def secret(self) -> str:
        return self.draw(self._draw)

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._store.read(fn, *args, **kwargs)

    async def transact(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises: KeyTaken, and what ``fn`` raises."""
        self._step += 1
        if self._step <= len(self._results):
            found: T = _read_result(*self._results[self._step - 1])
            return found

        def run(connection: Connection) -> tuple[T, bytes, list[Any]]:
            if self._sealed is None:
                idempotency.take(connection, self._place, Kept(self._digest, None, b""), self._now)
            self._inside = True
            try:
                result = fn(connection, *args, **kwargs)
            finally:
                self._inside = False
            written = _write_result(result)
            sealed = self._seal([*self._results, written])
            idempotency.change(connection, self._place, self._sealed or b"", None, sealed)
            return result, sealed, written

        result, self._sealed, written = await self._store.transact(run)
        self._results.append(written)
        return result

    def _seal(self, results: list[list[Any]]) -> bytes:
        return self._keys.seal(orjson.dumps({"drawn": self.drawn, "results": results}), _PURPOSE)

    async def keep(self, reply: Reply) -> None:
        """Raises: KeyTaken when another has answered first, or changed something where this one has not."""
        headers = [(name.decode(), value.decode()) for name, value in reply.headers]
        content = orjson.dumps({"headers": headers, "body": b64encode(reply.body).decode()})
        if len(content) > _LARGEST:
            return
        kept = Kept(self._digest, reply.status, self._keys.seal(content, _PURPOSE))
        if self._sealed is None:
            await self._store.transact(idempotency.take, self._place, kept, self._now)
            return
        try:
            await self._store.transact(idempotency.change, self._place, self._sealed, kept.status, kept.sealed)
        except KeyTaken:
            log.info("the answer to a repetition is kept already")


class _Drawn(Ids):
    """Ids that are the same when drawn again."""

    def __init__(self, steps: Steps, source: Ids) -> None:
        self._steps, self._source = steps, source

    def new(self) -> str:
        return self._steps.draw(self._source.new)

    def token(self, length: int, alphabet: str) -> str:
        return self._steps.draw(lambda: self._source.token(length, alphabet))

    def fraction(self) -> float:
        return self._source.fraction()


def _write_result(result: Any) -> list[Any]:
    """What a transaction returned, by kind; a repetition is refused its answer where the kind is ``lost``."""
    try:
        if isinstance(result, Row):
            return ["row", [list(result._fields), _plain(list(result))]]
        if is_dataclass(result) and not isinstance(result, type):
            return ["object", _plain(asdict(result))]
        return ["value", _plain(result)]
    except TypeError:
        return ["lost", None]


def _plain(value: Any) -> Any:
    """Raises: TypeError. The names of columns are strings of a kind of their own."""
    return orjson.loads(orjson.dumps(value, default=_hidden, option=orjson.OPT_NON_STR_KEYS))


def _hidden(value: Any) -> None:
    """Of a row, what is never shown: sealed bytes."""
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value)} is not kept")


def _read_result(kind: str, content: Any) -> Any:
    if kind == "lost":
        raise LookupError("the result of the transaction was not kept")
    if kind == "row":
        return result_tuple(content[0])(content[1])
    return SimpleNamespace(**content) if kind == "object" else content
