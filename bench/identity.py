"""The service without authentication and with a real Keystone, side by side on one database.

Keystone is that of the integration tests (``tests/cloud``): installed on first use. Tokens are remembered by the service, as
they are in a deployment: what is compared is a request with a known token and the same request without one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common import READY, Server, server, spinney

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from cloud.keystone import Keystone, configuration, running

#: A single client would soon be told to wait; that is not what is measured.
UNLIMITED = "[limits]\nrate = 0\nconcurrent = 0\nstreams = 0\n"
#: No token ends or has to be asked about again while requests are measured.
_REMEMBERED = "token_cache_time = 3600"


@contextmanager
def keystone_beside_none(folder: Path) -> Iterator[list[tuple[Server, dict[str, str]]]]:
    """Both services with the headers to send to each, those without authentication first."""
    with ExitStack() as stack:
        keystone = stack.enter_context(running(folder))
        texts = {"none": "[auth]\nstrategy = none\n", "keystone": _configured(keystone)}
        headers = {"none": {"Host": "127.0.0.1"}, "keystone": {"X-Auth-Token": keystone.admin}}
        found = []
        for name, text in texts.items():
            file = folder / f"{name}.conf"
            file.write_text(text + UNLIMITED)
            command = spinney("api", "--state-dir", str(folder), "--port", "0", "--config-file", str(file))
            found.append((stack.enter_context(server(command, READY)), headers[name]))
        yield found


def _configured(keystone: Keystone) -> str:
    return configuration(keystone).replace("token_cache_time = 1", _REMEMBERED)
