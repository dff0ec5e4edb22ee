"""YAML as a tree of parts: maps, lists and scalars, each with its path and line.

Read as YAML 1.2 has it, which is what Compose means: ``no``, ``on`` and ``22:22`` are texts. Anchors, aliases and merge keys
work. Guaranteed: a key that stands twice in one map, an unknown tag and an alias inside of what it names are faults; what
aliases blow up beyond ``MOST`` parts is refused. Raises: Unfit, where it is no YAML at all.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import yaml

from spinney.cli import yaml_file
from spinney.cli.compose.places import Faults, Items, Part, Scalar, Spot, Substitute, Table, Unfit

MOST = 100_000
_DEEPEST = 40
_TAG = "tag:yaml.org,2002:"
_PLAIN = {
    "null": re.compile(r"~|null|Null|NULL|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
}


class _Loader(yaml.SafeLoader):
    """Only its composer is used, and its flattening of merge keys."""


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern in (*_PLAIN.items(), ("merge", re.compile("<<"))):
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(f"(?:{_pattern.pattern})$"), None)


def parse(text: str, file: str, substitute: Substitute, faults: Faults) -> Part | None:
    """The whole of a file; None: there is nothing in it. Raises: Unfit."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except (yaml.YAMLError, ValueError) as error:
        line, says = yaml_file.problem(error)
        raise Unfit(Spot(file, line or 1), f"this is not valid YAML: {says}") from error
    except RecursionError as error:
        raise Unfit(Spot(file, 1), "this nests too deep: make it flatter") from error
    return None if root is None else _Builder(loader, substitute, faults).part(root, Spot(file, 1), ())


@dataclass(slots=True)
class _Builder:
    loader: _Loader
    substitute: Substitute
    faults: Faults
    made: int = 0
    flattened: set[int] = field(default_factory=set)

    def part(self, node: yaml.Node, at: Spot, around: tuple[int, ...]) -> Part:
        """``around``: the nodes that this one is inside of."""
        self.made += 1
        if self.made > MOST:
            raise Unfit(at, f"the file has more than {MOST} parts once its aliases are written out: make it smaller")
        if id(node) in around:
            raise Unfit(at, "this contains itself: write it out instead of using an alias")
        if len(around) > _DEEPEST:
            raise Unfit(at, "this nests too deep: make it flatter")
        around = (*around, id(node))
        if isinstance(node, yaml.MappingNode):
            self._known_tag(node, "map", at)
            return Table(at, self._entries(node, at, around))
        if isinstance(node, yaml.SequenceNode):
            self._known_tag(node, "seq", at)
            parts = enumerate(node.value)
            return Items(at, tuple(self.part(one, at.item(i, _line(one)), around) for i, one in parts))
        assert isinstance(node, yaml.ScalarNode)  # there is no fourth kind: aliases are what they name
        return self._scalar(node, at)

    def _entries(self, node: yaml.MappingNode, at: Spot, around: tuple[int, ...]) -> dict[str, Part]:
        if id(node) not in self.flattened:
            self.flattened.add(id(node))
            self._refuse_repeated(node, at)
            try:
                self.loader.flatten_mapping(node)
            except yaml.constructor.ConstructorError as error:
                raise Unfit(
                    at.key("<<", _line(node)), "a merge key takes the alias of a map, or a list of those"
                ) from error
            except RecursionError as error:
                raise Unfit(at, "this contains itself: write it out instead of using an alias") from error
        found: dict[str, Part] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise Unfit(Spot(at.file, _line(key), at.path), "a key here is no text: write it as one")
            found.pop(key.value, None)  # what comes later stands in for what was merged in
            found[key.value] = self.part(value, at.key(key.value, _line(key)), around)
        return found

    def _refuse_repeated(self, node: yaml.MappingNode, at: Spot) -> None:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in lines:
                first = lines[key.value]
                self.faults.add(
                    at.key(key.value, _line(key)), f"this key stands in line {first} already: leave one out"
                )
            lines.setdefault(key.value, _line(key))

    def _scalar(self, node: yaml.ScalarNode, at: Spot) -> Scalar:
        with self.faults.caught():
            written = self.substitute(node.value, at)
            return Scalar(at, self._value(node, written, at), written)
        return Scalar(at, "", "")

    def _value(self, node: yaml.ScalarNode, written: str, at: Spot) -> str | int | float | bool | None:
        tag = node.tag.removeprefix(_TAG)
        if tag in _PLAIN and not _PLAIN[tag].fullmatch(written):
            raise Unfit(at, f"the tag !!{tag} does not go with {written!r}: leave it out")
        if tag == "null":
            return None
        if tag == "bool":
            return written.lower() == "true"
        if tag == "int":
            return _whole(written)
        if tag == "float":
            number = float(written.lower().replace(".inf", "inf").replace(".nan", "nan"))
            if not math.isfinite(number):
                raise Unfit(at, f"{written} is no number to count with: write a finite one, such as 0.5")
            return number
        if tag != "merge":
            self._known_tag(node, "str", at)
        return written

    def _known_tag(self, node: yaml.Node, usual: str, at: Spot) -> None:
        if node.tag != f"{_TAG}{usual}":
            shown = node.tag.replace(_TAG, "!!")
            self.faults.add(at, f"the tag {shown} is not known here: leave it out")


def _whole(written: str) -> int:
    """As Compose has it, a leading 0 means octal."""
    sign, digits = (-1, written[1:]) if written[0] == "-" else (1, written.removeprefix("+"))
    if digits.startswith(("0o", "0x")):
        return sign * int(digits, 0)
    octal = len(digits) > 1 and digits[0] == "0" and not set(digits) & set("89")
    return sign * int(digits, 8 if octal else 10)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
