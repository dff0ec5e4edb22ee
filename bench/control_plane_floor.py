"""The least that a node's life in the database can cost: a bare loop on sqlite3, its cost as one line of JSON.

A node, an action and an event each in bulk; claims in batches; completions in groups; one commit for each batch, synced; no
SQLAlchemy, no decisions, no hosts. Rows are as wide as ours, and found by the same indexes as far as these statements need.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
import uuid
from pathlib import Path

from common import scratch

_BATCH = 256
_SCHEMA = """
CREATE TABLE node (id TEXT PRIMARY KEY, name TEXT, cluster_id TEXT, status TEXT, reason TEXT, host_id TEXT,
    physical_id TEXT, data TEXT, init_at REAL) WITHOUT ROWID;
CREATE TABLE action (id TEXT PRIMARY KEY, target TEXT, parent_id TEXT, status TEXT, reason TEXT, owner TEXT,
    attempt INTEGER, ready_at REAL, end_time REAL) WITHOUT ROWID;
CREATE TABLE event (id TEXT PRIMARY KEY, oid TEXT, action TEXT, status TEXT, timestamp REAL) WITHOUT ROWID;
CREATE INDEX ix_node ON node (cluster_id);
CREATE INDEX ix_queue ON action (status, ready_at);
"""


def live(connection: sqlite3.Connection, size: int) -> None:
    cluster, now = str(uuid.uuid4()), time.time()
    nodes = [(str(uuid.uuid4()), f"node-{i}", cluster, "INIT", "", "{}", now) for i in range(size)]
    queued = [(str(uuid.uuid4()), node[0], cluster, "READY", "waiting", 0, now) for node in nodes]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO node (id, name, cluster_id, status, reason, data, init_at) VALUES (?, ?, ?, ?, ?, ?, ?)", nodes
    )
    connection.executemany(
        "INSERT INTO action (id, target, parent_id, status, reason, attempt, ready_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        queued,
    )
    connection.execute("COMMIT")
    claim = "SELECT id, target FROM action WHERE status = 'READY' AND ready_at <= ? ORDER BY ready_at LIMIT ?"
    while True:
        connection.execute("BEGIN IMMEDIATE")
        claimed = connection.execute(claim, (now, _BATCH)).fetchall()
        connection.executemany(
            "UPDATE action SET status = 'RUNNING', owner = 'me', attempt = attempt + 1 WHERE id = ?",
            [(action,) for action, _ in claimed],
        )
        connection.executemany(
            "UPDATE node SET status = 'CREATING', host_id = ? WHERE id = ?", [("host", node) for _, node in claimed]
        )
        connection.execute("COMMIT")
        if not claimed:
            return
        _complete(connection, claimed, now)


def _complete(connection: sqlite3.Connection, claimed: list[tuple[str, str]], now: float) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "UPDATE action SET status = 'SUCCEEDED', reason = 'done', owner = NULL, end_time = ? WHERE id = ?",
        [(now, action) for action, _ in claimed],
    )
    connection.executemany(
        "UPDATE node SET status = 'ACTIVE', reason = 'done', physical_id = ?, data = ? WHERE id = ?",
        [(node * 2, '{"addresses": [{"addr": "10.201.0.2"}]}', node) for _, node in claimed],
    )
    connection.executemany(
        "INSERT INTO event (id, oid, action, status, timestamp) VALUES (?, ?, 'CREATE', 'end', ?)",
        [(str(uuid.uuid4()), node, now) for _, node in claimed],
    )
    connection.execute("COMMIT")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, required=True)
    size = parser.parse_args().size
    with scratch() as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        live(connection, 100)
        began, cpu = time.perf_counter(), time.process_time()
        live(connection, size)
        seconds, spent = time.perf_counter() - began, time.process_time() - cpu
        connection.close()
    print(json.dumps({"seconds": seconds, "nodes_per_second": size / seconds, "cpu_ms": spent / size * 1000}))


if __name__ == "__main__":
    main()
