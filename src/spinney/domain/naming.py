"""Names of nodes made in a cluster, from the cluster's ``node.name.format``.

``$[n]R`` gives n random letters and digits (the first a letter; 8 without n), ``$[n]r`` the same in lower case, ``$[n]I`` the
node's index padded to n digits. Everything else stands for itself.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

DEFAULT_FORMAT = "node-$8R"
_PATTERN = re.compile(r"\$(\d{0,3})([RrI])")
_LIMIT = 255

#: (length, alphabet) -> that many characters of it, chosen by chance.
Chooser = Callable[[int, str], str]


def node_name(pattern: str | None, index: int, choose: Chooser) -> str:
    """At most 255 characters."""

    def fill(match: re.Match[str]) -> str:
        digits, kind = match.groups()
        if kind == "I":
            return str(index).zfill(int(digits or 0))
        length = int(digits or 8)
        letters = string.ascii_letters if kind == "R" else string.ascii_lowercase
        return choose(1, letters) + choose(length - 1, letters + string.digits) if length else ""

    return _PATTERN.sub(fill, pattern or DEFAULT_FORMAT)[:_LIMIT]
