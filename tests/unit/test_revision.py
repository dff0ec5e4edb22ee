"""Which revision a rollback means, and which are forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from spinney.domain.revision import Revision, earlier, expendable


def revisions(reached: str) -> list[Revision]:
    """Numbered from 1; ``+``: reached, ``-``: not."""
    return [
        Revision(cluster_id="c", number=number, profile_id=f"p{number}", reached_at=1.0 if mark == "+" else None)
        for number, mark in enumerate(reached, start=1)
    ]


@pytest.mark.parametrize(
    ("reached", "current", "strays", "number"),
    [
        ("++", 2, False, 1),
        ("++-", 2, False, 1),  # rolled back by itself: nothing of 3 is left
        ("++-", 2, True, 2),  # stopped in the middle: 2 is what all were made from before
        ("+-+", 3, False, 1),
        ("+", 1, False, None),
        ("+-", 1, False, None),
        ("+-", 1, True, 1),
        ("", 0, True, None),
    ],
)
def test_the_one_before(reached: str, current: int, strays: bool, number: int | None) -> None:
    found = earlier(revisions(reached), current, strays=strays)
    assert (found and found.number) == number


@pytest.mark.parametrize(
    ("reached", "current", "keep", "gone"),
    [
        ("+++++", 5, 3, [1, 2]),
        ("+++++", 5, 5, []),
        ("+++++", 1, 3, [2]),  # the present one stays, however old
        ("+--+---", 4, 2, [2, 3, 5]),  # failures push out no revision that was reached
    ],
)
def test_the_old_are_forgotten(reached: str, current: int, keep: int, gone: Sequence[int]) -> None:
    assert expendable(revisions(reached), current, keep) == gone
