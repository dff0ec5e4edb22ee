"""Names of nodes out of a cluster's template."""

from __future__ import annotations

import re

import pytest

from spinney.clock import Ids
from spinney.domain.naming import DEFAULT_FORMAT, expand, format_fault, node_name


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        ("web-$3I", "web-007"),
        ("web-$I", "web-7"),
        ("$5R", "[A-Za-z][A-Za-z0-9]{4}"),
        ("$r", "[a-z][a-z0-9]{7}"),
        ("a-$2r-$I", "a-[a-z][a-z0-9]-7"),
        ("$0R", ""),
        ("cost$", r"cost\$"),
    ],
)
def test_expand(template: str, pattern: str) -> None:
    assert re.fullmatch(pattern, expand(template, 7, Ids(1).token))


def test_the_default_format_is_used_without_one_of_its_own() -> None:
    assert re.fullmatch("node-[A-Za-z][A-Za-z0-9]{7}", node_name({}, 1, Ids(1).token))
    assert node_name({"node.name.format": "n$I"}, 4, Ids(1).token) == "n4"


@pytest.mark.parametrize("template", ["", 3, "with blank", "$999R", "$0R", "x" * 250])
def test_formats_that_make_no_name(template: object) -> None:
    assert format_fault(template)


def test_formats_that_do() -> None:
    assert format_fault(DEFAULT_FORMAT) is None
    assert format_fault("web-$3I") is None
