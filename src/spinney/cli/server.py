"""The commands that run the service itself."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from sqlalchemy.exc import DatabaseError

from spinney import standalone as state
from spinney import wiring
from spinney.cli.faults import CliError
from spinney.clock import SystemClock
from spinney.config import Settings, load
from spinney.errors import SpinneyError
from spinney.store import credentials, migrate
from spinney.store.database import Store

StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="Where database, password and clouds.yaml are; default: XDG state home."),
]
ConfigFile = Annotated[list[Path] | None, typer.Option("--config-file", help="Configuration file; may be repeated.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to serve at; default: 127.0.0.1.")]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="TCP port to serve at, 0 for any free one; default: 8777."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what is done, not only what goes wrong.")]


def standalone(
    state_dir: StateDir = None,
    host: Host = None,
    port: Port = None,
    config_file: ConfigFile = None,
    no_local_host: Annotated[
        bool, typer.Option("--no-local-host", help="Do not register this machine's own Docker engine.")
    ] = False,
    unix_socket: Annotated[
        list[str] | None,
        typer.Option("--unix-socket", help="Pattern of further unix sockets that hosts may be registered by."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Run the whole service in one process: API, engine, SQLite."""
    settings = _settings(state_dir, config_file, host, port, tuple(unix_socket or ()))
    local = [] if no_local_host else state.local_sockets(os.environ)
    if not local and not no_local_host:
        named = os.environ["DOCKER_HOST"]
        _say(f"DOCKER_HOST is {named!r}, which is no unix:// socket, so it is not registered: use `spinney host add`")
    _run(wiring.run_standalone(settings, local, _say), verbose)


def api(
    state_dir: StateDir = None,
    host: Host = None,
    port: Port = None,
    config_file: ConfigFile = None,
    verbose: Verbose = False,
) -> None:
    """Run one API process; run `spinney engine` beside it."""
    _run(wiring.run_api(_settings(state_dir, config_file, host, port), _say), verbose)


def engine(state_dir: StateDir = None, config_file: ConfigFile = None, verbose: Verbose = False) -> None:
    """Run one engine process; any number may share a database."""
    _run(wiring.run_engine(_settings(state_dir, config_file), _say), verbose)


db = typer.Typer(no_args_is_help=True, add_completion=False, help="Prepare and upgrade the database.")


@db.command("upgrade")
def db_upgrade(state_dir: StateDir = None, config_file: ConfigFile = None) -> None:
    """Bring the database to the schema of this version; every server command does the same when it starts."""
    with _store(_settings(state_dir, config_file)) as store:
        migrate.upgrade(store)
        _say(f"the database is at version {migrate.versions(store)[0]}")


@db.command("version")
def db_version(state_dir: StateDir = None, config_file: ConfigFile = None) -> None:
    """Tell the version of the database and the one this program needs."""
    with _store(_settings(state_dir, config_file)) as store:
        current, needed = migrate.versions(store)
        _say(f"database: {current or 'empty'}, needed: {needed}")


@db.command("forget-key")
def db_forget_key(state_dir: StateDir = None, config_file: ConfigFile = None) -> None:
    """Give up the key that credentials are sealed for, when it is lost: the next engine brings its own.

    Afterwards each credential and each secret needs its data anew: spinney credential rotate, spinney secret update.
    """
    with _store(_settings(state_dir, config_file)) as store:
        migrate.upgrade(store)
        known = store.run(credentials.forget_key)
        then = "start an engine, then rotate every credential and update every secret"
        _say(f"the key is forgotten: {then}" if known else "no key is known yet")


def _store(settings: Settings) -> Store:
    return Store(settings.database_url, SystemClock())


def _settings(
    state_dir: Path | None,
    files: list[Path] | None,
    host: str | None = None,
    port: int | None = None,
    sockets: tuple[str, ...] = (),
) -> Settings:
    if state_dir == Path():
        raise CliError("--state-dir: it is empty, or the folder you are in; name a folder of its own")
    path = (state_dir or state.default_state_dir(os.environ)).absolute()
    missing = next((file for file in files or () if not file.is_file()), None)
    if missing is not None:
        raise CliError(f"--config-file: {missing} does not exist")
    given = {"host": host, "port": port}
    overrides: list[tuple[str, str, Any]] = [("api", name, value) for name, value in given.items() if value is not None]
    os.umask(0o077)  # database, lock and sockets too are for their owner alone, also in a folder that others may enter
    try:
        state.prepare_state_dir(path)
        settings = load(path, files or (), overrides)
        if sockets:
            patterns = [*settings.driver.unix_sockets, *sockets]
            settings = load(path, files or (), [*overrides, ("driver", "unix_sockets", patterns)])
    except (ValueError, OSError) as error:
        raise CliError(str(error)) from error
    return settings


def _run(main: Coroutine[Any, Any, None], verbose: bool) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # It tells of every channel, and there is one for every call to a host.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)
    except DatabaseError as error:
        raise CliError(f"the database cannot be used ({error.orig}): repair it, or restore it from a copy") from error
    except (SpinneyError, OSError) as error:
        raise CliError(getattr(error, "strerror", None) or str(error)) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _say(line: str) -> None:
    print(line, flush=True)
