"""``python -m demo up|down|engine FOLDER``: what ``./run`` calls."""

from __future__ import annotations

import sys
from pathlib import Path

from demo import down, engine, tour
from demo.notes import Trouble, load


def main(arguments: list[str]) -> int:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what commands print comes in between
    command, folder = arguments
    root = Path(folder).absolute()
    try:
        match command:
            case "up":
                tour.run(root)
            case "down":
                down.run(root)
            case "engine":
                print(engine.find(load(root)))
    except Trouble as trouble:
        print(f"\nrun: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. ./run demo goes on from here, ./run demo-down removes it all.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
