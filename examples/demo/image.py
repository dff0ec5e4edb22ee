"""The demo's image: busybox from a registry if one answers soon, else built on the spot from the machine's own busybox."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from demo import docker
from demo.notes import Notes, Trouble

NAME = "spinney-demo"
IMAGE = f"{NAME}:latest"
PULLED, TAG = "busybox", "stable"
PATIENCE, LIMIT = 5.0, 60.0
APPLETS = ("cat", "hostname", "httpd", "ls", "mkdir", "ps", "sh", "sleep", "wget")


def obtain(notes: Notes) -> str:
    """Have the image on the Docker engine; where it came from. Notes what was not there before."""
    socket = notes.socket
    if docker.has_image(socket, IMAGE):
        return "is there already"
    notes.images.append(IMAGE)
    notes.save()
    reference = f"{PULLED}:{TAG}"
    there = docker.has_image(socket, reference)
    if not there:
        notes.images.append(reference)
        notes.save()
    if there or docker.pull(socket, PULLED, TAG, PATIENCE, LIMIT):
        docker.expect(socket, "POST", f"/images/{reference}/tag", {"repo": NAME, "tag": "latest"})
        return f"is {reference}" if there else f"pulled as {reference}"
    query = {"fromSrc": "-", "repo": NAME, "tag": "latest"}
    docker.expect(socket, "POST", "/images/create", query, _archive(_busybox()))
    return "built from this machine's busybox, for no registry answers"


def remove(notes: Notes) -> None:
    """Remove what the demo brought, but no image that a container of somebody else's has come to use."""
    for reference in notes.images:
        if docker.call(notes.socket, "DELETE", f"/images/{reference}")[0] == 409:
            print(f"The image {reference} stays: a container that is not the demo's uses it.")


def _busybox() -> Path:
    found = shutil.which("busybox")
    static = found and subprocess.run(["ldd", found], check=False, capture_output=True).returncode != 0
    if not found or not static:
        raise Trouble(
            f"no registry answers to pull {PULLED}:{TAG} from, and there is no static busybox to build an image of; "
            "install the package busybox-static, then run this again"
        )
    return Path(found)


def _archive(busybox: Path) -> bytes:
    """A root file system: busybox, links to it, and a folder to serve."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder, mode in (("bin", 0o755), ("tmp", 0o1777), ("www", 0o755)):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, mode
            archive.addfile(member)
        content = busybox.read_bytes()
        member = tarfile.TarInfo("bin/busybox")
        member.size, member.mode = len(content), 0o755
        archive.addfile(member, io.BytesIO(content))
        for applet in APPLETS:
            member = tarfile.TarInfo(f"bin/{applet}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(member)
    return buffer.getvalue()
