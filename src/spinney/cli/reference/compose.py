"""The page of Compose files: every key that is taken and what it becomes, and every key that is not and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from spinney.cli.compose.keys import Keys
from spinney.cli.compose.whole import TOP
from spinney.cli.reference.text import table

_HEAD = """\
# Keys of Compose files

*This page is generated: `python -m spinney.cli.reference compose`.*

What [`spinney deploy`](../how-to/compose.md) makes of each key of a Compose file. A key that stands here under *not there*, or
nowhere, is an error that names its path and line; nothing is passed over but extensions of others (`x-…`). In paths `*` stands
for any name and `[]` for the entries of a list; properties are those of the profile type
[container.dockerinc.docker-1.0](profiles.md).

| form | how it is read |
| --- | --- |
| text | as it stands; a number that YAML spells otherwise (`1.10` is 1.1) has to be in quotes |
| duration | with units, as in `1h5m30s20ms`; also `us` |
| size | bytes, or with `b`, `k`, `kb`, `m`, `mb`, `g`, `gb` (powers of 1024) |
| map or list | `{KEY: value}` and `[KEY=value]` are the same |
| variables | `$NAME`, `${NAME}`, with a default `${NAME:-x}`, needed `${NAME:?message}`, instead `${NAME:+x}`; `$$` is a `$` |
| | the same without the colon: an empty variable counts as set; one may stand in the other |
| YAML | as version 1.2 has it (`no` is a text); anchors, aliases and `<<` work |
"""


def compose_page() -> str:
    return "\n".join([_HEAD, *_sections(TOP)])


def _sections(keys: Keys) -> Iterator[str]:
    yield f"## {f'`{keys.of}`' if keys.of else 'The file'}\n"
    yield table(("key", "what it becomes", "what to know"), _known(keys)) + "\n"
    if keys.refused:
        yield "Not there:\n"
        yield table(("keys", "answer"), _refused(keys.refused)) + "\n"
    for inner in keys.inner:
        yield from _sections(inner)


def _known(keys: Keys) -> Iterator[Sequence[str]]:
    for name, key in keys.known.items():
        yield f"`{name}`", key.becomes, key.says


def _refused(refused: Mapping[str, str]) -> Iterator[Sequence[str]]:
    for reason in dict.fromkeys(refused.values()):
        yield ", ".join(f"`{name}`" for name, why in refused.items() if why == reason), reason
