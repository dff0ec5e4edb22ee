"""Kill an engine at each of its steps, in each story of ``tests/engine/test_kill_at_every_step.py``; the world ends the same.

The two tiers of tests kill at some of the steps. Needs nothing but Python: hosts are simulated, and so is time.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from engine.test_kill_at_every_step import STORIES, test_the_world_ends_the_same_wherever_the_engine_dies


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("stories", nargs="*", help="only these (default: all)")
    parser.add_argument("--stride", type=int, default=1, help="kill at each step of so many")
    given = parser.parse_args()
    unknown = [name for name in given.stories if name not in STORIES]
    if unknown:
        parser.error(f"there is no story {unknown[0]!r}; there are: {', '.join(STORIES)}")
    failed = 0
    for name in given.stories or STORIES:
        began = time.monotonic()
        try:
            test_the_world_ends_the_same_wherever_the_engine_dies(name, given.stride)
            said = "the same wherever it dies"
        except AssertionError as error:
            failed += 1
            said = str(error)
        print(f"{name:34} {time.monotonic() - began:6.0f} s  {said}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
