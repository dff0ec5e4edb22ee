"""``spinney exec`` as far as it goes without a service that runs anything; the rest is tried on a real one in tests/system."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from cli.stub import Answer, Stub, fault
from spinney.cli.transport import LightTransport, Service, SessionTransport


def test_what_is_asked_of_the_service(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/nodes/web-1/exec", Answer({"exec": {"stream_path": "/v1/execs/word"}}, 201))
    stub.on("GET /v1/execs/word", fault(404, "There is no GET /v1/execs/word."))
    for verb in (("exec",), ("node", "exec")):
        result = spinney(*verb, "-i", "-u", "7:8", "-e", "A=b=c", "-e", "B=", "web-1", "--", "sh", "-c", "exit 1")
        (asked,) = stub.sent("POST")
        assert asked.body == {
            "exec": {
                "command": ["sh", "-c", "exit 1"],
                "tty": False,
                "user": "7:8",
                "environment": {"A": "b=c", "B": ""},
            }
        }
        assert result.exit_code == 1 and "404" in result.stderr and "proxy" in result.stderr
        stub.asked.clear()


def test_options_of_the_command_are_its_own(spinney: Any, stub: Stub) -> None:
    result = spinney("exec", "web-1", "ls", "-l")
    assert result.exit_code == 1 and "-l" in result.stderr
    assert not stub.asked


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-t", "web-1", "--", "sh"), "needs a terminal"),
        (("-it", "web-1", "--", "sh"), "needs a terminal"),
        (("-e", "A", "web-1", "--", "sh"), "KEY=VALUE"),
        (("web-1",), "COMMAND"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_sent(
    spinney: Any, stub: Stub, words: tuple[str, ...], says: str
) -> None:
    result = spinney("exec", *words)
    assert result.exit_code == 1 and says in result.stderr
    assert not stub.asked


def test_what_the_service_refuses_is_passed_on(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/nodes/web-1/exec", fault(409, "The node 'web-1' is stopped: start it first.", "Conflict"))
    result = spinney("exec", "web-1", "--", "true")
    assert result.exit_code == 1 and "start it first" in result.stderr


class Session:
    """What a keystoneauth adapter tells of how to trust an address."""

    def __init__(self, verify: bool | str = True) -> None:
        self.session, self.verify, self.cert = self, verify, None


def test_where_the_websocket_is_and_how_it_is_trusted() -> None:
    plain = Service(LightTransport("http://127.0.0.1:8777/v1", {}))
    assert plain.socket("/v1/execs/w") == ("ws://127.0.0.1:8777/v1/execs/w", None)
    url, context = Service(SessionTransport("https://cloud/clustering/v1", Session())).socket("/v1/execs/w")
    assert url == "wss://cloud/clustering/v1/execs/w"
    assert context is not None and context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED
    _, context = Service(SessionTransport("https://cloud/v1", Session(verify=False))).socket("/v1/execs/w")
    assert context is not None and context.verify_mode is ssl.CERT_NONE
