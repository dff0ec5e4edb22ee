"""Sending what an alarm tool sends: a request with no credentials but the receiver's own."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from spinney.cli.faults import CliError
from spinney.cli.transport import refusal
from spinney.domain import webhook

_PATIENCE = 30.0


def post(url: str, secret: bytes | None, body: bytes) -> str:
    """The id of the action that was started; with a secret the request is signed. Raises: CliError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or "/v1/webhooks/" not in parts.path:
        raise CliError(
            f"{url.partition('?')[0]!r} is no URL of a receiver: give the alarm_url as `spinney receiver create` shows it"
        )
    headers = {"Content-Type": "application/json"} if body else {}
    if secret is not None:
        covered = webhook.target(url)
        covered = covered[covered.index(b"/v1/webhooks/") :]
        headers |= webhook.signed_headers(secret, "POST", covered, int(time.time()), body)
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    base = f"{parts.scheme}://{parts.netloc}"
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            return str(json.load(answer)["action"])
    except urllib.error.HTTPError as error:
        raise refusal(error.code, _decoded(error.read()), base) from None
    except (OSError, ValueError, KeyError) as error:
        raise CliError(f"{base} does not answer as a receiver does: {error}") from error


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
