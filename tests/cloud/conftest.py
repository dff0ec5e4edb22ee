"""A running `spinney api` that knows callers by Keystone, configured by a file as its operator writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloud.keystone import Answer, Keystone, call, configuration
from system.running import Program


@dataclass
class Service:
    url: str
    program: Program
    folder: Path

    def ask(
        self, token: str, method: str = "GET", path: str = "/v1/clusters", body: Any = None, **headers: str
    ) -> Answer:
        sent: Mapping[str, str] = {
            "OpenStack-API-Version": "clustering 1.14, spinney 1.0",
            **({"X-Auth-Token": token} if token else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return call(method, self.url + path, body, sent)

    def profile(self, token: str) -> Answer:
        """Make one."""
        spec = {"type": "os.nova.server", "version": "1.0", "properties": {}}
        return self.ask(token, "POST", "/v1/profiles", {"profile": {"name": "x", "spec": spec}})


@pytest.fixture(scope="session")
def service(keystone: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The name under which it is in the catalogue is its own address."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "spinney.conf").write_text(configuration(keystone))
    program = Program(
        folder,
        "api",
        "--state-dir",
        str(folder / "state"),
        "--config-file",
        str(folder / "spinney.conf"),
        "--port",
        "0",
    )
    try:
        url = program.until_says(r"spinney ready: (http://\S+)/v1")
        keystone.endpoint(url)
        yield Service(url, program, folder)
    finally:
        assert program.terminate() == 0, program.output
