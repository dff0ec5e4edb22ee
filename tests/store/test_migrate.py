"""The migrations and the tables say the same, however often and by however many they are run."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from spinney.clock import SystemClock
from spinney.store import migrate, tables
from spinney.store.database import Store
from store.made import in_file

_UPGRADE = """
import sys
from spinney.clock import SystemClock
from spinney.store import migrate
from spinney.store.database import Store
with Store(sys.argv[1], SystemClock()) as store:
    migrate.upgrade(store)
"""


def _check_complete(url: str) -> None:
    with Store(url, SystemClock()) as store:
        options = {"compare_type": True, "compare_server_default": True}
        found = store.run(lambda c: compare_metadata(MigrationContext.configure(c, opts=options), tables.metadata))
        assert found == []
        current, needed = migrate.versions(store)
        assert current == needed is not None


def test_an_empty_database_gets_exactly_the_tables_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    url = in_file(tmp_path)
    with Store(url, SystemClock()) as store:
        assert migrate.versions(store)[0] is None
        migrate.upgrade(store)
    _check_complete(url)
    with Store(url, SystemClock()) as store:
        migrate.upgrade(store)
    _check_complete(url)


def test_two_processes_at_once_take_turns(tmp_path: Path) -> None:
    url = in_file(tmp_path)
    starting = [
        subprocess.Popen([sys.executable, "-c", _UPGRADE, url], stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in starting]
    assert [code for _, code in ended] == [0, 0], ended
    _check_complete(url)


def test_two_threads_at_once_take_turns(tmp_path: Path) -> None:
    url = in_file(tmp_path)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with Store(url, SystemClock()) as store:
                migrate.upgrade(store)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    _check_complete(url)
