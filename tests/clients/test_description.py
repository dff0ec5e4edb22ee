"""The description of the API, taken at its word by schemathesis: requests made from it, followed along its links, each answer
held against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.schemathesis_run import counted, run_schemathesis
from clients.seeded import seed
from clients.service import service

pytestmark = pytest.mark.integration

EXAMPLES = 6


def test_no_answer_is_undescribed_and_none_a_fault_of_ours(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        words = seed(running.url, running.password)
        phases = ("--phases", "examples,coverage,fuzzing,stateful", "-n", str(EXAMPLES))
        found = run_schemathesis(running.url, running.password, words, *phases)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    made, passed = counted(found.stdout)
    assert made == passed
    assert made > 2000, "fewer requests than the routes would give"
