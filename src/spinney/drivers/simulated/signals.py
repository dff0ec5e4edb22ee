"""Signals by name and number, and what a program does with one that it has not prepared for."""

from __future__ import annotations

NUMBERS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11,
    "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16, "CHLD": 17, "CONT": 18, "STOP": 19, "TSTP": 20,
    "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28, "IO": 29, "PWR": 30,
    "SYS": 31,
}  # fmt: skip
KILL, TERM = NUMBERS["KILL"], NUMBERS["TERM"]
#: Signals that stop, continue or are ignored where nobody handles them: none of them ends a program.
HARMLESS = frozenset(NUMBERS[name] for name in ("CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH"))


def signal_number(signal: str) -> int | None:
    """``TERM``, ``SIGTERM``, ``sigterm`` and ``15`` are one; None: there is no such signal."""
    if signal.isdigit():
        return int(signal) if 1 <= int(signal) <= 64 else None
    return NUMBERS.get(signal.upper().removeprefix("SIG"))
