"""A configuration file as plain values."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from runtime.errors import ConfigRefused


def read_table(path: Path) -> dict[str, Any]:
    """Return the values of a TOML file; raises ConfigRefused naming it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigRefused(f"configuration {path} cannot be read: {error}") from None
