"""What is shown while waiting, and how waiting ends.

On a terminal one live line with the members, what failed and the time gone; elsewhere a plain line whenever something
changed. All of it goes to standard error, so that standard output holds the result alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from spinney.cli.command import Use
from spinney.cli.faults import EXIT_FAILED, EXIT_TIMED_OUT, CliError
from spinney.cli.output import note
from spinney.cli.text import bar, duration, harmless, one_line
from spinney.cli.waiting import Goal, News, Outcome, Scene, State, describe, reasons, wait_for

if TYPE_CHECKING:
    from rich.text import Text

#: Of an id, what tables show.
SHORT_ID = 8
#: The spinner and the space after it.
SPINNER_WIDTH = 2


class PlainProgress:
    def __init__(self, name: str) -> None:
        self._name = name
        self._last = ("", "")
        self._news = News()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, scene: Scene, says: str, elapsed: float) -> None:
        now = (says, self._news.newest(scene))
        if now != self._last:
            self._last = now
            note(progress_line(f"{self._name}:", *now, elapsed))


class LiveProgress:
    """A spinner that keeps turning between two looks, from rich's own thread."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._name = name
        self._news = News()
        self._spinner = Spinner("dots", text=harmless(name))
        self._console = Console(stderr=True)
        self._live = Live(self._spinner, console=self._console, transient=True, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, scene: Scene, says: str, elapsed: float) -> None:
        news = self._news.newest(scene)
        self._spinner.update(
            text=live_text(self._name, scene, says, news, elapsed, self._console.width - SPINNER_WIDTH)
        )


def live_text(name: str, scene: Scene, says: str, news: str, elapsed: float, width: int) -> Text:
    """One line, and below it one for each reason why members failed; none is longer than the width."""
    from rich.text import Text

    drawn = f"{name} {bar(scene.active, scene.desired)}" if scene.desired else name
    told_below = any(member.get("status_reason") == news for member in scene.failing)
    lines = [Text(progress_line(drawn, says, "" if told_below else news, elapsed))]
    lines += [Text(f"  {one_line(failed)}", style="red") for failed in reasons(scene.failing, most=3)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def progress_line(begins: str, says: str, news: str, elapsed: float) -> str:
    return one_line(f"{begins} {says} ({duration(elapsed)}){f': {news}' if news else ''}")


def progress_for(name: str) -> PlainProgress | LiveProgress:
    return LiveProgress(name) if sys.stderr.isatty() else PlainProgress(name)


def await_goal(use: Use, name: str, look: Callable[[], Scene], goal: Goal) -> Outcome:
    last = Scene(None)

    def remembering() -> Scene:
        nonlocal last
        last = look()
        return last

    try:
        with progress_for(name) as progress:
            return wait_for(remembering, goal, use.timeout, progress)
    except KeyboardInterrupt:
        note(
            interrupted(name, str((last.action or {}).get("id") or "") if last.working or last.action is None else None)
        )
        raise


def interrupted(name: str, action: str | None) -> str:
    """What becomes of what is not waited for any more. ``action``: empty where it is not known, None where it has ended."""
    if action is None:
        return f"{name}: no longer waited for; its action has ended"
    began = f"{name}: no longer waited for; what was ordered goes on: "
    if not action:
        return f"{began}`spinney action list` shows it, and `spinney action cancel ID` cancels it"
    short = action[:SHORT_ID]
    return f"{began}follow it with `spinney action show {short}`, cancel it with `spinney action cancel {short}`"


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
