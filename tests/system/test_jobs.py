"""The example of a job, run on a real Docker engine by the commands that its page tells."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import docker_engine
from system.running import SPINNEY, Service, fresh

EXAMPLES = Path(__file__).parents[2] / "examples"


def spinney(service: Service, *words: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "SPINNEY_STATE_DIR": str(service.state_dir)}
    return subprocess.run([*SPINNEY, *words], env=variables, capture_output=True, text=True, timeout=120)


def said(service: Service, *words: str) -> str:
    done = spinney(service, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.integration
def test_the_example_and_a_job_that_fails(service: Service, tmp_path: Path) -> None:
    primes = (EXAMPLES / "primes.yaml").read_text().replace("spinney-demo:latest", docker_engine.IMAGE)
    (tmp_path / "primes.yaml").write_text(primes)
    name = fresh("primes")
    said(service, "profile", "create", name, "--spec-file", str(tmp_path / "primes.yaml"))
    said(service, "policy", "create", name, "--spec-file", str(EXAMPLES / "eight-shards.yaml"))
    said(service, "cluster", "create", name, "--profile", name, "--policy", name, "--wait")
    # The first run began by itself.
    service.until(lambda: said(service, "job", "list", name, "-o", "name"))
    shown = json.loads(said(service, "job", "show", name, "1", "--wait", "-o", "json"))
    assert (shown["status"], shown["succeeded"], shown["failed"]) == ("SUCCEEDED", 8, 0)
    lines = said(service, "job", "logs", name).splitlines()
    found = [re.search(r"shard (\d) of run 1: (\d+) primes", line) for line in lines]
    counted = {int(one[1]): int(one[2]) for one in found if one is not None}
    assert sorted(counted) == list(range(8)) and sum(counted.values()) == 303
    cluster = service.api.get(f"/clusters/{name}")
    assert (cluster["status"], cluster["desired_capacity"]) == ("ACTIVE", 0)
    assert "SUCCEEDED  8/8" in said(service, "job", "list", name)

    bad = fresh("bad")
    words = ("--image", docker_engine.IMAGE, "--host-cluster", "local", "--retries", "0", "--", "sh", "-c", "exit 3")
    done = spinney(service, "job", "submit", bad, "--wait", *words)
    assert done.returncode == 2 and "attempt 1: exit code 3" in done.stderr, done.stderr
