"""Tables of keys: what requests may hold, and what answers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from spinney.api.answers.base import Answer, Id, Time
from spinney.domain.dialect import inner, render, rules, since
from spinney.domain.schema import SpecModel

REQUEST_HEAD = ("key", "type", "meaning", "allowed")
ANSWER_HEAD = ("key", "type", "meaning", "since")
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null", Any: "any"}


def request_rows(model: type[SpecModel], prefix: str = "") -> Iterator[Sequence[str]]:
    rendered = render(model, None)
    for name, field in model.model_fields.items():
        allowed = "; ".join(rules(field))
        meaning = [field.description or "", _counts_from(since(field))]
        key = f"`{prefix}{name}`" + (" **required**" if field.is_required() else "")
        yield key, str(rendered[name]["type"]), " ".join(filter(None, meaning)), allowed
        nested = inner(field)
        if nested is not None:
            step, part = nested
            yield from request_rows(part, f"{prefix}{name}{step}")


def _counts_from(version: str | None) -> str:
    return "" if version is None else f"Passed over below version {version}."


def answer_rows(model: type[Answer], prefix: str = "") -> Iterator[Sequence[str]]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        version = since(field)
        kind = _kind(field.annotation, field.metadata)
        may_miss = "not always there; " if not field.is_required() and version is None else ""
        yield f"`{key}`", may_miss + kind, field.description or "", version or ""
        for step, part in _inside(field.annotation):
            yield from answer_rows(part, key + step)


def _kind(annotation: Any, marks: Sequence[Any] = ()) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        arms = [_kind(arm, marks) for arm in arguments if arm is not NoneType]
        return " or ".join(dict.fromkeys([*arms, *(["null"] if NoneType in arguments else [])]))
    if origin is Literal:
        return " or ".join(f"`{value}`".replace("True", "true") for value in arguments)
    if origin in (list, dict):
        what = "list" if origin is list else "map"
        item = _kind(arguments[-1])
        return what if item == "any" else f"{what} of {item}" + ("" if " " in item else "s")
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, Answer):
        return "object"
    return _SPELLED.get(_pattern(marks)) or _PLAIN[annotation]


def _pattern(marks: Sequence[Any]) -> str | None:
    for mark in marks:
        found = _pattern(mark.metadata) if isinstance(mark, FieldInfo) else getattr(mark, "pattern", None)
        if found is not None:
            return str(found)
    return None


_SPELLED: dict[str | None, str] = {_pattern(get_args(Id)): "id", _pattern(get_args(Time)): "time"}


def _inside(annotation: Any, step: str = ".") -> Iterator[tuple[str, type[Answer]]]:
    """Objects within a value, and how their keys are reached: ``.``, ``[].`` (list) or ``.*.`` (map)."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Answer):
        yield step, annotation
    elif origin is list:
        yield from _inside(get_args(annotation)[0], "[].")
    elif origin is dict:
        yield from _inside(get_args(annotation)[1], ".*." if step == "." else step + "*.")
    else:
        for arm in get_args(annotation):
            yield from _inside(arm, step)
