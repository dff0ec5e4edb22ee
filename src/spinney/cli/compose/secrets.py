"""Secrets: those of the file's top level, and how a service gets them."""

from __future__ import annotations

from collections.abc import Mapping

from spinney.cli.compose import values
from spinney.cli.compose.keys import EXTENSION, OURS, Key, Keys, Reading, SecretSource, walk
from spinney.cli.compose.places import Faults, Part, Scalar, Table, Unfit, is_null

FOLDER = "/run/secrets"
_MAKE = "secrets are made beforehand: `spinney secret create NAME`, and external: true here"

SOURCE = Keys(
    "secrets.*",
    {
        "external": Key(None, "", "`true`, and needed: it is a secret of your project in Spinney."),
        "name": Key(None, "`secrets[].secret`", "Left out: the name it has in the file."),
        "x-spinney-key": Key(None, "`secrets[].key`", "Which of its values; needed when it has several."),
    },
    {
        **dict.fromkeys(("file", "environment"), f"a secret is not made from it here: {_MAKE}"),
        **dict.fromkeys(
            ("driver", "driver_opts", "template_driver", "labels"), f"there is no such thing here: {_MAKE}"
        ),
    },
)


def sources(part: Part, faults: Faults) -> dict[str, SecretSource | None]:
    """The secrets that the file names; None: what is said of one cannot be."""
    found: dict[str, SecretSource | None] = {}
    for name, one in values.table(part).entries.items():
        found[name] = None
        with faults.caught():
            found[name] = _source(name, one, faults)
    return found


def _source(name: str, part: Part, faults: Faults) -> SecretSource:
    if is_null(part):
        raise Unfit(part.at, f"external is missing: {_MAKE}")
    entries = values.table(part).entries
    for name_of_key, inner in entries.items():
        if name_of_key in SOURCE.refused:
            faults.add(inner.at, SOURCE.refused[name_of_key])
        elif name_of_key not in SOURCE.known and (
            not name_of_key.startswith(EXTENSION) or name_of_key.startswith(OURS)
        ):
            faults.add(inner.at, f"there is no such key; there are {', '.join(SOURCE.known)}")
    external = entries.get("external")
    if isinstance(external, Table):
        raise Unfit(external.at, "a map is not allowed: write external: true, and name beside it")
    if not SOURCE.refused.keys() & entries.keys() and (external is None or not values.flag(external)):
        raise Unfit(part.at if external is None else external.at, f"external: true is needed: {_MAKE}")
    key, called = entries.get("x-spinney-key"), entries.get("name")
    return SecretSource(name if called is None else values.text(called), None if key is None else values.text(key))


def read_secrets(part: Part, reading: Reading) -> None:
    for index, one in enumerate(values.items(part)):
        with reading.faults.caught():
            _use(index, one, reading)


def _use(index: int, part: Part, reading: Reading) -> None:
    if isinstance(part, Table):
        walk(part, USE, reading)
        if "source" not in part.entries:
            raise Unfit(part.at, "source is missing: give the name of a secret of the file's top level")
        entries: Mapping[str, Part] = part.entries
    else:
        entries = {"source": values.scalar(part)}
    name = values.text(entries["source"])
    if name not in reading.secrets:
        raise Unfit(
            entries["source"].at, f"the file has no secret {name!r}: add it to secrets at the top, with external: true"
        )
    source = reading.secrets[name]
    if source is None:
        return
    put = reading.draft.put
    at = ("profile", "secrets", index)
    put((*at, "secret"), source.name, part.at)
    key = entries.get("x-spinney-key")
    if key is not None or source.key is not None:
        put((*at, "key"), source.key if key is None else values.text(key), part.at if key is None else key.at)
    variable = entries.get("x-spinney-env")
    if variable is not None:
        put((*at, "env"), values.text(variable), variable.at)
    if variable is None or "target" in entries:
        target = values.text(entries["target"]) if "target" in entries else name
        place = entries["target"].at if "target" in entries else part.at
        put((*at, "path"), target if target.startswith("/") else f"{FOLDER}/{target}", place)
    for option in ("uid", "gid"):
        if option in entries:
            put((*at, option), values.scalar(entries[option]).value, entries[option].at)
    if "mode" in entries:
        put((*at, "mode"), octal(values.scalar(entries["mode"])), entries["mode"].at)


def octal(part: Scalar) -> str:
    """Permissions as they are written; a number without a leading 0 would be a decimal one."""
    if isinstance(part.value, int) and not isinstance(part.value, bool):
        if not part.written.startswith("0"):
            raise Unfit(part.at, f"{part.written} would be a decimal number: write it with a leading 0, as in 0440")
        return f"0{part.value:o}"
    return values.text(part)


USE = Keys(
    "services.*.secrets[]",
    {
        "source": Key(None, "`secrets[].secret`", "A secret of the file's top level."),
        "target": Key(
            None, "`secrets[].path`", f"Without a leading `/` below `{FOLDER}`; left out: the source's name there."
        ),
        "uid": Key(None, "`secrets[].uid`"),
        "gid": Key(None, "`secrets[].gid`"),
        "mode": Key(None, "`secrets[].mode`", "Octal, as in `0440`."),
        "x-spinney-key": Key(None, "`secrets[].key`", "Which of its values."),
        "x-spinney-env": Key(None, "`secrets[].env`", "A variable instead of a file."),
    },
)
