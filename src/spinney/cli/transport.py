"""Carrying requests to the service, and turning what comes back into values or one plain sentence.

Two transports share one small interface. ``LightTransport`` is the standard library's HTTP client, for plain HTTP with no
authentication or HTTP basic: it costs no import of the OpenStack libraries. ``SessionTransport`` is a keystoneauth session, for
everything else. A GET is sent again once when a kept connection turns out to be closed. A POST has a key of its own, so that it
is sent again when the connection breaks off before the answer: the service carries it out once. Nothing else that could
change something is repeated.
"""

from __future__ import annotations

import http
import http.client
import json
import re
import socket
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from spinney.cli.faults import BrokenOff, CliError, Refused, Unreachable

VERSION_HEADER = "OpenStack-API-Version"
VERSIONS = "clustering 1.14, spinney latest"
REPLY_TIMEOUT = 60.0
CHUNK = 65536

#: Seconds before a request is sent again.
_PAUSES = (0.2, 1.0, 2.0, 4.0)

Query = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Transport(Protocol):
    #: The address requests go to, ending in ``/v1``.
    base: str

    def send(self, method: str, path: str, body: bytes | None, key: str | None = None) -> Reply:
        """``key``: what tells the service that a repetition is one. Raises: BrokenOff, Unreachable."""

    def stream(self, path: str) -> tuple[Reply, Iterator[bytes]]:
        """The reply's head (with the whole body when it is an error) and the body as it arrives."""

    def tls(self) -> ssl.SSLContext | None:
        """How the address is to be trusted; None: it is plain HTTP."""

    def close(self) -> None: ...


def headers(body: bytes | None, key: str | None = None) -> dict[str, str]:
    sent = {VERSION_HEADER: VERSIONS, "Accept": "application/json, */*;q=0.5"}
    if key is not None:
        sent["Idempotency-Key"] = key
    if body is not None:
        sent["Content-Type"] = "application/json"
    return sent


def no_answer(base: str, why: str = "") -> Unreachable:
    detail = f" ({why})" if why else ""
    return Unreachable(
        f"no Spinney service answers at {base}{detail}: start one with `spinney standalone` "
        "or name a cloud with --os-cloud"
    )


def _broke_off(base: str, error: Exception) -> Unreachable:
    return Unreachable(f"{base} broke off in the middle of its answer: {error or type(error).__name__}")


