"""The host helper as an image that a Docker engine loads, made in memory: one layer with one file.

Guaranteed: the same program makes the same archive and the same image everywhere; the tag names the program's bytes, so that a
newer one is another image. No registry is asked for it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_HELPER, LABEL_HELPER_MODE
from spinney.domain.host import HelperMode
from spinney.errors import ContainerRefused

#: What the program answers to ``version``: raised with each change of what it says.
VERSION = "2"
PROGRAM = "/host-helper"
REPOSITORY = "spinney-host-helper"
NOT_OURS = (
    "the host has a container {name} that is not our host helper; remove or rename it there, "
    "or set spinney.helper of the host cluster to none"
)
#: Architectures as Docker calls them, and as compilers do.
ARCHITECTURES: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class HelperImage:
    reference: str
    #: What the label of a container and of the image says: the program and its version.
    version: str
    #: The digest by which a Docker engine knows the layer, wherever it keeps it.
    layer: str
    archive: bytes

    def labels(self, deployment: str, mode: HelperMode) -> dict[str, str]:
        return {LABEL_DEPLOYMENT: deployment, LABEL_HELPER: self.version, LABEL_HELPER_MODE: mode.value}


def container_name(deployment: str) -> str:
    """One for each deployment: two of them may share a host."""
    return f"spinney-host-helper.{deployment[:13]}"


def known_architecture(name: str) -> str:
    """As Docker calls it. Raises ContainerRefused when there is no helper for it."""
    found = next((docker for docker, compiler in ARCHITECTURES.items() if name in (docker, compiler)), None)
    if found is None:
        raise ContainerRefused(
            f"there is no host helper for machines of architecture {name[:40]!r}, only for {', '.join(ARCHITECTURES)}; "
            "set spinney.helper of the host cluster to none"
        )
    return found


@cache
def helper_image(architecture: str) -> HelperImage:
    """``architecture`` as Docker calls it. Raises: ContainerRefused."""
    program = files("spinney.drivers.helper").joinpath(ARCHITECTURES[known_architecture(architecture)]).read_bytes()
    return packed(program, architecture)


def packed(program: bytes, architecture: str) -> HelperImage:
    version = f"{VERSION}-{hashlib.sha256(program).hexdigest()[:12]}"
    reference = f"{REPOSITORY}:{version}"
    layer = _tar({PROGRAM.removeprefix("/"): (program, 0o555)})
    layer_id = _digest(layer)
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Entrypoint": [PROGRAM], "User": "65534:65534", "Labels": {LABEL_HELPER: version}},
            "rootfs": {"type": "layers", "diff_ids": [layer_id]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "spinney"}],
        }
    )
    config_name = f"{_digest(config).removeprefix('sha256:')}.json"
    manifest = _json([{"Config": config_name, "RepoTags": [reference], "Layers": ["layer.tar"]}])
    archive = _tar({config_name: (config, 0o444), "layer.tar": (layer, 0o444), "manifest.json": (manifest, 0o444)})
    return HelperImage(reference, version, layer_id, archive)


def _tar(members: Mapping[str, tuple[bytes, int]]) -> bytes:
    """With nothing in it that differs between two makings: no times, no owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (content, mode) in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
