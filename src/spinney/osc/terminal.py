"""``openstack cluster node exec``: a command in a container, with this terminal as its own.

The service gives leave over its API, and the session itself is a WebSocket: frames of ``spinney.exec.v1``, whose first byte
says what the rest is. The command's exit code becomes the exit code here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import ssl
import sys
import termios
import threading
import tty
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from osc_lib.exceptions import CommandError
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from spinney.osc.families import Base
from spinney.osc.parsing import flag, given, mapping, switch, word

_SUBPROTOCOL = Subprotocol("spinney.exec.v1")
_INPUT, _OUTPUT, _ERROR, _CONTROL = range(4)
_PIECE = 1 << 15


class ExecuteInNode(Base):
    """Run a command in a node's container."""

    flags = (
        switch("--tty", "Give it a terminal, for shells and what draws on the screen."),
        flag("--user", help="Whom to run it as, as Docker takes it."),
        flag("--env", metavar="<key=value>", action="append", help="A variable for it; may be given several times."),
        word("node", "Name or ID."),
        word("command", "The command and its arguments, best after --.", nargs=argparse.REMAINDER),
    )

    def take_action(self, parsed_args: Namespace) -> int:
        command = parsed_args.command[1:] if parsed_args.command[:1] == ["--"] else parsed_args.command
        if not command:
            raise CommandError("Say what to run: openstack cluster node exec NODE -- COMMAND.")
        asked = given(user=parsed_args.user, environment=mapping(parsed_args.env or ()) or None)
        body = {"exec": {"command": command, "tty": parsed_args.tty, **asked}}
        api = self.api
        response = api.send("POST", "nodes", parsed_args.node, "exec", body=body)
        root = str(response.url).rsplit("/v1/nodes/", 1)[0]
        url = "ws" + (root + response.json()["exec"]["stream_path"]).removeprefix("http")
        try:
            with connect(url, subprotocols=[_SUBPROTOCOL], ssl=_tls(url, api.proxy.session), max_size=None) as session:
                return attend(session, parsed_args.tty)
        except (WebSocketException, OSError) as error:
            raise CommandError(f"The session broke off: {error}") from error


def _tls(url: str, session: Any) -> ssl.SSLContext | None:
    """As the rest of the session is made: with its authorities, its certificate, or unverified if it says so."""
    if not url.startswith("wss:"):
        return None
    authorities = session.verify if isinstance(session.verify, str) else None
    context = ssl.create_default_context(cafile=authorities)
    if session.verify is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if session.cert:
        context.load_cert_chain(*((session.cert,) if isinstance(session.cert, str) else session.cert))
    return context


def attend(session: ClientConnection, terminal: bool) -> int:
    """Both ways until the command ends; its exit code."""
    with _raw(session) if terminal and sys.stdin.isatty() else contextlib.nullcontext():
        threading.Thread(target=_send_input, args=(session,), daemon=True).start()
        for message in session:
            kind, rest = message[0], message[1:]
            if kind == _CONTROL:
                return _ended(json.loads(rest))
            out = sys.stdout if kind == _OUTPUT else sys.stderr
            if isinstance(rest, bytes) and rest:
                out.write(rest.decode(errors="replace"))
                out.flush()
    raise CommandError("The session ended, and the service did not say how the command did.")


def _ended(control: dict[str, Any]) -> int:
    if "error" in control:
        raise CommandError(str(control["error"]["message"]))
    return int(control["exit"])


def _send_input(session: ClientConnection) -> None:
    source = getattr(sys.stdin, "buffer", None)
    with contextlib.suppress(WebSocketException, OSError, ValueError):
        while source is not None and (piece := source.read1(_PIECE)):
            session.send(bytes([_INPUT]) + piece)
        _control(session, {"eof": True})


def _control(session: ClientConnection, what: dict[str, Any]) -> None:
    session.send(bytes([_CONTROL]) + json.dumps(what).encode())


@contextlib.contextmanager
def _raw(session: ClientConnection) -> Iterator[None]:
    """Each key goes to the command as it is, and the command knows the size of the window."""

    def tell_size(*_: object) -> None:
        size = shutil.get_terminal_size()
        _control(session, {"resize": {"width": size.columns, "height": size.lines}})

    kept, before = termios.tcgetattr(sys.stdin), signal.signal(signal.SIGWINCH, tell_size)
    try:
        tty.setraw(sys.stdin)
        tell_size()
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, kept)
