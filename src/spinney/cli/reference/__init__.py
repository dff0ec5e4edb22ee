"""Reference pages made from what the code declares: ``python -m spinney.cli.reference PAGE`` prints one, ``--list`` names them.

Guaranteed: equal code prints equal pages, so that a test can hold a committed page against it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from spinney.cli.reference import calls, overview
from spinney.cli.reference.commands import cli_page
from spinney.cli.reference.compose import compose_page
from spinney.cli.reference.options import configuration_page
from spinney.cli.reference.prose import PAGES as API_PAGES
from spinney.cli.reference.specs import policies_page, profiles_page

#: By the name of the file below ``docs/reference``, without its ending.
PAGES: Mapping[str, Callable[[], str]] = {
    "profiles": profiles_page,
    "policies": policies_page,
    "configuration": configuration_page,
    "cli": cli_page,
    "compose": compose_page,
    "api": overview.page,
    **{f"api/{name}": partial(calls.page, name) for name in API_PAGES},
}


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["--list"]:
        print("\n".join(PAGES))
        return 0
    if len(arguments) != 1 or arguments[0] not in PAGES:
        print(f"usage: python -m spinney.cli.reference {{--list,{','.join(PAGES)}}}", file=sys.stderr)
        return 2
    print(PAGES[arguments[0]](), end="")
    return 0
