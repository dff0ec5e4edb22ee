"""Bridges of networks that a Docker engine leaves when it cannot be ended in order.

Guaranteed: none is touched that was there before our own engine, nor while another Docker engine runs in any form.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import socket
import struct
from collections.abc import Collection

from demo import firewall

_NAME = re.compile(r"br-[0-9a-f]{12}")
_SET_FLAGS, _REMOVE = 0x8914, 0x89A1


def present() -> list[str]:
    return [name for _, name in socket.if_nameindex() if _NAME.fullmatch(name)]


def remove(before: Collection[str]) -> None:
    """Take away what has come since."""
    if firewall.others_run():
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name in set(present()) - set(before):
            with contextlib.suppress(OSError):
                down = struct.pack("16sh14x", name.encode(), 0)  # one that is up cannot be removed
                fcntl.ioctl(control, _SET_FLAGS, down)
                fcntl.ioctl(control, _REMOVE, name.encode() + b"\0")
