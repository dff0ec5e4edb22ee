"""How the values of a specification are read and refused.

A specification (the ``properties`` of a profile or a policy, the parameters of an operation) is a closed pydantic model
derived from ``SpecModel``. This module gives such models two things:

* the Clustering API's lenient reading of scalars (``Text``, ``Integer``, ``Number``, ``Boolean``, maps as JSON strings);
* refusals which name the path, the value and what is allowed (``explain``).

``dialect`` describes the same models to clients and readers.

Guaranteed: validating any JSON value raises nothing but pydantic's ``ValidationError``; text that passes has no control
characters but tab and line breaks, and can be encoded as UTF-8; ``explain`` never repeats a value marked secret nor more
than a line of any other. Not guaranteed: that unlike values which mean the same stay apart (``"1"`` and ``1`` read alike).
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema, ErrorDetails, core_schema

#: How many faults one message names.
FAULTS_SHOWN = 5
_VALUE_SHOWN = 80
_KEY_LIMIT = 255
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_./-]{1,80}")
_UNCLEAN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})
_UNSET: Any = object()


class NotAllowed(ValueError):
    """One value is refused; ``allowed`` completes the sentence "<path>: <value> is not allowed: …"."""

    def __init__(self, allowed: str, *, at: str = "", value: Any = _UNSET, secret: bool = False) -> None:
        super().__init__(allowed)
        self.allowed = allowed
        self.at = at
        self.value = value
        self.secret = secret


class Contradiction(ValueError):
    """Values that do not go together; the text says all of it and follows the path as it is."""

    def __init__(self, text: str, *, at: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.at = at


# --- reading ----------------------------------------------------------------------------------------------------------


def to_text(value: Any) -> str:
    """Any scalar as a string; booleans as JSON spells them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        try:
            return str(value)
        except ValueError:
            raise NotAllowed("a shorter number") from None
    if not isinstance(value, str):
        raise NotAllowed("one string, number or boolean")
    if not _is_clean(value):
        raise NotAllowed("text without control characters and lone surrogates")
    return value


def to_int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    raise NotAllowed("a whole number")


def to_number(value: Any) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise NotAllowed("a number") from None
        if math.isfinite(number):
            return number
    raise NotAllowed("a number")


def to_bool(value: Any) -> bool:
    """The words oslo's strict parser knows."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | str):
        word = value.strip().lower() if isinstance(value, str) else ("1" if value == 1 else "0" if value == 0 else "")
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise NotAllowed("true or false")


def is_scalar(value: Any) -> bool:
    """Whether a short form is meant, rather than a map or a JSON string holding one."""
    return isinstance(value, int | float) or (isinstance(value, str) and not value.lstrip().startswith("{"))


def to_map(value: Any) -> dict[str, Any]:
    """A map, or a JSON string that holds one."""
    found = value
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            raise NotAllowed("a map") from None
    if not isinstance(found, Mapping):
        raise NotAllowed("a map")
    for key in found:
        if not isinstance(key, str) or not 1 <= len(key) <= _KEY_LIMIT or not _is_clean(key) or not key.isprintable():
            raise Contradiction(
                f"the key {_shown(key)} is not allowed: keys are 1 to {_KEY_LIMIT} printable characters"
            )
    return dict(found)


def _is_clean(text: str) -> bool:
    return _UNCLEAN.search(text) is None


# --- what annotates a field -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """The name of a value's type in the API's dialect, and its reading, which comes before pydantic's own."""

    name: str
    read: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))


@dataclass(frozen=True, slots=True)
class Rule:
    """A check after reading: returns the value in its one canonical spelling or raises; ``says`` is for the docs."""

    says: str
    check: Callable[[Any], Any]
    allowed: tuple[Any, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True, slots=True)
class Since:
    """The key belongs to this version of its type and to later ones."""

    version: str


def one_of(*values: Any, fold: Callable[[Any], Any] = lambda value: value) -> Rule:
    """``fold`` turns accepted spellings into the canonical one."""
    says = "one of " + ", ".join(str(value) for value in values)

    def check(value: Any) -> Any:
        folded = fold(value)
        if folded not in values:
            raise NotAllowed(says)
        return folded

    return Rule(says, check, values)


def between(low: float, high: float, what: str) -> Rule:
    says = f"{what} from {low} to {high}"

    def check(value: float) -> float:
        if not low <= value <= high:
            raise NotAllowed(says)
        return value

    return Rule(says, check)


