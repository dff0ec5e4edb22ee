"""Variables: ``${NAME:-default}`` put into values, and files of ``NAME=value`` lines.

What is written: ``$NAME``, ``${NAME}``, ``${NAME:-x}`` and ``${NAME-x}`` (a default where it is empty or unset, or unset
alone), ``${NAME:?x}`` and ``${NAME?x}`` (a fault that says x), ``${NAME:+x}`` and ``${NAME+x}`` (x where it is set), nested;
``$$`` is one ``$``. A variable that is not set and has no default is empty, which is noted, as Compose does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spinney.cli.compose.places import Faults, Spot, Substitute, Unfit

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_FIND = "$"


def substitution(variables: Mapping[str, str], faults: Faults) -> Substitute:
    """What puts these variables into text. Raises (when called): Unfit."""
    return lambda text, at: _Text(text, at, variables, faults).whole() if _FIND in text else text


@dataclass(slots=True)
class _Text:
    text: str
    at: Spot
    variables: Mapping[str, str]
    faults: Faults
    place: int = 0
    #: Whether what is being read will be used; if not, a variable that is missing is no matter.
    looking: bool = True

    def whole(self) -> str:
        return self._until("")

    def _until(self, end: str) -> str:
        """Everything up to the closing brace, which is taken too, or to the end of the text."""
        out: list[str] = []
        while self.place < len(self.text):
            char = self.text[self.place]
            if end and char == end:
                self.place += 1
                return "".join(out)
            if char == "$":
                out.append(self._variable())
            else:
                out.append(char)
                self.place += 1
        if end:
            raise Unfit(self.at, f"{self.text!r} has a ${{ without its }}: close it, or write $${{ to mean the text")
        return "".join(out)

    def _variable(self) -> str:
        rest = self.text[self.place + 1 :]
        if rest.startswith("$"):
            self.place += 2
            return "$"
        if rest.startswith("{"):
            self.place += 2
            return self._braced()
        found = _NAME.match(rest)
        if found is None:
            raise Unfit(self.at, f"{self.text!r} has a $ that begins no variable: write $$ to mean the character")
        self.place += 1 + found.end()
        return self._plain(found[0])

    def _braced(self) -> str:
        found = _NAME.match(self.text, self.place)
        if found is None:
            raise Unfit(self.at, f"{self.text!r} has a ${{ without the name of a variable: write $${{ to mean the text")
        name, self.place = found[0], found.end()
        operator = _OPERATOR.match(self.text, self.place)
        if operator is None:
            if not self.text.startswith("}", self.place):
                raise Unfit(
                    self.at, f"{self.text!r}: after ${{{name} comes }}, or one of :- - :? ? :+ + and what goes with it"
                )
            self.place += 1
            return self._plain(name)
        self.place = operator.end()
        value = self.variables.get(name)
        there = bool(value) if operator[0].startswith(":") else value is not None
        kind = operator[0][-1]
        looking, self.looking = self.looking, self.looking and there == (kind == "+")
        word = self._until("}")
        self.looking = looking
        if kind == "?" and not there and looking:
            raise Unfit(self.at, f"the variable {name} is needed: {word or 'set it'}")
        return word if there == (kind == "+") else "" if kind == "+" else value or ""

    def _plain(self, name: str) -> str:
        value = self.variables.get(name)
        if value is None and self.looking:
            self.faults.note(self.at, f"the variable {name} is not set and has no default: it is taken as empty")
        return value or ""


_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?P<equals>[=:])?[ \t]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$$"}


def read_file(text: str, file: str, variables: Mapping[str, str], faults: Faults) -> dict[str, str | None]:
    """The variables of such a file, later lines over earlier ones; None: it names one without a value.

    Values without quotes and in double quotes may have variables in them, those above in the file included; single quotes keep
    all as it is. ``#`` after a space begins a comment.
    """
    found: dict[str, str | None] = {}
    place, line = 0, 1
    while place < len(text):
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        at = Spot(file, line)
        if not text[place:end].strip() or text[place:end].lstrip().startswith("#"):
            place, line = end + 1, line + 1
            continue
        with faults.caught():
            known = {**{k: v for k, v in found.items() if v is not None}, **variables}
            name, value, after = _assignment(text, place, end, at, substitution(known, faults))
            found[name] = value
            line += text.count("\n", place, after)
            place, line = after + 1, line + 1
            continue
        place, line = end + 1, line + 1
    return found


def read_raw_file(text: str, file: str, faults: Faults) -> dict[str, str | None]:
    """The same where everything after the first ``=`` is the value, quotes and dollars included."""
    found: dict[str, str | None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not _NAME.match(name.strip()):
            faults.add(Spot(file, number), f"{line!r} is no NAME=value line")
        else:
            found[name.strip()] = value if equals else None
    return found


def _assignment(
    text: str, place: int, end: int, at: Spot, substitute: Callable[[str, Spot], str]
) -> tuple[str, str | None, int]:
    """Name, value, and where the line ends."""
    found = _LINE.match(text, place, end)
    if found is None:
        raise Unfit(at, f"{text[place:end].strip()!r} is no NAME=value line")
    name, start = found["name"], found.end()
    if found["equals"] is None:
        if text[start:end].strip():
            raise Unfit(at, f"{text[place:end].strip()!r} is no NAME=value line")
        return name, None, end
    quote = text[start : start + 1]
    if quote not in ("'", '"'):
        value = re.split(r"(?:^|[ \t])#", text[start:end], maxsplit=1)[0].strip()
        return name, substitute(value, at), end
    value, after = _quoted(text, start + 1, quote, at)
    end = text.find("\n", after)
    end = len(text) if end < 0 else end
    rest = text[after:end].strip()
    if rest and not rest.startswith("#"):
        raise Unfit(at, f"after the closing quote of {name} stands {rest!r}: leave it out, or put it inside")
    return name, substitute(value, at) if quote == '"' else value, end


def _quoted(text: str, start: int, quote: str, at: Spot) -> tuple[str, int]:
    """What stands between quotes, over several lines if need be, and where it ends."""
    out: list[str] = []
    place = start
    while place < len(text):
        char = text[place]
        if char == quote:
            return "".join(out), place + 1
        if char == "\\" and place + 1 < len(text):
            follows = text[place + 1]
            known = _ESCAPES.get(follows) if quote == '"' else ("'" if follows == "'" else None)
            out.append(char + follows if known is None else known)
            place += 2
        else:
            out.append(char)
            place += 1
    raise Unfit(at, f"a value begins with {quote} and never ends: close it")
