"""The description of the API, taken at its word by schemathesis: requests made from it, followed along its links, each answer
held against it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clients.seeded import seed
from clients.service import service
from system.http_api import VERSIONS

pytestmark = pytest.mark.integration

#: What may not happen: an answer that is not described, and a fault of ours.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance"
)
EXAMPLES = 6


def run_schemathesis(url: str, password: str, *options: str) -> subprocess.CompletedProcess[str]:
    """One run of the unmodified tool, with words of ours that lead to something."""
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/v1/openapi.json", "-a", f"admin:{password}"]
    command += ["-H", f"OpenStack-API-Version: {VERSIONS}", "-c", CHECKS, "--continue-on-failure", "--no-color"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "clients.generating", "PYTHONPATH": str(tests)}
    return subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)


def test_no_answer_is_undescribed_and_none_a_fault_of_ours(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        seed(running)
        phases = ("--phases", "examples,coverage,fuzzing,stateful", "-n", str(EXAMPLES))
        found = run_schemathesis(running.url, running.password, *phases)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    generated = re.search(r"([0-9]+) generated, ([0-9]+) passed", found.stdout)
    assert generated is not None, found.stdout[-2000:]
    assert generated[1] == generated[2]
    assert int(generated[1]) > 2000, "fewer requests than the routes would give"
