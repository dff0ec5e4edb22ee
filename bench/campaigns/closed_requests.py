"""A million random container profiles, half of them hostile: is any of the Docker requests they lead to a bad one?

Profiles are those of ``tests/oracle/profiles.py``, the judge is ``tests/oracle/docker_request.py``, which imports nothing of
Spinney's. Bounded by its count; one integer makes a profile again. Takes about a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from oracle.profiles import profile
from oracle.trial import tried

_CHUNK = 5000
_SHOWN = 5


def chunk(first: int, count: int) -> tuple[int, list[str]]:
    """How many of the profiles were taken, and what was bad."""
    taken, bad = 0, []
    for seed in range(first, first + count):
        accepted, found = tried(profile(seed))
        taken += accepted
        bad += [f"seed {seed}: {fault}" for fault in found]
    return taken, bad


def chunks(first: int, count: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + count, _CHUNK):
        yield start, min(_CHUNK, first + count - start)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run campaign closed-requests", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--first-seed", type=int, default=0)
    given = parser.parse_args()
    begun, done, taken = time.monotonic(), 0, 0
    bad: list[str] = []
    with ProcessPoolExecutor() as pool:
        parts = list(chunks(given.first_seed, given.count))
        for (_, size), (accepted, found) in zip(parts, pool.map(chunk, *zip(*parts, strict=True)), strict=True):
            done, taken = done + size, taken + accepted
            bad += found
            print(f"\r{done:,} of {given.count:,} profiles, {taken:,} taken, {len(bad)} bad", end="", flush=True)
    print()
    for fault in bad[:_SHOWN]:
        print(fault)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    seconds = time.monotonic() - begun
    print(
        f"| {commit.strip()} | {given.first_seed} | {done:,} | {taken:,} ({taken / max(done, 1):.0%}) | {len(bad)} | "
        f"{seconds / 60:.0f} min |"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
