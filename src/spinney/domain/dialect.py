"""Specifications described: the API's schema dialect, and what reference pages need.

Guaranteed: ``render`` says of every key its type, whether it is required and whether an update may change it; closed lists of
values appear as constraints. Not guaranteed: that the dialect can express every rule; the rest is in the descriptions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from spinney.domain.schema import Kind, Rule, Since, SpecModel, strip


def render(model: type[SpecModel], updatable: Callable[[str], bool] | None) -> dict[str, Any]:
    """The model in the API's schema dialect; ``updatable`` None leaves that key out, as operations' parameters do."""
    return {
        name: _rendered_field(field, None if updatable is None else updatable(name))
        for name, field in model.model_fields.items()
    }


def rules(field: FieldInfo) -> list[str]:
    """What a value of the field, or its items, has to obey, in words."""
    bare, marks = strip(field.annotation)
    for item in get_args(bare):
        if item is not Ellipsis:
            marks += strip(item)[1]
    return list(dict.fromkeys(mark.says for mark in [*marks, *field.metadata] if isinstance(mark, Rule)))


def inner(field: FieldInfo) -> tuple[str, type[SpecModel]] | None:
    """The model within a field, and how its keys are reached: ``.``, ``[].`` (list) or ``.*.`` (map)."""
    bare = strip(field.annotation)[0]
    step = "."
    if get_origin(bare) is not None:
        step = "[]." if get_origin(bare) is tuple else ".*."
        bare = strip(get_args(bare)[0 if step == "[]." else 1])[0]
    return (step, bare) if isinstance(bare, type) and issubclass(bare, SpecModel) else None


def _rendered_field(field: FieldInfo, updatable: bool | None) -> dict[str, Any]:
    rendered = _rendered_type(field.annotation, list(field.metadata), updatable)
    if field.description:
        rendered["description"] = field.description
    default = field.default
    if default is not PydanticUndefined and isinstance(default, str | int | float):
        rendered["default"] = default
    rendered["required"] = field.is_required()
    if updatable is not None:
        rendered["updatable"] = updatable
    version = since(field)
    if version is not None:
        rendered["min_version"] = version
    return rendered


def since(field: FieldInfo) -> str | None:
    """The version of its type from which the field may be given; None: any."""
    return next((mark.version for mark in field.metadata if isinstance(mark, Since)), None)


def _rendered_type(annotation: Any, outer: list[Any], updatable: bool | None) -> dict[str, Any]:
    bare, marks = strip(annotation)
    marks += outer
    kind = next((mark.name for mark in marks if isinstance(mark, Kind)), None)
    rendered: dict[str, Any] = {"type": kind}
    if isinstance(bare, type) and issubclass(bare, SpecModel):
        rendered = {"type": "Map", "schema": render(bare, None if updatable is None else lambda _: updatable)}
    elif kind is None and get_origin(bare) is tuple:
        item = {**_rendered_type(get_args(bare)[0], [], updatable), "required": False}
        rendered = {"type": "List", "schema": {"*": item if updatable is None else {**item, "updatable": updatable}}}
    allowed = [list(mark.allowed) for mark in marks if isinstance(mark, Rule) and mark.allowed]
    if allowed:
        rendered["constraints"] = [{"type": "AllowedValues", "constraint": values} for values in allowed]
    return rendered
