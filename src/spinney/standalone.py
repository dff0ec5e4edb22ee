"""What makes a state directory a deployment: lock, password, clouds.yaml, and the machine's own Docker engine as first host."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.config import AuthSettings
from spinney.domain.action import Action, ActionKind, Cause, queued
from spinney.domain.cluster import Cluster
from spinney.domain.identity import Owner
from spinney.domain.node import NodeStatus
from spinney.domain.profile import Profile
from spinney.errors import SpinneyError
from spinney.store import actions
from spinney.store.rows import CLUSTERS, PROFILES
from spinney.store.tables import meta
from spinney.store.tables import node as node_table

USER = "admin"
PROJECT = "default"
CLOUD = "spinney"
LOCAL = "local"
_DONE = "local-host"
_DEPLOYMENT = "deployment"
_OTHER_STATE_DIR = "name another one with --state-dir or SPINNEY_STATE_DIR"


class StateDirInUse(SpinneyError):
    """Another process runs on this state directory."""


def default_state_dir(environment: Mapping[str, str]) -> Path:
    """``$SPINNEY_STATE_DIR``, or ``spinney`` in the XDG state home."""
    given = environment.get("SPINNEY_STATE_DIR")
    if given:
        return Path(given)
    home = environment.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "spinney"


def prepare_state_dir(path: Path) -> None:
    """Have a folder that can be written into. Raises: ValueError, with a sentence for the user."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        file = next(one for one in (path, *path.parents) if os.path.lexists(one))
        raise ValueError(f"the state directory cannot be {path}: {file} is no folder; {_OTHER_STATE_DIR}") from error
    except OSError as error:
        raise ValueError(
            f"the state directory {path} cannot be written into ({error.strerror}): make it your own, or {_OTHER_STATE_DIR}"
        ) from error


@contextmanager
def exclusive(state_dir: Path) -> Iterator[None]:
    """Hold the state directory alone, as a standalone service does. Raises: StateDirInUse."""
    with _locked(state_dir, fcntl.LOCK_EX, "another service"):
        for stale in state_dir.glob("engine-*.sock"):
            stale.unlink()
        yield


@contextmanager
def shared(state_dir: Path) -> Iterator[None]:
    """Hold the state directory together with other API and engine processes. Raises: StateDirInUse."""
    with _locked(state_dir, fcntl.LOCK_SH, "a `spinney standalone`"):
        yield


@contextmanager
def _locked(state_dir: Path, kind: int, other: str) -> Iterator[None]:
    with (state_dir / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateDirInUse(f"{other} runs on {state_dir}; end it first, or give another --state-dir") from error
        yield


def password(state_dir: Path) -> str:
    """The password of the standalone user, made at the first start and kept where only its owner can read it."""
    path = state_dir / "password"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        made = secrets.token_urlsafe(24)
        _write_private(path, made + "\n")
        return made


def write_clouds(state_dir: Path, url: str, settings: AuthSettings, authority: Path | None = None) -> None:
    """``clouds.yaml`` for every OpenStack client, with one cloud named ``spinney``.

    Passwords of others are theirs to add, and where there is a Keystone, its catalogue leads to the service. ``authority``:
    what the service's certificate is known by, where that is nothing that everybody trusts.
    """
    path = state_dir / "clouds.yaml"
    if settings.strategy == "keystone":
        path.unlink(missing_ok=True)
        return
    auth = {"endpoint": f"{url}/v1"}
    if settings.strategy == "http_basic" and not settings.htpasswd_file:
        auth |= {"username": USER, "password": password(state_dir)}
    entry = {"auth_type": settings.strategy, "auth": auth, "clustering_default_microversion": "1.14"}
    if authority is not None:
        entry["cacert"] = str(authority)
    _write_private(path, yaml.safe_dump({"clouds": {CLOUD: entry}}, sort_keys=False))


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def local_sockets(environment: Mapping[str, str]) -> list[Path]:
    """Where the machine's own Docker engine may answer: at ``DOCKER_HOST`` alone, else at the usual places."""
    named = environment.get("DOCKER_HOST", "")
    if named:
        return [Path(named.removeprefix("unix://"))] if named.startswith("unix://") else []
    runtime = environment.get("XDG_RUNTIME_DIR")
    usual = [Path("/var/run/docker.sock")]
    return [Path(runtime) / "docker.sock", *usual] if runtime else usual


def deployment_id(connection: Connection, fresh: str) -> str:
    """The deployment's own id, ``fresh`` at its first start: the label by which its containers are known."""
    query = sa.select(meta.c.value).where(meta.c.key == _DEPLOYMENT)
    found = connection.execute(query).scalar()
    if found is not None:
        return str(found)
    connection.execute(meta.insert().values(key=_DEPLOYMENT, value=fresh))
    return fresh


def register_local_host(connection: Connection, socket: Path, ids: Ids, now: float) -> None:
    """The first time: a host cluster ``local`` whose only member is the machine's own Docker engine.

    Later, if that host never joined, it is tried again; if its owner removed it, it stays removed.
    """
    cluster_id = connection.execute(sa.select(meta.c.value).where(meta.c.key == _DONE)).scalar()
    if cluster_id is None:
        _create_local(connection, socket, ids, now)
        return
    broken = sa.select(node_table.c.id).where(
        node_table.c.cluster_id == str(cluster_id), node_table.c.status == NodeStatus.ERROR.value
    )
    waiting = list(connection.execute(broken).scalars())
    busy = actions.live_targets(connection, waiting)
    again = [_action(ActionKind.NODE_RECOVER, node, str(cluster_id), ids, now) for node in waiting if node not in busy]
    actions.insert(connection, again)


def _create_local(connection: Connection, socket: Path, ids: Ids, now: float) -> None:
    owner: dict[str, Any] = {"user": USER, "project": PROJECT, "domain": None}
    profile = Profile(
        id=ids.new(),
        name=LOCAL,
        type="host.docker-1.0",
        spec={"type": "host.docker", "version": "1.0", "properties": {"endpoint": f"unix://{socket}"}},
        metadata={},
        created_at=now,
        **owner,
    )
    cluster = Cluster(
        id=ids.new(),
        name=LOCAL,
        profile_id=profile.id,
        desired_capacity=1,
        config={"node.name.format": LOCAL},
        init_at=now,
        **owner,
    )
    PROFILES.insert(connection, [profile])
    CLUSTERS.insert(connection, [cluster])
    actions.insert(connection, [_action(ActionKind.CLUSTER_CREATE, cluster.id, cluster.id, ids, now)])
    connection.execute(meta.insert().values(key=_DONE, value=cluster.id))


def _action(kind: ActionKind, target: str, cluster_id: str, ids: Ids, now: float) -> Action:
    return queued(
        kind, target, Owner(USER, PROJECT), action_id=ids.new(), cause=Cause.REQUEST, now=now, cluster_id=cluster_id
    )
