"""A real Octavia API on a loopback port, with its no-op provider and a MariaDB of its own; who plays the provider is here too.

Its programs are installed by pip into a virtual environment of their own below the user's cache folder, once for a machine;
MariaDB is the system's. The no-op provider does nothing and says nothing, so that what is asked for would stay pending for
ever: ``Provider`` says for it, in the database, that it is done. Nobody signs in: requests are of the project that they name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cloud.keystone import Unobtainable, call

NEEDED = ("octavia>=17", "octavia-lib>=3", "pymysql>=1.1", "gunicorn>=22")
_PATIENCE = 60.0
_CONFIGURATION = """
[DEFAULT]
transport_url = fake://
use_stderr = true
[api_settings]
bind_host = 127.0.0.1
bind_port = {port}
auth_strategy = noauth
enabled_provider_drivers = noop_driver: says nothing
default_provider_driver = noop_driver
[database]
connection = mysql+pymysql://root@localhost/octavia?unix_socket={socket}
[controller_worker]
network_driver = network_noop_driver
compute_driver = compute_noop_driver
amphora_driver = amphora_noop_driver
[oslo_policy]
enforce_scope = false
"""
#: What depends on others comes first.
_TABLES = ("member", "health_monitor", "listener", "pool", "load_balancer")
#: What goes with a load balancer that is deleted with all that it has.
_BELOW = "SELECT id FROM load_balancer WHERE provisioning_status = 'PENDING_DELETE'"
_WITH_IT = (
    f"UPDATE listener SET provisioning_status = 'PENDING_DELETE' WHERE load_balancer_id IN ({_BELOW})",
    f"UPDATE pool SET provisioning_status = 'PENDING_DELETE' WHERE load_balancer_id IN ({_BELOW})",
    *(
        f"DELETE FROM {table} WHERE pool_id IN (SELECT id FROM pool WHERE provisioning_status = 'PENDING_DELETE')"
        for table in ("member", "health_monitor", "session_persistence")
    ),
)


def installed() -> Path:
    """Octavia's virtual environment, made unless it is there. Raises: Unobtainable."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spinney-tests"
    venv = cache / f"octavia-{sys.version_info.major}.{sys.version_info.minor}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "octavia.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = venv / "installed"
        if not (done.is_file() and done.read_text() == "\n".join(NEEDED)):
            _run(sys.executable, "-m", "venv", "--clear", str(venv))
            _run(str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *NEEDED)
            done.write_text("\n".join(NEEDED))
    return venv


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines()
        raise Unobtainable(f"Octavia cannot be had, by `{' '.join(command)}`: {said[-1] if said else ''}")


class Database:
    def __init__(self, place: Path) -> None:
        self.place = place

    def do(self, *statements: str, within: str = "") -> str:
        asked = ["mariadb", "--no-defaults", "-uroot", f"--socket={self.place}", "-N", "-e", ";".join(statements)]
        ran = subprocess.run([*asked, *([within] if within else [])], capture_output=True, text=True)
        if ran.returncode:
            raise OSError(ran.stderr.strip())
        return ran.stdout


class Provider:
    """Says, while it runs, that what is pending is done."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        done = [*_WITH_IT]
        done += [f"DELETE FROM {table} WHERE provisioning_status = 'PENDING_DELETE'" for table in _TABLES[:-1]]
        done.append(
            "UPDATE load_balancer SET provisioning_status = 'DELETED' WHERE provisioning_status = 'PENDING_DELETE'"
        )
        # The load balancer last: from then on it may be changed again.
        done += [
            f"UPDATE {table} SET provisioning_status = 'ACTIVE', operating_status = 'ONLINE' "
            "WHERE provisioning_status IN ('PENDING_CREATE', 'PENDING_UPDATE')"
            for table in _TABLES
        ]
        while not self._over.wait(0.1):
            with contextlib.suppress(OSError):  # deadlocks with the service are over the next time
                self._database.do(*done, within="octavia")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Its URL. Raises: Unobtainable."""
    missing = [name for name in ("mariadbd", "mariadb", "mariadb-install-db") if shutil.which(name) is None]
    if missing:
        raise Unobtainable(f"{missing[0]} is missing: install the package mariadb-server")
    venv = installed()
    with _database(folder) as database:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        file = folder / "octavia.conf"
        file.write_text(_CONFIGURATION.format(port=port, socket=database.place))
        database.do("CREATE DATABASE octavia")
        _run(str(venv / "bin/octavia-db-manage"), "--config-file", str(file), "upgrade", "head")
        url = f"http://127.0.0.1:{port}"
        command = [venv / "bin/octavia-api", "--config-file", file]
        with _serving(command, folder / "octavia.log", lambda: call("GET", f"{url}/v2/lbaas/loadbalancers")):
            with Provider(database):
                yield url


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[Database]:
    data, place = folder / "data", folder / "sql"
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    _run("mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={me}", "--skip-test-db",
         "--auth-root-authentication-method=normal")  # fmt: skip
    quick = ("--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--performance-schema=OFF", "--skip-networking")
    files = (f"--datadir={data}", f"--socket={place}", f"--pid-file={folder / 'pid'}")
    database = Database(place)
    command = ["mariadbd", "--no-defaults", f"--user={me}", *files, *quick]
    with _serving(command, folder / "mariadb.log", lambda: database.do("SELECT 1")):
        yield database


@contextlib.contextmanager
def _serving(command: Sequence[str | Path], log: Path, ask: Callable[[], object]) -> Iterator[None]:
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written)
    try:
        _await_answer(process, ask, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(process: subprocess.Popen[bytes], ask: Callable[[], object], log: Path) -> None:
    for _ in range(int(_PATIENCE / 0.25)):
        with contextlib.suppress(OSError):
            ask()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.25)
            break
    raise Unobtainable(f"it does not serve: {log.read_text()[-2000:]}")
