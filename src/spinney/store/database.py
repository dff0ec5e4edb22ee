"""Transactions as plain functions, run away from the event loop.

``await store.transact(fn, …)`` runs ``fn(connection, …)`` whole, as one transaction, on another thread; ``store.read`` does the
same for functions that only read. Guaranteed:

* either everything ``fn`` wrote is committed when ``transact`` returns, or nothing is;
* ``fn`` may be run again after a deadlock, serialization failure, busy database or certification failure, so it has no effects
  but its rows;
* a caller that is cancelled waits until its transaction has ended, because the thread cannot be stopped: nothing is
  written after ``transact`` has left.

On SQLite there is one writer thread. Whatever waits when it is free is committed together, urgent work (leases) first;
each function has a savepoint of its own, so one that fails does not take the others with it.

Not guaranteed: that a commit whose acknowledgement was lost did not happen. Ids are minted by the caller, so that a repeat
is recognised by its primary key.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from spinney.clock import Clock
from spinney.errors import SpinneyError

P = ParamSpec("P")
T = TypeVar("T")

_GROUP = 64
_ATTEMPTS = 8
_URGENT, _NORMAL, _STOP = 0, 1, 2
#: SQLSTATEs: serialization failure, deadlock, lock not available.
_RETRY_STATES = {"40001", "40P01", "55P03"}
#: MariaDB: lock wait timeout, deadlock (also Galera's certification failure at COMMIT), WSREP not ready.
_RETRY_ERRNOS = {1205, 1213, 1047}


class StoreUnavailable(SpinneyError):
    """The database does not answer."""

    status = 503
    retryable = True


@dataclass(order=True)
class _Job:
    priority: int
    sequence: int
    run: Callable[[Connection], Any] | None = field(compare=False)
    future: asyncio.Future[Any] | None = field(compare=False)


def now(connection: Connection) -> float:
    """The database's clock. A SQLite file has no clock but that of its machine."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        return float(connection.info["clock"].now())
    if dialect == "postgresql":
        return float(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return float(connection.execute(sa.text("SELECT UNIX_TIMESTAMP(NOW(6))")).scalar_one())


class Transactions(Protocol):
    """A database as those use it who need not know more of it."""

    async def transact(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T: ...

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T: ...


class Store:
    """A database. ``inline`` runs every function at once in the calling thread: for simulations on a virtual clock."""

    def __init__(self, url: str, clock: Clock, *, inline: bool = False, readers: int = 2) -> None:
        self.url = sa.make_url(url)
        self.clock = clock
        self.inline = inline
        self.engine = self._make_engine()
        # Python 3.13 complains of each SQLite connection that ends unclosed, as those of a store just dropped would.
        weakref.finalize(self, self.engine.dispose)
        self._reading = self.engine.execution_options(spinney_write=False)
        self._sqlite = self.engine.dialect.name == "sqlite"
        self._readers = ThreadPoolExecutor(readers if self._sqlite else 8, thread_name_prefix="store")
        self._local = threading.local()
        self._kept: list[Connection] = []
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._sequence = itertools.count()
        self._writer: threading.Thread | None = None

    def _make_engine(self) -> Engine:
        options: dict[str, Any] = {"json_serializer": _dump_json, "json_deserializer": orjson.loads}
        if self.url.get_backend_name() == "sqlite":
            options["connect_args"] = {"timeout": 30, "check_same_thread": False}
            if self.inline or self.url.database in (None, "", ":memory:"):
                options["poolclass"] = StaticPool
        else:
            options |= {"pool_size": 8, "max_overflow": 4, "pool_pre_ping": True, "isolation_level": "READ COMMITTED"}
        engine = sa.create_engine(self.url, **options)
        if engine.dialect.name == "sqlite":
            _configure_sqlite(engine, self.clock)
        return engine

    async def transact(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._write(_NORMAL, lambda connection: fn(connection, *args, **kwargs))

    async def transact_urgent(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Before everything that waits: for leases."""
        return await self._write(_URGENT, lambda connection: fn(connection, *args, **kwargs))

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One consistent view. On SQLite it sees every transaction whose ``transact`` has returned."""

        def run() -> T:
            with self._reader() as connection, connection.begin():
                return fn(connection, *args, **kwargs)

        if self.inline:
            return run()
        return await _settled(asyncio.get_running_loop().run_in_executor(self._readers, run))

    def _reader(self) -> AbstractContextManager[Connection]:
        """On SQLite each reading thread keeps its connection: taking one from the pool costs more than a short query."""
        if not self._sqlite or self.inline:
            return self._reading.connect()
        kept: Connection | None = getattr(self._local, "connection", None)
        if kept is None or kept.closed or kept.invalidated:
            kept = self._local.connection = self._reading.connect()
            self._kept.append(kept)
        return nullcontext(kept)

    def run(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same without an event loop: for start-up and command-line tools."""
        return self._attempt(lambda connection: fn(connection, *args, **kwargs))

    async def _write(self, priority: int, run: Callable[[Connection], T]) -> T:
        if self.inline:
            return self._attempt(run)
        loop = asyncio.get_running_loop()
        if not self._sqlite:
            return await _settled(loop.run_in_executor(self._readers, self._attempt, run))
        if self._writer is None:
            self._writer = threading.Thread(target=self._serve_writes, name="store-writer", daemon=True)
            self._writer.start()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(priority, next(self._sequence), run, future))
        return await _settled(future)

    def _attempt(self, run: Callable[[Connection], T]) -> T:
        for attempt in itertools.count(1):
            try:
                with self.engine.begin() as connection:
                    return run(connection)
            except DBAPIError as error:
                if not _worth_repeating(error):
                    raise
                if attempt == _ATTEMPTS:
                    raise StoreUnavailable(f"the database is too busy: gave up after {attempt} attempts") from error
                threading.Event().wait(0.005 * 2**attempt)
        raise AssertionError("unreachable")

    def _serve_writes(self) -> None:
        while True:
            jobs = [self._jobs.get()]
            while len(jobs) < _GROUP and not self._jobs.empty():
                jobs.append(self._jobs.get_nowait())
            work = [job for job in jobs if job.run is not None]
            _deliver(work, self._commit_together(work) if work else [])
            if len(work) < len(jobs):
                return

    def _commit_together(self, jobs: list[_Job]) -> list[tuple[Any, BaseException | None]]:
        def run_all(connection: Connection) -> list[tuple[Any, BaseException | None]]:
            return [_run_one(connection, job, alone=len(jobs) == 1) for job in jobs]

        try:
            return self._attempt(run_all)
        except Exception as error:
            return [(None, error)] * len(jobs)

    def close(self) -> None:
        """Wait for what is queued, then let the threads and connections go."""
        if self._writer is not None:
            self._jobs.put(_Job(_STOP, next(self._sequence), None, None))
            self._writer.join()
            self._writer = None
        self._readers.shutdown()
        for connection in self._kept:
            connection.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _run_one(connection: Connection, job: _Job, *, alone: bool) -> tuple[Any, BaseException | None]:
    assert job.run is not None
    if alone:
        # Its failure rolls the whole transaction back, which is the same and saves the savepoint.
        return job.run(connection), None
    try:
        with connection.begin_nested():
            return job.run(connection), None
    except DBAPIError as error:
        if _worth_repeating(error):
            raise
        return None, error
    except Exception as error:
        return None, error


def _deliver(jobs: list[_Job], results: list[tuple[Any, BaseException | None]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any, BaseException | None]]] = {}
    for job, (value, error) in zip(jobs, results, strict=True):
        assert job.future is not None
        by_loop.setdefault(job.future.get_loop(), []).append((job.future, value, error))
    for loop, outcomes in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, outcomes)


def _resolve(outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, value, error in outcomes:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


async def _settled(future: asyncio.Future[T]) -> T:
    """The outcome of work on another thread; when cancelled, wait the work out and then pass the cancellation on."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:
                continue
        if not future.cancelled():
            future.exception()  # retrieved, so that it is not reported as forgotten
        raise


def _worth_repeating(error: DBAPIError) -> bool:
    original = error.orig
    if original is None:
        return False
    if getattr(original, "sqlstate", None) in _RETRY_STATES:
        return True
    if type(original).__module__ == "sqlite3":
        return "locked" in str(original) or "busy" in str(original)
    arguments: tuple[object, ...] = getattr(original, "args", ())
    return bool(arguments) and arguments[0] in _RETRY_ERRNOS


def _dump_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _configure_sqlite(engine: Engine, clock: Clock) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so, not where the driver guesses
        record.info["clock"] = clock
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # A deferred transaction that turns into a writer fails at once when another process writes; asking first waits.
        immediate = connection.get_execution_options().get("spinney_write", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
