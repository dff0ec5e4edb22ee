"""Tables on a terminal: what is left out, what is cut, and what bars show."""

from __future__ import annotations

import io
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spinney.cli import host_view, output
from spinney.cli.output import Column, Format, fitting
from spinney.cli.text import twin_bar

GIB = 1024**3
NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int, rows: list[Any], columns: tuple[Column, ...]) -> list[str]:
    screen = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", screen)
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm")
        output.show_list(rows, columns, Format.TABLE, "none")
    return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()).splitlines()


@pytest.mark.parametrize(
    ("width", "kept", "room"),
    [(200, [0, 1, 2, 3], 180), (60, [0, 1, 2, 3], 40), (39, [0, 1, 3], 25), (30, [0, 3], 22), (9, [0, 3], 20)],
)
def test_columns_go_by_how_well_they_can_be_spared_and_the_long_one_gets_the_rest(
    width: int, kept: list[int], room: int
) -> None:
    columns = (Column("A", "a"), Column("B", "b", spare=1), Column("C", "c", spare=2), Column("R", "r", cut=True))
    assert fitting(columns, [6, 4, 4, 450], width) == (kept, room)


def test_a_long_reason_is_one_line_on_a_terminal_and_whole_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = (Column("NAME", "name"), output.reason_of("status", "ACTIVE"))
    rows = [{"name": "web-1", "status": "ERROR", "status_reason": "long " * 90}, {"name": "web-2", "status": "ACTIVE"}]
    lines = on_terminal(monkeypatch, 60, rows, columns)
    assert len(lines) == 3 and max(map(len, lines)) <= 60
    assert lines[1].rstrip().endswith("…")
    output.show_list(rows, columns, Format.TABLE, "none")
    assert " ".join(["long"] * 90) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("above", "below", "whole", "drawn"),
    [
        (5, 2, 10, "██▀▀▀░░░░░"),
        (2, 5, 10, "██▄▄▄░░░░░"),
        (5, None, 10, "▀▀▀▀▀·····"),
        (None, 5, 10, "▄▄▄▄▄·····"),
        (0, 0, 10, "░░░░░░░░░░"),
        (12, 10, 10, "██████████"),
        (None, None, 10, "··········"),
        (5, 5, None, "··········"),
    ],
)
def test_one_bar_shows_two_amounts_and_what_is_unknown(above: Any, below: Any, whole: Any, drawn: str) -> None:
    assert twin_bar(above, below, whole) == drawn


def host(age: float | None, **more: Any) -> dict[str, Any]:
    sampled = None if age is None else (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    return {
        "name": "h", "id": "12345678-1", "state": "ready", "zone": "a", "containers": 3,
        "engine": {"version": "20.10.24"}, "capacity": {"cpu": 8.0, "memory": 16 * GIB, "disk": None},
        "reserved": {"cpu": 4.0, "memory": 8 * GIB, "disk": None},
        "used": {"cpu": 2.0, "memory": 4 * GIB, "disk": GIB, "sampled_at": sampled}, **more,
    }  # fmt: skip


def test_a_host_is_a_picture_on_a_terminal_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = on_terminal(monkeypatch, 160, [host(1)], host_view.COLUMNS)
    assert "20.10.24" in wide[1] and "██▀▀▀░░░░░" in wide[1]
    narrow = on_terminal(monkeypatch, 80, [host(1)], host_view.COLUMNS)
    assert "20.10.24" not in narrow[1] and "▀" in narrow[1]
    least = on_terminal(monkeypatch, 50, [host(1)], host_view.COLUMNS)
    assert "4/8" in least[1] and "▀" not in least[1]


def test_a_stale_sample_is_told_and_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, stale = (on_terminal(monkeypatch, 160, [host(age)], host_view.COLUMNS) for age in (1, 300))
    assert "SAMPLED" not in fresh[0] and "█" in fresh[1]
    assert "SAMPLED" in stale[0] and "5m" in stale[1] and "█" not in stale[1] and "▀▀▀▀▀·····" in stale[1]


def test_use_that_was_never_measured_is_a_dash_not_zero() -> None:
    fields = dict(host_view.fields(host(None, used={"cpu": None}), NOW))
    assert "4 reserved, - used of 8 (50% reserved, - used)" in fields["cpu"]
    assert fields["disk"] == "- used of -"
    assert fields["sampled_at"].startswith("never")


def test_a_host_names_the_containers_on_it_and_those_that_are_not_well() -> None:
    nodes = [{"name": "web-1", "status": "ACTIVE"}, {"name": "web-2", "status": "ERROR"}]
    assert dict(host_view.fields(host(1, nodes=nodes), NOW))["nodes"] == ["web-1", "web-2 (ERROR)"]
