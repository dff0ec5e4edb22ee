"""Members divided among groups by weight, as a cluster grows and shrinks: pure arithmetic.

A group's quota is its weight's part of the members there will be: rounded up while growing, down while shrinking. Guaranteed:
no group is given more than its quota, or left with less than it; the parts and the rest add up to the count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spinney.domain.placement.rules import Share


def grow(shares: Sequence[Share], present: Mapping[str, int], total: int, count: int) -> tuple[dict[str, int], int]:
    """How many of ``count`` new members each group gets, and how many find no group. ``total``: members afterwards."""
    weights = sum(share.weight for share in shares)
    parts: dict[str, int] = {}
    for share in sorted(shares, key=lambda one: -one.weight):
        quota = -(-total * share.weight // weights)
        if share.cap >= 0:
            quota = min(quota, share.cap)
        part = min(quota - present.get(share.name, 0), count)
        if part > 0:
            parts[share.name] = part
            count -= part
    return parts, count


def shrink(shares: Sequence[Share], present: Mapping[str, int], total: int, count: int) -> tuple[dict[str, int], int]:
    """How many of ``count`` leaving members each group gives, 0 included, and how many no group has to give."""
    weights = sum(share.weight for share in shares)
    parts: dict[str, int] = {}
    for share in sorted(shares, key=lambda one: one.weight):
        spare = present.get(share.name, 0) - total * share.weight // weights
        parts[share.name] = max(min(spare, count), 0)
        count -= parts[share.name]
    return parts, count
