"""Running schemathesis, unmodified, on a service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from system.http_api import VERSIONS

#: What may not happen: an answer that is not described, and a fault of ours.
CHECKS = (
    "no_fault_of_ours,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,tells_no_inner_things"
)


def run_schemathesis(
    url: str, password: str, words: Mapping[str, Sequence[str]], *options: str
) -> subprocess.CompletedProcess[str]:
    """One run of the unmodified tool, with words of ours that lead to something."""
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/v1/openapi.json", "-a", f"admin:{password}"]
    command += ["-H", f"OpenStack-API-Version: {VERSIONS}", "-c", CHECKS, "--continue-on-failure", "--no-color"]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "clients.generating",
        "PYTHONPATH": str(tests),
        "SPINNEY_WORDS": json.dumps(words),
    }
    with tempfile.TemporaryDirectory() as folder:  # it keeps notes of its own where it runs
        return subprocess.run(
            [*command, *options], env=environment, cwd=folder, capture_output=True, text=True, check=False
        )


def counted(said: str) -> tuple[int, int]:
    """How many requests it made, and how many of them went as they should."""
    found = re.search(r"([0-9,]+) generated, ([0-9,]+) passed", said)
    assert found is not None, said[-3000:]
    return int(found[1].replace(",", "")), int(found[2].replace(",", ""))
