"""Which images leave a host whose disk fills up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.images import Disk, HostImage, choose, familiar

_GB = 10**9
_DIGEST = "sha256:" + "a" * 64


def _disk(used: int, high: float = 0.85, low: float = 0.75) -> Disk:
    return Disk(used * _GB, 100 * _GB, high, low)


def _image(name: str, size: int = 6, *more: str) -> HostImage:
    return HostImage(f"sha256:{name}", (f"{name}:1", *more), (f"{name}@{_DIGEST}",), size * _GB)


def _chosen(
    disk: Disk, ours: dict[str, float], present: list[HostImage], used: str = "", needed: str = ""
) -> list[str]:
    return [image.tags[0] for image in choose(disk, ours, present, used.split(), needed.split())]


@pytest.mark.parametrize(
    ("reference", "known_as"),
    [
        ("busybox", "busybox:latest"),
        ("docker.io/library/busybox:1.36", "busybox:1.36"),
        ("index.docker.io/team/app", "team/app:latest"),
        ("registry:5000/app", "registry:5000/app:latest"),
        (f"registry:5000/app:1@{_DIGEST}", f"registry:5000/app@{_DIGEST}"),
    ],
)
def test_references_are_compared_as_docker_engines_list_them(reference: str, known_as: str) -> None:
    assert familiar(reference) == known_as == familiar(known_as)


def test_the_least_recently_used_go_until_the_low_watermark() -> None:
    present = [_image("a"), _image("b"), _image("c")]
    ours = {"a:1": 3.0, "b:1": 1.0, "c:1": 2.0}
    assert _chosen(_disk(86), ours, present) == ["b:1", "c:1"]
    assert _chosen(_disk(84), ours, present) == [], "between the watermarks nothing begins"
    assert _chosen(_disk(99, high=0), ours, present) == [], "switched off"


def test_what_is_used_or_needed_or_not_ours_stays() -> None:
    present = [_image("a"), _image("b"), _image("c"), _image("d"), _image("theirs"), _image("e", 6, "their/tag:1")]
    ours = {f"{name}:1": 1.0 for name in "abcde"}
    assert _chosen(_disk(99), ours, present, "docker.io/a:1 sha256:b", "c:1") == ["d:1"]
    assert _chosen(_disk(99), ours, present, "", f"a@{_DIGEST}") == ["b:1", "c:1", "d:1"]


_NAMES = st.sampled_from("abcdefgh")


@given(
    st.integers(1, 100),
    st.lists(st.tuples(_NAMES, st.integers(1, 20)), max_size=8, unique_by=lambda pair: pair[0]),
    st.dictionaries(_NAMES, st.floats(0, 100)),
    st.sets(_NAMES),
    st.sets(_NAMES),
)
def test_never_more_than_needed_and_never_what_somebody_needs(
    used: int, images: list[tuple[str, int]], ours: dict[str, float], running: set[str], pinned: set[str]
) -> None:
    disk = _disk(used)
    present = [_image(name, size) for name, size in images]
    chosen = choose(
        disk, {f"{n}:1": at for n, at in ours.items()}, present, [f"{n}:1" for n in running], [f"{n}:1" for n in pinned]
    )
    names = [image.tags[0][0] for image in chosen]
    assert set(names) <= ours.keys() - running - pinned
    assert not chosen or disk.full
    assert sum(image.size for image in chosen[:-1]) < max(disk.surplus, 1), "the last one was still needed"
    assert [ours[name] for name in names] == sorted(ours[name] for name in names)
