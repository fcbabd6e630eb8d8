"""Frozen configuration records that refuse an unknown key and name the nearest known one."""

from __future__ import annotations

import dataclasses
import difflib
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, get_args, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from runtime.errors import ConfigRefused

# Begins the tag of each record in a union that a driver's name chooses from.
OF_DRIVER = "driver "
NO_DRIVER = "no_driver"
"""The kind of error where a section's driver chooses none of them."""
SHORT = reprlib.Repr()
SHORT.maxlevel, SHORT.maxlist, SHORT.maxtuple, SHORT.maxdict = 2, 4, 4, 4
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 60
SHOWN = 4
"""How many faults of one file a refusal names before it only counts."""
NO_NUMBER = PydanticCustomError("value_error", "a number is meant, and no yes or no")
FLATTER = "take out the brackets or the indentation that do not belong there"
Record = TypeVar("Record")


def no_such_value(source: Path | str, error: Exception) -> ConfigRefused:
    """Return the refusal of a file with what is written as a number or a date, and is none."""
    # Python's own words are advice to whoever wrote this program.
    what = "a number of too many digits" if "digits" in str(error) else str(error)
    return ConfigRefused(f"{source}: holds no such value: {what}", remedy="mend or quote it")


class Strict(BaseModel):
    """Base of every settings and plan section."""

    # TOML and YAML can write nan and inf, of which no limit that compares is sure to know.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls, values: dict[str, Any], *, source: Path | str) -> Self:
        """Return the record that `values` describe.

        Raises ConfigRefused naming the file, the key, the value, the limit and the mend.
        """
        return read_record(cls, values, source=source)

    @model_validator(mode="before")
    @classmethod
    def _yes_is_no_number(cls, values: Any) -> Any:
        """Refuse a yes or no in the place of a number, which it would be the number 1 or 0 in."""
        given = values if isinstance(values, dict) else {}
        wrong = [
            InitErrorDetails(type=NO_NUMBER, loc=(name,), input=given[name])
            for name, field in cls.model_fields.items()
            if name in given and _meant_as_number(field.annotation, given[name])
        ]
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return values


def _meant_as_number(annotation: Any, value: Any) -> bool:
    """Return whether a yes or no, or a list with one, stands where numbers are meant."""
    listed = value if isinstance(value, list | tuple) else [value]
    if not any(isinstance(one, bool) for one in listed):
        return False
    meant = _leaves(annotation)
    return bool(meant & {int, float}) and bool not in meant


def _leaves(annotation: Any) -> set[Any]:
    """Return the types that an annotation is made of."""
    inner = get_args(annotation)
    # What is annotated with may have no hash, and is no type.
    own = {annotation} if isinstance(annotation, type) else set[Any]()
    return own.union(*map(_leaves, inner))


def read_record(record: type[Record], values: dict[str, Any], *, source: Path | str) -> Record:
    """Return the record, of this module's kind or a dataclass, that `values` describe.

    Raises ConfigRefused naming the source, the key, the value, the limit and the mend.
    """
    try:
        return TypeAdapter(record).validate_python(values)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        lines = [_explain(record, problem) for problem in problems[:SHOWN]]
        if len(problems) > SHOWN:
            lines.append(f"and {len(problems) - SHOWN} more")
        raise ConfigRefused(f"{source}: {'; '.join(lines)}") from None
    except RecursionError:
        raise ConfigRefused(f"{source}: is nested too deeply", remedy=FLATTER) from None


def _explain(model: type[Any], problem: ErrorDetails) -> str:
    tagged = [str(part) for part in problem["loc"]]
    # The tag tells which record read the section; people wrote only the keys.
    path = [part for part in tagged if not part.startswith(OF_DRIVER)]
    key = ".".join(_short(part) for part in path)
    driver = next((f" ({part})" for part in tagged if part.startswith(OF_DRIVER)), "")
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key '{key}'{driver}; {_hint(path[-1], _known_keys(model, tagged[:-1]))}"
    if problem["type"] == "missing":
        return f"'{key}' is missing{driver}; add it"
    if problem["type"] == "value_error":
        words = problem["msg"].removeprefix("Value error, ")
    else:
        words = problem["msg"].lower()
    if not path:
        return words
    given = problem["input"]
    if problem["type"] == NO_DRIVER and isinstance(given, Mapping) and "driver" in given:
        return f"'{key}.driver' is {SHORT.repr(given['driver'])}; {words}"
    # A whole section, shown as it came, would bury the words.
    if isinstance(given, str | int | float | list | tuple | None):
        return f"'{key}' is {SHORT.repr(given)}; {words}"
    return f"'{key}': {words}"


def _short(part: str) -> str:
    return part if len(part) <= SHORT.maxstring else f"{part[: SHORT.maxstring]}…"


def _hint(key: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(key[: SHORT.maxstring], known, 1, 0.6)
    return f"did you mean '{nearest[0]}'?" if nearest else "remove it"


def _known_keys(model: type[Any], path: list[str]) -> list[str]:
    """Return the keys of the section at `path`, looking through optional and mapped sections."""
    current: Any = model
    annotation: Any = model
    for part in path:
        if part.startswith(OF_DRIVER):
            current = _tagged(annotation, part)
        elif part in (fields := _fields(current)):
            current = annotation = fields[part]
        records = [a for a in (current, *get_args(current)) if _fields(a)]
        if records:
            current = records[0]
    return list(_fields(current))


def _fields(record: Any) -> Mapping[str, Any]:
    """Return the annotations of a settings record's or a dataclass's fields, by name."""
    if dataclasses.is_dataclass(record) and isinstance(record, type):
        hints = get_type_hints(record)
        return {field.name: hints[field.name] for field in dataclasses.fields(record)}
    return {name: field.annotation for name, field in getattr(record, "model_fields", {}).items()}


def _tagged(union: Any, tag: str) -> Any:
    """Return the record that carries a tag in a union, be the union optional or not."""
    for member in get_args(union):
        if any(getattr(mark, "tag", None) == tag for mark in getattr(member, "__metadata__", ())):
            return get_args(member)[0]
        if (found := _tagged(member, tag)) is not None:
            return found
    return None
