"""Debian roots of other releases, whose Docker engines and Podman hosts of a bed can run.

Made by debootstrap from where this machine's apt gets its packages. A release that debootstrap does not know by name is made as
Debian's newest. Making one takes about half a minute and 700 MB.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.host import PATH, run

PACKAGES = (
    "docker.io",
    "iptables",
    "iproute2",
    "ca-certificates",
    "podman",
    "runc",
    "catatonit",
    "aardvark-dns",
    "nftables",
)
_SCRIPTS = Path("/usr/share/debootstrap/scripts")


def mirror() -> str:
    """Where apt finds Debian's packages. Raises RuntimeError."""
    found = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    for uri in found:
        if uri.rstrip("/").endswith("/debian"):
            return uri
    raise RuntimeError(
        "apt has no archive of Debian to make roots from: add one whose address ends in /debian to its sources"
    )


@contextmanager
def debian_root(release: str, folder: Path, *, keep: bool) -> Iterator[Path]:
    """The root of a release in ``folder``, made unless it is there; removed again unless it is to be kept."""
    root = folder / release
    if not (root / "usr/sbin/dockerd").exists():
        _make(release, root)
    try:
        yield root
    finally:
        if not keep:
            shutil.rmtree(root)


def _make(release: str, root: Path) -> None:
    if shutil.which("debootstrap", path=PATH) is None:
        raise RuntimeError("making a Debian root needs debootstrap. Install with: apt-get install debootstrap")
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    script = [] if (_SCRIPTS / release).exists() else [str(_SCRIPTS / "sid")]
    run("debootstrap", "--variant=minbase", release, str(root), mirror(), *script)
    # What starts services when packages are installed would find none of its own here.
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    environment = ("env", "DEBIAN_FRONTEND=noninteractive", f"PATH={PATH}", *_proxies())
    wanted = [package for package in PACKAGES if _offers(root, package)]
    run("chroot", str(root), *environment, "apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted)
    run("chroot", str(root), "apt-get", "clean")


def _offers(root: Path, package: str) -> bool:
    return bool(run("chroot", str(root), "apt-cache", "show", "--no-all-versions", package, check=False))


def _proxies() -> list[str]:
    return [f"{name}={value}" for name, value in os.environ.items() if name.lower().endswith("_proxy")]