class LightTransport:
    """Plain HTTP with fixed headers, over one kept connection."""

    def __init__(self, base: str, extra_headers: Mapping[str, str]) -> None:
        self.base = base
        parts = urlsplit(base)
        self._address = (parts.hostname or "", parts.port or 80)
        self._prefix = parts.path.rstrip("/")
        self._extra = dict(extra_headers)
        self._kept: http.client.HTTPConnection | None = None

    def send(self, method: str, path: str, body: bytes | None, key: str | None = None) -> Reply:
        if method != "GET":
            self._drop()
        reused = self._kept is not None
        try:
            return self._exchange(method, path, body, key)
        except (http.client.HTTPException, OSError) as error:
            self._drop()
            if reused and isinstance(error, http.client.RemoteDisconnected | ConnectionError):
                return self.send(method, path, body, key)
            raise self._explain(error) from error

    def _exchange(self, method: str, path: str, body: bytes | None, key: str | None) -> Reply:
        if self._kept is None:
            self._kept = http.client.HTTPConnection(*self._address, timeout=REPLY_TIMEOUT)
        self._kept.request(method, self._prefix + path, body, {**headers(body, key), **self._extra})
        response = self._kept.getresponse()
        content = response.read()
        if response.will_close:
            self._drop()
        return Reply(response.status, _lowered(response.getheaders()), content)

    def stream(self, path: str) -> tuple[Reply, Iterator[bytes]]:
        connection = http.client.HTTPConnection(*self._address, timeout=REPLY_TIMEOUT)
        try:
            connection.request("GET", self._prefix + path, None, {**headers(None), **self._extra})
            response = connection.getresponse()
            if connection.sock is not None:
                connection.sock.settimeout(None)  # a quiet container is no fault
            failed = response.read() if response.status >= 400 else b""
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            raise self._explain(error) from error
        return Reply(response.status, _lowered(response.getheaders()), failed), self._arriving(connection, response)

    def _arriving(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while piece := response.read1(CHUNK):
                yield piece
        except (http.client.HTTPException, OSError) as error:
            raise _broke_off(self.base, error) from error
        finally:
            response.close()
            connection.close()

    def close(self) -> None:
        self._drop()

    def tls(self) -> ssl.SSLContext | None:
        return None

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _explain(self, error: Exception) -> Unreachable:
        if isinstance(error, ConnectionRefusedError):
            return no_answer(self.base)
        if isinstance(error, TimeoutError):
            return Unreachable(f"{self.base} did not answer within {REPLY_TIMEOUT:.0f} s")
        if isinstance(error, socket.gaierror):
            return no_answer(self.base, f"the name {self._address[0]!r} is not known")
        if isinstance(error, http.client.HTTPException | ConnectionError):
            return BrokenOff(no_answer(self.base, str(error) or type(error).__name__).message)
        return no_answer(self.base, str(error) or type(error).__name__)


def _lowered(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in pairs}


class SessionTransport:
    """A keystoneauth adapter: any authentication that OpenStack clients know."""

    def __init__(self, base: str, adapter: Any) -> None:
        self.base = base
        self._adapter = adapter

    def _request(self, method: str, path: str, body: bytes | None, key: str | None = None, **more: Any) -> Any:
        from keystoneauth1 import exceptions

        try:
            return self._adapter.request(
                self.base + path, method, data=body, headers=headers(body, key), raise_exc=False, **more
            )
        except exceptions.ConnectTimeout as error:
            raise Unreachable(f"{self.base} did not answer in time") from error
        except exceptions.SSLError as error:
            raise CliError(f"the TLS certificate of {self.base} is not accepted: {error}") from error
        except exceptions.ConnectFailure as error:
            unanswered = no_answer(self.base, str(error))
            # requests says so where something was sent and the connection then lost.
            raise BrokenOff(unanswered.message) if "Connection aborted" in str(error) else unanswered from error
        except exceptions.ClientException as error:
            raise CliError(f"the cloud refuses the credentials it was given: {error}") from error

    def send(self, method: str, path: str, body: bytes | None, key: str | None = None) -> Reply:
        response = self._request(method, path, body, key)
        return Reply(response.status_code, _lowered(list(response.headers.items())), response.content)

    def stream(self, path: str) -> tuple[Reply, Iterator[bytes]]:
        response = self._request("GET", path, None, stream=True)
        failed = response.content if response.status_code >= 400 else b""
        reply = Reply(response.status_code, _lowered(list(response.headers.items())), failed)
        return reply, self._arriving(response)

    def tls(self) -> ssl.SSLContext | None:
        if not self.base.lower().startswith("https://"):
            return None
        from requests.utils import DEFAULT_CA_BUNDLE_PATH

        verify, own = self._adapter.session.verify, self._adapter.session.cert
        try:
            context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH)
            if not verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if own:
                context.load_cert_chain(*([own] if isinstance(own, str) else own))
        except OSError as error:
            raise CliError(f"the certificates to reach {self.base} with cannot be read: {error}") from error
        return context

    def close(self) -> None:
        self._adapter.session.session.close()

    def _arriving(self, response: Any) -> Iterator[bytes]:
        import requests

        try:
            yield from response.iter_content(chunk_size=None)  # each piece as it arrives
        except (requests.RequestException, OSError) as error:
            raise _broke_off(self.base, error) from error


def segment(word: str) -> str:
    """One path segment for any name: nothing in it can leave its place in the path."""
    if not word:
        raise CliError("a name or id is needed here, and an empty one was given")
    if set(word) == {"."}:
        return "%2E" * len(word)
    return quote(word, safe="")


