"""What the benchmarks share: a small HTTP client, figures of processes from /proc, servers as child processes, tables.

The client is deliberately bare (one keep-alive connection, no redirects, no retries), so that what is measured is the service
and not the measuring. Figures of processes need Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import platform
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

_TICK = os.sysconf("SC_CLK_TCK")
_START = 60.0
_BIG = 2**24


# -- HTTP ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One HTTP/1.1 connection to ``host:port``, with TLS or without, or to a unix socket, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: str) -> None:
        self._reader, self._writer, self._headers = reader, writer, headers

    @classmethod
    async def open(
        cls, target: str, headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
    ) -> Self:
        """``target``: ``http://host:port``, ``tcp://host:port`` or ``unix://path``."""
        fixed = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "bench", **(headers or {})}.items())
        if target.startswith("unix://"):
            return cls(*await asyncio.open_unix_connection(target.removeprefix("unix://"), limit=_BIG), fixed)
        where = urlsplit(target)
        return cls(*await asyncio.open_connection(where.hostname, where.port, limit=_BIG, ssl=tls), fixed)

    async def call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        elif method != "GET":
            head += "Content-Length: 0\r\n"
        self._writer.write(head.encode() + b"\r\n" + (body or b""))
        lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        status = int(lines[0].split(b" ", 2)[1])
        found = dict(line.split(b": ", 1) for line in lines[1:] if line)
        headers = {name.lower(): value for name, value in found.items()}
        return Answer(status, headers, await self._body(status, headers))

    async def _body(self, status: int, headers: Mapping[bytes, bytes]) -> bytes:
        if status in (204, 304):
            return b""
        if b"content-length" in headers:
            return await self._reader.readexactly(int(headers[b"content-length"]))
        chunks = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            chunks.append((await self._reader.readexactly(size + 2))[:-2])
        await self._reader.readexactly(2)
        return b"".join(chunks)

    async def expect(self, status: int, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer. Raises RuntimeError when the status is another one."""
        answer = await self.call(method, path, None if body is None else json.dumps(body).encode())
        if answer.status != status:
            raise RuntimeError(f"{method} {path}: {answer.status} instead of {status}: {answer.body[:500]!r}")
        return json.loads(answer.body) if answer.body else None

    def close(self) -> None:
        self._writer.close()


def basic(state_dir: Path) -> dict[str, str]:
    """The Authorization header for a service on that state directory."""
    password = (state_dir / "password").read_text().strip()
    return {"Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}


# -- processes -------------------------------------------------------------------------------------------------------


def cpu_seconds(pid: int | str = "self") -> float:
    """CPU time of a living process so far, all of its threads together, to 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def peak_memory(pid: int | str = "self") -> float:
    """The greatest resident size the process ever had, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@dataclass(frozen=True, slots=True)
class Server:
    pid: int
    url: str


@contextmanager
def server(command: Sequence[str], ready: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A process that serves HTTP once it prints a line in which ``ready`` (a pattern with one group) finds its URL."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}, start_new_session=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(ready, line)
            if found is not None:
                yield Server(process.pid, found[1])
                return
        raise RuntimeError(f"{' '.join(command)} ended before it was ready")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_START)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


#: The line with which every server command of Spinney says where it serves.
READY = r"spinney ready: (http://\S+)/v1"


def spinney(*arguments: str) -> list[str]:
    """The command line of Spinney in this Python environment."""
    return [sys.executable, "-m", "spinney.cli.main", *arguments]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="spinney-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- results ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Aim:
    """``value`` is to be at most (``least`` False) or at least (True) ``limit``."""

    what: str
    value: float
    limit: float
    least: bool = False

    @property
    def reached(self) -> bool:
        return self.value >= self.limit if self.least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __str__(self) -> str:
        cells = [self.columns, *(tuple(shown(value) for value in row) for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = ["  ".join(_fit(cell, width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        return "\n".join([f"\n{self.title}", lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _fit(cell: str, width: int) -> str:
    return cell.rjust(width) if re.match(r"^[\d.,-]+$", cell) else cell.ljust(width)


def shown(value: Any) -> str:
    """Three or four digits that mean something."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)}


def options(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    return parser


def numbers(text: str) -> list[int]:
    """``20,60`` for argparse."""
    return [int(part) for part in text.split(",")]


def report(as_json: bool, tables: Sequence[Table], aims: Sequence[Aim]) -> None:
    if as_json:
        document = {
            "machine": machine(),
            "tables": {t.title: [dict(zip(t.columns, row, strict=True)) for row in t.rows] for t in tables},
            "aims": [{**asdict(aim), "reached": aim.reached} for aim in aims],
        }
        print(json.dumps(document, indent=1))
        return
    for table in tables:
        print(table)
    rows = [
        (aim.what, aim.value, ("at least " if aim.least else "at most ") + f"{aim.limit:g}", _verdict(aim))
        for aim in aims
    ]
    print(Table("Aims", ("what", "seen", "aim", ""), rows))
    print(f"\n{', '.join(f'{name} {value}' for name, value in machine().items())}")


def _verdict(aim: Aim) -> str:
    return "reached" if aim.reached else "not reached"


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
