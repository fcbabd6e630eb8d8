"""Frozen configuration records that refuse an unknown key and name the nearest known one."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from runtime.errors import ConfigRefused


class Strict(BaseModel):
    """Base of every settings and plan section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, values: dict[str, Any], *, source: Path | str) -> Self:
        """Return the record that `values` describe.

        Raises ConfigRefused naming the file, the key, the value, the limit and the mend.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigRefused(_explain(cls, error, source)) from None


def _explain(model: type[BaseModel], error: ValidationError, source: Path | str) -> str:
    lines = []
    for problem in error.errors():
        path = [str(part) for part in problem["loc"]]
        key = ".".join(path)
        if problem["type"] == "extra_forbidden":
            nearest = difflib.get_close_matches(path[-1], _known_keys(model, path[:-1]), 1, 0.4)
            hint = f"did you mean '{nearest[0]}'?" if nearest else "remove it"
            lines.append(f"unknown key '{key}'; {hint}")
        elif problem["type"] == "missing":
            lines.append(f"'{key}' is missing; add it")
        else:
            lines.append(f"'{key}' is {problem['input']!r}; {problem['msg'].lower()}")
    return f"{source}: " + "; ".join(lines)


def _known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return the keys of the section at `path`, looking through optional and mapped sections."""
    current: Any = model
    for part in path:
        field = current.model_fields.get(part) if hasattr(current, "model_fields") else None
        if field is not None:
            current = field.annotation
        models = [a for a in (current, *get_args(current)) if hasattr(a, "model_fields")]
        if models:
            current = models[0]
    return list(getattr(current, "model_fields", {}))
