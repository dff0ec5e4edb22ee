"""Names: what they may look like, and the template from which a cluster names its nodes.

In ``node.name.format`` stands ``$[n]R`` for n random letters and digits of which the first is a letter, ``$[n]r`` for the
same in lower case (n is 8 unless given), ``$[n]I`` for the node's index padded with zeros to n digits; other text is literal.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

NAME = re.compile(r"[A-Za-z0-9._~\-\u4e00-\u9fa5]{1,255}")
NAME_SAYS = "1 to 255 letters, digits, '.', '_', '~', '-' or CJK characters"

DEFAULT_FORMAT = "node-$8R"
_PLACE = re.compile(r"\$([0-9]{0,3})([RrI])")
_LOWER = string.ascii_lowercase
_LETTERS = string.ascii_letters
_LONGEST = 200

#: ``(length, alphabet) -> text``: where chance comes from.
Choose = Callable[[int, str], str]


def expand(template: str, index: int, choose: Choose) -> str:
    """The name of the node with that index."""

    def place(match: re.Match[str]) -> str:
        digits, kind = match.groups()
        if kind == "I":
            return str(index).zfill(int(digits or 0))
        letters = _LETTERS if kind == "R" else _LOWER
        length = int(digits or 8)
        return (choose(1, letters) + choose(length - 1, letters + string.digits)) if length else ""

    return _PLACE.sub(place, template)


def node_name(config: object, index: int, choose: Choose) -> str:
    """The name of a cluster's new member; ``config`` is the cluster's."""
    template = config.get("node.name.format") if isinstance(config, dict) else None
    return expand(template or DEFAULT_FORMAT, index, choose)


def format_fault(template: object) -> str | None:
    """What is wrong with a ``node.name.format``, or None."""
    if not isinstance(template, str) or not template:
        return f"a string such as '{DEFAULT_FORMAT}' is needed"
    widths = [int(digits or 0) for digits, _ in _PLACE.findall(template)]
    if sum(widths) + len(template) > _LONGEST:
        return f"the names it makes may be longer than {_LONGEST} characters; shorten it"
    sample = expand(template, 1, lambda length, alphabet: alphabet[0] * length)
    return None if NAME.fullmatch(sample) else f"it must make names of {NAME_SAYS}, with $8R, $8r or $3I in it"
