"""The rows of autoscaling: decisions that say the same, what members use, and what is forgotten when."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.autoscale.deciding import evaluate
from spinney.domain.autoscale.history import remembered
from spinney.domain.autoscale.rules import Metric, Rules, Signal, Target
from spinney.domain.autoscale.usage import Usage
from spinney.domain.autoscale.values import MemberSample, Sample, Situation
from spinney.store import autoscaling, scaling_history, tables
from spinney.store.autoscaling import Scaled, Stretch
from spinney.store.tables import metric, scaling_decision

NOW = 1_800_000_000.0
CPU = Signal(Metric.CPU)
RULES = Rules(minimum=1, maximum=10, targets=(Target(CPU, 50.0),))
ONE = Scaled("c", "p", RULES, 0, -1, None)


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = sa.create_engine("sqlite://")
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection


def step(connection: Connection, at: float, size: int, cpu: float | None) -> None:
    """One evaluation, as an engine does it."""
    state = remembered(autoscaling.past(connection, ONE, NOW + at), RULES, NOW + at)
    values = {} if cpu is None else {CPU.key: cpu}
    members = [MemberSample(str(number), ready_since=NOW - 999, values=values) for number in range(size)]
    decision = evaluate(RULES, Situation(now=NOW + at, size=size, members=members), state)
    autoscaling.note(connection, ONE, decision, new_id=f"d{at:06.0f}", action_id=None)


def test_decisions_that_say_the_same_are_one_row(connection: Connection) -> None:
    for number, cpu in enumerate([50.0, 51.0, 52.0, None, None, 50.0, 100.0, 100.0]):
        step(connection, 15.0 * number, 4, cpu)
    rows = connection.execute(sa.select(scaling_decision).order_by(scaling_decision.c.at)).all()
    told = [(row.at - NOW, row.body["since"] - NOW, row.body["times"], row.wanted, row.acted) for row in rows]
    assert told == [
        (30.0, 0.0, 3, 4, False),
        (60.0, 45.0, 2, 4, False),
        (75.0, 75.0, 1, 4, False),
        (90.0, 90.0, 1, 8, True),
        (105.0, 105.0, 1, 8, True),
    ]
    assert rows[0].body["reasons"][0]["data"]["figure"] == 52.0, "the latest of them is told"
    found = autoscaling.find_samples(connection, "c", Stretch(("cpu",), NOW + 30, NOW + 60))
    assert [(one.value, one.counted, one.members) for one in found] == [(208.0, 4, 4), (None, 0, 4), (None, 0, 4)]
    later = autoscaling.find_samples(connection, "c", Stretch(after=(NOW + 60, "cpu"), limit=2))
    assert [one.at - NOW for one in later] == [75.0, 90.0]


def test_the_latest_decision_counts_however_old_it_is(connection: Connection) -> None:
    step(connection, 0.0, 4, 50.0)
    assert len(autoscaling.past(connection, ONE, NOW + 1e6)) == 1


def test_what_members_use_is_written_once_and_then_changed(connection: Connection) -> None:
    columns = {c.name: "" if isinstance(c.type, sa.String | sa.Text) else 0 for c in tables.node.c if not c.nullable}
    columns |= {"metadata": {}, "data": {}, "tainted": False, "ready": False}
    connection.execute(tables.node.insert(), [{**columns, "id": node_id, "cluster_id": "c"} for node_id in "ab"])
    used = Usage(cpu=0.5, memory=100, scraped={"x": 1.0}, sampled_at=NOW)
    autoscaling.write_usage(connection, {"a": used, "gone": used})
    later = Usage(cpu=None, rx_rate=3.0, sampled_at=NOW + 15)
    autoscaling.write_usage(connection, {"a": later, "b": used})
    rows = connection.execute(sa.select(tables.usage).order_by(tables.usage.c.node_id)).all()
    assert [tuple(row) for row in rows] == [
        ("a", None, None, 3.0, None, {}, NOW + 15),
        ("b", 0.5, 100, None, None, {"x": 1.0}, NOW),
    ]
    connection.execute(tables.node.delete().where(tables.node.c.id == "b"))
    scaling_history.prune(connection, NOW, 0, 100)
    assert connection.execute(sa.select(tables.usage.c.node_id)).scalars().all() == ["a"]


def _samples(connection: Connection) -> list[tuple[float, float | None]]:
    return [(row.at, row.value) for row in connection.execute(sa.select(metric).order_by(metric.c.at))]


def _put(connection: Connection, *samples: tuple[float, float | None]) -> None:
    rows = [Sample("cpu", at, value, 2, 4) for at, value in samples]
    connection.execute(
        metric.insert(),
        [
            {"cluster_id": "c", **{f: getattr(r, f) for f in ("name", "at", "value", "counted", "members")}}
            for r in rows
        ],
    )


def test_old_metrics_become_averages_and_then_go(connection: Connection) -> None:
    start = NOW // 300 * 300
    _put(connection, (start, 10.0), (start + 15, 20.0), (start + 30, None), (start + 45, 30.0), (start + 400, 40.0))
    assert scaling_history.prune(connection, start + 86400, 0, 100) == 0, "for a day all are kept"
    assert scaling_history.prune(connection, start + 86400 + 600, 0, 100) == 3
    assert _samples(connection) == [(start, 20.0), (start + 400, 40.0)]
    assert scaling_history.prune(connection, start + 86400 + 600, 0, 100) == 0
    assert scaling_history.prune(connection, start + 14 * 86400, 14 * 86400, 100) == 0
    assert scaling_history.prune(connection, start + 14 * 86400 + 1, 14 * 86400, 100) == 1
    assert scaling_history.prune(connection, start + 1e9, 0, 100) == 0, "0 keeps them for ever"


def test_old_rows_go_a_chunk_at_a_time(connection: Connection) -> None:
    for number in range(10):
        step(connection, 15.0 * number, 4, 50.0 if number % 2 else None)
    left = [_left(connection, 4) for _ in range(4)]
    assert left == [(6, 6), (2, 2), (0, 0), (0, 0)]


def _left(connection: Connection, chunk: int) -> tuple[int, int]:
    scaling_history.prune(connection, NOW + 2e6, 1e6, chunk)
    counts = [
        connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in (metric, scaling_decision)
    ]
    return counts[0], counts[1]
