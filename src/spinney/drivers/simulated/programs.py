"""What the program in a simulated container does: how long it runs, what it prints, how it ends, how it takes signals.

Decided by image and command alone, so that a specification can ask for any behaviour, and alike whether the image is named by
its tag or by its digest (see ``digests``):

* image ``sim/exit:N`` ends at once with code N; ``sim/exit-after:S`` ends with 1 after S seconds; ``sim/stubborn`` ignores the
  stop signal; ``sim/unhealthy`` fails every health check; ``sim/oom`` is killed for want of memory; ``sim/web`` serves a port
  (see ``services``);
* a command whose program is in ``shell.APPLETS`` does what that program does (``sleep 5``, ``sh -c "echo hi; exit 3"``);
* ``busybox`` and ``alpine`` have those programs and no others; other images have whatever is asked of them, except programs
  whose last path component begins with ``no-such``, ``missing`` or ``nonexistent``;
* everything else runs for ever, prints nothing, and ends from the stop signal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from spinney.drivers.simulated.digests import tagged
from spinney.drivers.simulated.services import Service, declared
from spinney.drivers.simulated.shell import (
    APPLETS,
    Ask,
    OutOfMemory,
    Output,
    Process,
    Read,
    Script,
    Wait,
    command,
    execute,
    interactive,
    parse,
    traps,
)
from spinney.drivers.simulated.signals import HARMLESS, KILL, TERM

__all__ = [
    "Ask",
    "OutOfMemory",
    "Output",
    "Process",
    "Program",
    "Read",
    "Wait",
    "execute",
    "health_test_passes",
    "program_for",
    "run_in",
]

_ABSENT = re.compile(r"(?:^|/)(?:no-such|missing|nonexistent)[^/]*$")
_SMALL_IMAGES = frozenset({"busybox", "alpine"})
_SHELLS = frozenset({"sh", "ash", "bash"})


@dataclass(frozen=True, slots=True)
class Program:
    name: str = "app"
    found: bool = True
    script: Script | None = None  # None: runs for ever and prints nothing
    signals: Mapping[int, int | None] = field(default_factory=dict)
    always_unhealthy: bool = False
    services: tuple[Service, ...] = ()

    def on_signal(self, number: int) -> int | None:
        """The exit code that the signal leads to; None: it goes on."""
        if number != KILL and number in self.signals:
            return self.signals[number]
        return None if number in HARMLESS else 128 + number


@lru_cache(maxsize=4096)
def program_for(image: str, entrypoint: tuple[str, ...] | None, words: tuple[str, ...] | None) -> Program:
    repository, _, tag = tagged(image.removeprefix("docker.io/").removeprefix("library/")).partition(":")
    if repository.startswith("sim/web"):
        return _serving(repository + ":" * bool(tag) + tag)
    if repository.startswith("sim/"):
        return _simulated(repository.removeprefix("sim/"), tag)
    argv = (entrypoint or ()) + (words or ())
    if not argv:
        return Program("sh", script=()) if repository in _SMALL_IMAGES else Program()
    name = argv[0].rpartition("/")[2]
    if _ABSENT.search(argv[0]) or (repository in _SMALL_IMAGES and name not in APPLETS):
        return Program(argv[0], found=False)
    if name in _SHELLS and "-c" in argv:
        text = argv[argv.index("-c") + 1]
        return Program(argv[0], script=parse(text), signals=traps(text))
    if name in APPLETS or name == "exit":
        return Program(argv[0], script=command(argv))
    return Program(argv[0])


def run_in(image: str, words: tuple[str, ...], environment: Mapping[str, str]) -> Process | None:
    """A further program in a container of the image; None: the image has none of that name."""
    small = "busybox" if "sim/" in image else image
    program = program_for(small, None, words)
    if not program.found:
        return None
    if program.name.rpartition("/")[2] in _SHELLS and "-c" not in words:
        return interactive(environment)
    return execute(program.script if program.script is not None else parse("sleep infinity"), environment)


def _simulated(kind: str, tag: str) -> Program:
    number = tag if tag.isdigit() else "1"
    if kind == "exit":
        return Program(script=command(("exit", number)))
    if kind == "exit-after":
        return Program(script=parse(f"sleep {number}; exit 1"))
    if kind == "oom":
        return Program(script=command(("tail", "/dev/zero")))
    if kind == "stubborn":
        return Program(signals={TERM: None})
    return Program(always_unhealthy=kind == "unhealthy")


def _serving(image: str) -> Program:
    service, end = declared(image)
    return Program(script=None if end is None else parse(f"sleep {end}; exit 1"), services=(service,))


@lru_cache(maxsize=1024)
def health_test_passes(test: tuple[str, ...], timeout: float = 30.0) -> bool:
    """Whether a health check succeeds: its command ends with 0 in time. A program that is not known passes."""
    words = test[1:]
    if test[:1] == ("CMD-SHELL",):
        words = ("sh", "-c", *words)
    program = program_for("app", None, words)
    if not program.found or program.script is None:
        return program.found
    process, passed = execute(program.script, {}), 0.0
    try:
        while passed <= timeout:
            step = next(process)
            if isinstance(step, Wait):
                passed += float("inf") if step.seconds is None else step.seconds
    except StopIteration as end:
        return not end.value
    return False
