"""Curves as characters and as SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from spinney.cli.curves import Curve, Panel, number, plain, span, svg


def panel(*values: float | None, ideal: list[float | None] | None = None, marks: tuple[int, ...] = ()) -> Panel:
    curves = [Curve("ready", values, filled=True)]
    return Panel("members", curves if ideal is None else [*curves, Curve("ideal <", ideal, tone=1)], marks)


def test_each_value_is_a_bar_as_high_as_it_is() -> None:
    lines = plain(panel(0, 2, 4), width=20, height=4)
    assert lines == [
        "members",
        "       4 │  █",
        "         │  █",
        "       2 │ ██",
        "         │ ██",
        "       0 └───",
    ]


def test_the_ideal_is_a_dot_and_a_change_a_mark_on_the_axis() -> None:
    lines = plain(panel(1, 1, 1, ideal=[1, 2, 2], marks=(1,)), width=20, height=2)
    assert lines[1:] == ["       2 │ ••", "       1 │•██", "       0 └─┴─"]


def test_what_is_unknown_is_shown_as_that() -> None:
    assert plain(panel(1, None, 1), width=20, height=1)[1] == "       1 │█?█"


def test_no_peak_is_lost_where_there_are_more_values_than_columns() -> None:
    values = [1.0] * 500
    values[317] = 8.0
    lines = plain(panel(*values), width=40, height=8)
    assert lines[1].count("█") == 1 and all(len(line) <= 41 for line in lines)


@pytest.mark.parametrize(
    "value, told", [(0, "0"), (0.25, "0.25"), (800, "800"), (15_000, "15k"), (2.5e6, "2.5M"), (3e9, "3G")]
)
def test_numbers_are_short(value: float, told: str) -> None:
    assert number(value) == told


@pytest.mark.parametrize("seconds, told", [(5, "5 s"), (90, "1.5 min"), (7200, "2 h"), (172800, "2 d")])
def test_spans_are_short(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_the_picture_is_a_document_of_its_own_with_a_path_for_each_known_stretch() -> None:
    drawn = svg("A <title>", ["one & two"], [panel(1, None, 3, ideal=[1, 2, 3], marks=(2,))], 90.0)
    root = ElementTree.fromstring(drawn)
    texts = ["".join(found.itertext()) for found in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "A <title>" in texts and "one & two" in texts and "ideal <" in texts
    areas = [p for p in root.iter("{http://www.w3.org/2000/svg}path") if "area" in (p.get("class") or "")]
    assert len(areas) == 2
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("most, labels", [(3, "0 1 2 3 4"), (6, "0 2 4 6 8"), (9, "0 3 6 9 12")])
def test_members_are_counted_in_whole_numbers_at_the_axis(most: int, labels: str) -> None:
    drawn = svg("t", [], [panel(1, 2, most)], 60.0)
    assert re.findall(r'text-anchor="end">([^<]+)<', drawn)[:5] == labels.split()