def matching(pattern: str, says: str, *, longest: int = 255, secret: bool = False) -> Rule:
    """The whole text, in at most so many characters. ``pattern`` must match in linear time."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if len(value) > longest or not compiled.fullmatch(value):
            raise NotAllowed(says, secret=secret)
        return value

    return Rule(says, check)


def at_most(count: int, what: str) -> Rule:
    says = f"at most {count} {what}"

    def check(value: Any) -> Any:
        if len(value) > count:
            raise NotAllowed(f"{says}, and here are {len(value)}")
        return value

    return Rule(says, check)


def line(longest: int = 255) -> Rule:
    says = f"1 to {longest} printable characters"

    def check(value: str) -> str:
        if not 1 <= len(value) <= longest or not value.isprintable():
            raise NotAllowed(says)
        return value

    return Rule(says, check)


Text = Annotated[str, Kind("String", to_text)]
Integer = Annotated[int, Kind("Integer", to_int)]
Number = Annotated[float, Kind("Number", to_number)]
Boolean = Annotated[bool, Kind("Boolean", to_bool)]
Line = Annotated[Text, line()]


class SpecModel(BaseModel):
    """A closed, frozen map of a specification. ``null`` counts as not given for ``nullable`` keys, else it is refused."""

    # A ValidationError is the cause of what is raised and may be logged: it must not carry values.
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), hide_input_in_errors=True)

    nullable: ClassVar[frozenset[str]] = frozenset()
    #: Normalised spelling (see ``normalised``) of keys that are refused for a reason -> the reason.
    refusals: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def expand(cls, value: Any) -> Any:
        """The long form of a short one; what is no short form comes back as it is."""
        return value

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        given = to_map(cls.expand(value))
        for key, item in given.items():
            if item is None and key in cls.model_fields and key not in cls.nullable:
                raise NotAllowed("leave the key out for its default", at=f".{key}", value=None)
        return given

    def given(self) -> dict[str, Any]:
        """What was said, in canonical spelling and plain JSON; validating it again gives an equal value."""
        return self.model_dump(mode="json", exclude_unset=True)


# --- refusing ---------------------------------------------------------------------------------------------------------


def explain(error: ValidationError, model: type[SpecModel], root: str) -> str:
    """One line naming path, value and what is allowed for each fault (the first few, when there are many)."""
    details = error.errors(include_url=False)
    told = [_fault(detail, model) for detail in details[:FAULTS_SHOWN]]
    shown = [f"{root}{path}: {says}" for path, says in told]
    if len(details) > FAULTS_SHOWN:
        shown.append(f"and {len(details) - FAULTS_SHOWN} more")
    return "; ".join(shown)


def faults(error: ValidationError, model: type[SpecModel]) -> list[tuple[str, str]]:
    """All of them: each path as in ``.ports[0].host``, and what is said of it."""
    return [_fault(detail, model) for detail in error.errors(include_url=False)]


def normalised(key: str) -> str:
    """``PidMode``, ``pid_mode`` and ``pid-mode`` are one word."""
    return key.replace("_", "").replace("-", "").lower()


_EXPECTED = {"tuple_type": "a list", "missing": "", "recursion_loop": "a value that does not contain itself"}


def _fault(detail: ErrorDetails, model: type[SpecModel]) -> tuple[str, str]:
    path = "".join(_step(part) for part in detail["loc"] if part != "[key]")
    if detail["type"] == "missing":
        return path, "this is required and was not given"
    if detail["type"] == "extra_forbidden":
        return path, _unknown(str(detail["loc"][-1]), _model_at(model, detail["loc"][:-1]))
    raised = detail.get("ctx", {}).get("error")
    if isinstance(raised, Contradiction):
        return f"{path}{raised.at}", raised.text
    if isinstance(raised, NotAllowed):
        value = detail["input"] if raised.value is _UNSET else raised.value
        shown = "the value given" if raised.secret else _shown(value)
        return f"{path}{raised.at}", f"{shown} is not allowed: {raised.allowed}"
    return path, f"{_shown(detail['input'])} is not allowed: {_EXPECTED.get(detail['type'], detail['msg'])}"


def _step(part: int | str) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN_KEY.fullmatch(part) else f"[{_shown(part)}]"


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        return repr(value if len(value) <= _VALUE_SHOWN else value[: _VALUE_SHOWN - 1] + "…")
    try:
        return repr(value)[:_VALUE_SHOWN]
    except ValueError:
        return "a number with thousands of digits"


def _unknown(key: str, model: type[SpecModel] | None) -> str:
    if model is None:
        return "there is no such key"
    reason = model.refusals.get(normalised(key))
    if reason:
        return reason
    near = difflib.get_close_matches(key.lower()[:_VALUE_SHOWN], list(model.model_fields), n=1)
    if near:
        return f"there is no such key; did you mean '{near[0]}'?"
    return f"there is no such key; there are {', '.join(sorted(model.model_fields))}"


def _model_at(model: type[SpecModel], loc: tuple[int | str, ...]) -> type[SpecModel] | None:
    found: Any = model
    for part in loc:
        found, _ = strip(found)
        if isinstance(found, type) and issubclass(found, SpecModel):
            found = found.model_fields[str(part)].annotation
        else:
            found = get_args(found)[0 if get_origin(found) is tuple else 1]
    found, _ = strip(found)
    return found if isinstance(found, type) and issubclass(found, SpecModel) else None


def strip(annotation: Any) -> tuple[Any, list[Any]]:
    """The bare type without ``| None`` and ``Annotated``, and what annotated it."""
    marks: list[Any] = []
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            marks += more
        elif origin in (Union, UnionType):
            (annotation,) = (arm for arm in get_args(annotation) if arm is not NoneType)
        else:
            return annotation, marks
