"""``environment`` and ``env_file``: variables of the container. What ``environment`` says counts more."""

from __future__ import annotations

from spinney.cli.compose import values, variables
from spinney.cli.compose.keys import Key, Keys, Reading, walk
from spinney.cli.compose.places import Part, Table, Unfit


def read_environment(part: Part, reading: Reading) -> None:
    for name, value, at in values.pairs(part):
        found = reading.context.variables.get(name) if value is None else values.text(value)
        if found is None:
            reading.faults.note(at, f"{name} has no value here nor outside of the file: the container does not get it")
        else:
            reading.environment[name] = (found, at)


def read_files(part: Part, reading: Reading) -> None:
    for one in values.one_or_more(part) if not isinstance(part, Table) else (part,):
        with reading.faults.caught():
            _file(one, reading)


def _file(part: Part, reading: Reading) -> None:
    path, required, raw = part, True, False
    if isinstance(part, Table):
        walk(part, FILE, reading)
        if "path" not in part.entries:
            raise Unfit(part.at, "path is missing: name the file")
        path = part.entries["path"]
        required = "required" not in part.entries or values.flag(part.entries["required"])
        raw = "format" in part.entries
    name = values.text(path)
    content = reading.context.read(name)
    if content is None:
        if required:
            raise Unfit(path.at, f"{name!r} cannot be read: make it, or say required: false where it may be missing")
        return
    given = reading.context.variables
    found = (
        variables.read_raw_file(content, name, reading.faults)
        if raw
        else variables.read_file(content, name, given, reading.faults)
    )
    for variable, value in found.items():
        known = given.get(variable) if value is None else value
        if known is not None:
            reading.from_files[variable] = (known, path.at)


def _format(part: Part, reading: Reading) -> None:
    if values.text(part) != "raw":
        raise Unfit(part.at, f"{values.text(part)!r} is not allowed: raw, or leave it out")


FILE = Keys(
    "services.*.env_file[]",
    {
        "path": Key(None, "`environment`", "Relative to the folder of the Compose file."),
        "required": Key(None, "", "`false`: it may be missing."),
        "format": Key(_format, "", "`raw`: everything after the `=` is the value."),
    },
)


def finish(reading: Reading) -> None:
    for name, (value, at) in {**reading.from_files, **reading.environment}.items():
        reading.draft.put(("profile", "environment", name), value, at)