class Service:
    """The API as values: JSON in, JSON out, refusals as ``Refused``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def base(self) -> str:
        return self._transport.base

    def close(self) -> None:
        self._transport.close()

    def socket(self, path: str) -> tuple[str, ssl.SSLContext | None]:
        """Where to open a WebSocket to a path that the service gave, and how to trust it."""
        return "ws" + self.base.removesuffix("/v1").removeprefix("http") + path, self._transport.tls()

    def get(self, *path: str, query: Query | None = None) -> Any:
        return self._decoded(self._transport.send("GET", _path(path, query), None))

    def post(self, *path: str, body: Mapping[str, Any]) -> tuple[Any, str | None]:
        """What it answered, and the id of the action it started."""
        return self._changed("POST", path, body)

    def patch(self, *path: str, body: Mapping[str, Any], query: Query | None = None) -> tuple[Any, str | None]:
        return self._changed("PATCH", path, body, query)

    def put(self, *path: str, body: Mapping[str, Any]) -> Any:
        return self._changed("PUT", path, body)[0]

    def delete(self, *path: str, body: Mapping[str, Any] | None = None) -> str | None:
        return self._changed("DELETE", path, body)[1]

    def _changed(
        self, method: str, path: Sequence[str], body: Mapping[str, Any] | None, query: Query | None = None
    ) -> tuple[Any, str | None]:
        content = None if body is None else json.dumps(body).encode()
        if method == "POST":
            reply = self._once(_path(path, query), content)
        else:
            reply = self._transport.send(method, _path(path, query), content)
        value = self._decoded(reply)
        location = reply.headers.get("location", "")
        return value, location.rsplit("/actions/", 1)[1] if "/actions/" in location else None

    def _once(self, path: str, content: bytes | None) -> Reply:
        """Send again what may have been lost, until it is known how it was answered."""
        key, broken = str(uuid.uuid4()), None
        for pause in (*_PAUSES, None):
            try:
                reply = self._transport.send("POST", path, content, key)
                if reply.status != http.HTTPStatus.CONFLICT or b'"IdempotencyKeyInUse"' not in reply.body:
                    return reply
            except BrokenOff as error:
                broken = error
            except Unreachable:
                # A service that starts again is not there for a moment; one that never was is told at once.
                if broken is None:
                    raise
            if pause is not None:
                time.sleep(pause)
        raise broken or no_answer(self.base, "the same request is still at work there")

    def stream(self, *path: str, query: Query | None = None) -> Iterator[bytes]:
        reply, body = self._transport.stream(_path(path, query))
        if reply.status >= 400:
            for _ in body:  # it has been read already; this lets go of the connection
                pass
            self._decoded(reply)
        return body

    def _decoded(self, reply: Reply) -> Any:
        try:
            value = json.loads(reply.body) if reply.body.strip() else None
        except ValueError:
            value = None
            if reply.status < 400:
                raise CliError(f"{self.base} answered {reply.status} with something that is no JSON") from None
        if reply.status >= 400:
            raise refusal(reply.status, value, self.base)
        return value


#: Refusals whose words say what can be done about them.
_TOLD_WHOLE = ("OverQuota",)
#: What the user can do about a status, where the service's own words may not tell.
_REMEDIES = {
    401: "check the user name and password of the cloud you named, or the state directory of the local service",
    403: "ask somebody with the role for it",
    406: "this client is newer or older than the service",
}
#: How the service names the action that another one is refused for.
_IN_THE_WAY = re.compile(r"refused: [A-Z_]+ (?P<action>[0-9a-f-]{8,36}) \([A-Z_]+\) is (?P<advice>.*)")


def refusal(status: int, value: Any, base: str) -> Refused:
    fault = value.get("error") if isinstance(value, dict) else None
    fault = fault if isinstance(fault, dict) else {}
    said = str(fault.get("message") or "").strip()
    kind = str(fault.get("type") or "")
    if not said:
        said = f"{base} answered {status} {http.client.responses.get(status, '')}".rstrip()
    remedy = _REMEDIES.get(status) if kind not in _TOLD_WHOLE else None
    remedy = remedy or _about_what_is_at_work(kind, said)
    return Refused(f"{said.rstrip('.')}: {remedy}" if remedy else said, status, kind)


def _about_what_is_at_work(kind: str, said: str) -> str:
    """The commands for what the service advises where another action is in the way."""
    found = _IN_THE_WAY.search(said) if kind in ("ResourceIsLocked", "ActionConflict") else None
    if found is None:
        return ""
    action = found["action"]
    superseding = ", `--supersede` with the update supersedes it" if "supersede" in found["advice"] else ""
    return f"`spinney action show {action}` follows it, `spinney action cancel {action}` cancels it{superseding}"


def _path(path: Sequence[str], query: Query | None) -> str:
    joined = "".join("/" + segment(part) for part in path)
    return f"{joined}?{urlencode(query, doseq=True)}" if query else joined
