"""Paths into JSON values."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.jsonpath import matches, parse

VALUE = {"a": {"b": [1, {"c": 2}, {"c": 3}]}, "odd key": {"x.y": 4}, "none": None}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b[0]", [1]),
        ("$.a.b[-1].c", [3]),
        ("$['a']['b'][1][\"c\"]", [2]),
        ("a.b[*].c", [2, 3]),
        ("a.*[0]", [1]),
        ("$['odd key']['x.y']", [4]),
        ("none", [None]),
        ("a.b[9]", []),
        ("a.x.y", []),
        ("a.b.c", []),
        ("$", [VALUE]),
    ],
)
def test_what_a_path_finds(path: str, found: list[Any]) -> None:
    assert list(matches(VALUE, parse(path))) == found


@pytest.mark.parametrize("path", ["a..b", "a[?(@.b)]", "a[0:2]", "a.", "[", "a b", "a" + "[0]" * 99])
def test_what_is_not_understood_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        parse(path)
