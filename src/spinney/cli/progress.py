"""What is shown while waiting, and how waiting ends.

On a terminal one live line with the members, what failed and the time gone; elsewhere a plain line whenever something
changed. All of it goes to standard error, so that standard output holds the result alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from spinney.cli.command import Use
from spinney.cli.faults import EXIT_FAILED, EXIT_TIMED_OUT, CliError
from spinney.cli.output import note
from spinney.cli.text import bar, duration, harmless
from spinney.cli.waiting import Goal, Outcome, Scene, State, describe, reasons, wait_for


class PlainProgress:
    def __init__(self, name: str) -> None:
        self._name = name
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, scene: Scene, says: str, elapsed: float) -> None:
        if says != self._last:
            self._last = says
            note(f"{self._name}: {says} ({duration(elapsed)})")


class LiveProgress:
    """A spinner that keeps turning between two looks, from rich's own thread."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._name = name
        self._spinner = Spinner("dots", text=harmless(name))
        self._live = Live(self._spinner, console=Console(stderr=True), transient=True, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, scene: Scene, says: str, elapsed: float) -> None:
        from rich.text import Text

        line = Text(live_line(self._name, scene, says, elapsed), no_wrap=True, overflow="ellipsis")
        for failed in reasons(scene.failing, most=3):
            line.append(f"\n  {harmless(failed)}", style="red")
        self._spinner.update(text=line)


def live_line(name: str, scene: Scene, says: str, elapsed: float) -> str:
    drawn = f" {bar(scene.active, scene.desired)}" if scene.desired else ""
    return harmless(f"{name}{drawn} {says} ({duration(elapsed)})")


def progress_for(name: str) -> PlainProgress | LiveProgress:
    return LiveProgress(name) if sys.stderr.isatty() else PlainProgress(name)


def await_goal(use: Use, name: str, look: Callable[[], Scene], goal: Goal) -> Outcome:
    with progress_for(name) as progress:
        return wait_for(look, goal, use.timeout, progress)


def failure(name: str, outcome: Outcome) -> CliError | None:
    """What to end with, None when the goal was reached."""
    if outcome.verdict.state is State.REACHED:
        return None
    if outcome.verdict.state is State.FAILED:
        first, code = f"{name}: failed after {duration(outcome.elapsed)}: {outcome.verdict.says}", EXIT_FAILED
    else:
        now = outcome.verdict.says or describe(outcome.scene)
        first = f"{name}: not reached within {duration(outcome.elapsed)}, work on it goes on; last seen: {now}"
        code = EXIT_TIMED_OUT
    return CliError("\n  ".join([first, *reasons(outcome.scene.missing)]), code)


def finish(
    use: Use, name: str, look: Callable[[], Scene], goal: Goal, show: Callable[[Any], None] | None = None
) -> None:
    """Wait, show what is there at the end, and exit truthfully."""
    outcome = await_goal(use, name, look, goal)
    fault = failure(name, outcome)
    if fault is None:
        note(f"{name}: {outcome.verdict.says}, done in {duration(outcome.elapsed)}")
    if show is not None and outcome.scene.subject is not None:
        show(outcome.scene.subject)
    if fault is not None:
        raise fault
