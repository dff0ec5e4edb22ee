"""One verb on several objects: all are asked for first, then all are waited for, and the worst outcome is the exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from spinney.cli import output
from spinney.cli.command import Use
from spinney.cli.faults import EXIT_FAILED, CliError, Refused
from spinney.cli.lazy import complain
from spinney.cli.progress import await_goal, failure, interrupted
from spinney.cli.text import duration, harmless
from spinney.cli.transport import Service
from spinney.cli.waiting import Goal, Scene

#: Finds the object, asks for the work, and gives the id of both the object and the action.
Begin = Callable[[str], tuple[str, str | None]]
Look = Callable[[Service, str, str | None], Callable[[], Scene]]


@dataclass(frozen=True, slots=True)
class Begun:
    word: str
    id: str
    action: str | None


def for_each(use: Use, words: Sequence[str], noun: str, verb: str, begin: Begin, look: Look, goal: Goal) -> None:
    begun: list[Begun] = []
    codes: list[int] = []
    for word in words:
        try:
            begun.append(Begun(word, *begin(word)))
        except Refused as error:
            if len(words) == 1:
                raise
            complain(f"{word}: {error.message}")
            codes.append(error.exit_code)
    if use.wait:
        codes += _wait_for_all(use, begun, look, goal)
    _report(use, begun, noun, verb)
    if codes:
        # A failure tells more than a time-out, and both more than a refusal.
        raise _Ended(EXIT_FAILED if EXIT_FAILED in codes else max(codes))


class _Ended(CliError):
    """Everything has been said already."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("", exit_code)


def _wait_for_all(use: Use, begun: Sequence[Begun], look: Look, goal: Goal) -> list[int]:
    codes = []
    started = monotonic()
    for number, one in enumerate(begun, 1):
        left = replace(use, timeout=max(use.timeout - (monotonic() - started), 0.0))
        try:
            outcome = await_goal(left, one.word, look(use.service, one.id, one.action), goal)
        except KeyboardInterrupt:
            for other in begun[number:]:
                output.note(interrupted(other.word, other.action or ""))
            raise
        fault = failure(one.word, outcome)
        if fault is None:
            output.note(f"{one.word}: {outcome.verdict.says}, done in {duration(outcome.elapsed)}")
        else:
            complain(fault.message)
            codes.append(fault.exit_code)
    return codes


def _report(use: Use, begun: Sequence[Begun], noun: str, verb: str) -> None:
    if use.form is output.Format.NAME:
        for one in begun:
            output.emit(one.word)
    elif use.form is not output.Format.TABLE:
        output.dump([{noun: one.id, "action": one.action} for one in begun], use.form)
    elif not use.wait:
        for one in begun:
            say_requested(one.word, verb, one.action)


def say_requested(word: str, verb: str, action: str | None) -> None:
    following = f": follow it with `spinney action show {action}`, or add --wait next time" if action else ""
    output.emit(harmless(f"{word}: {verb} requested{following}"))


def requested(use: Use, word: str, verb: str, action: str | None, current: output.Row, times: Sequence[str]) -> None:
    """A change that has only begun: people are not shown the object, which is still as it was."""
    if use.form is output.Format.TABLE:
        say_requested(word, verb, action)
    else:
        output.show_object(current, use.form, times)
