"""Transactions on a real SQLite file, with threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, OperationalError

from spinney.clock import SystemClock
from spinney.store import tables
from spinney.store.database import Store, StoreUnavailable
from store.made import in_file

META = tables.meta


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(in_file(tmp_path), SystemClock()) as made:
        tables.metadata.create_all(made.engine)
        yield made


def _put(connection: Connection, key: str, value: str = "x") -> str:
    connection.execute(META.insert().values(key=key, value=value))
    return key


def _keys(connection: Connection) -> set[str]:
    return set(connection.execute(sa.select(META.c.key)).scalars())


class Gate:
    """A transaction that holds the writer until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, connection: Connection) -> None:
        self.entered.set()
        assert self.opened.wait(10)


async def _held(store: Store, gate: Gate) -> asyncio.Task[None]:
    """The writer is inside the gate when this returns."""
    task = asyncio.create_task(store.transact(gate))
    await asyncio.to_thread(gate.entered.wait, 10)
    return task


def test_what_was_written_is_read_at_once(store: Store) -> None:
    async def body() -> None:
        for number in range(20):
            await store.transact(_put, f"k{number}")
            assert f"k{number}" in await store.read(_keys)

    asyncio.run(body())


def test_one_that_fails_in_a_group_takes_no_other_along(store: Store) -> None:
    def fail_late(connection: Connection) -> None:
        _put(connection, "half")
        raise ValueError("no")

    def twice(connection: Connection) -> None:
        _put(connection, "again")
        _put(connection, "again")

    async def body() -> list[Any]:
        gate = Gate()
        holder = await _held(store, gate)
        jobs = [
            asyncio.create_task(work)
            for work in (store.transact(_put, "a"), store.transact(fail_late), store.transact(_put, "b"),
                         store.transact(twice), store.transact(_put, "c"))
        ]  # fmt: skip
        await asyncio.sleep(0)
        gate.opened.set()
        await holder
        return await asyncio.gather(*jobs, return_exceptions=True)

    results = asyncio.run(body())
    assert [results[0], results[2], results[4]] == ["a", "b", "c"]
    assert isinstance(results[1], ValueError) and isinstance(results[3], IntegrityError)
    assert store.run(_keys) == {"a", "b", "c"}


def test_writes_that_wait_are_committed_together(store: Store) -> None:
    async def body() -> int:
        commits = 0

        def count(*_: object) -> None:
            nonlocal commits
            commits += 1

        gate = Gate()
        holder = await _held(store, gate)
        sa.event.listen(store.engine, "commit", count)
        jobs = [asyncio.create_task(store.transact(_put, str(number))) for number in range(50)]
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(holder, *jobs)
        return commits

    assert asyncio.run(body()) <= 3


def test_urgent_work_goes_first(store: Store) -> None:
    order: list[str] = []

    async def body() -> None:
        gate = Gate()
        holder = await _held(store, gate)
        jobs = [asyncio.create_task(store.transact(lambda c: order.append("bulk"))) for _ in range(100)]
        await asyncio.sleep(0)
        jobs.append(asyncio.create_task(store.transact_urgent(lambda c: order.append("lease"))))
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(holder, *jobs)

    asyncio.run(body())
    assert order[0] == "lease" and len(order) == 101


def test_a_cancelled_caller_waits_its_transaction_out(store: Store) -> None:
    async def body() -> None:
        gate = Gate()

        def slow(connection: Connection) -> None:
            gate(connection)
            _put(connection, "late")

        task = asyncio.create_task(store.transact(slow))
        await asyncio.to_thread(gate.entered.wait, 10)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
            assert not task.done(), "it left while its thread could still write"
        gate.opened.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.read(_keys) == {"late"}

    asyncio.run(body())


def test_a_cancelled_reader_waits_too(store: Store) -> None:
    async def body() -> None:
        gate = Gate()
        task = asyncio.create_task(store.read(gate))
        await asyncio.to_thread(gate.entered.wait, 10)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        gate.opened.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())


def test_readers_are_not_held_up_by_a_writer_and_see_one_moment(store: Store) -> None:
    async def body() -> None:
        await store.transact(_put, "before")
        gate = Gate()
        writer = await _held(store, gate)
        assert await asyncio.wait_for(store.read(_keys), 5) == {"before"}
        gate.opened.set()
        await writer

        middle = Gate()

        def look_twice(connection: Connection) -> tuple[set[str], set[str]]:
            first = _keys(connection)
            middle(connection)
            return first, _keys(connection)

        reader = asyncio.create_task(store.read(look_twice))
        await asyncio.to_thread(middle.entered.wait, 10)
        await store.transact(_put, "meanwhile")
        middle.opened.set()
        assert await reader == ({"before"}, {"before"})

    asyncio.run(body())


def test_two_processes_worth_of_writers_on_one_file_lose_nothing(store: Store, tmp_path: Path) -> None:
    def add(connection: Connection) -> None:
        value = connection.execute(sa.select(META.c.value).where(META.c.key == "sum")).scalar_one()
        connection.execute(META.update().where(META.c.key == "sum").values(value=str(int(value) + 1)))

    async def body() -> None:
        await store.transact(_put, "sum", "0")
        with Store(in_file(tmp_path), SystemClock()) as other:
            await asyncio.gather(*(one.transact(add) for _ in range(100) for one in (store, other)))
            assert await other.read(lambda c: c.execute(sa.select(META.c.value)).scalar()) == "200"

    asyncio.run(body())


class _Busy(Exception):
    pass


_Busy.__module__ = "sqlite3"


def test_a_busy_database_is_asked_again_and_given_up_in_the_end(store: Store) -> None:
    tries = 0

    def busy_for(times: int) -> Any:
        def run(connection: Connection) -> int:
            nonlocal tries
            tries += 1
            _put(connection, f"try{tries}")
            if tries <= times:
                raise OperationalError("…", None, _Busy("database is locked"))
            return tries

        return run

    async def body() -> None:
        nonlocal tries
        assert await store.transact(busy_for(2)) == 3
        assert await store.read(_keys) == {"try3"}
        tries = 100
        with pytest.raises(StoreUnavailable, match="too busy"):
            await store.transact(busy_for(10000))

    asyncio.run(body())


def test_a_lost_acknowledgement_is_recognised_by_the_primary_key(store: Store) -> None:
    """The commit happened, its answer was lost, the function runs again: it must end as one row or as a clash of ids."""

    async def body() -> None:
        lost = False

        def lose_one(connection: Any) -> None:
            nonlocal lost
            if not lost:
                lost = True
                connection.connection.driver_connection.commit()
                raise OperationalError("COMMIT", None, _Busy("database is locked"))

        sa.event.listen(store.engine, "commit", lose_one)
        with pytest.raises(IntegrityError):
            await store.transact(_put, "once")
        assert await store.read(_keys) == {"once"}

    asyncio.run(body())


def test_closing_waits_for_what_is_queued(tmp_path: Path) -> None:
    store = Store(in_file(tmp_path), SystemClock())
    tables.metadata.create_all(store.engine)

    async def body() -> None:
        jobs = [asyncio.create_task(store.transact(_put, str(number))) for number in range(300)]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        await asyncio.gather(*jobs)

    asyncio.run(body())
    with Store(in_file(tmp_path), SystemClock()) as again:
        assert len(again.run(_keys)) == 300


def test_one_store_serves_two_event_loops(store: Store) -> None:
    asyncio.run(store.transact(_put, "first"))
    asyncio.run(store.transact(_put, "second"))
    assert store.run(_keys) == {"first", "second"}
