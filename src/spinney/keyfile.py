"""Writing files of keys, whole or not at all, for their owner alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write(path: Path, content: bytes, *, anew: bool) -> None:
    """``anew``: in place of the file that is there, keeping whose it is; else only if there is none: of several that try at the
    same time the first wins. Raises: OSError."""
    descriptor, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if anew:
        before = path.stat()
        Path(fresh).chmod(before.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(fresh, before.st_uid, before.st_gid)
        Path(fresh).replace(path)
        return
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        Path(fresh).unlink()
