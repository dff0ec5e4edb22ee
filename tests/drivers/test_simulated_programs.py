"""What simulated programs do: the small shell, signals, and images that behave."""

from __future__ import annotations

import pytest

from spinney.drivers.simulated.images import Catalogue
from spinney.drivers.simulated.programs import health_test_passes, program_for
from spinney.drivers.simulated.shell import Output, Wait, execute, parse
from spinney.drivers.simulated.signals import signal_number


def run(script: str, steps: int = 6) -> tuple[str, str, list[float | None], int | None]:
    """Standard output, standard error, waits, and the exit code if it ended within so many steps."""
    process, out, waits = execute(parse(script), {"NAME": "value"}), {"stdout": "", "stderr": ""}, []
    try:
        for _ in range(steps):
            step = next(process)
            if isinstance(step, Output):
                out[step.stream] += step.data.decode()
            elif isinstance(step, Wait):
                waits.append(step.seconds)
    except StopIteration as end:
        return out["stdout"], out["stderr"], waits, end.value
    return out["stdout"], out["stderr"], waits, None


@pytest.mark.parametrize(
    ("script", "out", "err", "code"),
    [
        ("echo hi; echo err >&2; exit 3", "hi\n", "err\n", 3),
        ("echo a 1>&2\necho -n b", "b", "a\n", 0),
        ("echo gone >/dev/null 2>&1; echo stays", "stays\n", "", 0),
        ("false && echo no || echo yes", "yes\n", "", 0),
        ("for i in 1 2; do echo $i; done", "1\n2\n", "", 0),
        ("if false; then echo a; else echo ${NAME}; fi", "value\n", "", 0),
        ("if true; then echo a; fi; no-such-program", "a\n", "sh: no-such-program: not found\n", 127),
        ("A=1 exec echo 'x;y'", "x;y\n", "", 0),
        ("sh -c 'exit 7'", "", "", 7),
        ("until true; do echo never; done; false", "", "", 1),
    ],
)
def test_scripts_do_what_a_shell_would(script: str, out: str, err: str, code: int) -> None:
    assert run(script) == (out, err, [], code)


def test_a_loop_without_sleep_takes_time_all_the_same() -> None:
    assert run("while :; do true; done", 3) == ("", "", [0.001] * 3, None)


def test_sleep_adds_up_and_knows_units() -> None:
    assert run("sleep 1 2m; sleep 0.5")[2:] == ([121.0, 0.5], 0)
    assert run("sleep infinity", 1)[2:] == ([None], None)


@pytest.mark.parametrize(
    ("words", "signal", "code"),
    [
        (("sleep", "9"), "TERM", 143),
        (("sh", "-c", "trap '' TERM; sleep 9"), "TERM", None),
        (("sh", "-c", "trap 'exit 5' INT TERM; sleep 9"), "SIGTERM", 5),
        (("sh", "-c", "trap 'echo bye; exit' TERM; sleep 9"), "15", 0),
        (("sh", "-c", "trap '' TERM KILL; sleep 9"), "KILL", 137),
        (("serve",), "WINCH", None),
    ],
)
def test_signals_end_what_does_not_handle_them(words: tuple[str, ...], signal: str, code: int | None) -> None:
    number = signal_number(signal)
    assert number is not None
    assert program_for("app", None, words).on_signal(number) == code


def test_nonsense_is_no_signal() -> None:
    assert [signal_number(text) for text in ("NONSENSE", "0", "65", "")] == [None] * 4


def test_images_behave_as_their_names_say() -> None:
    assert not program_for("busybox", None, ("nginx",)).found
    assert program_for("web", None, ("nginx",)).found
    assert program_for("sim/stubborn", None, None).on_signal(15) is None
    assert program_for("sim/unhealthy", None, None).always_unhealthy
    assert program_for("sim/exit:4", None, None).script is not None


@pytest.mark.parametrize("image", ["sim/exit:3", "sim/exit-after:20", "sim/web:v2_after-1.5_dies-20"])
def test_images_behave_alike_by_tag_and_by_digest(image: str) -> None:
    images = Catalogue()
    (digest,) = images.digests(image, images.pull(image))
    assert "@sha256:" in digest and program_for(digest, None, None) == program_for(image, None, None)
    images.publish(image)
    (later,) = images.digests(image, images.pull(image))
    assert later != digest and program_for(later, None, None) == program_for(image, None, None)


@pytest.mark.parametrize(
    ("test", "passes"),
    [
        (("CMD", "true"), True),
        (("CMD", "false"), False),
        (("CMD", "probe"), True),
        (("CMD-SHELL", "sleep 1; exit 0"), True),
        (("CMD-SHELL", "sleep 1; exit 1"), False),
        (("CMD-SHELL", "sleep 9"), False),
    ],
)
def test_health_checks_pass_as_their_commands_do_in_time(test: tuple[str, ...], passes: bool) -> None:
    assert health_test_passes(test, 5.0) is passes
