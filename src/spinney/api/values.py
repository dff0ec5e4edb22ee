"""The values of requests: how the Clustering API reads them, and the base of all request models.

``null`` counts as not given for every key of every request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import model_validator

from spinney.domain.naming import NAME, NAME_SAYS
from spinney.domain.schema import Boolean, Kind, NotAllowed, SpecModel, between, to_int

LARGEST = 2**31 - 1


class Request(SpecModel):
    """A closed map of a request's body."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise NotAllowed("a map")
        return {key: item for key, item in value.items() if item is not None or key not in cls.model_fields}

    def given(self) -> dict[str, Any]:
        """What was said, nulls left out."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Nothing(Request):
    """Takes no parameters."""


def to_string(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise NotAllowed("a string")
    return value


def to_name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise NotAllowed(NAME_SAYS)
    return value


def to_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotAllowed("a map")
    return value


def to_json_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > LARGEST:
        raise NotAllowed("a number")
    return value


def to_id_list(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise NotAllowed("a list of at least one name or id")
    if len(set(value)) != len(value):
        raise NotAllowed("a list in which nothing stands twice")
    return tuple(value)


def _short(value: str) -> str:
    if len(value) > 255 or not value.isprintable():
        raise NotAllowed("at most 255 printable characters")
    return value


String = Annotated[str, Kind("String", to_string)]
Word = Annotated[str, Kind("String", lambda value: _short(to_string(value)))]
Name = Annotated[str, Kind("String", to_name)]
Object = Annotated[Mapping[str, Any], Kind("Map", to_object)]
JsonNumber = Annotated[float, Kind("Number", to_json_number)]
IdList = Annotated[tuple[str, ...], Kind("List", to_id_list)]
Bool = Boolean
Count = Annotated[int, Kind("Integer", to_int), between(0, LARGEST, "a whole number")]
Positive = Annotated[int, Kind("Integer", to_int), between(1, LARGEST, "a whole number")]
Limit = Annotated[int, Kind("Integer", to_int), between(-1, LARGEST, "a whole number")]

__all__ = [
    "Bool",
    "Count",
    "IdList",
    "JsonNumber",
    "Limit",
    "Name",
    "Object",
    "Positive",
    "Request",
    "String",
    "Word",
    "to_name",
]
