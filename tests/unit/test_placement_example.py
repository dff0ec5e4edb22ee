"""The worked example of the documentation is what the scheduler says today."""

from __future__ import annotations

from pathlib import Path

import placement_explained

PAGE = Path(__file__).parents[2] / "docs" / "design" / "placement.md"


def test_the_example_in_the_documentation_is_what_is_printed() -> None:
    assert "```text\n" + "\n".join(placement_explained.lines()).rstrip() + "\n```" in PAGE.read_text()
