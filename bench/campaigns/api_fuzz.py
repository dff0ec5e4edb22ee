"""Fifty thousand requests made from the API's description: no undescribed answer, no fault of ours, memory bounded.

``spinney standalone`` as it is installed, with one simulated Docker engine (``spinney simulate-hosts``), is filled with one of
everything and then asked by schemathesis in all its phases, along the links between answers too. The service's memory is
looked at all the while. Bounded by the number of requests; takes about an hour.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from clients.schemathesis_run import counted, run_schemathesis
from clients.seeded import seed
from spinney.api.routes import ROUTES
from system.running import Program

#: One project makes all requests here, so that its limits would be all that is measured.
_CONFIGURATION = """
[limits]
rate = 0
concurrent = 0
failed_authentications = 0
"""


class Memory(threading.Thread):
    """The service's resident memory in MiB, every second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self.seen: list[float] = []

    def run(self) -> None:
        while not self._ended.wait(1):
            found = re.search(r"VmRSS:\s+([0-9]+) kB", self._status.read_text())
            if found is not None:
                self.seen.append(int(found[1]) / 1024)

    def end(self) -> None:
        self._ended.set()
        self.join()


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run campaign api-fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    each = -(-given.requests // len(ROUTES))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="spinney-fuzz-") as name:
        folder = Path(name)
        (folder / "spinney.conf").write_text(_CONFIGURATION)
        simulated = Program(folder, "simulate-hosts", "--count", "1", "--dir", str(folder / "hosts"))
        socket = simulated.until(lambda: next(iter((folder / "hosts").glob("*.sock")), None))
        service = Program(
            folder,
            "standalone",
            *("--state-dir", str(folder / "state"), "--config-file", str(folder / "spinney.conf"), "--port", "0"),
            *("--no-local-host", "--unix-socket", str(socket)),
        )
        try:
            url = service.until_says(r"spinney ready: (http://\S+)/v1")
            password = (folder / "state" / "password").read_text().strip()
            words = seed(url, password, f"unix://{socket}")
            memory = Memory(service.process.pid)
            memory.start()
            options = ("--phases", "examples,coverage,fuzzing,stateful", "-n", str(each), "--seed", str(given.seed))
            found = run_schemathesis(url, password, words, *options)
            memory.end()
        finally:
            ended = service.terminate()
            simulated.terminate()
        said = service.output
    made, passed = counted(found.stdout)
    if found.returncode:
        print(found.stdout[-8000:], found.stderr[-2000:])
    tenth = max(len(memory.seen) // 10, 1)
    early, late = max(memory.seen[tenth : 2 * tenth]), max(memory.seen[-tenth:])
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    print(f"the service ended with {ended}; its log has {said.count('Traceback')} stack traces")
    print(
        f"| {commit.strip()} | {given.seed} | {made:,} | {made - passed} | {early:.0f} -> {late:.0f} MiB, "
        f"at most {max(memory.seen):.0f} | {(time.monotonic() - begun) / 60:.0f} min |"
    )
    return 1 if found.returncode or made != passed or ended or "Traceback" in said else 0


if __name__ == "__main__":
    sys.exit(main())
