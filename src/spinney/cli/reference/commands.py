"""The page of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from spinney.cli.lazy import load
from spinney.cli.main import SpinneyGroup
from spinney.cli.reference.text import table

_CLI_HEAD = """\
# Command line

*This page is generated: `python -m spinney.cli.reference cli`.*

**Which service.** In this order: `--os-cloud NAME`, `OS_CLOUD`, other `OS_*` variables or the file named by
`OS_CLIENT_CONFIG_FILE`, and the `clouds.yaml` in the state directory of `spinney standalone` on this machine
(`SPINNEY_STATE_DIR`, `XDG_STATE_HOME`).

**Results** go to standard output, all else to standard error. `-o table|json|yaml|name`: tables are for people; JSON and YAML
hold the objects of the API without their envelope, a list as an array.

**Exit codes.** 0 done, or with `--wait` reached; 1 wrong use, no connection, or refused by the service; 2 waited for and
failed; 3 waited for and not reached within `--timeout` (600 seconds unless given). `--wait` is judged by what is observed of
clusters and nodes, not by the action alone.

`-h` after any command shows its help; `spinney --install-completion` adds completion to the shell. The options `-o`,
`--os-cloud` and, where *waits* stands, `--wait` and `--timeout` are not repeated below.
"""


_COMMON = {"wait", "timeout", "output", "os_cloud"}


def cli_page() -> str:
    parts = [_CLI_HEAD]
    for name, entry in SpinneyGroup.entries.items():
        parts.append(f"## spinney {name}\n")
        parts += _commands(f"spinney {name}", load(name, entry), entry.help)
    return "\n".join(parts)


def _commands(path: str, found: Any, says: str = "") -> Iterator[str]:
    """``found`` is a command or a group of them, as Typer made it."""
    inside = getattr(found, "commands", None)
    if inside is not None:
        lazy = getattr(found, "entries", {})
        yield f"{says}\n"
        for name in sorted(inside):
            yield f"### {path} {name}\n"
            yield from _commands(f"{path} {name}", load(name, lazy[name]) if name in lazy else inside[name])
        return
    arguments = [parameter for parameter in found.params if not hasattr(parameter, "is_flag")]
    given = [parameter for parameter in found.params if hasattr(parameter, "is_flag")]
    waits = " *Waits.*" if any(parameter.name == "wait" for parameter in given) else ""
    yield f"{' '.join((found.help or says).split())}{waits}\n"
    words = [path, *(_usage(parameter) for parameter in arguments)]
    yield f"```text\n{' '.join(words)}\n```\n"
    rows = [_flag_row(parameter) for parameter in given if parameter.name not in _COMMON]
    if rows:
        yield table(("option", "meaning"), iter(rows)) + "\n"


def _usage(argument: Any) -> str:
    word = argument.metavar or argument.name.upper()
    return word if argument.required else f"[{word.strip('[]')}]"


def _flag_row(option: Any) -> Sequence[str]:
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    names = ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))
    needed = " **Required.**" if option.required else ""
    return names, f"{option.help or ''}{needed}"
