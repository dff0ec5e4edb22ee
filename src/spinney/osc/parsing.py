"""Words of a command line as values: the flags, ``key=value;…``, switches in words, files of specifications."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from osc_lib.exceptions import CommandError

PAIRS = '<"key1=value1;key2=value2...">'
_SIZE = re.compile(r"(-?[0-9]{1,18})([kmgt]?)", re.ASCII)
_YES = frozenset({"1", "t", "true", "on", "y", "yes"})
_NO = frozenset({"0", "f", "false", "off", "n", "no"})


@dataclass(frozen=True, slots=True)
class Flag:
    """An argument of a command, as ``argparse`` takes it."""

    names: tuple[str, ...]
    options: dict[str, Any]

    def add_to(self, parser: Any) -> None:
        parser.add_argument(*self.names, **self.options)


def flag(*names: str, **options: Any) -> Flag:
    if names[0].startswith("-"):
        options.setdefault("metavar", f"<{names[-1].lstrip('-')}>")
    return Flag(names, options)


def switch(name: str, help: str) -> Flag:
    return Flag((name,), {"action": "store_true", "help": help})


def word(name: str, help: str, **options: Any) -> Flag:
    """A positional argument."""
    return Flag((name.replace("-", "_"),), {"metavar": f"<{name}>", "help": help, **options})


def pairs_flag(name: str, help: str, **options: Any) -> Flag:
    more = " May be given several times, or once with pairs separated by semicolons."
    return Flag((name,), {"metavar": PAIRS, "action": "append", "help": help + more, **options})


WAIT = switch("--wait", "Wait until it is done.")


def pairs(given: Sequence[str] | None) -> dict[str, Any]:
    """A map of ``key=value`` words. A key given several times has a list of values; ``{}`` is an empty map."""
    if not given or list(given) == ["{}"]:
        return {}
    return mapping(given[0].split(";") if len(given) == 1 else given)


def mapping(words: Sequence[str]) -> dict[str, Any]:
    """The same of words that hold one pair each, and semicolons as they like."""
    found: dict[str, Any] = {}
    for one in words:
        key, equals, value = one.partition("=")
        if not equals:
            raise CommandError(f"'{one}' is no pair: write key=value.")
        before = found.get(key)
        found[key] = value if key not in found else [*(before if isinstance(before, list) else [before]), value]
    return found


def truth(given: str | None, name: str) -> bool | None:
    if given is None:
        return None
    if given.strip().lower() in _YES | _NO:
        return given.strip().lower() in _YES
    raise CommandError(f"{name} '{given}' is neither true nor false: write one of these.")


def size(given: str | None) -> int | None:
    """Bytes, of a number with or without a unit, as in 512m or 64g."""
    if given is None:
        return None
    found = _SIZE.fullmatch(given.strip().lower())
    if found is None:
        raise CommandError(f"'{given}' is no size: write a number of bytes, or one with k, m, g or t behind it.")
    return int(found[1]) << 10 * " kmgt".index(found[2] or " ")


def listed(given: str) -> list[str]:
    """Words separated by commas."""
    return [one.strip() for one in given.split(",") if one.strip()]


def spec_file(name: str) -> Any:
    """A specification from a file of YAML or JSON."""
    try:
        found = yaml.safe_load(text_file(name, "--spec-file"))
    except yaml.YAMLError as error:
        raise CommandError(f"--spec-file {name} is no YAML: {error}.") from error
    if not isinstance(found, dict):
        raise CommandError(f"--spec-file {name} holds no map: a specification has type, version and properties.")
    return found


def text_file(name: str, option: str) -> str:
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{option} {name} cannot be read: {error}.") from error


def json_map(given: str | None, option: str) -> dict[str, Any]:
    if not given:
        return {}
    try:
        found = json.loads(given)
    except ValueError as error:
        raise CommandError(f"{option} is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise CommandError(f"{option} is no JSON object: write {{…}}.")
    return found


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {key: value for key, value in values.items() if value is not None}
