"""What a node_exporter on each host of the bed would tell, if hosts did not share one kernel: the use of its own control group.

Served by the process that asks for the URLs, for as long as its bed is up. ``pretend`` adds CPU that nobody uses, so that a
test of placement by load need not burn the CPUs that its Docker engines want.
"""

from __future__ import annotations

import http.server
import os
import threading
import time
from collections.abc import Sequence

from testbed.host import Host


class Metrics:
    def __init__(self, address: str, hosts: Sequence[Host]) -> None:
        self._hosts = {f"/{host.name}/metrics": host for host in hosts}
        #: By host: cores that are said to be busy besides, since when, and CPU seconds said before then.
        self._pretended: dict[str, tuple[float, float, float]] = {}
        self._server = _Server((address, 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="metrics", daemon=True)
        self._thread.start()

    def url(self, host: Host) -> str:
        address, port = self._server.server_address[:2]
        return f"http://{address!s}:{port}/{host.name}/metrics"

    def pretend(self, host: Host, cores: float) -> None:
        """From now on so many cores of the host are said to be busy besides those that are; 0 ends that."""
        self._pretended[host.name] = (cores, time.monotonic(), self._claimed(host))

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self, path: str) -> str | None:
        """None for a host that is not there, or is off."""
        host = self._hosts.get(path)
        if host is None or not host.running:
            return None
        cores = host.spec.cpus or os.cpu_count() or 1
        total = host.spec.memory or _memory_of_machine()
        busy = host.group.cpu_seconds() + self._claimed(host)
        lines = [f'node_cpu_seconds_total{{cpu="{n}",mode="user"}} {busy / cores:.6f}' for n in range(cores)]
        lines += [f"node_memory_MemTotal_bytes {total}"]
        lines += [f"node_memory_MemAvailable_bytes {max(0, total - host.group.memory())}"]
        return "\n".join(lines) + "\n"

    def _claimed(self, host: Host) -> float:
        cores, since, before = self._pretended.get(host.name, (0.0, 0.0, 0.0))
        return before + cores * (time.monotonic() - since)


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], metrics: Metrics) -> None:
        self.metrics = metrics
        super().__init__(address, _Answer)


class _Answer(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        told = self.server.metrics.told(self.path)
        body = (told or "").encode()
        self.send_response(200 if told is not None else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def _memory_of_machine() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
