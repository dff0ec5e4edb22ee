"""``spinney keys``: the keys that everything kept secret is sealed with, on the machine that holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from spinney import keyring, sealing, wiring
from spinney.cli.faults import CliError
from spinney.cli.server import ConfigFile, StateDir, _say, _settings, _store
from spinney.errors import SpinneyError
from spinney.keyring import KeyRing
from spinney.sealing import SecretKeys
from spinney.store import migrate, ringed, sealed
from spinney.store.database import Store

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The keys that secrets are sealed with.")

T = TypeVar("T")
#: Older keys of API processes that go on opening.
_KEPT = 9
_BATCH = 100


@app.command("list")
def list_(state_dir: StateDir = None, config_file: ConfigFile = None) -> None:
    """Tell the keys there are, which is sealed with, and how much is sealed with each."""
    settings = _settings(state_dir, config_file)
    path, ring_path = wiring.engine_key_file(settings), wiring.api_key_file(settings)
    with _store(settings) as store:
        migrate.upgrade(store)
        counts = store.run(sealed.by_key)
    keys = _tried(lambda: sealing.open_keys(path))
    _say(f"engines, {path}:")
    for number, key_id in enumerate(keys.ids):
        _say(f"  {key_id}  {'sealed for' if number == 0 else 'opens'}  {counts.pop(key_id, 0)} sealed")
    for key_id, count in sorted(counts.items()):
        _say(f"  {key_id}  not here  {count} sealed")
    ring = _tried(lambda: keyring.open_ring(ring_path))
    _say(f"API processes, {ring_path}:")
    for number, key_id in enumerate(ring.ids):
        _say(f"  {key_id}  {'sealed with' if number == 0 else 'opens'}")


@app.command("rotate")
def rotate(state_dir: StateDir = None, config_file: ConfigFile = None) -> None:
    """Put new keys in front of the old ones, which go on opening what they sealed.

    Running processes of this machine notice within a minute and seal anew what is in the database; on other machines, copy
    the two files first. Afterwards: spinney keys drop.
    """
    settings = _settings(state_dir, config_file)
    path, ring_path = wiring.engine_key_file(settings), wiring.api_key_file(settings)
    keys = _tried(lambda: sealing.rotate(path))
    _say(f"engines: sealed for {keys.ids[0]} from now on; {len(keys.ids) - 1} older ones open")
    count = _tried(lambda: keyring.rotate(ring_path, _KEPT))
    with _store(settings) as store:
        migrate.upgrade(store)
        anew = _seal_anew(store, _tried(lambda: keyring.open_ring(ring_path)), lost=True)
    _say(f"API processes: sealed with a new key from now on; {count - 1} older ones open; {anew} things sealed anew")


@app.command("drop")
def drop(
    state_dir: StateDir = None,
    config_file: ConfigFile = None,
    lost: Annotated[
        bool, typer.Option("--lost", help="Also keys of API processes with which something is sealed: it is lost then.")
    ] = False,
) -> None:
    """Take the older keys out of the files. Refused while anything is sealed for one of them."""
    settings = _settings(state_dir, config_file)
    path, ring_path = wiring.engine_key_file(settings), wiring.api_key_file(settings)
    keys = _tried(lambda: sealing.open_keys(path))
    with _store(settings) as store:
        migrate.upgrade(store)
        _refuse_used(keys, store.run(sealed.by_key))
        ring = _tried(lambda: keyring.open_ring(ring_path))
        _seal_anew(store, ring, lost=lost)
    _tried(lambda: sealing.drop(path, keys.ids[1:]))
    _tried(lambda: keyring.drop(ring_path))
    _say(f"engines: {len(keys.ids) - 1} older keys dropped; API processes: {len(ring.ids) - 1} older keys dropped")


def _refuse_used(keys: SecretKeys, counts: dict[str, int]) -> None:
    used = {key_id: counts[key_id] for key_id in keys.ids[1:] if counts.get(key_id)}
    if used:
        told = ", ".join(f"{count} for {key_id}" for key_id, count in used.items())
        raise CliError(
            f"something is sealed for the older keys still ({told}): let an engine run for a minute, which seals it anew, and "
            "try again"
        )


def _seal_anew(store: Store, ring: KeyRing, *, lost: bool = False) -> int:
    """Everything that API processes sealed, with the first key. Raises: CliError."""
    count = 0
    for place in ringed.PLACES:
        after: tuple[Any, ...] | None = None
        while tokens := store.run(ringed.page, place, after, _BATCH):
            anew = []
            for token in tokens:
                try:
                    fresh = ring.sealed_anew(token.content)
                except keyring.NoSuchKey as error:
                    if lost:
                        continue
                    raise CliError(f"{place.table.name} {token.key[0]}: {error}") from error
                if fresh is not None:
                    anew.append((token, fresh))
            store.run(ringed.replace, place, anew)
            count, after = count + len(anew), tokens[-1].key
    return count


def _tried(work: Callable[[], T]) -> T:
    try:
        return work()
    except (SpinneyError, OSError) as error:
        raise CliError(str(error)) from error
