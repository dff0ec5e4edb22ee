"""What ends a command early: one plain sentence and an exit code, never a traceback.

Exit codes: 0 done or reached, 1 wrong use or no connection or refused by the service, 2 waited for and failed,
3 waited for and not reached in time.
"""

from __future__ import annotations

EXIT_REFUSED = 1
EXIT_FAILED = 2
EXIT_TIMED_OUT = 3


class CliError(Exception):
    """Ends the command; its message is shown to the user as it is."""

    def __init__(self, message: str, exit_code: int = EXIT_REFUSED) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


class Unreachable(CliError):
    """Nobody answered, or not to the end; the same request may work later."""


class BrokenOff(Unreachable):
    """The request was sent and may have been carried out, but the connection was lost before the answer."""


class Refused(CliError):
    """The service answered, and the answer was no."""

    def __init__(self, message: str, status: int, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
