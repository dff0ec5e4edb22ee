"""Making the image of load balancers from Debian's packages, on a Debian or Ubuntu machine.

The packages come from where the machine's apt gets them; nothing is installed. Guaranteed: the same versions of the packages
make the same archive. The image is for the machine's own architecture.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from spinney.drivers.balancer.image import File, archive

_WANTED = ("haproxy", "busybox-static")
_PROGRAMS = ("apt-get", "apt-cache", "dpkg", "dpkg-deb")
_APPLETS = ("sh", "base64", "cat", "cp", "mv", "nc", "sha256sum")
_DEPENDS = re.compile(r"^ *\|?(?:Pre)?Depends: (lib[a-z0-9.+-]+|gcc-[0-9]+-base)$", re.MULTILINE)
_RESOLVED = re.compile(r" => (/\S+) \(0x", re.MULTILINE)
#: What is found under other names as well: the loader where programs of this architecture look for it, and the shell's words.
_LINKS = {f"bin/{name}": "busybox" for name in _APPLETS} | {"lib64": "lib"}


class CannotBuild(Exception):
    """The message says what is missing."""


def build() -> bytes:
    """The archive. Raises: CannotBuild."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise CannotBuild(
            f"this machine has no {', '.join(missing)}: build the image on Debian or Ubuntu, and copy the file"
        )
    with tempfile.TemporaryDirectory(prefix="spinney-balancer.") as made:
        folder = Path(made)
        root = folder / "root"
        _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *_packages(), folder=folder)
        versions: list[str] = []
        for deb in sorted(folder.glob("*.deb")):
            _run("dpkg-deb", "-x", str(deb), str(root))
            versions.append(_run("dpkg-deb", "-W", "--showformat", "${Package} ${Version}", str(deb)))
        return archive(_files(root), _LINKS, _run("dpkg", "--print-architecture").strip(), ", ".join(versions))


def _packages() -> list[str]:
    """Those that are wanted, and all libraries that HAProxy needs."""
    found = dict.fromkeys(_WANTED)
    new = ["haproxy"]
    while new:
        told = _run("apt-cache", "depends", "--no-recommends", "--no-suggests", *new)
        new = [name for name in dict.fromkeys(_DEPENDS.findall(told)) if name not in found]
        found.update(dict.fromkeys(new))
    return list(found)


def _files(root: Path) -> dict[str, File]:
    """Of all that the packages hold, what a load balancer needs; and whose it is."""
    chosen = {
        "bin/busybox": File(_find(root, "bin/busybox").read_bytes(), 0o555),
        "usr/sbin/haproxy": File(_find(root, "sbin/haproxy").read_bytes(), 0o555),
    }
    for library in _libraries(root):
        chosen[f"lib/{library.name}"] = File(library.resolve().read_bytes(), 0o555)
    for name, mode in (("start", 0o555), ("control", 0o555), ("idle.cfg", 0o444)):
        chosen[f"balancer/{name}"] = File(files("spinney.drivers.balancer").joinpath(name).read_bytes(), mode)
    for text in sorted(root.glob("usr/share/doc/*/copyright")):
        chosen[str(text.relative_to(root))] = File(text.read_bytes())
    return chosen


def _libraries(root: Path) -> list[Path]:
    """The loader, and what it loads for HAProxy."""
    folders = sorted({str(one.parent) for one in root.rglob("*.so*") if one.is_file()})
    loader = _find(root, "ld-linux*.so.*")
    told = _run(str(loader), "--library-path", ":".join(folders), "--list", str(_find(root, "sbin/haproxy")))
    found = [Path(path) for path in _RESOLVED.findall(told)]
    lost = [one for one in found if not one.is_relative_to(root)]
    if lost or not found:
        raise CannotBuild(f"the packages lack a library of HAProxy's: {told.strip()[:300]}; report this")
    return [loader, *(one for one in found if one.name != loader.name)]


def _find(root: Path, name: str) -> Path:
    found = next((one for one in sorted(root.rglob(name)) if one.is_file() and not one.is_symlink()), None)
    if found is None:
        raise CannotBuild(f"the packages hold no {name}; see whether apt knows Debian's {' and '.join(_WANTED)}")
    return found


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CannotBuild(f"{' '.join(command)[:200]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
