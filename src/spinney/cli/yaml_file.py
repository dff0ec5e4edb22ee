"""Files in YAML or JSON, read strictly: what a service could not be told, or was told twice, is refused with where it stands.

Guaranteed of what comes back: maps, lists, texts, finite numbers, truth values and nulls alone.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from spinney.cli.faults import CliError


def read(path: str, what: str) -> Any:
    """``path`` may be ``-``, standard input. ``what`` names the file in refusals. Raises: CliError."""
    import yaml

    content = text(path, what, "YAML")
    try:
        loader = yaml.SafeLoader(content)
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_repeated(root, what)
        found = loader.construct_document(root)
    except (yaml.YAMLError, ValueError) as error:  # a date such as 2026-13-01 is a ValueError
        line, says = problem(error)
        raise CliError(f"{what} is not valid YAML: {'' if line is None else f'line {line}: '}{says}") from error
    except RecursionError as error:
        raise CliError(f"{what} nests too deep: make it flatter") from error
    _refuse_strange(found, "", what, ())
    return found


def text(path: str, what: str, form: str) -> str:
    """As ``read``. ``form``: what the text should have been saved as. Raises: CliError."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CliError(f"{what} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"{what} is no text in UTF-8: save it as {form} in UTF-8") from error


def problem(error: Exception) -> tuple[int | None, str]:
    """Line and words of what PyYAML refused."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return None, " ".join(str(error).split())
    words = [getattr(error, "problem", None), getattr(error, "context", None)]
    return mark.line + 1, " ".join(word for word in words if word)


def _refuse_repeated(root: Any, what: str) -> None:
    """The parser would let the last of two equal keys win."""
    import yaml

    waiting, known = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        parts = list(node.value) if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise CliError(
                        f"{what} has the key {key.value!r} twice in one map, in line {lines[key.value]} and in line {line}: "
                        "leave one of them out"
                    )
                lines[key.value] = line
            parts = [part for pair in node.value for part in pair]
        waiting += [part for part in parts if id(part) not in known]
        known.update(map(id, parts))


def _refuse_strange(value: Any, where: str, what: str, around: tuple[int, ...]) -> None:
    """JSON, as which all of this is sent, knows less than YAML. ``around``: what this is inside of."""
    named = where or "it"
    if isinstance(value, dict | list):
        if id(value) in around:
            raise CliError(f"{what}: {named} contains itself: write it out")
        inside = (*around, id(value))
        if isinstance(value, dict):
            for key, inner in value.items():
                if not isinstance(key, str | int | float | bool | None):
                    raise CliError(f"{what}: the key {key} in {named} is no text: put it in quotes")
                _refuse_strange(inner, f"{where}.{key}" if where else str(key), what, inside)
        else:
            for index, inner in enumerate(value):
                _refuse_strange(inner, f"{where}[{index}]", what, inside)
    elif isinstance(value, float) and not math.isfinite(value):
        raise CliError(f"{what}: {named} is {value}, which is no number to count with: write a finite one, such as 0.5")
    elif value is not None and not isinstance(value, str | int | float | bool):
        raise CliError(
            f"{what}: {named} is read as {type(value).__name__} ({value}): put it in quotes to make it a text"
        )
