"""What answers are made of: the shapes that the description of the API promises.

Views build plain dictionaries, because that is what is fast; these models say what is in them. Tests hold every answer that
they get against its model, so neither drifts from the other. Nothing is validated with them while serving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Closed: a key that is not here is in no answer. Keys with a default are left out where the version has none."""

    model_config = ConfigDict(extra="forbid", strict=True)


#: A UUID as text.
Id = Annotated[str, Field(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
#: UTC, whole seconds.
Time = Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
Map = dict[str, Any]


class Owned(Answer):
    user: str = Field(description="Who made it.")
    project: str
    domain: str | None = Field(description="Null: users are not in domains here.")


@dataclass(frozen=True, slots=True)
class Shape:
    """One object, or with ``many`` a list of them, under a key; without an envelope the object itself.

    ``model`` None: null. ``other``: what may be there instead.
    """

    model: type[Answer] | None
    envelope: str | None = None
    many: bool = False
    other: type[Answer] | None = None

    @property
    def models(self) -> tuple[type[Answer], ...]:
        return tuple(model for model in (self.model, self.other) if model is not None)

    @property
    def annotation(self) -> Any:
        """The type of what is under the key."""
        found: Any = self.model if self.other is None else self.model | self.other
        return list[found] if self.many else found
