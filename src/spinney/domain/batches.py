"""A cluster's members cut into batches, to be updated one batch after the other: pure."""

from __future__ import annotations

from collections.abc import Sequence

from spinney.domain.member import Member
from spinney.domain.victims import bad_first


def batch_size(members: int, min_in_service: int, max_batch_size: int) -> int:
    """``max_batch_size`` -1: no limit of its own. With no more members than are to stay in service, half of them."""
    free = members - min_in_service if members > min_in_service else -(-members // 2)
    return min(free, max_batch_size) if max_batch_size >= 0 else free


def batches(members: Sequence[Member], min_in_service: int, max_batch_size: int) -> list[list[str]]:
    """The ids of all members, the broken ones first; no members, no batches."""
    if not members:
        return []
    ordered = [member.id for member in bad_first(members)]
    size = batch_size(len(ordered), min_in_service, max_batch_size)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]
