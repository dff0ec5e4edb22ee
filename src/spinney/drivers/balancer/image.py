"""The image of load balancers as an archive that a Docker engine loads.

Guaranteed: of the same files the same archive is made, bit for bit, and the same image everywhere; its name has the digest of
its one layer, so that another image has another name. No registry is asked for it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

REPOSITORY = "spinney-balancer"
#: Whom it runs as, and where it keeps its configuration.
USER = 65534
HOME = "var/lib/balancer"
START, CONTROL = "/balancer/start", "/balancer/control"
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    mode: int = 0o444


def archive(files: Mapping[str, File], links: Mapping[str, str], architecture: str, packages: str) -> bytes:
    """``files`` and ``links`` by their path without a leading slash; ``packages`` says what they are from."""
    layer = _layer(files, links)
    layer_id = _digest(layer)
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": _EPOCH,
            "config": {
                "Entrypoint": [START],
                "Env": ["PATH=/usr/sbin:/bin"],
                "Labels": {"io.spinney.balancer": packages},
                "StopSignal": "SIGUSR1",
                "User": f"{USER}:{USER}",
                "WorkingDir": f"/{HOME}",
            },
            "rootfs": {"type": "layers", "diff_ids": [layer_id]},
            "history": [{"created": _EPOCH, "created_by": "spinney balancer build-image"}],
        }
    )
    name = f"{_digest(config).removeprefix('sha256:')}.json"
    reference = f"{REPOSITORY}:{layer_id.removeprefix('sha256:')[:12]}"
    manifest = _json([{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for path, content in ((name, config), ("layer.tar", layer), ("manifest.json", manifest)):
            _add(made, path, File(content))
    return buffer.getvalue()


def reference_in(file: Path) -> str:
    """The name of the image in an archive. Raises: ValueError that says what is wrong with the file."""
    try:
        with file.open("rb") as opened:
            return _reference(opened)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror or error}") from error
    except (tarfile.TarError, KeyError, ValueError, TypeError, AssertionError) as error:
        raise ValueError(f"{file} is no archive of one image; make one with spinney balancer build-image") from error


def reference_of(made: bytes) -> str:
    """The name of the image in what ``archive`` made."""
    return _reference(io.BytesIO(made))


def _reference(opened: IO[bytes]) -> str:
    """Raises: what reading something else raises."""
    with tarfile.open(fileobj=opened) as members:
        manifest = members.extractfile("manifest.json")
        assert manifest is not None
        (entry,) = json.load(manifest)
        (reference,) = entry["RepoTags"]
        return str(reference)


def _layer(files: Mapping[str, File], links: Mapping[str, str]) -> bytes:
    folders = {str(parent) for path in (*files, *links, f"{HOME}/-") for parent in Path(path).parents} - {"."}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for path in sorted(folders):
            member = tarfile.TarInfo(path)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            if path == HOME:
                member.mode, member.uid, member.gid = 0o700, USER, USER
            made.addfile(member)
        for path in sorted(files):
            _add(made, path, files[path])
        for path in sorted(links):
            member = tarfile.TarInfo(path)
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, links[path], 0o777
            made.addfile(member)
    return buffer.getvalue()


def _add(made: tarfile.TarFile, path: str, file: File) -> None:
    """Without what differs between two makings: no times, no owners."""
    member = tarfile.TarInfo(path)
    member.size, member.mode = len(file.content), file.mode
    made.addfile(member, io.BytesIO(file.content))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
